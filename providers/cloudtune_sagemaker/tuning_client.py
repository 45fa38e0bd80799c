"""The managed mode's client: one tuning job, from its request to its end.

A look at a job takes one call for the job, one for each hundred trials that have changed, and one
for each hundred metrics of those that run. No trial is asked for by itself.
"""

from __future__ import annotations

from cloudtune.provider.models import JobContext, JobRef, JobStatus, RawTrial
from cloudtune.provider.plan import Plan
from cloudtune.provider.secrets import resolve_secrets
from cloudtune.results.events import FINAL_STATES
from cloudtune.study.schema import Json
from cloudtune_sagemaker import metrics, response
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.console import log_of
from cloudtune_sagemaker.errors import PROVIDER, AwsError
from cloudtune_sagemaker.training_client import PAGE, TOKENS, run_of
from cloudtune_sagemaker.uploads import upload

POLL = 30.0
POLL_EMULATED = 0.25
_PATIENCE = 3
"""Looks for which a trial that has ended waits for its last metrics, and a job for its trials."""
_GOING = frozenset({"waiting", "running"})


class TuningClient:
    """Creates, follows and stops one tuning job; the `JobClient` of SageMaker."""

    def __init__(self, aws: Aws, plan: Plan, context: JobContext) -> None:
        """Prepare; nothing is called.

        Args:
            aws: Reaches the service.
            plan: Of the job.
            context: The folder and the emulator of the job.
        """
        self._aws = aws
        self._plan = plan
        self._context = context
        self._reader = metrics.MetricReader(aws, plan)
        self._searched = True
        self._jobs: dict[str, Json] = {}
        """The training jobs as they were last told, by name."""
        self._done: dict[str, RawTrial] = {}
        """The trials about which nothing more will be known."""
        self._looks: dict[str, int] = {}
        self._stop_asked: set[str] = set()

    @property
    def hidden_seconds(self) -> float:
        """For how long a job that was made may not be found: a name is taken once."""
        return 0.0

    @property
    def poll_seconds(self) -> float:
        """How long to wait between two looks at the job."""
        return POLL_EMULATED if self._aws.emulated else POLL

    def submit(self, request: Json) -> JobRef:
        """Bring code and data to S3 and create the job.

        Raises:
            UsageError: If a variable that trials are to be given is not set.
            ProviderError: If SageMaker refuses it, or has another job of this name.
        """
        full = resolve_secrets(request, self._plan.study)
        upload(self._aws, self._plan, self._context)
        name: str = request["HyperParameterTuningJobName"]
        try:
            self._aws.call("sagemaker", "create_hyper_parameter_tuning_job", **full)
        except AwsError as error:
            if not error.taken:
                raise
            self._demand_own(name)
        return JobRef(PROVIDER, name)

    def find(self, job_name: str) -> JobRef | None:
        """Return the job that an earlier, interrupted submit created under this name, if it did.

        Raises:
            AwsError: If SageMaker cannot be asked.
        """
        described = self._described(job_name)
        return JobRef(PROVIDER, job_name) if described and self._is_own(described) else None

    def status(self, job: JobRef) -> JobStatus:
        """Return how the job and its trials stand."""
        described = self._described(job.id)
        if described is None:
            gone = f"there is no tuning job {job.id} any more"
            if self._waits(f"gone {job.id}"):
                raise AwsError(gone, code="ResourceNotFound", retryable=True)
            return JobStatus("failed", "", gone)
        self._read(described)
        word: str = described["HyperParameterTuningJobStatus"]
        state = response.JOB_STATES.get(word, "unknown")
        trials = self._trials(described)
        ended = state in FINAL_STATES
        if ended and len(self._done) < len(trials) and self._waits(job.id):
            state = "running"
        return JobStatus(state, word, response.reason_of(described), trials)

    def stop(self, job: JobRef) -> None:
        """Ask SageMaker to end the job. Asking twice, or for an ended job, changes nothing."""
        try:
            self._aws.call(
                "sagemaker", "stop_hyper_parameter_tuning_job", HyperParameterTuningJobName=job.id
            )
        except AwsError as error:
            described = None if error.retryable else self._described(job.id)
            if described is None or described["HyperParameterTuningJobStatus"] == "InProgress":
                raise
            return
        self._stop_asked |= {
            name for name, each in self._jobs.items() if response.phase_of(each) in _GOING
        }

    def _described(self, name: str) -> Json | None:
        try:
            return self._aws.call(
                "sagemaker",
                "describe_hyper_parameter_tuning_job",
                HyperParameterTuningJobName=name,
            )
        except AwsError as error:
            if error.not_found:
                return None
            raise

    def _demand_own(self, name: str) -> None:
        """Do nothing if the job of this name is this run's, by a call whose answer was lost."""
        described = self._described(name)
        if not described or not self._is_own(described):
            raise AwsError(
                f"there is another tuning job {name} in this account and region, which is not of "
                "this run; run the study again, which draws a new name",
                code="ResourceInUse",
            )

    def _is_own(self, described: Json) -> bool:
        """Tell by its tags whether a job is this run's; by its name where tags may not be read."""
        run = self._plan.facts.run_id
        return run_of(self._aws, described["HyperParameterTuningJobArn"], otherwise=run) == run

    def _read(self, described: Json) -> None:
        """Take note of the trials that have changed."""
        counters: dict[str, int] = described.get("TrainingJobStatusCounters", {})
        if self._searched:
            try:
                self._search(described["HyperParameterTuningJobArn"])
            except AwsError as error:
                if not error.no_such_search:
                    raise
                self._searched = False
        ended = response.JOB_STATES.get(described["HyperParameterTuningJobStatus"]) != "running"
        behind = len(self._jobs) < sum(counters.values())
        if (
            not self._searched
            or behind
            or (ended and not all(map(response.has_ended, self._jobs.values())))
        ):
            self._list(described)

    def _search(self, arn: str) -> None:
        """Look at what has changed last, until what is told is known already."""
        pages = self._aws.pages(
            "sagemaker",
            "search",
            TOKENS,
            Resource="TrainingJob",
            SearchExpression={
                "Filters": [{"Name": "TuningJobArn", "Operator": "Equals", "Value": arn}]
            },
            SortBy="LastModifiedTime",
            SortOrder="Descending",
            MaxResults=PAGE,
        )
        for page in pages:
            found: list[Json] = [each["TrainingJob"] for each in page.get("Results", ())]
            known = [self._is_known(job) for job in found]
            for job in found:
                self._jobs[job["TrainingJobName"]] = job
            if any(known):
                return

    def _is_known(self, job: Json) -> bool:
        before = self._jobs.get(job["TrainingJobName"], {})
        when = job.get("LastModifiedTime")
        return when is not None and before.get("LastModifiedTime") == when

    def _list(self, described: Json) -> None:
        """Fill in what Search does not tell, or not yet."""
        pages = self._aws.pages(
            "sagemaker",
            "list_training_jobs_for_hyper_parameter_tuning_job",
            TOKENS,
            HyperParameterTuningJobName=described["HyperParameterTuningJobName"],
            MaxResults=PAGE,
        )
        for page in pages:
            for summary in page.get("TrainingJobSummaries", ()):
                told = response.from_summary(summary, described)
                before = self._jobs.get(told["TrainingJobName"], {})
                if before.get("TrainingJobStatus") == told["TrainingJobStatus"]:
                    told = {**told, **before}
                self._jobs[told["TrainingJobName"]] = told

    def _trials(self, described: Json) -> list[RawTrial]:
        """Return all trials, by number."""
        jobs = self._jobs.values()
        numbers = response.numbers_of(described["HyperParameterTuningJobName"], jobs)
        created = [response.seconds(job["CreationTime"]) or 0.0 for job in jobs]
        tuning = response.tuning_of(described, created, self._stop_asked)
        read = self._reader.read(
            job["TrainingJobArn"]
            for job in jobs
            if job["TrainingJobName"] not in self._done and response.phase_of(job) != "waiting"
        )
        trials: list[RawTrial] = []
        for name, job in self._jobs.items():
            trial = self._done.get(name)
            if trial is None:
                trial = self._trial(job, numbers[name], tuning, read.get(job["TrainingJobArn"], {}))
            trials.append(trial)
        return sorted(trials, key=lambda trial: trial.number)

    def _trial(
        self, job: Json, number: int, tuning: response.Tuning, series: metrics.Series
    ) -> RawTrial:
        """Return a trial; one that has ended goes on until its last metrics are there."""
        name: str = job["TrainingJobName"]
        ended = response.has_ended(job)
        if ended and not metrics.settled(series, metrics.final_of(job)) and self._waits(name):
            ended, job = False, {**job, "TrainingJobStatus": "InProgress"}
        when = response.ended_at(job) if ended else None
        told = self._reader.told(job, series, ended=ended, time=when)
        trial = response.trial_of(
            job,
            number,
            tuning,
            told,
            log=log_of(self._plan, self._context, name),
        )
        if ended:
            self._done[name] = trial
        return trial

    def _waits(self, name: str) -> bool:
        """Count a look at something that is not complete; return whether to look again."""
        self._looks[name] = self._looks.get(name, 0) + 1
        return self._looks[name] <= _PATIENCE
