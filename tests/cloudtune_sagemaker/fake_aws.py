"""SageMaker as far as its clients of ours need it, in memory: what happens is set by the test."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from cloudtune.planning.planner import plan
from cloudtune.provider.plan import Plan
from cloudtune.study.schema import Json
from cloudtune.study.study import Study
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.errors import AwsError, service_error

SETTINGS: Mapping[str, Any] = {
    "region": "us-east-1",
    "role_arn": "arn:aws:iam::123456789012:role/tuning",
    "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1",
    "instance_type": "ml.m5.large",
}
STUDY: Mapping[str, Any] = {
    "name": "fake",
    "objective": {"metric": "accuracy", "goal": "maximize"},
    "parameters": {
        "lr": {"type": "float", "min": 0.0, "max": 1.0},
        "kind": {"type": "categorical", "values": ["true", "1e3"]},
    },
    "strategy": {"name": "random", "seed": 1},
    "limits": {"max_trials": 200, "parallel_trials": 4},
    "trial": {"metrics": {"accuracy": r"acc=(\S+)", "loss": r"loss=(\S+)"}},
}
"""One whose trial is the image, so that nothing is uploaded."""


def planned(mode: str, over: Mapping[str, Any] = {}, **settings: Any) -> Plan:
    """Return the plan of `STUDY` with something put over it."""
    own = {**SETTINGS, **settings, "mode": mode}
    study = Study.model_validate({**STUDY, **over, "providers": {"sagemaker": own}})
    return plan(study, "sagemaker")


def error(code: str, message: str = "no", status: int = 400) -> AwsError:
    """Return an error as the service's answer becomes one."""
    return service_error("Operation", code, message, status)


class FakeAws(Aws):
    """The calls of AWS, answered from memory."""

    def __init__(self) -> None:
        self.emulated = True
        self.calls: list[str] = []
        self.requests: list[tuple[str, Json]] = []
        self.faults: dict[str, list[AwsError | None]] = {}
        """What the next calls of an operation raise; None: nothing."""
        self.always: dict[str, AwsError] = {}
        """What each call of an operation raises."""
        self.lost: dict[str, int] = {}
        """How many calls of an operation are carried out without an answer."""
        self.jobs: dict[str, Json] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.series: dict[str, dict[str, dict[int, float]]] = {}
        """The values of a training job by metric and iteration."""
        self.unsearchable: set[str] = set()
        """Training jobs that a search does not tell yet."""
        self.tuning: Json | None = None
        self.at_look: Callable[[], None] = lambda: None
        """What happens before each search."""

    def call(self, service: str, operation: str, **members: Any) -> Json:
        self.calls.append(operation)
        self.requests.append((operation, members))
        if failure := self.always.get(operation):
            raise failure
        if (faults := self.faults.get(operation)) and (fault := faults.pop(0)):
            raise fault
        answer: Json = getattr(self, f"_{operation}")(**members)
        if self.lost.get(operation, 0) > 0:
            self.lost[operation] -= 1
            raise AwsError("the connection ended before the answer", retryable=True)
        return answer

    def add(self, name: str, **told: Any) -> Json:
        """Put a training job there."""
        times = [each["LastModifiedTime"] for each in self.jobs.values()]
        now = max(times, default=1_700_000_000.0) + 1
        job = {
            "TrainingJobName": name,
            "TrainingJobArn": f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{name}",
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Training",
            "CreationTime": now,
            "LastModifiedTime": now,
            "HyperParameters": {"lr": "0.5", "kind": "1e3"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            **told,
        }
        self.jobs[name] = job
        return job

    def change(self, name: str, status: str, second: str | None = None, **told: Any) -> None:
        """Let a training job go on."""
        job = self.jobs[name]
        modified = max(each["LastModifiedTime"] for each in self.jobs.values()) + 1
        job |= {"TrainingJobStatus": status, "SecondaryStatus": second or status, **told}
        job["LastModifiedTime"] = modified
        if status in {"Completed", "Failed", "Stopped"}:
            job |= {"TrainingEndTime": modified, "BillableTimeInSeconds": 60}

    def report(self, name: str, **values: float) -> None:
        """Let a training job print metrics."""
        series = self.series.setdefault(name, {})
        for metric, value in values.items():
            points = series.setdefault(metric, {})
            points[len(points) + 1] = value
        final = [
            {"MetricName": metric, "Value": points[max(points)]}
            for metric, points in series.items()
        ]
        self.jobs[name]["FinalMetricDataList"] = final

    def begin_tuning(self, name: str, **config: Any) -> None:
        """Put a tuning job there."""
        objective = {"Type": "Maximize", "MetricName": "accuracy"}
        self.tuning = {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobArn": f"arn:aws:sagemaker:us-east-1:1:tuning/{name}",
            "HyperParameterTuningJobStatus": "InProgress",
            "HyperParameterTuningJobConfig": {
                "Strategy": "Random",
                "HyperParameterTuningJobObjective": objective,
                "TrainingJobEarlyStoppingType": "Off",
                "ResourceLimits": {"MaxParallelTrainingJobs": 4},
                **config,
            },
            "TrainingJobDefinition": {"StaticHyperParameters": {"only": "1"}},
        }

    def _head_bucket(self, **_: Any) -> Json:
        return {}

    def _create_hyper_parameter_tuning_job(self, **request: Any) -> Json:
        name = request["HyperParameterTuningJobName"]
        if self.tuning:
            raise error("ResourceInUse", f"the name, {name}, already exists")
        self.begin_tuning(name)
        assert self.tuning is not None
        arn = self.tuning["HyperParameterTuningJobArn"]
        self.tags[arn] = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        return {"HyperParameterTuningJobArn": arn}

    def _describe_hyper_parameter_tuning_job(self, **request: Any) -> Json:
        if self.tuning is None:
            raise error("ResourceNotFound", "there is none")
        status = [job["TrainingJobStatus"] for job in self.jobs.values()]
        counters = {each: status.count(each) for each in ("Completed", "InProgress", "Stopped")}
        return {**self.tuning, "TrainingJobStatusCounters": counters}

    def _stop_hyper_parameter_tuning_job(self, **request: Any) -> Json:
        assert self.tuning is not None
        if self.tuning["HyperParameterTuningJobStatus"] != "InProgress":
            raise error("ValidationException", "The job is in a status in which it cannot stop.")
        self.tuning["HyperParameterTuningJobStatus"] = "Stopping"
        return {}

    def _list_training_jobs_for_hyper_parameter_tuning_job(self, **request: Any) -> Json:
        kept = ("TrainingJobName", "TrainingJobArn", "TrainingJobStatus", "CreationTime")
        jobs = [
            {
                **{key: job[key] for key in kept},
                "TunedHyperParameters": job["HyperParameters"],
                "TrainingEndTime": job.get("TrainingEndTime"),
            }
            for job in self.jobs.values()
        ]
        return self._page(jobs, "TrainingJobSummaries", request)

    def _search(self, **request: Any) -> Json:
        self.at_look()
        by = request["SortBy"]
        found = [job for name, job in self.jobs.items() if name not in self.unsearchable]
        found.sort(key=lambda job: job[by], reverse=request["SortOrder"] == "Descending")
        return self._page([{"TrainingJob": dict(job)} for job in found], "Results", request)

    def _page(self, items: list[Any], key: str, request: Json) -> Json:
        begin = int(request.get("NextToken", 0))
        end = begin + request["MaxResults"]
        more = {"NextToken": str(end)} if end < len(items) else {}
        return {key: items[begin:end], **more}

    def _batch_get_metrics(self, MetricQueries: list[Json]) -> Json:  # noqa: N803 - theirs
        assert len(MetricQueries) <= 100
        results: list[Json] = []
        for query in MetricQueries:
            name = query["ResourceArn"].rpartition("/")[2]
            points = self.series.get(name, {}).get(query["MetricName"], {})
            results.append(
                {
                    "Status": "Complete",
                    "XAxisValues": list(points),
                    "MetricValues": list(points.values()),
                }
            )
        return {"MetricQueryResults": results}

    def _create_training_job(self, **request: Any) -> Json:
        name = request["TrainingJobName"]
        if name in self.jobs:
            raise error("ResourceInUse", "a training job with this name already exists")
        job = self.add(name, HyperParameters=request["HyperParameters"], CreationTime=time.time())
        self.tags[job["TrainingJobArn"]] = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        return {"TrainingJobArn": job["TrainingJobArn"]}

    def _describe_training_job(self, TrainingJobName: str) -> Json:  # noqa: N803 - theirs
        if TrainingJobName not in self.jobs:
            raise error("ValidationException", "Requested resource not found.")
        return dict(self.jobs[TrainingJobName])

    def _stop_training_job(self, TrainingJobName: str) -> Json:  # noqa: N803 - theirs
        if self.jobs[TrainingJobName]["TrainingJobStatus"] != "InProgress":
            raise error("ValidationException", "The job is in a status in which it cannot stop.")
        self.change(TrainingJobName, "Stopping")
        return {}

    def _list_tags(self, ResourceArn: str) -> Json:  # noqa: N803 - theirs
        tags = self.tags.get(ResourceArn, {})
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
