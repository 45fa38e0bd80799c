"""Searches run here: which trials, how many at a time, until when.

The choice is cloudtune's own search and the loop is cloudtune's own driver, so neither is the
service's. Each start of a trial is an experiment of its own, as in IBM's Hyperband.
"""

from __future__ import annotations

import json
import secrets
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cloudtune.emulation.faults import FaultPlan
from cloudtune.emulator_kit.delays import Delays
from cloudtune.emulator_kit.tuner import TunerRunner
from cloudtune.engine.driver import Driver
from cloudtune.engine.inbox import Inbox, StopRequest
from cloudtune.results.events import Ended, Event, Measured, Started, TrialState
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.study.schema import Json
from cloudtune_watson.contract import CONFIG, BadSpec, Container, Written, arguments, trial
from cloudtune_watson.emulator import delays
from cloudtune_watson.emulator.errors import ServiceError
from cloudtune_watson.emulator.rules import param
from cloudtune_watson.emulator.script import contain, untar
from cloudtune_watson.emulator.script_jobs import Jobs
from cloudtune_watson.emulator.search_space import OBJECTIVE, assigned, study_of
from cloudtune_watson.emulator.searches import (
    CREATOR,
    FAILED,
    FINISHED,
    RUNNING,
    STOPPED,
    Experiment,
    Search,
)
from cloudtune_watson.emulator.state import Job, Prepared
from cloudtune_watson.emulator.storage import Volume

MINUTE = 60.0
"""Seconds."""


@dataclass(frozen=True)
class Workshop:
    """What searches are run with."""

    lock: threading.RLock
    jobs: Jobs
    delays: Delays
    faults: FaultPlan
    volume: Volume
    folder: Path
    """Below it each execution has its folder."""


class Tuner:
    """Runs one search to its end, in a thread of its own."""

    def __init__(self, search: Search, shop: Workshop) -> None:
        self.search = search
        self._shop = shop
        self._study = study_of(search.data)
        self._args = arguments(search.data["modelSpec"]["args"])
        self._data = shop.volume.at(self._args.data_path)
        self._inbox = Inbox()
        self._running: dict[int, Experiment] = {}
        """The experiment of each trial's last start."""
        self._timer: threading.Timer | None = None
        self._thread = threading.Thread(target=self._run, name=search.name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, *, now: bool = False) -> None:
        """Ask the search to end with all its trials, or to end ``now``."""
        self.search.stop_wanted.set()
        self._inbox.put(StopRequest("stopped by the user", now=now))

    def busy(self) -> bool:
        """Tell whether it still runs."""
        return self._thread.is_alive()

    def enough(self) -> bool:
        """Tell whether no further job is to be made."""
        most: int = self.search.algorithm.get("maxJobNum", -1)
        return 0 < most <= len(self.search.experiments)

    def start_trial(self, started: Started) -> None:
        """Make the experiment of a start and launch it."""
        given, params, config = assigned(self.search.data, started)
        with self._shop.lock:
            number = len(self.search.experiments) if given is None else given
            experiment = self._experiment(number, params, config)
            self.search.experiments.append(experiment)
        self._running[started.number] = experiment
        self._shop.jobs.launch(experiment.job, lambda: self._hear(started.number, experiment))

    def stop_trial(self, number: int) -> None:
        """Stop a trial; one whose end is only not heard of yet is left alone."""
        self._shop.jobs.stop(self._running[number].job)

    def _run(self) -> None:
        state = FAILED
        try:
            self._drive()
            state = self._end()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            with self._shop.lock:
                self.search.enter(state)

    def _drive(self) -> None:
        seed = int(param(self.search.data, "RandomSeed", str(secrets.randbelow(2**31))))
        search = make_strategy(self._study, seed)
        if self._shop.delays.wait(delays.STARTING, self.search.stop_wanted):
            return
        with self._shop.lock:
            self.search.enter(RUNNING)
        minutes: int = self.search.algorithm.get("maxRunTime", -1)
        if minutes > 0:
            self._timer = threading.Timer(minutes * MINUTE, self._time_out)
            self._timer.daemon = True
            self._timer.start()
        driver = Driver(
            self._study,
            _Until(search, self),
            run=self.search.name,
            inbox=self._inbox,
            record=lambda _: None,
        )
        driver.run(TunerRunner(self.start_trial, self.stop_trial))

    def _time_out(self) -> None:
        """End the search and its trials; that it is FINISHED then is chosen."""
        self._inbox.put(StopRequest("its maximum running time was reached"))

    def _end(self) -> str:
        """Return the state in which the search ends.

        "FAILED: ... All the experiment training failed. The experiment training completed but no
        valid metrics were returned" (readme of ``wmla4.8-cpd4.8``, IBM/wmla-assets).
        """
        if self.search.stop_wanted.is_set():
            return STOPPED
        scores = [self.search.score(each) for each in self.search.experiments]
        return FINISHED if any(score is not None for score in scores) else FAILED

    def _hear(self, number: int, experiment: Experiment) -> None:
        """Pass on how an experiment ended."""
        with self._shop.lock:
            score = self.search.score(experiment)
        now = time.time()
        if score is not None:
            self._inbox.put(Measured(number, now, 1, {OBJECTIVE: score}))
        state: TrialState = "completed" if score is not None else "failed"
        self._inbox.put(Ended(number, now, state, experiment.job.reason))

    def _experiment(self, number: int, params: list[Json], config: Json) -> Experiment:
        exec_id = f"{CREATOR}-{time.monotonic_ns()}-{secrets.randbelow(10**9)}"
        own = self._shop.folder / exec_id
        results = self._shop.volume.at(f"batchworkdir/{exec_id}")
        container = Container(own, self._data, results, results / "log")
        unpack = untar(self.search.archive, self.search.file_name)
        # EMetrics writes into a folder of the trial's own below the one for logs.
        written = Written(results, container.logs / str(number))

        def prepare() -> Prepared:
            if not self._data.exists():
                raise BadSpec(f"the data are not on the volume: {self._args.data_path}")
            python = contain(container, unpack)
            who = (exec_id, str(number))
            start = trial(self._args, container, who, python, self._shop.volume.folder)
            (Path(start.cwd) / CONFIG).write_text(json.dumps(config), "utf-8")
            return Prepared(start, written)

        job = Job(
            id=exec_id,
            log=container.logs / "stdout.txt",
            prepare=prepare,
            live=False,
            fault=self._shop.faults.of_trial(),
        )
        driver = f"driver-{time.strftime('%Y%m%d%H%M%S')}-{number:04}-{secrets.token_hex(8)}"
        return Experiment(number, params, job, driver)


class _Until:
    """A `Strategy` that chooses no more once the search has made all its jobs."""

    def __init__(self, search: Strategy, tuner: Tuner) -> None:
        self._search = search
        self._tuner = tuner

    def tell(self, event: Event) -> None:
        """Tell the search."""
        self._search.tell(event)

    def ask(self, index: int) -> Suggestion | Literal["wait", "done"]:
        """Return what the search chooses, as long as there is to be a further job."""
        return "done" if self._tuner.enough() else self._search.ask(index)

    def stop_reason(self, number: int) -> str | None:
        """Return what the search says of a running trial."""
        return self._search.stop_reason(number)


def forget(search: Search, volume: Volume) -> None:
    """Take away what a search has left on disk."""
    shutil.rmtree(search.archive.parent, ignore_errors=True)
    for each in search.experiments:
        try:
            shutil.rmtree(volume.at(f"batchworkdir/{each.job.id}"), ignore_errors=True)
        except ServiceError:  # a script has put a link in its place
            continue
