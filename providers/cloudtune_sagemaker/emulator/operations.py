"""The operations of the service, each from its request to its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from cloudtune.emulator_kit import NO_CAPACITY, Context, Delays, FaultPlan, Json, app
from cloudtune_sagemaker.emulator import search_api, views
from cloudtune_sagemaker.emulator.errors import invalid
from cloudtune_sagemaker.emulator.listing import matching, page
from cloudtune_sagemaker.emulator.rules import inputs, script, training, tuning
from cloudtune_sagemaker.emulator.script_jobs import TrainingJobs
from cloudtune_sagemaker.emulator.state import (
    Store,
    TrainingJob,
    TuningJob,
    TuningRequest,
    arn_of,
)
from cloudtune_sagemaker.emulator.tuner import Tuner, parents_of

MAX_TAGS = 50
"""Of one resource (botocore 1.44.8 model, TagList)."""


class Operations(app.Operations[TrainingJobs, Tuner]):
    """Carries out operations on the jobs of one emulator."""

    def __init__(self, folder: Path, delays: Delays, faults: FaultPlan) -> None:
        self.store = Store()
        jobs = TrainingJobs(delays, self.store.lock)
        super().__init__(Context(folder, delays, faults, jobs, self.store.lock))

    def carry_out(self, operation: str, request: Json, region: str) -> Json:
        """Return the answer of an operation.

        Raises:
            ServiceError: If the service would refuse.
        """
        with self.store.lock:
            return OPERATIONS[operation](self, request, region)

    def _create_tuning(self, request: Json, region: str) -> Json:
        name: str = request["HyperParameterTuningJobName"]
        self.store.demand_free_tuning(region, name)
        tuning.check(request, region, self.store)
        for definition in TuningRequest(request).definitions:
            script.check(definition)
            inputs.check(definition, region)
        job = TuningJob(
            request={key: value for key, value in request.items() if key != "Tags"},
            arn=arn_of(region, "hyper-parameter-tuning-job", name),
            region=region,
            tags=_tags_of(request),
        )
        self.store.add_tuning(job)
        tuner = self.tuners[job.arn] = Tuner(job, self.store, self.context)
        tuner.start()
        return {"HyperParameterTuningJobArn": job.arn}

    def _describe_tuning(self, request: Json, region: str) -> Json:
        return self._view(self._tuning(request, region))

    def _list_tunings(self, request: Json, region: str) -> Json:
        jobs, next_token = page(matching(self.store.tunings(region), request), request)
        rows = [views.tuning_row(job) for job in jobs]
        return {"HyperParameterTuningJobSummaries": rows, "NextToken": next_token}

    def _list_trials(self, request: Json, region: str) -> Json:
        trials = self._tuning(request, region).trials
        jobs, next_token = page(matching(trials, request), request)
        rows = [views.trial(job) for job in jobs]
        return {"TrainingJobSummaries": rows, "NextToken": next_token}

    def _stop_tuning(self, request: Json, region: str) -> Json:
        job = self._tuning(request, region)
        _demand_over(job, False, "hyperparameter tuning job")
        if job.state == "InProgress":
            job.enter("Stopping")
            self.tuners[job.arn].stop()
        return {}

    def _delete_tuning(self, request: Json, region: str) -> Json:
        job = self._tuning(request, region)
        _demand_over(job, True, "hyperparameter tuning job")
        self.store.delete_tuning(job)
        return {}

    def _create_training(self, request: Json, region: str) -> Json:
        training.check(request)
        name: str = request["TrainingJobName"]
        self.store.demand_free_training(region, name)
        script.check(request)
        inputs.check(request, region)
        job = TrainingJob(
            request={key: value for key, value in request.items() if key != "Tags"},
            arn=arn_of(region, "training-job", name),
            region=region,
            folder=self.context.job_folder(region, name),
            tags=_tags_of(request),
            fault=self.context.faults.next_trial(),
        )
        self.store.add_training(job)
        self.context.jobs.launch(job)
        return {"TrainingJobArn": job.arn}

    def _describe_training(self, request: Json, region: str) -> Json:
        return views.training(self.store.training(region, request["TrainingJobName"]))

    def _list_trainings(self, request: Json, region: str) -> Json:
        filters = {"SortBy": "CreationTime", **request}
        jobs, next_token = page(matching(self.store.trainings(region), filters), request)
        rows = [views.training_row(job) for job in jobs]
        return {"TrainingJobSummaries": rows, "NextToken": next_token}

    def _stop_training(self, request: Json, region: str) -> Json:
        job = self.store.training(region, request["TrainingJobName"])
        _demand_over(job, False, "training job")
        self.context.jobs.stop(job)
        return {}

    def _update_training(self, request: Json, region: str) -> Json:
        if others := request.keys() - {"TrainingJobName", "ResourceConfig"}:
            raise invalid(f"This emulator does not update {', '.join(sorted(others))}.")
        job = self.store.training(region, request["TrainingJobName"])
        if "ResourceConfig" in request:
            seconds: int = request["ResourceConfig"]["KeepAlivePeriodInSeconds"]
            self.context.jobs.pools.update(job, seconds)
        return {"TrainingJobArn": job.arn}

    def _search(self, request: Json, region: str) -> Json:
        kind: str = request["Resource"]
        matches = search_api.matching(self._records(kind, region), request)
        rows, next_token = page(matches, request)
        return {
            "Results": [{kind: row} for row in rows],
            "NextToken": next_token,
            "TotalHits": {"Value": len(matches), "Relation": "EqualTo"},
        }

    def _suggest(self, request: Json, region: str) -> Json:
        records = self._records(request["Resource"], region)
        names = search_api.suggestions(records, request)
        return {"PropertyNameSuggestions": [{"PropertyName": name} for name in names]}

    def _records(self, kind: str, region: str) -> list[Json]:
        """Return the jobs of a kind as Search has them."""
        if kind == "TrainingJob":
            return [
                search_api.record(kind, {**views.training(job), "Tags": views.tags(job)})
                for job in self.store.trainings(region)
            ]
        if kind == "HyperParameterTuningJob":
            return [
                {**self._view(job), "Tags": views.tags(job)} for job in self.store.tunings(region)
            ]
        raise invalid(f"This emulator searches for training and tuning jobs, not for {kind}.")

    def _add_tags(self, request: Json, region: str) -> Json:
        # The training jobs that a tuning job starts later have the tags, too.
        job = self.store.by_arn(request["ResourceArn"])
        tags = {**job.tags, **_tags_of(request)}
        if len(tags) > MAX_TAGS:
            raise invalid(f"The number of tags exceeds the limit of {MAX_TAGS}.")
        job.tags = tags
        return {"Tags": views.tags(job)}

    def _list_tags(self, request: Json, region: str) -> Json:
        tags, next_token = page(
            views.tags(self.store.by_arn(request["ResourceArn"])),
            {"MaxResults": MAX_TAGS, **request},
        )
        return {"Tags": tags, "NextToken": next_token}

    def _delete_tags(self, request: Json, region: str) -> Json:
        job = self.store.by_arn(request["ResourceArn"])
        job.tags = {k: v for k, v in job.tags.items() if k not in request["TagKeys"]}
        return {}

    def _metrics(self, request: Json, region: str) -> Json:
        results = [views.series(self.store, query) for query in request["MetricQueries"]]
        return {"MetricQueryResults": results}

    def _view(self, job: TuningJob) -> Json:
        return views.tuning(job, parents_of(job, self.store), time.time())

    def _tuning(self, request: Json, region: str) -> TuningJob:
        return self.store.tuning(region, request["HyperParameterTuningJobName"])

    BY_NAME: ClassVar[Mapping[str, Callable[[Any, Json, str], Json]]] = {
        "CreateHyperParameterTuningJob": _create_tuning,
        "DescribeHyperParameterTuningJob": _describe_tuning,
        "ListHyperParameterTuningJobs": _list_tunings,
        "ListTrainingJobsForHyperParameterTuningJob": _list_trials,
        "StopHyperParameterTuningJob": _stop_tuning,
        "DeleteHyperParameterTuningJob": _delete_tuning,
        "CreateTrainingJob": _create_training,
        "DescribeTrainingJob": _describe_training,
        "ListTrainingJobs": _list_trainings,
        "StopTrainingJob": _stop_training,
        "UpdateTrainingJob": _update_training,
        "Search": _search,
        "GetSearchSuggestions": _suggest,
        "AddTags": _add_tags,
        "ListTags": _list_tags,
        "DeleteTags": _delete_tags,
        "BatchGetMetrics": _metrics,
    }


OPERATIONS = Operations.BY_NAME
EFFECTS = (NO_CAPACITY,)
OTHER_OPERATIONS = (
    *("GetCallerIdentity", "GetRole", "SimulatePrincipalPolicy", "PassRole"),
    *("ListServiceQuotas", "ListAWSDefaultServiceQuotas", "DescribeImages"),
    *("HeadBucket", "CreateBucket", "ListObjectsV2", "HeadObject", "GetObject", "PutObject"),
    *("DeleteObjects", "DescribeLogStreams", "GetLogEvents"),
)
"""Operations of other services that a fault plan can name; PassRole is part of creating jobs."""


def _tags_of(request: Json) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in request.get("Tags", ())}


def _demand_over(job: TrainingJob | TuningJob, is_over: bool, kind: str) -> None:
    # Both clients in the SDK read this ValidationException as "it has ended already".
    if job.is_over != is_over:
        raise invalid(f"The request was rejected because the {kind} is in status {job.state}.")
