"""The tuning job of the managed mode, from its request to its end.

A poll takes one call for the job, one for each hundred trials that have changed, and one for each
hundred metrics of running trials. No trial is described individually.
"""

from __future__ import annotations

from dataclasses import replace

from cloudtune.provider import JobContext, JobRef, JobStatus, Json, Plan, RawTrial
from cloudtune.provider.secrets import resolve_secrets
from cloudtune.results import FINAL_STATES
from cloudtune_sagemaker import metrics, response
from cloudtune_sagemaker.client import PAGE_SIZE, Aws
from cloudtune_sagemaker.console import log_url
from cloudtune_sagemaker.errors import PROVIDER, AwsError
from cloudtune_sagemaker.job_description import trial_values
from cloudtune_sagemaker.request.study_part import script_address
from cloudtune_sagemaker.training_client import belongs_to_run
from cloudtune_sagemaker.uploads import upload

POLL_SECONDS = 30.0
POLL_SECONDS_EMULATED = 0.25
_MAX_INCOMPLETE_POLLS = 3
"""How many polls an ended trial waits for its final metrics, and an ended job for its trials."""
_ACTIVE_PHASES = frozenset({"waiting", "running"})


class TuningClient:
    """Creates, polls and stops one tuning job: the `JobClient` of SageMaker."""

    hidden_seconds = 0.0
    """A job's name is used only once."""

    def __init__(self, aws: Aws, plan: Plan, context: JobContext) -> None:
        self.poll_seconds = POLL_SECONDS_EMULATED if aws.emulated else POLL_SECONDS
        self._aws = aws
        self._plan = plan
        self._context = context
        self._reader = metrics.MetricReader(aws, plan)
        self._can_search = True
        self._jobs: dict[str, Json] = {}
        """The latest descriptions of the training jobs by name."""
        self._ended_trials: dict[str, RawTrial] = {}
        """The trials that do not change any more."""
        self._incomplete_polls: dict[str, int] = {}
        self._stop_requested: set[str] = set()

    def submit(self, request: Json) -> JobRef:
        """Upload code and data, and create the job.

        Raises:
            UsageError: If a variable that trials take from the environment is not set.
            ProviderError: If SageMaker refuses the job, or another job has its name.
        """
        resolved_request = resolve_secrets(request, self._plan.study, key="Environment")
        upload(self._aws, self._plan, self._context)
        name: str = request["HyperParameterTuningJobName"]
        try:
            self._aws.call("sagemaker", "create_hyper_parameter_tuning_job", **resolved_request)
        except AwsError as error:
            if not error.name_in_use:
                raise
            if not self.find(name):  # an earlier call may have lost its response
                raise AwsError(
                    f"another tuning job in this account and region is named {name}; run the study "
                    "again to get a new name",
                    code="ResourceInUse",
                ) from error
        return JobRef(PROVIDER, name)

    def find(self, job_name: str) -> JobRef | None:
        """Return the job that an interrupted submit has created under this name, if any."""
        description = self._describe(job_name)
        if not description:
            return None
        arn = description["HyperParameterTuningJobArn"]
        belongs = belongs_to_run(self._aws, arn, self._plan.facts.run_id)
        return JobRef(PROVIDER, job_name) if belongs else None

    def status(self, job: JobRef) -> JobStatus:
        """Return the current state of the job and its trials."""
        description = self._describe(job.id)
        if description is None:
            message = f"tuning job {job.id} no longer exists"
            if self._keeps_waiting(f"gone {job.id}"):
                raise AwsError(message, code="ResourceNotFound", retryable=True)
            return JobStatus("failed", "", message)
        self._update_jobs(description)
        status: str = description["HyperParameterTuningJobStatus"]
        state = response.JOB_STATES.get(status, "unknown")
        trials = self._trials(description)
        ended = state in FINAL_STATES
        if ended and len(self._ended_trials) < len(trials) and self._keeps_waiting(job.id):
            state = "running"
        end = response.to_seconds(description.get("HyperParameterTuningEndTime"))
        reason, remark = response.job_reason(description), self._reader.remark
        return JobStatus(state, status, reason, trials, remark, ended=end)

    def stop(self, job: JobRef) -> None:
        """Stop the job; no effect if it has been stopped or has ended."""
        try:
            self._aws.call(
                "sagemaker", "stop_hyper_parameter_tuning_job", HyperParameterTuningJobName=job.id
            )
        except AwsError as error:
            description = None if error.retryable else self._describe(job.id)
            if description is None or description["HyperParameterTuningJobStatus"] == "InProgress":
                raise
            return
        self._stop_requested |= {
            name for name, each in self._jobs.items() if response.phase(each) in _ACTIVE_PHASES
        }

    def delete(self, job: JobRef) -> None:
        """Delete the job; the descriptions of its training jobs stay, which cost nothing."""
        self._aws.call(
            "sagemaker", "delete_hyper_parameter_tuning_job", HyperParameterTuningJobName=job.id
        )

    def _describe(self, name: str) -> Json | None:
        return self._aws.find(
            "describe_hyper_parameter_tuning_job", HyperParameterTuningJobName=name
        )

    def _update_jobs(self, description: Json) -> None:
        if self._can_search:
            try:
                self._search(description["HyperParameterTuningJobArn"])
            except AwsError as error:
                if not error.search_refused:
                    raise
                self._can_search = False
        counters: dict[str, int] = description.get("TrainingJobStatusCounters", {})
        state = response.JOB_STATES.get(description["HyperParameterTuningJobStatus"])
        all_ended = all(map(response.has_ended, self._jobs.values()))
        if (
            not self._can_search
            or len(self._jobs) < sum(counters.values())
            or (state != "running" and not all_ended)
        ):
            self._list(description)

    def _search(self, arn: str) -> None:
        """Read the training jobs, latest changes first, until an unchanged one."""
        for jobs in self._aws.search_training_jobs("LastModifiedTime", TuningJobArn=arn):
            unchanged = [self._is_unchanged(job) for job in jobs]
            for job in jobs:
                self._jobs[job["TrainingJobName"]] = job
            if any(unchanged):
                return

    def _is_unchanged(self, job: Json) -> bool:
        previous = self._jobs.get(job["TrainingJobName"], {})
        modified = job.get("LastModifiedTime")
        return modified is not None and previous.get("LastModifiedTime") == modified

    def _list(self, description: Json) -> None:
        """Add the jobs and states that Search does not return, or not yet."""
        pages = self._aws.pages(
            "sagemaker",
            "list_training_jobs_for_hyper_parameter_tuning_job",
            HyperParameterTuningJobName=description["HyperParameterTuningJobName"],
            MaxResults=PAGE_SIZE,
        )
        for page in pages:
            for summary in page.get("TrainingJobSummaries", ()):
                job = response.from_summary(summary, description)
                previous = self._jobs.get(job["TrainingJobName"], {})
                if previous.get("TrainingJobStatus") == job["TrainingJobStatus"]:
                    job = {**job, **previous}
                self._jobs[job["TrainingJobName"]] = job

    def _trials(self, description: Json) -> list[RawTrial]:
        jobs = self._jobs.values()
        numbers = response.trial_numbers(description["HyperParameterTuningJobName"], jobs)
        created = [response.to_seconds(job["CreationTime"]) or 0.0 for job in jobs]
        tuning_job = response.to_tuning_job(description, created, self._stop_requested)
        series = self._reader.read(
            job["TrainingJobArn"]
            for job in jobs
            if job["TrainingJobName"] not in self._ended_trials and response.phase(job) != "waiting"
        )
        trials: list[RawTrial] = []
        for name, job in self._jobs.items():
            trial = self._ended_trials.get(name)
            if trial is None:
                own_series = series.get(job["TrainingJobArn"], {})
                trial = self._trial(job, numbers[name], tuning_job, own_series)
            trials.append(trial)
        return sorted(trials, key=lambda trial: trial.number)

    def _trial(
        self, job: Json, number: int, tuning_job: response.TuningJob, series: metrics.Series
    ) -> RawTrial:
        """Return a trial; an ended trial stays running until its final metrics arrive."""
        name: str = job["TrainingJobName"]
        ended = response.has_ended(job)
        final = {} if self._reader.is_refused else self._reader.final_values(job)
        complete = metrics.is_complete(series, final)
        if ended and not complete and self._keeps_waiting(name):
            ended, job = False, {**job, "TrainingJobStatus": "InProgress"}
        end = response.end_time(job) if ended else None
        measurements = self._reader.measurements(job, series, ended=ended, time=end)
        log = log_url(self._plan, self._context, name)
        if self._plan.facts.attached or script_address(self._plan.fitted.study):
            values = trial_values(job.get("HyperParameters", {}), self._plan.fitted.study)
            job = {**job, "HyperParameters": values}
        trial = response.to_trial(job, number, tuning_job, measurements, log=log)
        if trial.state == "completed":
            trial = replace(trial, reason=self._reader.read_warning(name))
        if ended:
            self._ended_trials[name] = trial
        return trial

    def _keeps_waiting(self, name: str) -> bool:
        """Count a poll of something incomplete; return whether to poll again."""
        self._incomplete_polls[name] = self._incomplete_polls.get(name, 0) + 1
        return self._incomplete_polls[name] <= _MAX_INCOMPLETE_POLLS
