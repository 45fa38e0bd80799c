"""The tuning job of the managed mode, from its request to its end.

A poll takes one call for the job with all its trials, one list of the measurements, one for each
trial with new measurements, and one for the custom job of each trial that waits or has just ended.
"""

from __future__ import annotations

from collections import defaultdict

from cloudtune.provider import JobContext, JobRef, JobStatus, Json, Plan, RawTrial
from cloudtune.provider.secrets import resolve_secrets
from cloudtune_vertex import response
from cloudtune_vertex.client import Google
from cloudtune_vertex.console import log_url
from cloudtune_vertex.errors import PROVIDER, GoogleError
from cloudtune_vertex.metrics import Curve, CurveReader
from cloudtune_vertex.request.layout import RUN_LABEL, escape
from cloudtune_vertex.training_client import HIDDEN_SECONDS, HIDDEN_SECONDS_EMULATED
from cloudtune_vertex.uploads import upload

POLL_SECONDS = 30.0
POLL_SECONDS_EMULATED = 0.25
_MAX_INCOMPLETE_POLLS = 3
"""How many polls an ended job waits for its trials, and a missing job is waited for."""


class TuningClient:
    """Creates, polls and stops one tuning job: the `JobClient` of Vertex AI."""

    def __init__(self, google: Google, plan: Plan, context: JobContext) -> None:
        """Create the client without calling Google."""
        emulated = google.emulated
        self.hidden_seconds = HIDDEN_SECONDS_EMULATED if emulated else HIDDEN_SECONDS
        self.poll_seconds = POLL_SECONDS_EMULATED if emulated else POLL_SECONDS
        self._google = google
        self._plan = plan
        self._context = context
        self._reader = CurveReader(google, plan.facts, required=False)
        self._has_measurements: bool = plan.facts.data.get("has_measurements", True)
        """Whether launchers of cloudtune save the measurements of the trials."""
        self._ended_trials: dict[str, RawTrial] = {}
        """The trials that do not change any more."""
        self._machines: defaultdict[str, response.Machine] = defaultdict(response.Machine)
        """The machines of the trials' custom jobs."""
        self._stopping_trials: set[str] = set()
        """The trials that a poll has seen in the state STOPPING."""
        self._incomplete_polls = 0
        """How often the job had ended before its trials."""
        self._missing_polls = 0
        """How often in a row the job was missing."""

    def submit(self, request: Json) -> JobRef:
        """Upload code and data, and create the job.

        Raises:
            UsageError: If a variable that trials take from the environment is not set.
            ProviderError: If Vertex AI refuses the job.
        """
        full = resolve_secrets(request, self._plan.study, escape=escape, allow_empty=False)
        upload(self._google, self._plan, self._context)
        return JobRef(PROVIDER, self._google.create(full)["name"])

    def find(self, job_name: str) -> JobRef | None:
        """Return the job that an interrupted submit has created under this name, if any.

        Raises:
            GoogleError: If Google cannot be called.
        """
        run = self._plan.facts.run_id
        jobs = [
            job
            for job in self._google.list_tuning_jobs(f'labels.{RUN_LABEL}="{run}"')
            if job.get("displayName") == job_name
        ]
        first = min(jobs, key=lambda job: str(job.get("createTime", "")), default=None)
        return JobRef(PROVIDER, first["name"]) if first else None

    def status(self, job: JobRef) -> JobStatus:
        """Return the current state of the job and its trials.

        Raises:
            GoogleError: If Google cannot be called, or the job is missing for the moment.
        """
        description = self._get(job.id)
        if description is None:
            return JobStatus("failed", "", f"tuning job {job.id} no longer exists")
        word = response.service_state(description)
        state = response.JOB_STATES.get(word, "unknown")
        ended = response.has_ended(description)
        # Before a trial has parameters, there is nothing to report.
        trials = [trial for trial in description.get("trials", ()) if trial.get("parameters")]
        complete = all(map(response.trial_has_ended, trials))
        if ended and not complete and self._incomplete_polls < _MAX_INCOMPLETE_POLLS:
            self._incomplete_polls += 1
            state, ended = "running", False
        raw_trials = self._trials(description, trials, job_ended=ended)
        note = ""
        if self._reader.denied:
            note = f"{self._reader.denied}; for trials that end from now on, only their final "
            note += "measurements are known"
        created = response.to_seconds(description.get("createTime"))
        reason = response.failure_reason(description)
        end = response.to_seconds(description.get("endTime"))
        return JobStatus(state, word, reason, raw_trials, note, created, end)

    def stop(self, job: JobRef) -> None:
        """Stop the job; no effect if it has been stopped or has ended."""
        try:
            self._google.cancel(job.id)
        except GoogleError as error:
            if error.retryable:
                raise
            description = self._google.get(job.id)
            if not (response.has_ended(description) or response.is_stopped(description)):
                raise

    def delete(self, job: JobRef) -> None:
        """Delete the job with its trials."""
        self._google.delete_job(job.id)

    def _get(self, name: str) -> Json | None:
        """Return the job; None if it was missing in several polls."""
        try:
            job = self._google.get(name)
        except GoogleError as error:
            if not error.not_found:
                raise
            self._missing_polls += 1
            if self._missing_polls > _MAX_INCOMPLETE_POLLS:
                return None
            message = f"tuning job {name} no longer exists"
            raise GoogleError(message, code=error.code, retryable=True) from error
        self._missing_polls = 0
        return job

    def _trials(self, job: Json, trials: list[Json], *, job_ended: bool) -> list[RawTrial]:
        """Return all trials, ordered by number."""
        changing = {trial["id"]: trial for trial in trials if trial["id"] not in self._ended_trials}
        curves = self._reader.read(changing if self._has_measurements else ())
        raw_trials = dict(self._ended_trials)
        for name, trial in changing.items():
            raw_trial = self._trial(job, trial, curves.get(name) or Curve(), job_ended=job_ended)
            raw_trials[name] = raw_trial
            if raw_trial.over:
                self._ended_trials[name] = raw_trial
        return sorted(raw_trials.values(), key=lambda trial: trial.number)

    def _trial(self, job: Json, trial: Json, curve: Curve, *, job_ended: bool) -> RawTrial:
        custom_job: str = trial.get("customJob", "")
        ended = response.trial_has_ended(trial)
        if response.service_state(trial) == "STOPPING":
            self._stopping_trials.add(trial["id"])
        machine = self._machines[trial["id"]]
        is_read = custom_job and (ended or machine.runs_since is None)
        described = self._custom_job(custom_job) if is_read else None
        if described:
            machine.see(described)
        elif not ended and machine.runs_since is None and response.waits(job):
            machine.see(job)
        data = response.TrialData(
            trial,
            curve,
            custom_job=described,
            machine=machine,
            was_stopping=trial["id"] in self._stopping_trials,
            final_job_state=response.service_state(job) if job_ended and not ended else "",
        )
        log = log_url(self._plan, self._context, custom_job) if custom_job else None
        return response.to_trial(data, job, self._plan.fitted.study, log=log)

    def _custom_job(self, name: str) -> Json | None:
        """Return the custom job of a trial, if the caller may read it."""
        try:
            return self._google.get(name)
        except GoogleError as error:
            if error.retryable:
                raise
            return None
