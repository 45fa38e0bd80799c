"""The managed mode's client: one tuning job, from its request to its end.

A look at a job takes one call for the job with all its trials, one list of what was measured, one
for each trial that has measured more, and one for each that has ended, whose custom job says
how.
"""

from __future__ import annotations

from cloudtune.provider import JobContext, JobRef, JobStatus, Json, Plan, RawTrial, resolve_secrets
from cloudtune_vertex import response
from cloudtune_vertex.client import Google
from cloudtune_vertex.console import log_of
from cloudtune_vertex.errors import PROVIDER, GoogleError
from cloudtune_vertex.metrics import Curve, CurveReader
from cloudtune_vertex.request import RUN_LABEL
from cloudtune_vertex.request.layout import escape
from cloudtune_vertex.training_client import HIDDEN, HIDDEN_EMULATED
from cloudtune_vertex.uploads import upload

POLL = 30.0
POLL_EMULATED = 0.25
_PATIENCE = 3
"""Looks for which a job that has ended waits for trials that have not, and for which one that is
gone may come back."""
_NO_CURVES = "{}; of trials that end from here on no more is known than their final measurements"
_GONE = "there is no tuning job {} any more"


class TuningClient:
    """Creates, follows and stops one tuning job; the `JobClient` of Vertex AI."""

    def __init__(self, google: Google, plan: Plan, context: JobContext) -> None:
        """Prepare; nothing is called.

        Args:
            google: Reaches the service.
            plan: Of the job.
            context: The folder and the emulator of the job.
        """
        self._google = google
        self._plan = plan
        self._context = context
        self._curves = CurveReader(google, plan.facts, needed=False)
        self._done: dict[str, RawTrial] = {}
        """The trials about which nothing more will be known."""
        self._stopping: set[str] = set()
        """The trials that were seen to be asked to end."""
        self._looks = 0
        """How often the job had ended before its trials."""
        self._missed = 0
        """How often in a row the job was not there."""

    @property
    def hidden_seconds(self) -> float:
        """For how long a job that was made may not be found yet."""
        return HIDDEN_EMULATED if self._google.emulated else HIDDEN

    @property
    def poll_seconds(self) -> float:
        """How long to wait between two looks at the job."""
        return POLL_EMULATED if self._google.emulated else POLL

    def submit(self, request: Json) -> JobRef:
        """Bring code and data to Cloud Storage and create the job.

        Raises:
            UsageError: If a variable that trials are to be given is not set.
            ProviderError: If Vertex AI refuses it.
        """
        full = resolve_secrets(request, self._plan.study, escape=escape, allow_empty=False)
        upload(self._google, self._plan, self._context)
        return JobRef(PROVIDER, self._google.create(full)["name"])

    def find(self, job_name: str) -> JobRef | None:
        """Return the job that an earlier, interrupted submit created under this name, if it did."""
        run = self._plan.facts.run_id
        found = [
            job
            for job in self._google.tuning_jobs(f"labels.{RUN_LABEL}={run}")
            if job.get("displayName") == job_name
        ]
        first = min(found, key=lambda job: str(job.get("createTime", "")), default=None)
        return JobRef(PROVIDER, first["name"]) if first else None

    def status(self, job: JobRef) -> JobStatus:
        """Return how the job and its trials stand.

        Raises:
            GoogleError: If Google cannot be asked, or does not tell of the job for the moment.
        """
        told = self._told(job.id)
        if told is None:
            return JobStatus("failed", "", _GONE.format(job.id))
        state = response.JOB_STATES.get(response.word_of(told), "unknown")
        over = response.is_over(told)
        found: list[Json] = [trial for trial in told.get("trials", ()) if response.has_begun(trial)]
        unfinished = [trial for trial in found if not response.has_ended(trial)]
        waits = over and bool(unfinished) and self._looks < _PATIENCE
        if waits:
            self._looks += 1
            state = "running"
        trials = self._trials(told, found, closing=over and not waits)
        remark = _NO_CURVES.format(self._curves.denied) if self._curves.denied else ""
        return JobStatus(state, response.word_of(told), response.reason_of(told), trials, remark)

    def stop(self, job: JobRef) -> None:
        """Ask Vertex AI to end the job. Asking twice, or for an ended job, changes nothing."""
        try:
            self._google.cancel(job.id)
        except GoogleError as error:
            if error.retryable or not (
                response.is_over(told := self._google.get(job.id)) or response.is_stopped(told)
            ):
                raise

    def _told(self, name: str) -> Json | None:
        """Return the job, or None once it was not there several times."""
        try:
            told = self._google.get(name)
        except GoogleError as error:
            if not error.not_found:
                raise
            self._missed += 1
            if self._missed > _PATIENCE:
                return None
            raise GoogleError(_GONE.format(name), code=error.code, retryable=True) from error
        self._missed = 0
        return told

    def _trials(self, job: Json, found: list[Json], *, closing: bool) -> list[RawTrial]:
        """Return all trials, by number."""
        left = {trial["id"]: trial for trial in found if trial["id"] not in self._done}
        curves = self._curves.read(left)
        told = dict(self._done)
        for name, trial in left.items():
            told[name] = self._trial(job, trial, curves[name], closing=closing)
            if told[name].over:
                self._done[name] = told[name]
        return sorted(told.values(), key=lambda trial: trial.number)

    def _trial(self, job: Json, trial: Json, curve: Curve, *, closing: bool) -> RawTrial:
        custom: str = trial.get("customJob", "")
        ended = response.has_ended(trial)
        if response.word_of(trial) == "STOPPING":
            self._stopping.add(trial["id"])
        told = response.Told(
            trial,
            curve,
            custom=self._got(custom) if ended else None,
            was_stopping=trial["id"] in self._stopping,
            closing=response.word_of(job) if closing and not ended else "",
        )
        log = log_of(self._plan, self._context, custom) if custom else None
        return response.trial_of(told, job, self._plan.fitted.study, log=log)

    def _got(self, custom: str) -> Json | None:
        """Return the custom job of a trial, if it is told."""
        try:
            return self._google.get(custom) if custom else None
        except GoogleError as error:
            if error.retryable:
                raise
            return None
