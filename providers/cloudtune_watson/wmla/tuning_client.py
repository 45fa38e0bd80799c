"""The search of the managed mode, from its request to its end.

A poll takes one call, and one for the log of each trial that has failed. The log of a trial that
prints its metrics is also read, since the launcher's last line may warn of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cloudtune.launcher import LAUNCHER
from cloudtune.provider import JobContext, JobRef, JobStatus, Json, Plan, ProviderError, RawTrial
from cloudtune_watson.console import log_path
from cloudtune_watson.errors import PROVIDER, WatsonError
from cloudtune_watson.uploads import copy_inputs
from cloudtune_watson.wmla import response
from cloudtune_watson.wmla.client import WmlaClient
from cloudtune_watson.wmla.uploads import write_search_archive

POLL_SECONDS = 30.0
POLL_SECONDS_EMULATED = 0.25
HIDDEN_SECONDS = 30.0
"""Chosen, since IBM documents no time."""
_MAX_MISSING_POLLS = 3
"""How many polls a search may be missing before it counts as gone."""
_MAX_REASON = 1_000
"""Characters of the end of a failed trial's log."""


class TuningClient:
    """Creates, polls and stops one search: the `JobClient` of IBM Watson."""

    def __init__(self, wmla: WmlaClient, plan: Plan, context: JobContext) -> None:
        """Create the client without calling the service.

        Args:
            wmla: The service.
            plan: The plan of the job.
            context: The folder and the emulator of the job.
        """
        self.hidden_seconds = 0.0 if wmla.emulated else HIDDEN_SECONDS
        self.poll_seconds = POLL_SECONDS_EMULATED if wmla.emulated else POLL_SECONDS
        self._wmla = wmla
        self._plan = plan
        self._context = context
        self._ended_trials: dict[int, RawTrial] = {}
        """The trials that do not change any more, by number."""
        self._missing_polls = 0
        """How many consecutive polls have not found the search."""

    def submit(self, request: Json) -> JobRef:
        """Pack the code and create the search.

        Raises:
            ProviderError: If the code cannot be read, or WML Accelerator refuses the search.
        """
        archive = self._context.folder / request["file"]
        copy_inputs(self._plan, self._context)
        try:
            write_search_archive(archive, self._plan, self._context)
            return JobRef(PROVIDER, self._wmla.submit(request, archive))
        except OSError as error:
            raise ProviderError(PROVIDER, f"cannot pack the code: {error}") from error
        finally:
            archive.unlink(missing_ok=True)

    def find(self, job_name: str) -> JobRef | None:
        """Return the search that an interrupted submit has created under this name, if any."""
        try:
            search = self._wmla.get(job_name)
        except WatsonError as error:
            if not error.not_found:
                raise
            return None
        return JobRef(PROVIDER, str(search.get("hpoName") or job_name))

    def status(self, job: JobRef) -> JobStatus:
        """Return the current state of the search and its trials.

        Raises:
            WatsonError: If the service cannot be called, or does not return the search for now.
        """
        try:
            search = self._wmla.get(job.id)
        except WatsonError as error:
            if not error.not_found:
                raise
            self._missing_polls += 1
            message = f"search {job.id} no longer exists"
            if self._missing_polls > _MAX_MISSING_POLLS:
                return JobStatus("failed", "", message)
            raise WatsonError(message, code=error.code, retryable=True) from error
        self._missing_polls = 0
        trials = response.to_trials(search, self._plan.fitted.study)
        for trial in trials:
            if trial.over and trial.number not in self._ended_trials:
                self._ended_trials[trial.number] = self._with_log(trial)
        trials = [self._ended_trials.get(trial.number, trial) for trial in trials]
        state = response.search_state(search)
        reason = _failure_reason(trials) if state == "failed" else ""
        return JobStatus(state, str(search.get("state", "")), reason, trials)

    def stop(self, job: JobRef) -> None:
        """Stop the search; no effect if it has ended."""
        try:
            self._wmla.stop(job.id)
        except WatsonError as error:
            if error.retryable or error.affects_all_calls:
                raise
            if response.search_state(self._wmla.get(job.id)) in {"pending", "running"}:
                raise

    def _with_log(self, trial: RawTrial) -> RawTrial:
        """Return a trial with the path of its log, and a failed one with the end of its log."""
        if self._wmla.emulated:
            log = log_path(self._context, f"batchworkdir/{trial.id}/log/stdout.txt")
            trial = replace(trial, log=log)
        prints_metrics = trial.state == "completed" and self._plan.fitted.study.trial.metrics
        if not (prints_metrics or trial.state == "failed") or trial.reason:
            return trial
        try:
            text = self._wmla.log(trial.id).strip()
        except WatsonError as error:
            if error.retryable:
                raise
            text = ""
        last = text.rpartition("\n")[2]
        if last.startswith(LAUNCHER):
            text = last.removeprefix(LAUNCHER)
        elif prints_metrics:
            return trial
        return replace(trial, reason=text[-_MAX_REASON:] or "WML Accelerator gives no reason")


def _failure_reason(trials: Sequence[RawTrial]) -> str:
    """Return why a search failed, which only the reasons of its trials show."""
    failed = [trial for trial in trials if trial.state == "failed" and trial.reason]
    if not failed:
        return "the search failed, and WML Accelerator gives no reason"
    first = failed[0]
    return (
        f"the search failed; {len(failed)} of its {len(trials)} trials failed, "
        f"trial {first.number} with: {first.reason.splitlines()[-1]}"
    )
