"""Tuning jobs run here: which trials, how many at a time, until when.

The choice is cloudtune's own search and the loop is cloudtune's own driver, so neither is the
service's. When a job ends before its last trial is in `limits`.
"""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cloudtune.emulation.faults import FaultPlan
from cloudtune.emulator_kit.delays import Delays
from cloudtune.emulator_kit.tuner import TunerRunner
from cloudtune.engine.driver import Driver
from cloudtune.engine.inbox import Inbox, StopRequest
from cloudtune.errors import CloudtuneError
from cloudtune.results.events import Ended, Event, Measured, Started, TrialState
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune_vertex.contract import Measurement, flags, with_flags
from cloudtune_vertex.emulator import delays, limits, measurements
from cloudtune_vertex.emulator.errors import CANCELLED, INTERNAL, INVALID
from cloudtune_vertex.emulator.script_jobs import CustomJobs
from cloudtune_vertex.emulator.search_space import study_of
from cloudtune_vertex.emulator.state import CANCELLED as STATE_CANCELLED
from cloudtune_vertex.emulator.state import (
    CANCELLING,
    FAILED,
    RUNNING,
    SUCCEEDED,
    TERMINAL,
    CustomJob,
    Status,
    Trial,
    TuningJob,
)
from cloudtune_vertex.emulator.store import CUSTOM, Store


@dataclass(frozen=True)
class Workshop:
    """What tuning jobs are run with."""

    store: Store
    custom_jobs: CustomJobs
    delays: Delays
    faults: FaultPlan
    folder: Path
    """Below it each custom job has its folder."""

    def folder_of(self, job: str) -> Path:
        """Return the new, empty folder of a custom job; an earlier emulator may have left one."""
        folder = self.folder / "jobs" / job
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


class Tuner:
    """Runs one tuning job to its end, in a thread of its own."""

    def __init__(self, job: TuningJob, shop: Workshop) -> None:
        self.job = job
        self._shop = shop
        self._study = study_of(job)
        self._inbox = Inbox()
        self._trials: dict[int, Trial] = {}
        self._hopeless: Status | None = None
        self._stopped_asap = False
        self._thread = threading.Thread(target=self._run, name=job.name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Ask the job to end with all its trials; one that ends or has ended is left alone."""
        with self._shop.store.lock:
            if self.job.state in {CANCELLING, *TERMINAL}:
                return
            self.job.enter(CANCELLING)
        self.job.stop_wanted.set()
        self._inbox.put(StopRequest("cancelled by the user"))

    def busy(self) -> bool:
        """Tell whether it still runs."""
        return self._thread.is_alive()

    def start_trial(self, started: Started) -> None:
        """Make the custom job of a trial and launch it."""
        trial = self._make(started)
        self._trials[started.number] = trial
        with self._shop.store.lock:
            self._shop.store.add(trial.job)
            self.job.trials.append(trial)
            self.job.updated = trial.started
        self._shop.custom_jobs.launch(
            trial.job, lambda _job, new, ended: self._hear(trial, new, ended=ended)
        )

    def stop_trial(self, number: int) -> None:
        """Stop a trial; one whose end is only not heard of yet is left alone."""
        trial = self._trials[number]
        with self._shop.store.lock:
            if trial.ended is not None:
                return
            trial.state = "STOPPING"
            trial.counts_stopped = not (self._hopeless or self.job.stop_wanted.is_set())
        self._shop.custom_jobs.cancel(trial.job)

    def enough(self) -> bool:
        """Tell whether no further trial is to be made; with shouldStopAsap end those that run."""
        with self._shop.store.lock:
            why = limits.enough(self.job, time.time())
        asap = self.job.study.get("studyStoppingConfig", {}).get("shouldStopAsap")
        if why and asap and not self._stopped_asap:
            self._stopped_asap = True
            self._inbox.put(StopRequest(why))
        return bool(why)

    def _run(self) -> None:
        state, error = FAILED, Status(INTERNAL, "Internal error; the emulator's log says why.")
        try:
            self._drive()
            state, error = self._end()
        except CloudtuneError as problem:
            error = Status(INTERNAL, f"Internal error: {problem}")
        finally:
            with self._shop.store.lock:
                self.job.enter(state, error if state != SUCCEEDED else None)

    def _drive(self) -> None:
        search = make_strategy(self._study, secrets.randbelow(2**31))
        if self._shop.delays.wait(delays.STARTING, self.job.stop_wanted):
            return
        with self._shop.store.lock:
            if self.job.stop_wanted.is_set():
                return
            self.job.enter(RUNNING)
        driver = Driver(
            self._study,
            _Until(search, self),
            run=self.job.id,
            inbox=self._inbox,
            record=lambda _: None,
        )
        driver.run(TunerRunner(self.start_trial, self.stop_trial))

    def _end(self) -> tuple[str, Status]:
        """Return the state in which the job ends, and the error of one that did not succeed."""
        if self._hopeless:
            return FAILED, self._hopeless
        if self.job.stop_wanted.is_set():
            self._shop.delays.wait(delays.CANCELLING, threading.Event())
            return STATE_CANCELLED, Status(CANCELLED, "CANCELED")
        return SUCCEEDED, Status(0, "")

    def _make(self, started: Started) -> Trial:
        store, spec = self._shop.store, self.job.request["trialJobSpec"]
        name = store.new_name(self.job.parent, CUSTOM)
        spec = with_flags(spec, flags(started.parameters))
        base: str = spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "")
        if base:
            own = f"{base.rstrip('/')}/{started.number}/"
            spec = {**spec, "baseOutputDirectory": {"outputUriPrefix": own}}
        custom = CustomJob(
            name=name,
            parent=self.job.parent,
            request={
                "displayName": f"{self.job.request['displayName']}-trial-{started.number}",
                "jobSpec": spec,
                "labels": self.job.request.get("labels", {}),
            },
            folder=self._shop.folder_of(name.rpartition("/")[2]),
            trial=str(started.number),
            metrics=self.job.metrics,
            fault=self._shop.faults.of_trial(),
        )
        return Trial(started.number, started.parameters, custom)

    def _hear(self, trial: Trial, new: Sequence[Measurement], *, ended: bool) -> None:
        """Pass on what a custom job tells, in the thread that watches it."""
        for found in new:
            self._inbox.put(Measured(trial.number, time.time(), found.step, found.metrics))
        if not ended:
            return
        with self._shop.store.lock:
            state = self._note_end(trial)
        self._inbox.put(Ended(trial.number, time.time(), state, trial.reason))

    def _note_end(self, trial: Trial) -> TrialState:
        """Settle a trial, and ask for the end of the tuning job if it is due.

        A trial that was stopped early and has measured is SUCCEEDED, for the types of
        google-cloud-aiplatform 2.7.0 have two states for what is done: "The service will set a
        Trial to INFEASIBLE when it's done but missing the final_measurement". That it keeps what it
        measured last as its final measurement is documented for the convex rule alone, for which "a
        last measurement will be added to the pending trial"; of the median rule it is not
        established, nor in which state the custom job ends (here CANCELLED).
        """
        job = trial.job
        trial.ended = self.job.updated = time.time()
        early = trial.counts_stopped or (job.fault and job.fault.effect == "stop_early")
        if job.state == SUCCEEDED or (job.state == STATE_CANCELLED and early):
            trial.final = measurements.final(job.measured, self.job.study)
        trial.state = "SUCCEEDED" if trial.final else "INFEASIBLE"
        trial.failed = trial.final is None and not early
        if job.state == FAILED:
            trial.reason = job.error.message if job.error else ""
        elif trial.final is None:
            trial.reason = "The trial has no final measurement."
        ended = [each for each in self.job.trials if each.ended is not None]
        several = [each for each in ended if each.failed]
        why = limits.too_many_failed(self.job, len(several), len(ended)) if trial.failed else ""
        if why and not self._hopeless and not self.job.stop_wanted.is_set():
            self._hopeless = Status(
                INVALID,
                f"Hyperparameter Tuning Trial #{trial.number} failed. {why} The trial's error "
                f"message was: {trial.reason}",
            )
            self._inbox.put(StopRequest(why))
        if trial.state == "INFEASIBLE":
            return "failed"
        return "completed" if job.state == SUCCEEDED else "stopped_early"


class _Until:
    """A `Strategy` that chooses no more once the tuning job has enough."""

    def __init__(self, search: Strategy, tuner: Tuner) -> None:
        self._search = search
        self._tuner = tuner

    def tell(self, event: Event) -> None:
        """Tell the search."""
        self._search.tell(event)

    def ask(self, index: int) -> Suggestion | Literal["wait", "done"]:
        """Return what the search chooses, as long as there is to be a further trial."""
        return "done" if self._tuner.enough() else self._search.ask(index)

    def stop_reason(self, number: int) -> str | None:
        """Return what the search says of a running trial."""
        return self._search.stop_reason(number)
