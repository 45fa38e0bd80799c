"""The managed mode's client: one search of WML Accelerator, from its request to its end.

A look takes one call, and one for the log of each trial that has failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cloudtune.provider import JobContext, JobRef, JobStatus, Json, Plan, ProviderError, RawTrial
from cloudtune_watson import response
from cloudtune_watson.console import log_of
from cloudtune_watson.errors import PROVIDER, WatsonError
from cloudtune_watson.tuning_api import Accelerator
from cloudtune_watson.uploads import bring_inputs, model_folder

POLL = 30.0
POLL_EMULATED = 0.25
HIDDEN = 30.0
"""Seconds; IBM says nothing of it."""
_PATIENCE = 3
"""Looks for which a search may not be there."""
_GONE = "WML Accelerator does not know the search {} any more"
_LAST = 1_000
"""Characters of a log that say why its trial failed."""


class SearchClient:
    """Submits, follows and stops one search; the `JobClient` of IBM Watson."""

    def __init__(self, accelerator: Accelerator, plan: Plan, context: JobContext) -> None:
        """Prepare; nothing is called.

        Args:
            accelerator: Reaches the service.
            plan: Of the job.
            context: The folder and the emulator of the job.
        """
        self._accelerator = accelerator
        self._plan = plan
        self._context = context
        self._ended: dict[int, RawTrial] = {}
        self._missed = 0
        """How often in a row the search was not there."""

    @property
    def hidden_seconds(self) -> float:
        """For how long a search that was made may not be found yet."""
        return 0.0 if self._accelerator.emulated else HIDDEN

    @property
    def poll_seconds(self) -> float:
        """How long to wait between two looks at the search."""
        return POLL_EMULATED if self._accelerator.emulated else POLL

    def submit(self, request: Json) -> JobRef:
        """Pack the code and start the search with it.

        Raises:
            ProviderError: If the code cannot be read, or the Accelerator refuses.
        """
        packed = self._context.folder / request["file"]
        bring_inputs(self._plan, self._context)
        try:
            model_folder(packed, self._plan, self._context)
            return JobRef(PROVIDER, self._accelerator.submit(request, packed))
        except OSError as error:
            raise ProviderError(PROVIDER, f"the code cannot be packed: {error}") from error
        finally:
            packed.unlink(missing_ok=True)

    def find(self, job_name: str) -> JobRef | None:
        """Return the search that an earlier, interrupted submit started under this name."""
        try:
            found = self._accelerator.get(job_name)
        except WatsonError as error:
            if not error.not_found:
                raise
            return None
        return JobRef(PROVIDER, str(found.get("hpoName") or job_name))

    def status(self, job: JobRef) -> JobStatus:
        """Return how the search and its trials stand.

        Raises:
            WatsonError: If the Accelerator cannot be asked, or does not tell of it for the moment.
        """
        told = self._told(job.id)
        if told is None:
            return JobStatus("failed", "", _GONE.format(job.id))
        state = response.search_state(told)
        word = str(told.get("state", ""))
        trials = response.trials_of(told, self._plan.fitted.study)
        for trial in trials:
            if trial.over and trial.number not in self._ended:
                self._ended[trial.number] = self._with_log(trial)
        trials = [self._ended.get(trial.number, trial) for trial in trials]
        return JobStatus(state, word, _why(trials) if state == "failed" else "", trials)

    def stop(self, job: JobRef) -> None:
        """Ask the Accelerator to end the search. For one that has ended, nothing changes."""
        try:
            self._accelerator.stop(job.id)
        except WatsonError as error:
            if error.retryable or error.affects_all_calls:
                raise
            if response.search_state(self._accelerator.get(job.id)) in {"pending", "running"}:
                raise

    def _told(self, name: str) -> Json | None:
        """Return the search, or None once it was not there several times."""
        try:
            told = self._accelerator.get(name)
        except WatsonError as error:
            if not error.not_found:
                raise
            self._missed += 1
            if self._missed > _PATIENCE:
                return None
            raise WatsonError(_GONE.format(name), code=error.code, retryable=True) from error
        self._missed = 0
        return told

    def _with_log(self, trial: RawTrial) -> RawTrial:
        """Return a trial with where its log is, and for a failed one with its last words."""
        if self._accelerator.emulated:
            log = log_of(self._context, f"batchworkdir/{trial.id}/log/stdout.txt")
            trial = replace(trial, log=log)
        if trial.state != "failed" or trial.reason:
            return trial
        try:
            said = self._accelerator.log(trial.id).strip()
        except WatsonError as error:
            if error.retryable:
                raise
            said = ""
        return replace(trial, reason=said[-_LAST:] or "WML Accelerator gives no reason")


def _why(trials: Sequence[RawTrial]) -> str:
    """Return why a search failed: the Accelerator tells only what its trials say."""
    failed = [trial for trial in trials if trial.state == "failed" and trial.reason]
    if not failed:
        return "the search failed; WML Accelerator does not say why"
    first = failed[0]
    last_line = first.reason.splitlines()[-1]
    return (
        f"the search failed; {len(failed)} of its {len(trials)} trials failed, "
        f"trial {first.number} with: {last_line}"
    )
