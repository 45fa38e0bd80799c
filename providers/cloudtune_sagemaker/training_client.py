"""The training jobs of the driven mode: one for each start of a trial."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache

from cloudtune.provider import (
    JobContext,
    Json,
    Plan,
    TrainingJob,
    format_value,
    start_constants,
    start_name,
)
from cloudtune.provider.secrets import resolve_secrets
from cloudtune.results import Started, TrialState
from cloudtune_sagemaker import metrics, response
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.console import log_url
from cloudtune_sagemaker.errors import AwsError
from cloudtune_sagemaker.launcher_contract import CONTINUED
from cloudtune_sagemaker.request.layout import NUMBER, RUN_TAG
from cloudtune_sagemaker.request.metric_regex import launcher_regex
from cloudtune_sagemaker.request.study_part import value_encoder

POLL_SECONDS = 15.0
POLL_SECONDS_EMULATED = 0.25
_MAX_INCOMPLETE_POLLS = 3
"""How many polls an ended trial waits for its final metrics."""


class SageMakerJobs:
    """The training jobs of one run: the `TrainingJobs` of SageMaker."""

    enforces_trial_timeout = True
    hidden_seconds = 0.0
    """A job's name is used only once."""

    def __init__(
        self, aws: Aws, plan: Plan, context: JobContext, upload: Callable[[], None]
    ) -> None:
        """Create the client without calling AWS.

        Args:
            aws: The services.
            plan: The plan of the job.
            context: The folder and the emulator of the job.
            upload: Stores code and data, unless they are there. It is called by the first `create`:
                following and stopping never creates anything.

        Raises:
            UsageError: If a variable that trials take from the environment is not set.
        """
        self.poll_seconds = POLL_SECONDS_EMULATED if aws.emulated else POLL_SECONDS
        self._aws = aws
        self._plan = plan
        self._context = context
        self._upload = cache(upload)
        self._run = plan.facts.run_id
        self._template = resolve_secrets(plan.request, plan.study, key="Environment")
        self._reader = metrics.MetricReader(aws, plan)
        self._can_search = True
        self._incomplete_polls: dict[str, int] = {}
        """How often an ended job was polled without its final metrics."""

    def job_name(self, number: int, start: int) -> str:
        """Return the name of the training job of a trial's start."""
        return start_name(self._plan.facts.job_name, number, start)

    def create(self, started: Started) -> None:
        """Create the training job of a start, unless it exists.

        Raises:
            ProviderError: If the code or the data cannot be stored, the call fails, or another run
                has a job of this name.
        """
        self._upload()
        request = self._request(started)
        try:
            self._aws.call("sagemaker", "create_training_job", **request)
        except AwsError as error:
            if not error.name_in_use:
                raise
            name: str = request["TrainingJobName"]
            job = self._describe(name)
            if job and not belongs_to_run(self._aws, job["TrainingJobArn"], self._run):
                message = f"another run has a training job named {name}"
                raise AwsError(message, code=error.code) from error

    def poll(self, starts: Sequence[Started]) -> dict[str, TrainingJob]:
        """Return the current state of each training job by name. Missing jobs are omitted."""
        jobs = self._find_jobs([started.id for started in starts if started.id])
        running = [job for job in jobs.values() if response.phase(job) != "waiting"]
        later = {started.id for started in starts if started.after_step}
        series = self._reader.read(
            [job["TrainingJobArn"] for job in running],
            {job["TrainingJobArn"] for job in running if job["TrainingJobName"] in later},
        )
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
        final = {} if self._reader.is_refused else self._reader.final_values(job)
        if over and not metrics.is_complete(series, final):
            self._incomplete_polls[name] = self._incomplete_polls.get(name, 0) + 1
            over = self._incomplete_polls[name] > _MAX_INCOMPLETE_POLLS
        ended = response.end_time(job) if over else None
        now = time.time()
        measured_at = min(now, ended or now) if over else None
        measurements = self._reader.measurements(
            job, series, ended=over, time=measured_at, after_step=started.after_step
        )
        state, reason = _state(job, over=over)
        if state == "completed":
            reason = self._reader.read_warning(name)
        return TrainingJob(
            state=state,
            stopping=response.is_stopped(job),
            measurements=measurements,
            ended=ended,
            reason=reason,
            lost=state == "failed" and response.is_lost(job),
            no_machine=over and response.got_no_machine(job),
            log=log_url(self._plan, self._context, name),
            **response.reported_fields(job),
        )

    def _request(self, started: Started) -> Json:
        number = str(started.number)
        encode = value_encoder(self._plan.fitted.study)
        values = {name: encode(value) for name, value in started.parameters.items()}
        constants = start_constants(self._plan, started)
        values |= {name: format_value(value) for name, value in constants.items()}
        hyperparameters: Json = {**self._template.get("HyperParameters", {}), **values}
        if "sagemaker_job_name" in hyperparameters:
            hyperparameters["sagemaker_job_name"] = started.id
        request: Json = {**self._template, "TrainingJobName": started.id}
        request["HyperParameters"] = hyperparameters
        if "CheckpointConfig" in request:
            config: Json = request["CheckpointConfig"]
            uri = config["S3Uri"].replace(NUMBER, str(started.checkpoint_number))
            request["CheckpointConfig"] = {**config, "S3Uri": uri}
        if started.after_step and self._reader.reads_starts:
            algorithm: Json = request["AlgorithmSpecification"]
            definition = {"Name": CONTINUED, "Regex": launcher_regex(CONTINUED)}
            definitions = [
                each for each in algorithm["MetricDefinitions"] if each["Name"] != CONTINUED
            ]
            request["AlgorithmSpecification"] = {
                **algorithm,
                "MetricDefinitions": [*definitions, definition],
            }
        request["Tags"] = [
            {**tag, "Value": number} if tag["Value"] == NUMBER else tag for tag in request["Tags"]
        ]
        return request

    def _describe(self, name: str) -> Json | None:
        return self._aws.find("describe_training_job", TrainingJobName=name)

    def _find_jobs(self, names: Collection[str]) -> dict[str, Json]:
        jobs = self._search(names) if self._can_search else {}
        for name in names:
            if name not in jobs and (job := self._describe(name)):  # search results may lag
                jobs[name] = job
        return {name: jobs[name] for name in names if name in jobs}

    def _search(self, names: Collection[str]) -> dict[str, Json]:
        """Search for the jobs of the run, newest first, until all names are found."""
        jobs: dict[str, Json] = {}
        run_tag = {f"Tags.{RUN_TAG}": self._run}
        try:
            for page in self._aws.search_training_jobs("CreationTime", **run_tag):
                jobs |= {job["TrainingJobName"]: job for job in page}
                if jobs.keys() >= set(names):
                    break
        except AwsError as error:
            if not error.search_refused:
                raise
            self._can_search = False
        return jobs


def belongs_to_run(aws: Aws, arn: str, run: str) -> bool:
    """Return whether a job has the tag of a run; True if the caller cannot read tags."""
    try:
        pages = list(aws.pages("sagemaker", "list_tags", ResourceArn=arn))
    except AwsError as error:
        if error.unavailable:
            return True
        raise
    return {"Key": RUN_TAG, "Value": run} in [tag for page in pages for tag in page.get("Tags", ())]


def _state(job: Json, *, over: bool) -> tuple[TrialState, str]:
    match response.phase(job):
        case "unknown":
            return "unknown", ""
        case "waiting":
            return "waiting", response.wait_reason(job)
        case _ if not over:
            return "running", ""
        case "completed":
            return "completed", ""
        case "stopped":
            reason = response.TIMEOUT_REASONS.get(job.get("SecondaryStatus", ""), "")
            return ("failed", reason) if reason else ("cancelled", "")
        case _:
            return "failed", response.failure_reason(job)
