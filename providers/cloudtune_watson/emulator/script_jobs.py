"""Runs jobs here: the script as a process, what it writes of its metrics, its end."""

from __future__ import annotations

import itertools
import secrets
import threading
from collections.abc import Callable
from typing import NoReturn

from cloudtune.emulator_kit.delays import Delays
from cloudtune.emulator_kit.job_run import Attempt
from cloudtune.errors import CloudtuneError
from cloudtune.execution.process_monitor import ProcessSpec
from cloudtune.execution.process_pool import ProcessPool
from cloudtune.results.events import Ended, Measured
from cloudtune_watson.contract import BadSpec
from cloudtune_watson.emulator import delays
from cloudtune_watson.emulator.state import Job, Prepared

FILES_ONLY = "files_only"
"""The fault of a training whose status tells of no metric, though the files that it wrote do."""
LOOK = 0.2
"""Seconds between two looks at what scripts have written."""
_LONGEST = 1_500
"""Characters of what a script printed that its failure tells."""


class _NotStarted(CloudtuneError):  # noqa: N818 - the end of a job, and no error of ours
    """The script of a job is not started; why is known to the run."""


class Jobs:
    """Runs jobs."""

    def __init__(self, delays_: Delays, lock: threading.RLock) -> None:
        """Prepare; nothing runs yet.

        Args:
            delays_: How long the service's own steps take.
            lock: Held while a job is changed.
        """
        self._delays = delays_
        self._lock = lock
        self._numbers = itertools.count(1)
        self._runs: dict[int, _Run] = {}
        self._closing = threading.Event()
        self._wanted = threading.Event()
        """Whether there is something to look at."""
        self._processes = ProcessPool(
            self._take,
            f"emulator-{secrets.token_hex(4)}",
            grace=delays.GRACE,
            finish=self._finished,
        )
        self._looker = threading.Thread(target=self._look, name="looks at files", daemon=True)
        self._looker.start()

    def launch(self, job: Job, ended: Callable[[], None] = lambda: None) -> None:
        """Start a job; ``ended`` is called once it has ended."""
        run = _Run(next(self._numbers), job, ended)
        with self._lock:
            self._runs[run.number] = run
        self._wanted.set()
        self._start(run)

    def stop(self, job: Job) -> None:
        """Ask a job to end; one that has ended is left alone."""
        with self._lock:
            if job.over:
                return
            run = next((run for run in self._runs.values() if run.job is job), None)
        job.stop_wanted.set()
        if run is not None:
            self._processes.stop(run.number)

    def busy(self) -> bool:
        """Tell whether any job runs."""
        return bool(self._runs)

    def close(self) -> None:
        """End everything at once."""
        with self._lock:
            self._closing.set()
            runs = list(self._runs.values())
        self._wanted.set()
        for run in runs:
            run.job.stop_wanted.set()
        self._processes.close()
        self._looker.join(10)

    def _start(self, run: _Run) -> None:
        with self._lock:
            if self._closing.is_set():  # nobody would end it
                return
            self._processes.start(run.number, lambda: self._prepared(run))
        if run.job.stop_wanted.is_set():  # wanted when there was no process to tell
            self._processes.stop(run.number)

    def _prepared(self, run: _Run) -> ProcessSpec:
        """Take a job from its waiting to its script; return the process."""
        job = run.job
        again = run.interrupting
        run.interrupting = False
        if (fault := run.take("slow_start")) is not None:
            self._pass(run, fault.seconds)
        self._pass(run, delays.RESTARTING if again else delays.PENDING)
        if run.take("fail") is not None:
            self._give_up(run, "The container of the job could not be started: internal error.")
        try:
            run.prepared = job.prepare()
        except (BadSpec, OSError) as error:
            self._give_up(run, str(error))
        with self._lock:
            job.enter("running")
        start = run.prepared.start
        return ProcessSpec(start.command, start.cwd, start.env, job.log, grace=delays.GRACE)

    def _pass(self, run: _Run, seconds: float) -> None:
        if self._delays.wait(seconds, run.job.stop_wanted):
            raise _NotStarted("stopped")

    def _give_up(self, run: _Run, why: str) -> NoReturn:
        run.problem = why
        raise _NotStarted(why)

    def _look(self) -> None:
        """Look at what scripts write, as long as there are any."""
        while not self._closing.is_set():
            self._wanted.wait()
            for run in list(self._runs.values()):
                self._read(run)
            if not self._runs:
                self._wanted.clear()
                if self._runs:
                    self._wanted.set()
            self._closing.wait(LOOK)

    def _read(self, run: _Run, *, last: bool = False) -> None:
        """Take note of what a script has written since the last look."""
        with run.reading:
            prepared = run.prepared
            if prepared is None:
                return
            job = run.job
            new = prepared.written.logged(last=last)
            run.seen += len(new)
            if job.fault is not None and job.fault.effect == "no_metric":
                if last:
                    prepared.written.hide()
                return
            if not job.live:
                new = prepared.written.listed() if last else []
            elif job.fault is not None and job.fault.effect == FILES_ONLY:
                return
            with self._lock:
                job.take(new)
            self._disturb(run, prepared)

    def _disturb(self, run: _Run, prepared: Prepared) -> None:
        """Let the fault happen that is due after so many measurements."""
        fault = run.job.fault
        if fault is None or max(run.seen, len(prepared.written.listed())) < fault.after:
            return
        if run.take("stop_early"):
            self.stop(run.job)
        elif run.take("interrupt"):
            run.interrupting = True
            self._processes.stop(run.number, now=True)

    def _finished(self, event: Ended) -> Ended:
        """Read what a process has left, before anybody is told that it has ended."""
        if not self._closing.is_set():
            self._read(self._runs[event.number], last=True)
        return event

    def _take(self, event: Measured | Ended) -> None:
        """Take note of the end of a process; in the thread that watches it."""
        if isinstance(event, Measured) or self._closing.is_set():
            return
        run = self._runs[event.number]
        if run.interrupting and not run.job.stop_wanted.is_set():
            # It begins again elsewhere, with what is on the volume. That it does is chosen: a job
            # of the accelerator may be in RECOVERING (dlicmd 4.8.2 of IBM/wmla-assets).
            run.prepared = None
            self._start(run)
            return
        self._finish(run, event)

    def _finish(self, run: _Run, event: Ended) -> None:
        job = run.job
        if job.state == "running" and not job.stop_wanted.is_set():
            with self._lock:
                job.enter("storing")
        self._delays.wait(delays.STORING, self._closing)
        with self._lock:
            if job.stop_wanted.is_set() and job.state != "storing":
                job.enter("stopped")
            elif run.problem or event.state != "completed":
                job.enter("failed", run.problem or _failure(event))
            else:
                job.enter("completed")
            del self._runs[run.number]
        run.ended()


def _failure(event: Ended) -> str:
    """Return why a script failed. The wording is chosen; no source shows one."""
    if event.exit_code is None and not event.reason.startswith("killed"):
        return event.reason
    code = event.exit_code if event.exit_code is not None else 137
    return f"The training script exited with the status {code}.\n{event.log_tail[-_LONGEST:]}"


class _Run(Attempt):
    """One job while it runs."""

    def __init__(self, number: int, job: Job, ended: Callable[[], None]) -> None:
        super().__init__(job.fault)
        self.number = number
        self.job = job
        self.ended = ended
        self.reading = threading.Lock()
        self.prepared: Prepared | None = None
        self.seen = 0
        """Measurements in its log."""
        self.problem = ""
        """Why the job fails, where that is not the script's doing."""
