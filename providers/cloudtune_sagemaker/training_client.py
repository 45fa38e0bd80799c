"""The driven mode's calls: training jobs made, looked at and stopped, one a start of a trial."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from cloudtune.provider.models import JobContext, TrainingJob
from cloudtune.provider.plan import Plan
from cloudtune.provider.secrets import resolve_secrets
from cloudtune.results.events import Started, TrialState
from cloudtune.study.schema import Json
from cloudtune.study.search_space import format_value
from cloudtune_sagemaker import metrics, response
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.console import log_of
from cloudtune_sagemaker.errors import AwsError
from cloudtune_sagemaker.request.layout import NUMBER, RUN_TAG

POLL = 15.0
POLL_EMULATED = 0.25
PAGE = 100
"""Items of a page at most (botocore 1.44.8 model, MaxResults)."""
TOKENS = ("NextToken", "NextToken")
"""What the token of the next page is called, in an answer and in a request."""
_PATIENCE = 3
"""Looks for which a trial that has ended waits for its last metrics."""


class SageMakerJobs:
    """The training jobs of one run; the `TrainingJobs` of SageMaker."""

    def __init__(self, aws: Aws, plan: Plan, context: JobContext) -> None:
        """Prepare; nothing is called.

        Args:
            aws: Reaches the service.
            plan: Of the job.
            context: The folder and the emulator of the job.

        Raises:
            UsageError: If a variable that trials are to be given is not set.
        """
        self._aws = aws
        self._plan = plan
        self._context = context
        self._run = plan.facts.run_id
        self._template = resolve_secrets(plan.request, plan.study)
        self._resource = plan.fitted.study.strategy.resource
        self._reader = metrics.MetricReader(aws, plan)
        self._searches = True
        self._looks: dict[str, int] = {}
        """How often a job had ended without its last metrics being there."""

    @property
    def hidden_seconds(self) -> float:
        """For how long a job that was made may not be found: a name is taken once."""
        return 0.0

    @property
    def poll_seconds(self) -> float:
        """How long to wait between two looks."""
        return POLL_EMULATED if self._aws.emulated else POLL

    def job_name(self, number: int, start: int) -> str:
        """Return the name of the training job of a trial's start."""
        suffix = f"{number}-{start}" if start > 1 else f"{number}"
        name: str = self._template["TrainingJobName"]
        return name.replace(NUMBER, suffix)

    def create(self, started: Started) -> None:
        """Create the training job of a start, unless it is there already.

        Raises:
            AwsError: If it fails.
        """
        request = self._request(started)
        try:
            self._aws.call("sagemaker", "create_training_job", **request)
        except AwsError as error:
            if not error.taken:
                raise
            name: str = request["TrainingJobName"]
            found = self._described(name)
            if (
                found
                and run_of(self._aws, found["TrainingJobArn"], otherwise=self._run) != self._run
            ):
                words = f"there is a training job {name} that is not of this run"
                raise AwsError(words, code=error.code) from error

    def poll(self, starts: Sequence[Started]) -> dict[str, TrainingJob]:
        """Return how the training jobs of starts stand, without those that are not there.

        Raises:
            AwsError: If SageMaker cannot be asked.
        """
        told = self._told([started.id for started in starts if started.id])
        begun = [job for job in told.values() if response.phase_of(job) != "waiting"]
        read = self._reader.read(job["TrainingJobArn"] for job in begun)
        return {
            started.id: self._job(started, told[started.id], read)
            for started in starts
            if started.id in told
        }

    def stop(self, name: str) -> None:
        """Ask a training job to end; one that has ended is left alone.

        Raises:
            AwsError: If SageMaker cannot be asked, or refuses the caller.
        """
        try:
            self._aws.call("sagemaker", "stop_training_job", TrainingJobName=name)
        except AwsError as error:
            if error.retryable or error.affects_all_calls:
                raise

    def _job(self, started: Started, told: Json, read: Mapping[str, metrics.Series]) -> TrainingJob:
        """Return a training job; one that has ended goes on until its last metrics are there."""
        name: str = told["TrainingJobName"]
        series = read.get(told["TrainingJobArn"], {})
        over = response.has_ended(told)
        if over and not metrics.settled(series, metrics.final_of(told)):
            self._looks[name] = self._looks.get(name, 0) + 1
            over = self._looks[name] > _PATIENCE
        ended = response.ended_at(told) if over else None
        now = time.time()
        when = min(now, ended or now) if over else None
        measured = self._reader.told(told, series, ended=over, time=when)
        state, reason = _state(told, over=over)
        return TrainingJob(
            state=state,
            word=response.word_of(told),
            stopping=response.is_stopped(told),
            measurements=[replace(m, step=started.after_step + m.step) for m in measured],
            ended=ended,
            reason=reason,
            billed_seconds=response.billed(told),
            machine=response.machine_of(told),
            log=log_of(self._plan, self._context, name),
            artifacts=response.artifacts_of(told),
        )

    def _request(self, started: Started) -> Json:
        """Return the request for the training job of a start."""
        number = str(started.number)
        given = {name: format_value(value) for name, value in started.parameters.items()}
        if self._resource and started.resource is not None:
            given[self._resource] = format_value(started.resource)
        hyperparameters: Json = {**self._template.get("HyperParameters", {}), **given}
        if "sagemaker_job_name" in hyperparameters:
            hyperparameters["sagemaker_job_name"] = started.id
        made: Json = {**self._template, "TrainingJobName": started.id}
        made["HyperParameters"] = hyperparameters
        if "CheckpointConfig" in made:  # the same for all starts, which go on from one another
            config: Json = made["CheckpointConfig"]
            made["CheckpointConfig"] = {**config, "S3Uri": config["S3Uri"].replace(NUMBER, number)}
        made["Tags"] = [
            {**tag, "Value": number} if tag["Value"] == NUMBER else tag for tag in made["Tags"]
        ]
        return made

    def _described(self, name: str) -> Json | None:
        """Return a training job, or None if there is none.

        Raises:
            AwsError: If SageMaker cannot be asked.
        """
        try:
            return self._aws.call("sagemaker", "describe_training_job", TrainingJobName=name)
        except AwsError as error:
            if error.not_found:
                return None
            raise

    def _is_own(self, job: Json) -> bool:
        """Tell whether a training job is one of this run.

        Raises:
            AwsError: If SageMaker cannot be asked.
        """
        return run_of(self._aws, job["TrainingJobArn"], otherwise=self._run) == self._run

    def _told(self, names: Collection[str]) -> dict[str, Json]:
        """Return training jobs by their names, without those that are not there.

        Raises:
            AwsError: If SageMaker cannot be asked.
        """
        found = self._searched(names) if self._searches else {}
        for name in names:
            if name not in found and (job := self._described(name)):  # a search may lag behind
                found[name] = job
        return {name: found[name] for name in names if name in found}

    def _searched(self, names: Collection[str]) -> dict[str, Json]:
        """Return what a search tells, newest first, until all are found."""
        found: dict[str, Json] = {}
        tag = {"Name": f"Tags.{RUN_TAG}", "Operator": "Equals", "Value": self._run}
        pages = self._aws.pages(
            "sagemaker",
            "search",
            TOKENS,
            Resource="TrainingJob",
            SearchExpression={"Filters": [tag]},
            SortBy="CreationTime",
            SortOrder="Descending",
            MaxResults=PAGE,
        )
        try:
            for page in pages:
                jobs: list[Json] = [each["TrainingJob"] for each in page.get("Results", ())]
                found |= {job["TrainingJobName"]: job for job in jobs}
                if found.keys() >= set(names):
                    break
        except AwsError as error:
            if not error.no_such_search:
                raise
            self._searches = False
        return found


def run_of(aws: Aws, arn: str, *, otherwise: str) -> str | None:
    """Return the run to which a job belongs by its tags.

    Args:
        aws: Reaches the service.
        arn: Of the job.
        otherwise: What holds where tags may not be read.

    Raises:
        AwsError: If the service cannot be reached.
    """
    try:
        pages = list(aws.pages("sagemaker", "list_tags", TOKENS, ResourceArn=arn))
    except AwsError as error:
        if error.denied:
            return otherwise
        raise
    tags = {tag["Key"]: tag["Value"] for page in pages for tag in page.get("Tags", ())}
    return tags.get(RUN_TAG)


def _state(told: Json, *, over: bool) -> tuple[TrialState, str]:
    """Return how a training job stands, and why it ended so."""
    match response.phase_of(told):
        case "unknown":
            return "unknown", ""
        case _ if not over:
            return "running", ""
        case "completed":
            return "completed", ""
        case "stopped" if told.get("SecondaryStatus") in response.TOO_LONG:
            return "failed", response.TOO_LONG[told["SecondaryStatus"]]
        case "stopped":
            return "cancelled", ""
        case _:
            return "failed", response.failure_of(told)
