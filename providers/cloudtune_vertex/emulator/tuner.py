"""Runs tuning jobs: which trials, how many at a time, until when.

The search and the loop are cloudtune's, not the service's. `limits` has when a job ends before its
last trial.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence

from cloudtune.emulator_kit import (
    Context,
    Ended,
    Json,
    Measured,
    Started,
    StopRequest,
    Strategy,
    Study,
    TrialState,
    make_strategy,
    tuner,
)
from cloudtune_vertex.contract import Measurement, append_args, format_flags
from cloudtune_vertex.emulator import delays, errors, limits
from cloudtune_vertex.emulator.script_jobs import CustomJobs
from cloudtune_vertex.emulator.search_space import study_of
from cloudtune_vertex.emulator.state import (
    CANCELLED,
    CANCELLING,
    FAILED,
    PENDING,
    QUEUED,
    RUNNING,
    SUCCEEDED,
    CustomJob,
    Status,
    Store,
    Trial,
    TuningJob,
)


class Tuner(tuner.Tuner[TuningJob, CustomJobs]):
    """Runs one tuning job."""

    STARTING = delays.STARTING

    def __init__(self, job: TuningJob, store: Store, context: Context[CustomJobs]) -> None:
        super().__init__(job.id, job, context)
        self._store = store
        self._study = study_of(job)
        self._trials: dict[int, Trial] = {}
        self._failure: Status | None = None
        self._stopped_asap = False

    def cancel(self) -> None:
        """Ask the job to end with all its trials; one that ends or has ended stays as it is."""
        with self.lock:
            if self.job.is_over or self.job.stop_requested.is_set():
                return
            if self.job.state == RUNNING:  # a job that waits keeps its state (recorded)
                self.job.enter(CANCELLING)
            self.stop()

    def start_trial(self, started: Started) -> None:
        """Create the custom job of a trial and launch it."""
        trial = self._create_trial(started)
        self._trials[started.number] = trial
        with self.lock:
            self._store.add(trial.job)
            self.job.trials.append(trial)
            self.job.updated = trial.started
        self.context.jobs.launch(trial.job, lambda event: self._handle(trial, event))

    def stop_trial(self, number: int) -> None:
        """Stop a trial, unless it has ended and only the driver does not know it yet."""
        trial = self._trials[number]
        with self.lock:
            if trial.ended is not None:
                return
            trial.state = "STOPPING"
            trial.counts_stopped = not (self._failure or self.job.stop_requested.is_set())
        self.context.jobs.cancel(trial.job)

    def is_complete(self) -> bool:
        """Return whether no further trial starts; with shouldStopAsap, stop the running ones."""
        with self.lock:
            reason = limits.stop_reason(self.job, time.time())
        asap = self.job.study.get("studyStoppingConfig", {}).get("shouldStopAsap")
        if reason and asap and not self._stopped_asap:
            self._stopped_asap = True
            self.inbox.put(StopRequest(reason))
        return bool(reason)

    def create_search(self) -> tuple[Study, Strategy]:
        """Return the study and its search."""
        return self._study, make_strategy(self._study, secrets.randbelow(2**31))

    def wait_for_start(self) -> bool:
        """Pass through JOB_STATE_QUEUED; return whether the job is cancelled before it runs."""
        for seconds, state in ((delays.CREATED, QUEUED), (delays.QUEUED, PENDING)):
            if self.context.delays.wait(seconds, self.job.stop_requested):
                return True
            with self.lock:
                self.job.enter(state)
        return super().wait_for_start()

    def begin(self) -> None:
        """Enter JOB_STATE_RUNNING."""
        self.job.enter(RUNNING)

    def finish(self) -> None:
        """Let the time of a cancellation pass."""
        if self.job.stop_requested.is_set() and not self._failure:
            seconds = delays.WITHDRAWING if self.job.started is None else delays.CANCELLING
            self.context.delays.wait(seconds, threading.Event())

    def settle(self, error: str | None) -> None:
        """Enter the tuning job's final state."""
        if error is not None:
            message = (
                f"Internal error: {error}"
                if error
                else "Internal error; the emulator's log says why."
            )
            self.job.enter(FAILED, Status(errors.INTERNAL, message))
        elif self._failure:
            self.job.enter(FAILED, self._failure)
        elif self.job.stop_requested.is_set():
            self.job.enter(CANCELLED, Status(errors.CANCELLED, "CANCELED"))
        else:
            self.job.enter(SUCCEEDED)

    def _create_trial(self, started: Started) -> Trial:
        job, number = self.job, started.number
        name = self._store.new_name(job.parent, CustomJob)
        spec = append_args(job.request["trialJobSpec"], format_flags(started.parameters))
        base: str = spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "")
        if base:
            output = f"{base.rstrip('/')}/{number}/"
            spec = {**spec, "baseOutputDirectory": {"outputUriPrefix": output}}
        custom = CustomJob(
            name=name,
            parent=job.parent,
            request={
                "displayName": f"{job.request['displayName']}-trial-{number}",
                "jobSpec": spec,
                "labels": job.request.get("labels", {}),
            },
            folder=self.context.job_folder(name.rpartition("/")[2]),
            trial=str(number),
            metrics=job.metrics,
            fault=self.context.faults.next_trial(),
        )
        return Trial(number, started.parameters, custom)

    def _handle(self, trial: Trial, event: Measured | Ended) -> None:
        """Pass on an event of a custom job, in the thread that watches it."""
        if isinstance(event, Measured):
            self.inbox.put(Measured(trial.number, time.time(), event.step, event.metrics))
            return
        with self.lock:
            state = self._settle_trial(trial)
        self.inbox.put(Ended(trial.number, time.time(), state, trial.reason))

    def _settle_trial(self, trial: Trial) -> TrialState:
        """Enter a trial's final state, and ask for the end of the tuning job if it is due.

        A trial that was stopped early and has measured is SUCCEEDED, for the types of
        google-cloud-aiplatform 2.7.0 have two states for what is done: "The service will set a
        Trial to INFEASIBLE when it's done but missing the final_measurement". That its last
        measurement becomes its final one is documented for the convex rule only, for which "a last
        measurement will be added to the pending trial"; it is not established for the median rule,
        nor is the state in which the custom job ends (here CANCELLED).
        """
        job = trial.job
        trial.ended = self.job.updated = time.time()
        early = trial.counts_stopped or (job.fault and job.fault.effect == "stop_early")
        if job.state == SUCCEEDED or (job.state == CANCELLED and early):
            trial.final = final_measurement(job.measurements, self.job.study)
        trial.state = "SUCCEEDED" if trial.final else "INFEASIBLE"
        trial.failed = trial.final is None and not early
        if job.state == FAILED:
            trial.reason = job.error.message if job.error else ""
        elif trial.final is None:
            trial.reason = "The trial has no final measurement."
        if trial.failed:
            self._check_failures(trial)
        if trial.final is None:
            return "failed"
        return "completed" if job.state == SUCCEEDED else "stopped_early"

    def _check_failures(self, trial: Trial) -> None:
        ended = [each for each in self.job.trials if each.ended is not None]
        failed = [each for each in ended if each.failed]
        reason = limits.failure_reason(self.job, len(failed), len(ended))
        if reason and not self._failure and not self.job.stop_requested.is_set():
            self._failure = Status(
                errors.INVALID,
                f"Hyperparameter Tuning Trial #{trial.number} failed. {reason} The trial's error "
                f"message was: {trial.reason}",
            )
            self.inbox.put(StopRequest(reason))


def final_measurement(measurements: Sequence[Measurement], study: Json) -> Measurement | None:
    """Return the final measurement of a trial; None if no measurement has every metric.

    It is the last one unless the study selects the best ("MEASUREMENT_SELECTION_TYPE_UNSPECIFIED:
    Will be treated as LAST_MEASUREMENT", types of google-cloud-aiplatform 2.7.0). The best of
    several metrics is not documented; here the first metric decides.
    """
    metrics: list[Json] = study["metrics"]
    complete = [m for m in measurements if all(each["metricId"] in m.metrics for each in metrics)]
    if not complete:
        return None
    if study.get("measurementSelectionType") != "BEST_MEASUREMENT":
        return complete[-1]
    first = metrics[0]
    sign = 1 if first.get("goal") == "MINIMIZE" else -1
    return min(complete, key=lambda m: sign * m.metrics[first["metricId"]])
