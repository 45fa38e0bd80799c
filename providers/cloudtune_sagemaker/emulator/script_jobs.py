"""Training jobs run here: code and data from S3, the script as a process, what it made to S3.

The image of a job is not run. What the training toolkit in it would do (unpack the source, call the
script with the hyperparameters, tell why it failed) is done by `cloudtune_sagemaker.contract`.
"""

from __future__ import annotations

import itertools
import math
import secrets
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from cloudtune.emulator_kit.delays import Delays
from cloudtune.emulator_kit.job_run import Attempt
from cloudtune.errors import CloudtuneError
from cloudtune.execution.process_monitor import ProcessSpec
from cloudtune.execution.process_pool import ProcessPool
from cloudtune.results.events import Ended, Measured
from cloudtune_sagemaker.contract import BadArchive, ToolkitFailure
from cloudtune_sagemaker.emulator import delays, storage
from cloudtune_sagemaker.emulator.outputs import put_log, put_metrics, upload
from cloudtune_sagemaker.emulator.script import Script
from cloudtune_sagemaker.emulator.state import TERMINAL, TrainingJob

LONGEST_REASON = 1024
"""Characters of a FailureReason (botocore 1.44.8 model)."""
_DAY = 86_400
"""Seconds a training job may run when nothing is said (API reference, StoppingCondition)."""

Listener = Callable[[Measured | Ended], None]
"""Takes what happens to one job; the number in the events is the one that it was launched with."""


class _NotStarted(CloudtuneError):  # noqa: N818 - the end of a job, and no error of ours
    """The script of a job is not started; why is known to the run."""


class Training:
    """Runs training jobs, each under a number."""

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
        mark = f"emulator-{secrets.token_hex(4)}"
        self._processes = ProcessPool(self._take, mark, grace=10.0)

    def launch(self, job: TrainingJob, listener: Listener | None = None) -> None:
        """Start a job; the listener is told of its measurements and, last, of its end."""
        run = _Run(next(self._numbers), job, listener)
        with self._lock:
            self._runs[run.number] = run
            job.enter("Starting")
        self._start(run, lambda: self._prepared(run))

    def stop(self, job: TrainingJob, why: str = "Stopped") -> None:
        """Ask a job to end; one that has ended is left alone.

        Args:
            job: The job.
            why: The secondary status in which it will end.
        """
        with self._lock:
            if job.status in TERMINAL or job.stop_why or job.secondary == "Uploading":
                return
            job.stop_why = why
            job.enter("Stopping", "Stopping")
            run = next((run for run in self._runs.values() if run.job is job), None)
        job.stop_wanted.set()
        if run is not None:
            self._processes.stop(run.number)

    def busy(self) -> bool:
        """Tell whether any job runs."""
        return bool(self._runs)

    def close(self) -> None:
        """End everything at once."""
        self._closing.set()
        with self._lock:
            jobs = [run.job for run in self._runs.values()]
        for job in jobs:
            job.stop_wanted.set()
        for run in list(self._runs.values()):
            run.cancel_limit()
        self._processes.close()

    def _start(self, run: _Run, spec: Callable[[], ProcessSpec]) -> None:
        self._processes.start(run.number, spec)
        if run.job.stop_wanted.is_set():  # wanted when there was no process to tell
            self._processes.stop(run.number)

    def _prepared(self, run: _Run) -> ProcessSpec:
        """Take a job from Starting to Training, and return the process of its script."""
        job = run.job
        run.problem = ""
        run.interrupting = False
        self._pass(run, delays.STARTING)
        self._enter(run, "Pending")
        if (fault := run.take("slow_start")) is not None:
            self._wait_long(run, fault.seconds)
        self._pass(run, delays.PENDING)
        if run.take("fail") is not None:
            run.retryable = True
            self._give_up(
                run, "InternalServerError: We encountered an internal error. Please try again."
            )
        with self._lock:
            job.started = job.started or time.time()
        self._enter(run, "Downloading")
        try:
            script = run.script = Script.fetched(job)
        except (storage.StorageError, BadArchive, OSError) as error:
            self._give_up(run, str(error))
        self._pass(run, delays.DOWNLOADING)
        self._enter(run, "Training")
        run.limit(self._seconds_left(run), lambda: self.stop(job, "MaxRuntimeExceeded"))
        try:
            script.begin()
        except ToolkitFailure:
            self._give_up(run, script.failure())
        return self._process(run)

    def _process(self, run: _Run) -> ProcessSpec:
        assert run.script is not None
        fault = run.job.fault
        return run.script.process(blind=fault is not None and fault.effect == "no_metric")

    def _seconds_left(self, run: _Run) -> float:
        condition = run.job.request.get("StoppingCondition", {})
        most: float = condition.get("MaxRuntimeInSeconds", _DAY)
        return most - run.seconds

    def _pass(self, run: _Run, seconds: float) -> None:
        if self._delays.wait(seconds, run.job.stop_wanted):
            raise _NotStarted("stopped")

    def _wait_long(self, run: _Run, seconds: float) -> None:
        """Wait for capacity, up to what the job is ready to wait."""
        condition = run.job.request.get("StoppingCondition", {})
        most = min(
            condition.get("MaxWaitTimeInSeconds", math.inf),
            condition.get("MaxPendingTimeInSeconds", math.inf),
        )
        self._pass(run, min(seconds, most))
        if seconds >= most:
            self.stop(run.job, "MaxWaitTimeExceeded")
            raise _NotStarted("waited too long")

    def _give_up(self, run: _Run, problem: str) -> NoReturn:
        run.problem = problem
        raise _NotStarted(problem)

    def _enter(self, run: _Run, secondary: str) -> None:
        with self._lock:
            if not run.job.stop_why:
                run.job.enter(secondary)

    def _take(self, event: Measured | Ended) -> None:
        """Take note of what a process reports; in the thread that watches it."""
        run = self._runs[event.number]
        if isinstance(event, Measured):
            self._measured(run, event)
            return
        if self._closing.is_set():
            return
        if self._has_more_steps(run, event):
            self._start(run, lambda: self._process(run))
            return
        run.cancel_limit()
        if self._starts_again(run):
            return
        self._finish(run, event)
        with self._lock:
            del self._runs[run.number]
        if run.listener is not None:
            run.listener(event)

    def _measured(self, run: _Run, event: Measured) -> None:
        finite = {name: value for name, value in event.metrics.items() if math.isfinite(value)}
        if not finite:
            return
        job = run.job
        with self._lock:
            kept = Measured(event.number, event.time, event.step, finite)
            job.measured.append(kept)
            fault = job.fault
            now = fault is not None and len(job.measured) == fault.after
        if run.listener is not None:
            run.listener(kept)
        if fault is None or not now:
            return
        if fault.effect == "stop_early":
            self.stop(job)
        elif fault.effect == "interrupt" and job.request.get("EnableManagedSpotTraining"):
            run.interrupting = True
            self._processes.stop(run.number, now=True)

    def _has_more_steps(self, run: _Run, event: Ended) -> bool:
        """Tell whether the toolkit goes on with a further step, such as the script itself."""
        broken_off = run.interrupting or run.job.stop_why or run.problem
        if run.script is None or broken_off:
            return False
        try:
            return run.script.goes_on(event)
        except OSError as error:
            run.problem = f"InternalServerError: {error}"
            return False

    def _starts_again(self, run: _Run) -> bool:
        """Start a job again whose machine was taken away, or that the service failed to run."""
        job = run.job
        retries: int = job.request.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
        retry = run.retryable and bool(run.problem) and run.attempts <= retries
        if job.stop_why or not (run.interrupting or retry):
            return False
        run.seconds += run.lasted()
        run.attempts += 1
        if run.interrupting:
            self._enter(run, "Interrupted")
            self._save_checkpoints(run)
        if self._delays.wait(delays.RESTARTING, job.stop_wanted):
            return False
        self._enter(run, "Restarting")
        self._start(run, lambda: self._prepared(run))
        return True

    def _finish(self, run: _Run, event: Ended) -> None:
        job = run.job
        failed = bool(run.problem) or (event.state == "failed" and not job.stop_why)
        reason = run.problem
        if failed and not reason and run.script is not None:
            reason = run.script.failure()
        if not failed and run.script is not None:
            if not job.stop_why:
                self._enter(run, "Uploading")
            self._delays.wait(delays.UPLOADING, self._closing)
            try:
                model = upload(job, run.script.container)
                with self._lock:
                    job.model = model
            except (storage.StorageError, OSError) as error:
                failed, reason = True, str(error)
        self._save_checkpoints(run)
        put_log(job, time.time())
        put_metrics(job)
        with self._lock:
            if failed:
                job.failure = (reason or event.reason)[:LONGEST_REASON]
                job.enter("Failed", "Failed")
            elif job.stop_why:
                job.enter(job.stop_why, "Stopped")
            else:
                job.enter("Completed", "Completed")

    def _save_checkpoints(self, run: _Run) -> None:
        if run.script is not None:
            try:
                run.script.save_checkpoints()
            except (storage.StorageError, OSError) as error:
                run.problem = run.problem or str(error)


class _Run(Attempt):
    """One job while it runs."""

    def __init__(self, number: int, job: TrainingJob, listener: Listener | None) -> None:
        super().__init__(job.fault)
        self.number = number
        self.job = job
        self.listener = listener
        self.script: Script | None = None
        self.problem = ""
        """Why the job fails, where that is not the script's doing."""
        self.retryable = False
        self.attempts = 1
