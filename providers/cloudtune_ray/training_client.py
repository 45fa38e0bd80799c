"""The jobs of the driven mode: one for each start of a trial.

A poll takes one list of the cluster's jobs, or a call for each of a few, and one call for the new
measurements of each running job.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from cloudtune.provider import (
    JobContext,
    Json,
    Plan,
    TrainingJob,
    fill_placeholders,
    format_value,
    start_constants,
    start_name,
)
from cloudtune.provider.secrets import Mask
from cloudtune.results import Started
from cloudtune_ray import response
from cloudtune_ray.client import RayClient
from cloudtune_ray.console import log_address
from cloudtune_ray.errors import RayError
from cloudtune_ray.metrics import Record
from cloudtune_ray.request import (
    CHECKPOINT,
    JOB,
    PACKAGE,
    RUN_KEY,
    adapt_resources,
    entrypoint,
    start_variables,
    storage_folder,
)
from cloudtune_ray.settings import RaySettings
from cloudtune_ray.uploads import Package

POLL_SECONDS = 5.0
POLL_SECONDS_EMULATED = 0.25
CALLS_PER_SECOND = 4
"""Chosen: with more running jobs, polls are further apart."""
WAITING_SECONDS = 20.0
"""Chosen: a job that still waits so long after its stop waits for a node, not for its start.

Ray delivers the stop only when the job's supervisor runs (2.60.0, job_manager.py, stop_job), so a
job for which no node is free stays PENDING, and ends as soon as it starts.
"""
RECORD_SECONDS = 180.0
"""Chosen: a trial fails if its record cannot be read for so long while the cluster answers."""
_FEW_JOBS = 3
"""Up to so many jobs are read one by one; the list has the jobs of everyone, also ended ones."""


class RayJobs:
    """The jobs of one run: the `TrainingJobs` of Ray.

    Names of jobs are cloudtune's own and unique: Ray refuses a second job with the same name.
    """

    enforces_trial_timeout = False  # a job has no time limit
    hidden_seconds = 0.0

    def __init__(self, client: RayClient, plan: Plan, context: JobContext) -> None:
        """Pack the code; nothing is sent.

        Raises:
            ProviderError: If the code cannot be read, or is too large.
        """
        assert isinstance(plan.settings, RaySettings)
        self._client = client
        self._plan = plan
        self._context = context
        self._settings = plan.settings
        self._package = Package(client, plan, context)
        self._hide = Mask(plan.study).hide
        self._records: dict[str, Record] = {}
        self._unread_since: dict[str, float] = {}
        """Since when each record could not be read, by `time.monotonic`."""
        self._known: dict[str, Json] = {}
        """The last description of each job that was created or found."""
        self._running = 0
        self._stopped: dict[str, float] = {}
        """When this process first stopped each job, by `time.monotonic`."""

    @property
    def poll_seconds(self) -> float:
        """Seconds between two polls, which bound the calls a second."""
        if self._client.emulated:
            return POLL_SECONDS_EMULATED
        return max(POLL_SECONDS, self._running / CALLS_PER_SECOND)

    def job_name(self, number: int, start: int) -> str:
        """Return the name of the job of a trial's start."""
        return start_name(self._plan.facts.job_name, number, start)

    def create(self, started: Started) -> None:
        """Create the job of a start. If it exists, as after a lost answer, it is used.

        Raises:
            RayError: If the call fails, or another run has a job of this name.
        """
        assert started.id is not None
        self._package.ensure()
        job: Json = {"status": "PENDING"}
        try:
            self._client.create(self._request(started))
        except RayError as error:
            found = self._client.get(started.id) if error.exists else None
            if found is None or not self._is_own(found):
                raise
            job = found
        self._known[started.id] = job

    def poll(self, starts: Sequence[Started]) -> dict[str, TrainingJob]:
        """Return the current state of each job by name.

        A missing job is omitted, unless it was there before: then the cluster's head was restarted.

        Raises:
            RayError: If the cluster cannot be called.
        """
        names = [started.id for started in starts if started.id]
        jobs = self._find(names)
        lost = {name: _unknown_job() for name in names if name not in jobs and name in self._known}
        self._known |= jobs
        self._running = sum(not response.is_over(job) for job in jobs.values())
        numbers = {started.id: started.checkpoint_number for started in starts}
        return {n: self._training_job(n, job, numbers[n]) for n, job in jobs.items()} | lost

    def stop(self, name: str) -> None:
        """Stop a job; no effect on one that has ended or does not exist.

        Raises:
            RayError: If the cluster cannot be called.
        """
        self._client.stop(name)
        self._stopped.setdefault(name, time.monotonic())

    def _request(self, started: Started) -> Json:
        assert started.id is not None
        all_values = {**started.parameters, **start_constants(self._plan, started)}
        values = {name: format_value(value) for name, value in all_values.items()}
        study = self._plan.fitted.study
        replacements = {
            JOB: started.id,
            PACKAGE: self._package.address,
            CHECKPOINT: str(started.checkpoint_number),
        }
        request: Json = fill_placeholders(self._plan.request, replacements)
        request["entrypoint"] = entrypoint(self._settings.python, started.id, values)
        environment: Json = request["runtime_env"]
        environment["env_vars"] = start_variables(environment["env_vars"], study, started)
        adapt_resources(request, study, self._settings, started)
        return request

    def _is_own(self, job: Json) -> bool:
        metadata: Json = job.get("metadata") or {}
        return bool(metadata.get(RUN_KEY) == self._plan.facts.run_id)

    def _find(self, names: Collection[str]) -> dict[str, Json]:
        ended = {n: j for n in names if (j := self._known.get(n)) and response.is_over(j)}
        remaining = [name for name in names if name not in ended]
        if len(remaining) <= _FEW_JOBS:
            rows = [self._client.get(name) for name in remaining]
        else:
            rows = [job for job in self._client.list_all() if job.get("submission_id") in remaining]
        found = {str(job["submission_id"]): job for job in rows if job and self._is_own(job)}
        return ended | found

    def _training_job(self, name: str, job: Json, number: int) -> TrainingJob:
        if job["status"] == "PENDING" and self._waited_since_stop(name) >= WAITING_SECONDS:
            return TrainingJob(state="cancelled", word="PENDING", ended=time.time())
        record = self._records.setdefault(name, Record(hide=self._hide))
        node: str | None = job.get("driver_node_id")
        is_due = node and record.end is None and job["status"] != "PENDING"
        if node and is_due and not self._read_record(name, node, record) and not record.problem:
            return TrainingJob(state="running", word=str(job["status"]))
        if record.problem:
            return self._fail(name, job, record, number)
        state = response.trial_state(job, record)
        is_over = response.is_over(job, record)
        ended = (record.end or {}).get("time") or response.seconds(job.get("end_time"))
        return TrainingJob(
            state=state,
            stopping=record.end is not None and not is_over,
            word=response.state_word(job, record),
            measurements=record.measurements,
            started=record.started,  # the time of Ray is that of the submission
            ended=(ended or time.time()) if is_over else None,
            reason=response.failure_reason(job, record) or record.remark,
            machine=record.host,
            log=log_address(self._plan, self._context, name),
            artifacts=self._artifacts(number),
            lost=response.is_lost(job, record),
        )

    def _read_record(self, name: str, node: str, record: Record) -> bool:
        """Read what is new in a record; return whether the node returned it.

        Ray's agent hangs if the script has put a pipe in place of the record. Other jobs must not
        wait for that.
        """
        try:
            record.read(lambda lines: self._client.tail(node, f"cloudtune-{name}.jsonl", lines))
        except RayError as error:
            if not error.retryable:
                raise
            since = self._unread_since.setdefault(name, time.monotonic())
            if time.monotonic() - since >= RECORD_SECONDS:
                record.problem = f"its record cannot be read: {error}"
            return False
        self._unread_since.pop(name, None)
        return True

    def _fail(self, name: str, job: Json, record: Record, number: int) -> TrainingJob:
        """End a job whose record is invalid."""
        if not response.is_over(job):
            self.stop(name)
        return TrainingJob(
            state="failed",
            word=str(job["status"]),
            measurements=record.measurements,
            started=record.started,
            ended=time.time(),
            reason=record.problem,
            machine=record.host,
            log=log_address(self._plan, self._context, name),
            artifacts=self._artifacts(number),
        )

    def _waited_since_stop(self, name: str) -> float:
        stopped = self._stopped.get(name)
        return 0.0 if stopped is None else time.monotonic() - stopped

    def _artifacts(self, number: int) -> str | None:
        storage = self._settings.storage
        if storage is None:
            return None
        return f"{storage_folder(storage, self._plan.facts.run_id, number)}/output"


def _unknown_job() -> TrainingJob:
    reason = "the cluster no longer knows the job: its head was restarted, or the job was deleted"
    return TrainingJob(state="failed", word="UNKNOWN", ended=time.time(), reason=reason, lost=True)
