"""Custom jobs run here: the package from the storage, the script as a process, its metric file.

The image of a job is not run. How its script is started is in `cloudtune_vertex.contract`.
"""

from __future__ import annotations

import itertools
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import NoReturn

from cloudtune.emulator_kit.delays import Delays
from cloudtune.emulator_kit.job_run import Attempt
from cloudtune.errors import CloudtuneError
from cloudtune.execution.process_monitor import ProcessSpec
from cloudtune.execution.process_pool import ProcessPool
from cloudtune.results.events import Ended, Measured
from cloudtune_vertex.contract import BadSpec, Measurement
from cloudtune_vertex.emulator import delays, measurements
from cloudtune_vertex.emulator.errors import CANCELLED, INTERNAL, INVALID, UNAVAILABLE
from cloudtune_vertex.emulator.mount import Mount
from cloudtune_vertex.emulator.package_cache import Layers
from cloudtune_vertex.emulator.script import Script
from cloudtune_vertex.emulator.state import CANCELLED as STATE_CANCELLED
from cloudtune_vertex.emulator.state import (
    CANCELLING,
    EXPIRED,
    FAILED,
    RUNNING,
    SUCCEEDED,
    TERMINAL,
    CustomJob,
    Status,
)
from cloudtune_vertex.emulator.storage import Storage, StorageError
from cloudtune_vertex.emulator.times import seconds_of

LOOK = 0.2
"""Seconds between two looks at the metric files and at what stands for ``/gcs``."""
_WEEK = 7 * 86_400
_DAY = 86_400
_LONGEST = 1_500
"""Characters of what a script printed that its failure tells."""

Told = Callable[[CustomJob, Sequence[Measurement], bool], None]
"""Takes what is new of a job: its measurements, and whether it has ended."""


class _NotStarted(CloudtuneError):  # noqa: N818 - the end of a job, and no error of ours
    """The script of a job is not started; why is known to the run."""


class CustomJobs:
    """Runs custom jobs."""

    def __init__(
        self,
        delays_: Delays,
        lock: threading.RLock,
        *,
        storage: Storage,
        mount: Mount,
        layers: Layers,
        url: str,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            delays_: How long the service's own steps take.
            lock: Held while a job is changed.
            storage: Where packages are.
            mount: What stands for ``/gcs``.
            layers: The packages that are installed already.
            url: Where scripts reach the storage.
        """
        self._delays = delays_
        self._lock = lock
        self._storage = storage
        self._mount = mount
        self._layers = layers
        self._url = url
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

    def launch(self, job: CustomJob, told: Told | None = None) -> None:
        """Start a job; whoever made it is told of its measurements and of its end."""
        run = _Run(next(self._numbers), job, told)
        with self._lock:
            self._runs[run.number] = run
        self._wanted.set()
        self._start(run, lambda: self._prepared(run))

    def cancel(self, job: CustomJob, why: str = "CANCELED", state: str = STATE_CANCELLED) -> None:
        """Ask a job to end; one that has ended is left alone.

        Args:
            job: The job.
            why: What its error will say.
            state: The state in which it will end.
        """
        with self._lock:
            if job.state in TERMINAL or job.ending:
                return
            job.ending = (state, Status(CANCELLED, why))
            job.enter(CANCELLING)
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
            run.cancel_limit()
        self._processes.close()
        self._looker.join(10)

    def _start(self, run: _Run, spec: Callable[[], ProcessSpec]) -> None:
        with self._lock:
            if self._closing.is_set():  # nobody would end it
                return
            self._processes.start(run.number, spec)
        if run.job.stop_wanted.is_set():  # wanted when there was no process to tell
            self._processes.stop(run.number)

    def _prepared(self, run: _Run) -> ProcessSpec:
        """Take a job from JOB_STATE_PENDING to JOB_STATE_RUNNING; return its first process."""
        job = run.job
        run.interrupting = False
        if (fault := run.take("slow_start")) is not None:
            self._wait_for_machine(run, fault.seconds)
        self._pass(run, delays.RESTARTING if run.seconds else delays.PENDING)
        if run.take("fail") is not None:
            self._give_up(run, INTERNAL, "Internal error occurred for the current attempt.")
        with self._lock:
            if not job.ending:
                job.enter(RUNNING)
        run.limit(self._seconds_left(run), lambda: self._time_out(job))
        try:
            self._mount.synchronise()
            run.script = Script(job, self._storage, self._mount, self._layers, self._url)
            return run.script.process()
        except (StorageError, BadSpec) as error:
            self._give_up(run, INVALID, str(error))

    def _seconds_left(self, run: _Run) -> float:
        left = seconds_of(run.job.scheduling.get("timeout"), _WEEK) - run.seconds
        return min(left, threading.TIMEOUT_MAX)

    def _time_out(self, job: CustomJob) -> None:
        """End a job that has run too long.

        What happens then is documented of the service's predecessor alone: "AI Platform Training
        cancels it" (REST reference of ml.projects.jobs, Scheduling.maxRunningTime).
        """
        self.cancel(job, "The job ran longer than its timeout and was cancelled.")

    def _pass(self, run: _Run, seconds: float) -> None:
        if self._delays.wait(seconds, run.job.stop_wanted):
            raise _NotStarted("stopped")

    def _wait_for_machine(self, run: _Run, seconds: float) -> None:
        """Wait for a machine; a job of FLEX_START only as long as it is ready to.

        Scheduling.max_wait_duration (types of google-cloud-aiplatform 2.7.0): "the maximum duration
        that a job will wait for the requested resources ... if the scheduling strategy is set to
        FLEX_START. If set to 0, the job will wait indefinitely. The default is 24 hours."
        """
        scheduling = run.job.scheduling
        most = seconds_of(scheduling.get("maxWaitDuration"), _DAY) or seconds
        if scheduling.get("strategy") == "FLEX_START" and seconds > most:
            self._pass(run, most)
            self.cancel(run.job, "No machine was found in time.", EXPIRED)
            raise _NotStarted("waited too long")
        self._pass(run, seconds)

    def _give_up(self, run: _Run, code: int, why: str) -> NoReturn:
        run.problem = Status(code, why)
        raise _NotStarted(why)

    def _look(self) -> None:
        """Look at what scripts write, as long as there are any."""
        while not self._closing.is_set():
            self._wanted.wait()
            for run in list(self._runs.values()):
                self._read(run)
            try:
                whole = self._mount.synchronise()
            except OSError:  # which each job meets at its end
                whole = True
            if whole and not self._runs:
                self._wanted.clear()
                if self._runs:
                    self._wanted.set()
            self._closing.wait(LOOK)

    def _read(self, run: _Run, *, last: bool = False) -> None:
        """Take note of what is new in the metric file of a trial."""
        with run.reading:
            script, fault = run.script, run.job.fault
            if script is None:
                return
            if script.metrics is None:  # nothing is measured, so seconds count
                if fault is not None and not last and run.lasted() >= fault.after:
                    self._strike(run)
                return
            new = script.metrics.read(last=last)
            if fault is not None and fault.effect == "no_metric":
                return
            for measurement in new:
                self._measured(run, measurement)

    def _measured(self, run: _Run, measurement: Measurement) -> None:
        job = run.job
        with self._lock:
            measurements.add(job.measured, measurement)
            fault = job.fault
            due = fault is not None and len(job.measured) >= fault.after
        if run.told is not None:
            run.told(job, [measurement], False)
        if due:
            self._strike(run)

    def _strike(self, run: _Run) -> None:
        """Let the fault happen that was due at this point of a job, if there is one."""
        if run.take("stop_early"):
            self.cancel(run.job, "The trial was stopped early.")
        elif run.take("interrupt"):
            run.interrupting = True
            self._processes.stop(run.number, now=True)

    def _finished(self, event: Ended) -> Ended:
        """Read what a process has left, before anybody is told that it has ended."""
        run = self._runs[event.number]
        if run.script is not None and not self._closing.is_set():
            self._read(run, last=True)
        return event

    def _take(self, event: Measured | Ended) -> None:
        """Take note of the end of a process; in the thread that watches it."""
        if isinstance(event, Measured) or self._closing.is_set():
            return
        run = self._runs[event.number]
        broken_off = run.interrupting or run.job.ending or run.problem
        if run.script is not None:
            if event.state == "completed" and not broken_off and run.script.goes_on():
                self._start(run, run.script.process)
                return
            run.script.close()
        run.cancel_limit()
        if run.interrupting and not run.job.ending and self._starts_again(run):
            return
        self._finish(run, event)

    def _starts_again(self, run: _Run) -> bool:
        """Start a job again whose machine was taken away; what it wrote below /gcs is there.

        "VMs may restart"; the code starts from its beginning (page "Prepare training code"). With
        disable_retries a job is not tried again (Scheduling, types of google-cloud-aiplatform
        2.7.0).
        """
        if run.job.scheduling.get("disableRetries"):
            run.problem = Status(UNAVAILABLE, "The machine of the job was taken away.")
            return False
        run.seconds += run.lasted()
        run.script = None
        self._start(run, lambda: self._prepared(run))
        return True

    def _finish(self, run: _Run, event: Ended) -> None:
        job = run.job
        base: str = job.spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "")
        try:
            while not self._mount.synchronise(ended=base, before=event.time):
                self._closing.wait(LOOK / 4)
        except OSError as error:
            run.problem = Status(INTERNAL, f"What stands for /gcs cannot be kept: {error}")
        self._delays.wait(delays.ENDING, self._closing)
        with self._lock:
            if job.ending:
                job.enter(*job.ending)
            elif run.problem or event.state != "completed":
                job.enter(FAILED, run.problem or _failure(job, event))
            else:
                job.enter(SUCCEEDED)
            del self._runs[run.number]
        if run.told is not None:
            run.told(job, (), True)


def _failure(job: CustomJob, event: Ended) -> Status:
    """Return the error of a job whose script failed.

    The wording is that of GoogleCloudPlatform/vertex-ai-samples issue 1898 and pull request 1504.
    """
    if event.exit_code is None and not event.reason.startswith("killed"):
        return Status(INTERNAL, event.reason)
    code = event.exit_code if event.exit_code is not None else 137
    return Status(
        INVALID,
        f"The replica workerpool0-0 exited with a non-zero status of {code}. Termination reason: "
        f"Error. \n{event.log_tail[-_LONGEST:]}\nTo find out more about why your job exited please "
        f"check the logs of the job {job.id}.",
    )


class _Run(Attempt):
    """One job while it runs."""

    def __init__(self, number: int, job: CustomJob, told: Told | None) -> None:
        super().__init__(job.fault)
        self.number = number
        self.job = job
        self.told = told
        self.reading = threading.Lock()
        self.script: Script | None = None
        self.problem: Status | None = None
        """Why the job fails, where that is not the script's doing."""
