"""Runs the scripts of emulated jobs as processes of this machine.

`ScriptJobs` owns what must not race: a stop that arrives before the process exists, a start after
closing, the last read of a script's files before its end is reported, and the restart after an
interruption. A provider adds how a job is prepared, read and finished.
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from cloudtune.emulation.faults import FaultPlan
from cloudtune.emulator_kit.call_log import CallLog
from cloudtune.emulator_kit.containers import runtime
from cloudtune.emulator_kit.delays import Delays
from cloudtune.emulator_kit.image import create_folder
from cloudtune.emulator_kit.job_run import JobRun, JobT, Listener, ProblemT, ScriptT
from cloudtune.errors import CloudtuneError
from cloudtune.execution.process_monitor import ProcessSpec
from cloudtune.execution.process_pool import ProcessPool, SignalTarget
from cloudtune.results.events import Ended, Measured
from cloudtune.study.validation.trial_spec import SECRET_NAME

POLL_SECONDS = 0.2
"""How often the files of scripts are read."""
_TEMPORARY = "TMPDIR"

NO_CAPACITY = "no_capacity"
"""The effect on a trial of an emulator whose service fails jobs for which it has no machine."""


class JobNotStarted(CloudtuneError):  # noqa: N818 - how a job ends, not an error of cloudtune
    """The script of a job does not start; its run knows why."""


class ScriptJobs(ABC, Generic[JobT, ScriptT, ProblemT]):
    """Runs jobs until they end."""

    def __init__(
        self, delays: Delays, lock: threading.RLock, *, grace: float, reads_files: bool = True
    ) -> None:
        """Create a runner without jobs.

        Args:
            delays: How long the service's own steps take.
            lock: Held while a job changes.
            grace: Seconds between SIGTERM and SIGKILL if the emulator dies.
            reads_files: Whether `read` is to be called while scripts run.
        """
        self.delays = delays
        self.lock = lock
        self.closing = threading.Event()
        self._numbers = itertools.count(1)
        self._runs: dict[int, JobRun[JobT, ScriptT, ProblemT]] = {}
        self._has_runs = threading.Event()
        self._processes = ProcessPool(
            self._receive, f"emulator-{secrets.token_hex(4)}", grace=grace, finish=self._read_rest
        )
        self._poller: threading.Thread | None = None
        if reads_files:
            self._poller = threading.Thread(target=self._poll, name="reads files", daemon=True)
            self._poller.start()

    @abstractmethod
    def prepare(self, run: JobRun[JobT, ScriptT, ProblemT]) -> ProcessSpec:
        """Take a job to its running state and return its first process; called at each attempt.

        Raises:
            JobNotStarted: From `give_up` and `pass_time`.
        """

    @abstractmethod
    def stop_early(self, job: JobT) -> None:
        """Stop a job as the service's early stopping does."""

    @abstractmethod
    def settle(self, run: JobRun[JobT, ScriptT, ProblemT], ended: Ended) -> None:
        """Enter the job's final state; called under the lock."""

    def finish(self, run: JobRun[JobT, ScriptT, ProblemT], ended: Ended) -> None:
        """Do what the service does between the end of the script and the end of the job."""

    def read(self, run: JobRun[JobT, ScriptT, ProblemT], *, last: bool) -> None:
        """Read what a script has written; for the ``last`` time once its process has ended."""

    def record(self, run: JobRun[JobT, ScriptT, ProblemT], measured: Measured) -> None:
        """Record a measurement that the script printed."""

    def read_all(self) -> bool:
        """Read files that belong to no single job; return whether nothing is left to read."""
        return True

    def next_process(
        self, run: JobRun[JobT, ScriptT, ProblemT], ended: Ended
    ) -> Callable[[], ProcessSpec] | None:
        """Return what makes the next process of the attempt; None after the last one."""
        del run, ended
        return None

    def can_interrupt(self, job: JobT) -> bool:
        """Return whether the service may take the job's machine away."""
        del job
        return True

    def recover(self, run: JobRun[JobT, ScriptT, ProblemT]) -> bool:
        """Return whether a job whose process has ended starts again, and get it ready for that."""
        return run.interrupted

    def wait_for_machine(self, run: JobRun[JobT, ScriptT, ProblemT], seconds: float) -> None:
        """Wait for a machine that comes so much later than usual."""
        self.pass_time(run, seconds)

    def launch(self, job: JobT, listener: Listener | None = None) -> None:
        """Start a job."""
        run = JobRun[JobT, ScriptT, ProblemT](next(self._numbers), job, listener)
        with self.lock:
            self._runs[run.number] = run
        self._has_runs.set()
        self._start(run, lambda: self._prepare(run))

    def request_stop(self, job: JobT) -> None:
        """Ask a job's script to end. The caller holds the lock and has checked the job's state."""
        job.stop_requested.set()
        for run in self._runs.values():
            if run.job is job:
                self._processes.stop(run.number)

    def send_signal(self, job: JobT, number: int, *, to: SignalTarget) -> None:
        """Send a signal to processes of a job, as in `ProcessPool`. The caller holds the lock."""
        for run in self._runs.values():
            if run.job is job:
                self._processes.signal(run.number, number, to=to)

    def busy(self) -> bool:
        """Return whether any job runs."""
        return bool(self._runs)

    def close(self) -> None:
        """End all jobs at once."""
        with self.lock:
            self.closing.set()
            runs = list(self._runs.values())
        self._has_runs.set()
        for run in runs:
            run.job.stop_requested.set()
            run.cancel_limit()
        self._processes.close()
        if self._poller is not None:
            self._poller.join(10)

    def pass_time(self, run: JobRun[JobT, ScriptT, ProblemT], seconds: float) -> None:
        """Wait for a delay of the service.

        Raises:
            JobNotStarted: If the job is stopped during the delay.
        """
        if self.delays.wait(seconds, run.job.stop_requested):
            raise JobNotStarted("stopped")

    def give_up(self, run: JobRun[JobT, ScriptT, ProblemT], problem: ProblemT) -> NoReturn:
        """Fail a job before its script starts."""
        run.problem = problem
        raise JobNotStarted(str(problem))

    def start_machine(
        self,
        run: JobRun[JobT, ScriptT, ProblemT],
        seconds: float,
        failure: ProblemT,
        no_machine: ProblemT | None = None,
    ) -> None:
        """Wait for the job's machine, and apply the faults of the plan.

        Args:
            run: The job.
            seconds: How long it usually takes.
            failure: Why the job fails if the plan says that the service cannot run it.
            no_machine: Why it fails if the plan says that the service has no machine for it; None
                if that cannot happen.
        """
        run.loss = failure
        if (fault := run.take_fault("slow_start")) is not None:
            self.wait_for_machine(run, fault.seconds)
        self.pass_time(run, seconds)
        if run.take_fault("fail") is not None:
            self.give_up(run, failure)
        if no_machine is not None and run.take_fault(NO_CAPACITY) is not None:
            self.give_up(run, no_machine)

    def inject_fault(self, run: JobRun[JobT, ScriptT, ProblemT], count: float) -> None:
        """Stop, interrupt or lose a job after the number of measurements in the fault plan."""
        fault = run.job.fault
        if fault is None or count < fault.after:
            return
        if run.take_fault("stop_early"):
            self.stop_early(run.job)
        elif self.can_interrupt(run.job) and run.take_fault("interrupt"):
            run.interrupted = True
            self._processes.stop(run.number, now=True)
        elif run.take_fault("lose"):
            run.problem = run.loss
            self._processes.stop(run.number, now=True)

    def _start(
        self, run: JobRun[JobT, ScriptT, ProblemT], process: Callable[[], ProcessSpec]
    ) -> None:
        with self.lock:
            if self.closing.is_set():  # nothing would end the process
                return
            self._processes.start(run.number, lambda: self._isolated(run, process()))
        if run.job.stop_requested.is_set():  # requested while there was no process to stop
            self._processes.stop(run.number)

    def _isolated(self, run: JobRun[JobT, ScriptT, ProblemT], spec: ProcessSpec) -> ProcessSpec:
        """Return a process with a folder for temporary files, whose log hides secrets.

        Each attempt has a folder, since the service's machine has its own disk. Containers have
        theirs; a job may name another one. Variables with the names of secrets are hidden. The
        launcher knows which are secrets, but not every job uses it.
        """
        if not runtime().engine and spec.env.get(_TEMPORARY) in {None, os.environ.get(_TEMPORARY)}:
            folder = self._processes.reaper.temporary_folder() / f"{run.number}"
            run.temporary = folder
            folder.mkdir(exist_ok=True)
            spec = replace(spec, env={**spec.env, _TEMPORARY: str(folder)})
        secrets = {value: name for name, value in spec.env.items() if SECRET_NAME.fullmatch(name)}
        return replace(spec, secrets={**secrets, **spec.secrets})

    def _prepare(self, run: JobRun[JobT, ScriptT, ProblemT]) -> ProcessSpec:
        run.interrupted = False
        run.problem = None
        return self.prepare(run)

    def _poll(self) -> None:
        while not self.closing.is_set():
            self._has_runs.wait()
            for run in list(self._runs.values()):
                with run.reading:
                    self.read(run, last=False)
            if self.read_all() and not self._runs:
                self._has_runs.clear()
                if self._runs:
                    self._has_runs.set()
            self.closing.wait(POLL_SECONDS)

    def _read_rest(self, ended: Ended) -> Ended:
        """Read the rest of a script's files before its end is reported."""
        if not self.closing.is_set():
            run = self._runs[ended.number]
            with run.reading:
                self.read(run, last=True)
        return ended

    def _receive(self, event: Measured | Ended) -> None:
        run = self._runs[event.number]
        if isinstance(event, Measured):
            self.record(run, event)
        elif not self.closing.is_set():
            self._continue(run, event)

    def _continue(self, run: JobRun[JobT, ScriptT, ProblemT], ended: Ended) -> None:
        """Start the next process or the next attempt of a job, or end it."""
        if (process := self.next_process(run, ended)) is not None:
            self._start(run, process)
            return
        run.end_attempt()
        if run.temporary:
            shutil.rmtree(run.temporary, ignore_errors=True)
        if not run.job.stop_requested.is_set() and self.recover(run):
            run.attempts += 1
            self._start(run, lambda: self._prepare(run))
            return
        self.finish(run, ended)
        with self.lock:
            self.settle(run, ended)
            del self._runs[run.number]
        run.notify(ended)


JobsT = TypeVar("JobsT", bound=ScriptJobs[Any, Any, Any])


@dataclass(frozen=True)
class Context(Generic[JobsT]):
    """What the operations of an emulator work with."""

    folder: Path
    delays: Delays
    faults: FaultPlan
    jobs: JobsT
    """Runs the scripts."""
    lock: threading.RLock
    """Held while a job changes."""

    @cached_property
    def calls(self) -> CallLog:
        """The rights that clients and jobs use."""
        return CallLog(self.folder)

    def job_folder(self, *names: str) -> Path:
        """Create the empty folder of a job and return it.

        Args:
            names: Names of folders, one below the other. Requests may have named them, and an
                existing folder is emptied, so none may lead elsewhere.

        Raises:
            ValueError: If one is not the name of a folder.
        """
        for name in names:
            if name in {"", ".", ".."} or not name.isprintable() or {"/", os.sep} & {*name}:
                raise ValueError(f"{name!r} is not the name of a folder")
        return create_folder(self.folder.joinpath("jobs", *names))
