"""Single starts of a script under a provider's contract, on this machine.

On this machine, the provider's own runner starts it. For a service, its emulator does: with the
request, the archive and the launcher of a real run, in driven mode.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from cloudtune.bundle.files import copy_files
from cloudtune.bundle.locked_requirements import write_requirements
from cloudtune.emulation import process
from cloudtune.engine.job_poller import JobPoller
from cloudtune.errors import CloudtuneError
from cloudtune.launcher.metrics import MISREADS
from cloudtune.ledger.home import EMULATOR_FOLDER
from cloudtune.provider import registry
from cloudtune.provider.models import Emulator, JobContext, Lost
from cloudtune.provider.plan import Plan
from cloudtune.provider.protocols import TrialRunner
from cloudtune.provider.settings import CloudSettings
from cloudtune.results.events import Ended, Measured, Observation, Started
from cloudtune.study.search_space import Value

_SPEED = 1e6
"""Divides the delays of the emulated service, which do not matter here."""
_MAX_OUTPUT = 4 * 1024 * 1024
"""Bytes of an output that are read: its first half and its last half."""
_END_SECONDS = 60.0
"""Seconds that a service may take to end a trial whose script has ended."""


@dataclass
class Start:
    """One start of the script, and its result."""

    number: int
    parameters: Mapping[str, Value]
    begun: float
    """By the monotonic clock, as all times here."""
    measured: list[Measured] = field(default_factory=list[Measured])
    arrivals: list[float] = field(default_factory=list[float])
    """When each measurement arrived."""
    ended: Ended | None = None
    over: float | None = None
    stopped: float | None = None
    """When it was asked to stop."""
    out_of_time: bool = False
    """Whether it was stopped because its seconds were used up."""
    output: str = ""

    @property
    def seconds(self) -> float:
        """How long it ran."""
        return (self.over or time.monotonic()) - self.begun

    @property
    def failed(self) -> bool:
        """Whether it failed by itself, and not for an expression that misreads a number."""
        if self.ended is None or self.ended.state != "failed" or self.stopped is not None:
            return False
        return MISREADS not in self.ended.reason

    def values(self, metric: str) -> list[float]:
        """Return the measurements of a metric."""
        return [each.metrics[metric] for each in self.measured if metric in each.metrics]


def _ignore(_text: str) -> None: ...


class ProbeError(CloudtuneError):
    """The script cannot be started at all."""


class Probe:
    """Starts the script of a plan, one start at a time; a context manager."""

    def __init__(
        self, plan: Plan, folder: Path, notify: Callable[[str], None] = lambda _text: None
    ) -> None:
        """Create the probe; it starts nothing yet.

        Args:
            plan: The plan, in driven mode; emulated if it is for a service.
            folder: The folder of the job, which does not exist.
            notify: Receives what runs.
        """
        self.plan = plan
        self.folder = folder
        self._notify = notify
        self._count = 0
        self._events: SimpleQueue[Observation | Lost] = SimpleQueue()
        self._address: process.Address | None = None
        self._runner: TrialRunner | None = None
        self._starts: dict[int, int] = {}

    def __enter__(self) -> Self:
        """Copy the source, and start the emulator of a service.

        Raises:
            CloudtuneError: If that fails.
            OSError: If the source cannot be copied.
        """
        facts = self.plan.facts
        self.folder.mkdir(parents=True)
        if facts.source is not None:
            copy_files(facts.source, facts.files or (), self.folder / "source", facts.unhashed)
            requirements = self.plan.study.trial.requirements
            write_requirements(self.folder / "source", requirements, facts.locked)
        try:
            self._runner = self._create_runner()
        except BaseException:
            self._stop_emulator()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the processes that still run."""
        try:
            if self._runner is not None:
                self._runner.close()
        finally:
            self._stop_emulator()

    def run(
        self,
        number: int,
        parameters: Mapping[str, Value],
        seconds: float,
        *,
        grace: float,
        stop_when: Callable[[Start], bool] = lambda _: False,
        resource: int | None = None,
        after_step: int = 0,
    ) -> Start:
        """Start the script, and return when it has ended.

        Args:
            number: The number of the trial; the same as before continues that trial.
            parameters: The parameters.
            seconds: How long it may run; then it is stopped.
            grace: How long it may take to stop; then it is killed.
            stop_when: Called at each event and at intervals; whether to stop it now.
            resource: The amount of hyperband's resource.
            after_step: The last step of the trial's earlier start.

        Raises:
            ProbeError: If the runner gives up.
        """
        runner = self._require_runner()
        self._count += 1
        self._notify(f"start {self._count} of the script, at most {seconds:g} s")
        count = self._starts[number] = self._starts.get(number, 0) + 1
        name = runner.job_name(number, count)
        start = Start(number, parameters, time.monotonic())
        runner.start(
            Started(number, time.time(), parameters, resource, id=name, after_step=after_step)
        )
        while start.ended is None:
            self._receive(start)
            now = time.monotonic()
            if start.ended is None and start.stopped is None:
                start.out_of_time = now - start.begun > seconds
                if start.out_of_time or stop_when(start):
                    start.stopped = now
                    runner.stop(number)
            elif start.stopped is not None and now - start.stopped > grace:
                runner.stop(number, now=True)
                if now - start.stopped > grace + _END_SECONDS:
                    break
                if not self.kills:
                    break
        start.over = time.monotonic()
        start.output = self._read_output(start)
        return start

    @property
    def kills(self) -> bool:
        """Whether a start that ignores the request to stop can be killed before the rest ends."""
        return not isinstance(self.plan.settings, CloudSettings)

    def _require_runner(self) -> TrialRunner:
        assert self._runner is not None
        return self._runner

    def _receive(self, start: Start) -> None:
        try:
            event = self._events.get(timeout=0.05)
        except Empty:
            return
        if isinstance(event, Lost):
            raise ProbeError(event.reason or repr(event.error))
        if event.number != start.number:
            return
        if isinstance(event, Measured):
            start.measured.append(event)
            start.arrivals.append(time.monotonic())
        elif isinstance(event, Ended):
            start.ended = event

    def _emit(self, *events: Observation | Lost, inline: bool = False) -> None:
        del inline
        for event in events:
            self._events.put(event)

    def _create_runner(self) -> TrialRunner:
        provider = registry.get(self.plan.provider)
        context = JobContext(self.folder, self._start_emulator())
        if jobs := provider.training_jobs(self.plan, context):
            return JobPoller(self.plan.provider, jobs, self._emit, _ignore)
        return provider.runner(self.plan, context, self._emit, _ignore)

    def _start_emulator(self) -> Emulator | None:
        provider, settings = registry.get(self.plan.provider), self.plan.settings
        if provider.emulator is None or not isinstance(settings, CloudSettings):
            return None
        home = self.folder / EMULATOR_FOLDER
        options = ["--speed", str(_SPEED), *settings.rehearse.options(self.plan.facts.base)]
        self._address = process.start(
            self.plan.provider, provider.emulator, home, options, tied=True
        )
        return process.connect(self.plan.provider, provider.emulator, home)

    def _stop_emulator(self) -> None:
        if self._address is not None:
            process.stop(self._address)

    def _read_output(self, start: Start) -> str:
        """Return what the script printed, with the middle of a long output left out."""
        path = Path((start.ended and start.ended.log) or "")
        if not path.is_file():
            path = self.folder / "trials" / str(start.number) / "log.txt"
        with suppress(OSError), path.open("rb") as file:
            data = file.read(_MAX_OUTPUT // 2)
            size = path.stat().st_size
            if size > len(data):
                file.seek(max(len(data), size - _MAX_OUTPUT // 2))
                data += b"\n" + file.read(_MAX_OUTPUT // 2)
            return data.decode("utf-8", "replace")
        return start.ended.log_tail if start.ended else ""
