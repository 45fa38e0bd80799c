"""A service's emulator in this process, whose scripts do what the test says, and a runner of it."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from cloudtune.emulator_kit.script_jobs import JobNotStarted
from cloudtune.emulator_kit.tuner import Tuner
from cloudtune.engine.job_poller import JobPoller
from cloudtune.execution.process_monitor import ProcessSpec
from cloudtune.planning.planner import plan
from cloudtune.provider import retries
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune.provider.protocols import TrainingJobs
from cloudtune.results.events import Ended, Measured, Started, TrialState
from cloudtune.study.schema import Json, Mode
from cloudtune.study.search_space import Value
from cloudtune.study.study import Study
from tests.in_process import Faults, InProcess
from tests.runner_harness import Followed

STUDY: Mapping[str, Any] = {
    "name": "played",
    "objective": {"metric": "accuracy", "goal": "maximize"},
    "parameters": {
        "lr": {"type": "float", "min": 0.0, "max": 1.0},
        "kind": {"type": "categorical", "values": ["true", "1e3", "it's $HOME"]},
    },
    "strategy": {"name": "random", "seed": 1},
    "limits": {"max_trials": 200, "parallel_trials": 4},
    "trial": {
        "script": "train.py",
        "metrics": {"accuracy": r"acc=(\S+)", "loss": r"loss=(\S+)"},
    },
}
GIVEN: Mapping[str, Value] = {"lr": 0.25, "kind": "it's $HOME"}
"""The values of each trial that the runner starts."""
CHOSEN: Mapping[str, Value] = {"lr": 0.5, "kind": "1e3"}
"""The values of each trial of a tuning job."""
HYPERBAND: Mapping[str, Any] = {
    "strategy": {"name": "hyperband", "resource": "epochs", "min": 1, "max": 9, "seed": 1}
}


class PlayedScripts:
    """Stands in for the processes of an emulator; each script runs until the test ends it."""

    def __init__(self, jobs: Any, begin: Callable[[Any], None], patch: pytest.MonkeyPatch) -> None:
        self._jobs = jobs
        self._begin = begin
        self._started: list[Any] = []
        patch.setattr(jobs, "_processes", self)
        patch.setattr(jobs, "prepare", self._prepare)
        patch.setattr(jobs, "finish", _do_nothing)
        patch.setattr(jobs, "read_all", lambda: True)

    def start(self, number: int, process: Callable[[], ProcessSpec]) -> None:
        job = self._jobs._runs[number].job
        try:
            process()
        except JobNotStarted as reason:
            self._jobs._receive(Ended(number, time.time(), "failed", str(reason)))
        self._started.append(job)

    def stop(self, number: int, *, now: bool = False) -> None:
        """Do nothing: the script ends when the test says so."""

    def close(self) -> None:
        """Do nothing."""

    def print(self, job: Any, step: int, metrics: Mapping[str, float]) -> None:
        """Let the script of a job print metrics."""
        self._jobs._receive(Measured(self._run(job).number, time.time(), step, metrics))

    def end(self, job: Any, ended: TrialState, problem: Any = None, **fields: Any) -> None:
        """Let the script of a job end; a ``problem`` is why the service could not run it."""
        run = self._run(job)
        run.problem = problem
        self._jobs._receive(Ended(run.number, time.time(), ended, **fields))

    def _run(self, job: Any) -> Any:
        return next(run for run in self._jobs._runs.values() if run.job is job)

    def has_started(self, job: Any) -> bool:
        """Return whether the script of a job runs or ran; the job is there before."""
        return any(job is each for each in self._started)

    def _prepare(self, run: Any) -> ProcessSpec:
        self._begin(run)
        return ProcessSpec((), "", {"TMPDIR": "unused"}, "")


def _do_nothing(*_arguments: Any) -> None: ...


class PlayedService(Followed):
    """An emulator, and a runner with what it emitted."""

    PROVIDER: ClassVar[str]
    SETTINGS: ClassVar[Mapping[str, Any]]
    OPERATIONS: ClassVar[Mapping[str, str]]
    """The operations with which jobs are created, listed, read and stopped, and metrics read."""
    POLLING: ClassVar[str]
    """The module that has the seconds between polls."""
    RIGHT: ClassVar[str]
    """What the caller needs for creating jobs, as a refusal names it."""
    CALLS: ClassVar[Sequence[Mapping[str, int]]]
    """The calls of the first poll of a hundred jobs, the second, and one that a list misses."""
    STOPS_AT_ONCE: ClassVar[bool] = False
    """Whether a job shows at once that it is stopped, so that a lost answer is not asked again."""
    WORDS: ClassVar[Mapping[str, str]]
    """The service's words for how a job ends."""

    def __init__(
        self,
        folder: Path,
        patch: pytest.MonkeyPatch,
        over: Mapping[str, Any] = {},
        mode: Mode = "driven",
    ) -> None:
        self.folder = folder
        self.patch = patch
        self.faults = Faults()
        self.uploads = 0
        """How often code and data were uploaded."""
        for name in ("POLL_SECONDS_EMULATED", "HIDDEN_SECONDS_EMULATED"):
            patch.setattr(f"{self.POLLING}.{name}", 0.02, raising=False)
        patch.setattr(retries, "SHORT_RETRY_SECONDS", 0.3)
        patch.setenv("CLOUDTUNE_HOME", str(folder / "state"))
        (folder / "train.py").write_text("print(1)\n", "utf-8")
        self.plan = self.planned(mode, over)
        self.job = self.plan.facts.job_name
        self.context = JobContext(folder)
        in_process = InProcess(patch)
        in_process.app = self.app = self.connect(in_process)
        self.operations: Any = self.app._operations
        self.scripts = PlayedScripts(self.operations.context.jobs, self.begin, patch)
        if mode == "driven":
            super().__init__(self.PROVIDER, self.training_jobs, GIVEN)
        patch.setattr(Tuner, "start", _do_nothing)  # which trials there are is up to the test

    def planned(self, mode: Mode, over: Mapping[str, Any] = {}, **settings: Any) -> Plan:
        own = {**self.SETTINGS, "mode": mode, **settings}
        study = Study.model_validate({**STUDY, **over, "providers": {self.PROVIDER: own}})
        return plan(study, self.PROVIDER, base=self.folder)

    @abstractmethod
    def connect(self, in_process: InProcess) -> Any:
        """Create the emulator, and a client that reaches it."""

    @abstractmethod
    def training_jobs(self) -> TrainingJobs:
        """Return what the runner of the plan's jobs works with."""

    def upload(self) -> None:
        """Count an upload of code and data."""
        self.uploads += 1

    @abstractmethod
    def begin(self, run: Any) -> None:
        """Let a job enter the state in which its script runs."""

    @abstractmethod
    def jobs(self) -> dict[str, Any]:
        """Return the emulator's jobs by what their names add to that of the plan's job."""

    @abstractmethod
    def report(self, name: str, **metrics: float) -> None:
        """Let the script of a job report metrics."""

    def end(self, name: str, state: TrialState = "completed", reason: str = "") -> None:
        """Let the script of a job end."""
        self.scripts.end(self.jobs()[name], state, reason=reason)

    def stop_job(self, job: Any) -> None:
        """Let the service stop a job."""
        self.operations.context.jobs.stop(job)

    def stop_by_hand(self, name: str, *, ends: bool = True) -> None:
        """Let the user stop a job at the service."""
        self.stop_job(self.jobs()[name])
        if ends:
            self.end(name)

    def add_trials(
        self, *numbers: int, values: Mapping[str, Value] = CHOSEN, **memory: Any
    ) -> None:
        """Let the one tuning job start trials."""
        (tuner,) = self.operations.tuners.values()
        for number in numbers:
            tuner.start_trial(Started(number, time.time(), values, memory=memory))

    def wait_for(self, *names: str) -> None:
        """Wait until these jobs exist, and their scripts have started."""
        self.until(lambda: set(names) <= set(self.jobs()))
        jobs = [self.jobs()[name] for name in names]
        self.until(lambda: all(map(self.scripts.has_started, jobs)))

    def finish(self, name: str, accuracy: float = 0.5) -> None:
        """Let a script report its objective and end."""
        self.report(name, accuracy=accuracy, loss=1.0)
        self.end(name)

    def count(self, kind: str) -> int:
        """Return how often an operation was called."""
        return self.faults.calls.count(self.OPERATIONS[kind])

    def requests(self) -> list[Json]:
        """Return the requests of the jobs, in the order of their creation."""
        return [job.request for job in self.jobs().values()]

    def abandon(self) -> None:
        """Leave the runner as a killed process would, with its jobs going on."""
        self.faults.always[self.OPERATIONS["stop"]] = "error"
        self.runner.close()
        self.faults.always.clear()
        self.runner: JobPoller = self.another()

    def close(self) -> None:
        self.faults.always.clear()
        if hasattr(self, "runner"):
            self.runner.close()
        self.app.close()


ServiceT = TypeVar("ServiceT", bound=PlayedService)


@contextmanager
def starting(
    kind: Callable[..., ServiceT], folder: Path, patch: pytest.MonkeyPatch
) -> Generator[Callable[..., ServiceT]]:
    """Yield a function that starts an emulator with a study, and end what it has started."""
    with ExitStack() as stack:

        def start(over: Mapping[str, Any] = {}, **options: Any) -> ServiceT:
            service = kind(folder, patch, over, **options)
            stack.callback(service.close)
            return service

        yield start
