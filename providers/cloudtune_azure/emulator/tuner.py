"""Runs sweeps: which trials, how many at a time, until when.

The search and the loop are cloudtune's, not the service's. The children are command jobs, with the
names and the tags of recorded sweeps.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from cloudtune.emulator_kit import (
    Context,
    Ended,
    Json,
    Measured,
    Started,
    Strategy,
    Study,
    make_strategy,
    tuner,
)
from cloudtune_azure.emulator.script_jobs import Jobs
from cloudtune_azure.emulator.search_space import METRIC, study_of, values_of
from cloudtune_azure.emulator.state import (
    CANCEL_REQUESTED,
    CANCELED,
    COMPLETED,
    FAILED,
    Job,
    Sweep,
)
from cloudtune_azure.emulator.times import duration_seconds

_COPIED = ("codeId", "command", "environmentId", "environmentVariables", "resources")
"""The fields of ``trial`` that a command job has, too."""


class Tuner(tuner.Tuner[Sweep, Jobs]):
    """Runs one sweep."""

    STARTING = 0.0  # recorded: Running in the answer to the create

    def __init__(self, sweep: Sweep, context: Context[Jobs], add: Callable[[Job], None]) -> None:
        """Create a tuner that has not started; it ``adds`` the jobs of its trials to the workspace.

        Raises:
            ServiceError: If the request is invalid.
            StudyError: If a range is invalid.
        """
        super().__init__(sweep.name, sweep, context)
        self._add = add
        self._study = study_of(sweep.request)
        self._search = make_strategy(self._study, _seed(sweep.request))
        self._values: dict[int, list[float]] = {}
        """The values of the primary metric of each trial."""
        limits: Json = sweep.request.get("limits") or {}
        self._trial_seconds = duration_seconds(limits.get("trialTimeout"))
        self._seconds = duration_seconds(limits.get("timeout"))

    def start(self) -> None:
        """Start the sweep, and its time."""
        if self._seconds is not None:
            self.start_limit(self._seconds, self._time_out)
        super().start()

    def cancel(self) -> None:
        """Ask the sweep to end with all its trials. The caller holds the lock."""
        self.job.cancellation_requested = True
        self._stop_all()

    def start_trial(self, started: Started) -> None:
        """Create the command job of a trial, and launch it."""
        sweep, request = self.job, self.job.request
        values = values_of(request["searchSpace"], started.parameters)
        name = f"{sweep.name}_{started.number - 1}"
        trial: Json = request["trial"]
        folder = self.context.job_folder(name)
        job = Job(
            name,
            sweep.workspace,
            {
                "jobType": "Command",
                **{key: trial[key] for key in _COPIED if trial.get(key) is not None},
                **{key: request.get(key) or {} for key in ("inputs", "outputs", "tags")},
                **{key: request[key] for key in ("computeId", "identity") if request.get(key)},
                "experimentName": request.get("experimentName") or "Default",
            },
            folder,
            folder / "log.txt",
            sweep=sweep,
            values=values,
            seconds=self._trial_seconds,
        )
        job.fault = self.context.faults.next_trial()
        with self.lock:
            self._add(job)
            sweep.trials.append(job)
            sweep.all_generated = len(sweep.trials) >= (self._study.limits.max_trials or 0)
        self.context.jobs.launch(job, lambda event: self._handle(started.number, job, event))

    def stop_trial(self, number: int) -> None:
        """Cancel the command job of a trial."""
        self.context.jobs.stop_early(self.job.trials[number - 1])

    def create_search(self) -> tuple[Study, Strategy]:
        """Return the study and its search."""
        return self._study, self._search

    def settle(self, error: str | None) -> None:
        """Enter the sweep's final state."""
        self.job.all_generated = True
        if error is not None:
            self.job.fail("ServiceError", error or "The emulator's log says why.")
        elif self.job.stop_requested.is_set():
            self.job.enter(CANCELED)
        elif self.job.trials and all(each.state == FAILED for each in self.job.trials):
            # That a sweep fails if all its trials do is not verified.
            self.job.fail("UserError", "All child runs failed.")
        else:
            self.job.enter(COMPLETED)

    def _time_out(self) -> None:
        """Cancel the sweep: "the system cancels the sweep job, including all its trials"."""
        with self.lock:
            self._stop_all()

    def _stop_all(self) -> None:
        if not self.job.is_over:
            self.job.enter(CANCEL_REQUESTED)
            self.stop()

    def _handle(self, number: int, job: Job, event: Measured | Ended) -> None:
        """Pass on an event of a command job, in the thread that watches it."""
        if isinstance(event, Measured):
            values = self._values.setdefault(number, [])
            values.append(next(iter(event.metrics.values())))
            self.inbox.put(Measured(number, event.time, len(values), {METRIC: values[-1]}))
            self._truncate(number, len(values))
            return
        state = {COMPLETED: "completed", CANCELED: "stopped_early"}.get(job.state, "failed")
        state_: Any = state if number in self._values else "failed"
        self.inbox.put(Ended(number, time.time(), state_))

    def _truncate(self, number: int, interval: int) -> None:
        """Cancel the given percentage of the worst running trials, as the policy says.

        "Truncation selection cancels a percentage of lowest performing jobs at each evaluation
        interval", compared by the best value so far (how-to-tune-hyperparameters, as known
        2026-11-30).
        """
        policy: Json = self.job.request.get("earlyTermination") or {}
        if policy.get("policyType") != "TruncationSelection":
            return
        every = policy.get("evaluationInterval") or 1
        if interval % every or interval < (policy.get("delayEvaluation") or 0):
            return
        is_minimized = self._study.objectives[0].goal == "minimize"
        best = {
            each: (min if is_minimized else max)(values[:interval])
            for each, values in self._values.items()
            if len(values) >= interval
        }
        count = len(best) * int(policy.get("truncationPercentage") or 10) // 100
        worst = sorted(best, key=lambda each: best[each], reverse=is_minimized)[:count]
        if number in worst:
            self.stop_trial(number)


def _seed(request: Json) -> int:
    algorithm: Json = request.get("samplingAlgorithm") or {}
    seed: Any = algorithm.get("seed")
    return seed if isinstance(seed, int) else secrets.randbelow(2**31)
