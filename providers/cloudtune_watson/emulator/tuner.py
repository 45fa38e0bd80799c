"""Runs searches: which trials, how many at a time, until when.

The search and the loop are cloudtune's, not the service's. Each start of a trial is an experiment
of its own, as in IBM's Hyperband.
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from pathlib import Path

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
from cloudtune_watson.contract import (
    CONFIG,
    Container,
    InvalidSpecError,
    MetricFiles,
    parse_arguments,
    trial_start,
)
from cloudtune_watson.emulator import delays
from cloudtune_watson.emulator.errors import ServiceError
from cloudtune_watson.emulator.rules.search import JOBS, MINUTES, algorithm_param
from cloudtune_watson.emulator.script import create_container, untar
from cloudtune_watson.emulator.script_jobs import Jobs
from cloudtune_watson.emulator.search_space import OBJECTIVE, experiment_values, study_of
from cloudtune_watson.emulator.state import (
    FAILED,
    FINISHED,
    RUNNING,
    STOPPED,
    Experiment,
    Job,
    Script,
    Search,
)
from cloudtune_watson.emulator.storage import Volume
from cloudtune_watson.emulator.views import CREATOR

MINUTE = 60.0
"""Seconds."""


class Tuner(tuner.Tuner[Search, Jobs]):
    """Runs one search."""

    STARTING = delays.STARTING

    def __init__(self, search: Search, volume: Volume, context: Context[Jobs]) -> None:
        super().__init__(search.name, search, context)
        self._volume = volume
        self._study = study_of(search.data)
        self._args = parse_arguments(search.data["modelSpec"]["args"])
        self._data = volume.at(self._args.data_path)
        self._experiments: dict[int, Experiment] = {}
        """The experiment of each trial's last start."""

    def start_trial(self, started: Started) -> None:
        """Create the experiment of a start and launch it."""
        params, config = experiment_values(self.job.data, started)
        with self.lock:
            experiment = self._create_experiment(len(self.job.experiments), params, config)
            self.job.experiments.append(experiment)
        self._experiments[started.number] = experiment
        self.context.jobs.launch(
            experiment.job, lambda _event: self._handle_end(started.number, experiment)
        )

    def stop_trial(self, number: int) -> None:
        """Stop the job of a trial."""
        self.context.jobs.stop(self._experiments[number].job)

    def is_complete(self) -> bool:
        """Return whether the search has started all its jobs."""
        limit: int = self.job.algorithm.get(JOBS, -1)
        return 0 < limit <= len(self.job.experiments)

    def create_search(self) -> tuple[Study, Strategy]:
        """Return the study and its search."""
        default = str(secrets.randbelow(2**31))
        seed = int(algorithm_param(self.job.data, "RandomSeed", default))
        return self._study, make_strategy(self._study, seed)

    def begin(self) -> None:
        """Enter RUNNING, and start to measure the running time.

        At its limit of time the search and its trials end; that it is then FINISHED is chosen.
        """
        self.job.enter(RUNNING)
        minutes: int = self.job.algorithm.get(MINUTES, -1)
        if minutes > 0:
            request = StopRequest("its maximum running time was reached")
            self.start_limit(minutes * MINUTE, lambda: self.inbox.put(request))

    def settle(self, error: str | None) -> None:
        """Enter the search's final state.

        "FAILED: ... All the experiment training failed. The experiment training completed but no
        valid metrics were returned" (readme of ``wmla4.8-cpd4.8``, IBM/wmla-assets).
        """
        scores = [self.job.score(each) for each in self.job.experiments]
        if error is not None:
            self.job.enter(FAILED)
        elif self.job.stop_requested.is_set():
            self.job.enter(STOPPED)
        else:
            self.job.enter(FINISHED if any(score is not None for score in scores) else FAILED)

    def _handle_end(self, number: int, experiment: Experiment) -> None:
        """Pass on the end of an experiment, in the thread that watches it."""
        with self.lock:
            score = self.job.score(experiment)
        now = time.time()
        if score is not None:
            self.inbox.put(Measured(number, now, 1, {OBJECTIVE: score}))
        state: TrialState = "completed" if score is not None else "failed"
        self.inbox.put(Ended(number, now, state, experiment.job.reason))

    def _create_experiment(self, number: int, params: list[Json], config: Json) -> Experiment:
        exec_id = f"{CREATOR}-{time.monotonic_ns()}-{secrets.randbelow(10**9)}"
        results = self._volume.at(f"batchworkdir/{exec_id}")
        container = Container(
            self.context.folder / "jobs" / exec_id, self._data, results, results / "log"
        )
        unpack = untar(self.job.archive, self.job.file_name)
        # EMetrics writes into a folder of the trial's own below the one for logs.
        written = MetricFiles(results, container.logs / str(number))

        def prepare() -> Script:
            if not self._data.exists():
                raise InvalidSpecError(f"the data are not on the volume: {self._args.data_path}")
            python = create_container(container, unpack)
            start = trial_start(
                self._args, container, (exec_id, str(number)), python, self._volume.folder
            )
            (Path(start.cwd) / CONFIG).write_text(json.dumps(config), "utf-8")
            return Script(start, written)

        job = Job(
            id=exec_id,
            log=container.logs / "stdout.txt",
            prepare=prepare,
            live=False,
            fault=self.context.faults.next_trial(),
        )
        driver = f"driver-{time.strftime('%Y%m%d%H%M%S')}-{number:04}-{secrets.token_hex(8)}"
        return Experiment(number, params, job, driver)


def delete_files(search: Search, volume: Volume) -> None:
    """Delete the files of a search."""
    shutil.rmtree(search.archive.parent, ignore_errors=True)
    for each in search.experiments:
        try:
            shutil.rmtree(volume.at(f"batchworkdir/{each.job.id}"), ignore_errors=True)
        except ServiceError:  # a script has put a link in its place
            continue
