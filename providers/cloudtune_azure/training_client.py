"""The command jobs of the driven mode: one for each start of a trial.

A poll takes one list of the run's jobs, or a call for each of a few, and for each running job one
call, and one more for each metric with new values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from functools import cache

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
from cloudtune.provider.secrets import resolve_secrets
from cloudtune.results import Started
from cloudtune_azure import response
from cloudtune_azure.client import AzureClient
from cloudtune_azure.console import log_address, tracking_address
from cloudtune_azure.errors import AzureError
from cloudtune_azure.job_description import to_seconds
from cloudtune_azure.launcher_contract import AFTER_STEP
from cloudtune_azure.request.training_job import CHECKPOINT, JOB, command, run_tag
from cloudtune_azure.runs import Runs

_FEW_JOBS = 2
"""Up to so many jobs are read one by one; the list also has the jobs that have ended. Those that
it lacks are read one by one, too."""


class AzureJobs(Runs):
    """The jobs of one run: the `TrainingJobs` of Azure.

    A second job with the same name is an update of the first.
    """

    enforces_trial_timeout = False  # whether the service's limit counts the queue is not verified

    def __init__(
        self, client: AzureClient, plan: Plan, context: JobContext, upload: Callable[[], None]
    ) -> None:
        """Create the jobs without calling Azure.

        Args:
            client: The workspace.
            plan: The plan of the job.
            context: The folder and the emulator of the job.
            upload: Stores code and data, unless they are there; called by the first `create`.

        Raises:
            UsageError: If a variable that trials take from the environment is not set.
        """
        super().__init__(client, plan, context)
        self._upload = cache(upload)
        self._variables: Json = resolve_secrets(
            {"env": plan.request["properties"].get("environmentVariables") or {}}, plan.study
        )["env"]
        self._ended: dict[str, Json] = {}
        self._details: dict[str, Json] = {}
        self._can_list = True

    def job_name(self, number: int, start: int) -> str:
        """Return the name of the job of a trial's start."""
        return start_name(self._plan.facts.job_name, number, start)

    def create(self, started: Started) -> None:
        """Create the job of a start. If it exists, as after a lost answer, nothing changes.

        Raises:
            ProviderError: If the code or the data cannot be stored, or the call fails.
        """
        assert started.id is not None
        self._upload()
        self._client.put_job(started.id, self._request(started))

    def poll(self, starts: Sequence[Started]) -> dict[str, TrainingJob]:
        """Return the current state of each job by name. Missing jobs are omitted.

        Raises:
            AzureError: If Azure cannot be called.
        """
        jobs = self._find([started.id for started in starts if started.id])
        self._running = sum(not response.has_ended(job) for job in jobs.values())
        return {
            started.id: self._training_job(started, jobs[started.id])
            for started in starts
            if started.id in jobs
        }

    def stop(self, name: str) -> None:
        """Cancel a job; no effect on one that has ended or does not exist.

        Raises:
            AzureError: If Azure cannot be called.
        """
        self._client.cancel_job(name)

    def _request(self, started: Started) -> Json:
        assert started.id is not None
        all_values = {**started.parameters, **start_constants(self._plan, started)}
        values = {name: format_value(value) for name, value in all_values.items()}
        replacements = {JOB: started.id, CHECKPOINT: str(started.checkpoint_number)}
        body: Json = fill_placeholders(self._plan.request, replacements)
        properties: Json = body["properties"]
        properties["command"] = command(self._settings.python, self._plan.facts, values)
        properties["environmentId"] = self._client.environment_id(properties["environmentId"])
        properties["environmentVariables"] = self._variables
        if started.after_step:
            after = {AFTER_STEP: str(started.after_step)}
            properties["environmentVariables"] = {**self._variables, **after}
        return body

    def _find(self, names: Collection[str]) -> dict[str, Json]:
        remaining = [name for name in names if name not in self._ended]
        found = self._list() if len(remaining) > _FEW_JOBS and self._can_list else {}
        found = {name: job for name, job in found.items() if name in remaining}
        for name in remaining:
            if name not in found and (job := self._client.get_job(name)):
                found[name] = job
        self._ended |= {name: job for name, job in found.items() if response.has_ended(job)}
        return {name: self._ended[name] for name in names if name in self._ended} | found

    def _list(self) -> dict[str, Json]:
        try:
            jobs = self._client.list_jobs(run_tag(self._plan.facts.run_id))
        except AzureError as error:
            if error.retryable or error.affects_all_calls:
                raise
            self._can_list = False  # each job is read instead
            return {}
        return {str(job["name"]): job for job in jobs}

    def _training_job(self, started: Started, job: Json) -> TrainingJob:
        name = str(job["name"])
        is_over, word = response.has_ended(job), response.status(job)
        tracking = tracking_address(job)
        state = response.trial_state(job)
        if tracking and state != "waiting":
            self._read(name, tracking, is_over=is_over)
        curve = self._curve(name)
        reason, lost = curve.failure, False
        if curve.problem:
            if not is_over:
                self.stop(name)
            state, reason, is_over = "failed", curve.problem, True
        elif state == "failed" and not reason and tracking:
            reason, lost = response.failure(self._read_details(tracking, name))
        began, ended = response.times(job)
        if is_over and ended is None and tracking:
            run = self._read_details(tracking, name)
            began = began or to_seconds(run.get("startTimeUtc"))
            ended = to_seconds(run.get("endTimeUtc"))
        return TrainingJob(
            state=state,
            word=word,
            stopping=response.is_stopping(job),
            measurements=curve.measurements,
            started=began or curve.started,
            ended=(ended or time.time()) if is_over else None,
            reason=reason if state in {"completed", "failed"} else "",
            machine=self._machine(curve),
            log=log_address(self._context, job),
            artifacts=self._artifacts(started.checkpoint_number),
            lost=lost,
        )

    def _read_details(self, tracking: str, name: str) -> Json:
        """Return what run history knows of a job that has ended, which is read once."""
        if name not in self._details:
            self._details[name] = self._client.run_details(tracking, name)
        return self._details[name]
