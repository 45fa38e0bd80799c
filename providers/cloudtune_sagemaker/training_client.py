"""The training jobs of the driven mode: one for each start of a trial."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from cloudtune.provider import (
    JobContext,
    Json,
    Plan,
    Started,
    TrainingJob,
    TrialState,
    format_value,
    resolve_secrets,
)
from cloudtune_sagemaker import metrics, response
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.console import log_url
from cloudtune_sagemaker.errors import AwsError
from cloudtune_sagemaker.request.layout import NUMBER, RUN_TAG

POLL_SECONDS = 15.0
POLL_SECONDS_EMULATED = 0.25
PAGE_SIZE = 100
"""Maximum items of a page (botocore 1.44.8 model, MaxResults)."""
TOKENS = ("NextToken", "NextToken")
"""The members with the token of the next page, in a response and in a request."""
_MAX_INCOMPLETE_POLLS = 3
"""How many polls an ended trial waits for its final metrics."""


class SageMakerJobs:
    """The training jobs of one run: the `TrainingJobs` of SageMaker."""

    enforces_trial_timeout = True

    def __init__(self, aws: Aws, plan: Plan, context: JobContext) -> None:
        """Create the client without calling AWS.

        Args:
            aws: The services.
            plan: The plan of the job.
            context: The folder and the emulator of the job.

        Raises:
            UsageError: If a variable that trials take from the environment is not set.
        """
        self._aws = aws
        self._plan = plan
        self._context = context
        self._run = plan.facts.run_id
        self._template = resolve_secrets(plan.request, plan.study)
        self._resource = plan.fitted.study.strategy.resource
        self._reader = metrics.MetricReader(aws, plan)
        self._can_search = True
        self._incomplete_polls: dict[str, int] = {}
        """How often an ended job was polled without its final metrics."""

    @property
    def hidden_seconds(self) -> float:
        """How long a new job may not be found: 0, since a name is used only once."""
        return 0.0

    @property
    def poll_seconds(self) -> float:
        """Seconds between two polls."""
        return POLL_SECONDS_EMULATED if self._aws.emulated else POLL_SECONDS

    def job_name(self, number: int, start: int) -> str:
        """Return the name of the training job of a trial's start."""
        suffix = f"{number}-{start}" if start > 1 else f"{number}"
        name: str = self._template["TrainingJobName"]
        return name.replace(NUMBER, suffix)

    def create(self, started: Started) -> None:
        """Create the training job of a start, unless it exists.

        Raises:
            AwsError: If the call fails, or another run has a job of this name.
        """
        request = self._request(started)
        try:
            self._aws.call("sagemaker", "create_training_job", **request)
        except AwsError as error:
            if not error.name_in_use:
                raise
            name: str = request["TrainingJobName"]
            job = self._describe(name)
            if (
                job
                and read_run_tag(self._aws, job["TrainingJobArn"], default=self._run) != self._run
            ):
                message = f"another run has a training job named {name}"
                raise AwsError(message, code=error.code) from error

    def poll(self, starts: Sequence[Started]) -> dict[str, TrainingJob]:
        """Return the current state of each training job by name. Missing jobs are omitted.

        Raises:
            AwsError: If SageMaker cannot be called.
        """
        jobs = self._find_jobs([started.id for started in starts if started.id])
        running = [job for job in jobs.values() if response.phase(job) != "waiting"]
        series = self._reader.read(job["TrainingJobArn"] for job in running)
        return {
            started.id: self._training_job(started, jobs[started.id], series)
            for started in starts
            if started.id in jobs
        }

    def stop(self, name: str) -> None:
        """Stop a training job; no effect on one that has ended.

        Raises:
            AwsError: If SageMaker cannot be called, or refuses the caller.
        """
        try:
            self._aws.call("sagemaker", "stop_training_job", TrainingJobName=name)
        except AwsError as error:
            if error.retryable or error.affects_all_calls:
                raise

    def _training_job(
        self, started: Started, job: Json, all_series: Mapping[str, metrics.Series]
    ) -> TrainingJob:
        """Return a job's state; an ended job stays running until its final metrics arrive."""
        name: str = job["TrainingJobName"]
        series = all_series.get(job["TrainingJobArn"], {})
        over = response.has_ended(job)
        if over and not metrics.is_complete(series, metrics.final_values(job)):
            self._incomplete_polls[name] = self._incomplete_polls.get(name, 0) + 1
            over = self._incomplete_polls[name] > _MAX_INCOMPLETE_POLLS
        ended = response.end_time(job) if over else None
        now = time.time()
        measured_at = min(now, ended or now) if over else None
        measurements = self._reader.measurements(job, series, ended=over, time=measured_at)
        state, reason = _state(job, over=over)
        return TrainingJob(
            state=state,
            word=response.service_state(job),
            stopping=response.is_stopped(job),
            measurements=[replace(m, step=started.after_step + m.step) for m in measurements],
            ended=ended,
            reason=reason,
            billed_seconds=response.billed_seconds(job),
            machine=response.machine(job),
            log=log_url(self._plan, self._context, name),
            artifacts=response.artifacts(job),
        )

    def _request(self, started: Started) -> Json:
        number = str(started.number)
        values = {name: format_value(value) for name, value in started.parameters.items()}
        if self._resource and started.resource is not None:
            values[self._resource] = format_value(started.resource)
        hyperparameters: Json = {**self._template.get("HyperParameters", {}), **values}
        if "sagemaker_job_name" in hyperparameters:
            hyperparameters["sagemaker_job_name"] = started.id
        request: Json = {**self._template, "TrainingJobName": started.id}
        request["HyperParameters"] = hyperparameters
        if "CheckpointConfig" in request:  # all starts of a trial share their checkpoints
            config: Json = request["CheckpointConfig"]
            uri = config["S3Uri"].replace(NUMBER, number)
            request["CheckpointConfig"] = {**config, "S3Uri": uri}
        request["Tags"] = [
            {**tag, "Value": number} if tag["Value"] == NUMBER else tag for tag in request["Tags"]
        ]
        return request

    def _describe(self, name: str) -> Json | None:
        try:
            return self._aws.call("sagemaker", "describe_training_job", TrainingJobName=name)
        except AwsError as error:
            if error.not_found:
                return None
            raise

    def _find_jobs(self, names: Collection[str]) -> dict[str, Json]:
        jobs = self._search(names) if self._can_search else {}
        for name in names:
            if name not in jobs and (job := self._describe(name)):  # search results may lag
                jobs[name] = job
        return {name: jobs[name] for name in names if name in jobs}

    def _search(self, names: Collection[str]) -> dict[str, Json]:
        """Search for the jobs of the run, newest first, until all names are found."""
        jobs: dict[str, Json] = {}
        tag = {"Name": f"Tags.{RUN_TAG}", "Operator": "Equals", "Value": self._run}
        pages = self._aws.pages(
            "sagemaker",
            "search",
            TOKENS,
            Resource="TrainingJob",
            SearchExpression={"Filters": [tag]},
            SortBy="CreationTime",
            SortOrder="Descending",
            MaxResults=PAGE_SIZE,
        )
        try:
            for page in pages:
                results: list[Json] = [each["TrainingJob"] for each in page.get("Results", ())]
                jobs |= {job["TrainingJobName"]: job for job in results}
                if jobs.keys() >= set(names):
                    break
        except AwsError as error:
            if not error.search_refused:
                raise
            self._can_search = False
        return jobs


def read_run_tag(aws: Aws, arn: str, *, default: str) -> str | None:
    """Return the run to which a job belongs by its tags.

    Args:
        aws: The services.
        arn: The ARN of the job.
        default: The result if the caller may not read tags.

    Raises:
        AwsError: If the service cannot be called.
    """
    try:
        pages = list(aws.pages("sagemaker", "list_tags", TOKENS, ResourceArn=arn))
    except AwsError as error:
        if error.denied:
            return default
        raise
    tags = {tag["Key"]: tag["Value"] for page in pages for tag in page.get("Tags", ())}
    return tags.get(RUN_TAG)


def _state(job: Json, *, over: bool) -> tuple[TrialState, str]:
    match response.phase(job):
        case "unknown":
            return "unknown", ""
        case _ if not over:
            return "running", ""
        case "completed":
            return "completed", ""
        case "stopped":
            reason = response.TIMEOUT_REASONS.get(job.get("SecondaryStatus", ""), "")
            return ("failed", reason) if reason else ("cancelled", "")
        case _:
            return "failed", response.failure_reason(job)
