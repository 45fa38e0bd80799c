"""Runs training jobs here: code and data from S3, the script as a process, its results to S3.

The image of a job does not run. `cloudtune_sagemaker.contract` does what the training toolkit in it
would do: unpack the source, call the script with the hyperparameters, report why it failed.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from cloudtune.emulator_kit import (
    Delays,
    Ended,
    JobNotStarted,
    JobRun,
    Listener,
    Measured,
    ProcessSpec,
    ScriptJobs,
)
from cloudtune_sagemaker.contract import BadArchive, ToolkitFailure
from cloudtune_sagemaker.emulator import delays
from cloudtune_sagemaker.emulator.cloudwatch import put_log, put_metrics
from cloudtune_sagemaker.emulator.script import Script
from cloudtune_sagemaker.emulator.state import IMAGE, PREPARING, TrainingJob
from cloudtune_sagemaker.emulator.storage import StorageError, upload_artifacts
from cloudtune_sagemaker.emulator.warm_pools import WarmPools

MAX_REASON = 1024
"""Characters of a FailureReason (botocore 1.44.8 model)."""
_DAY = 86_400
"""Seconds a training job may run by default (API reference, StoppingCondition)."""
_NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a "
    "different ML instance type."
)
"""As in https://github.com/DIAGNijmegen/rse-grand-challenge/issues/2631 (2022-08)."""
_RETRYABLE = "InternalServerError: We encountered an internal error. Please try again."

Run = JobRun[TrainingJob, Script, str]


class TrainingJobs(ScriptJobs[TrainingJob, Script, str]):
    """Runs training jobs."""

    def __init__(self, delays_: Delays, lock: threading.RLock) -> None:
        super().__init__(delays_, lock, grace=10.0, reads_files=False)
        self.pools = WarmPools()

    def launch(self, job: TrainingJob, listener: Listener | None = None) -> None:
        """Start a job."""
        with self.lock:
            job.enter_secondary("Starting")
        super().launch(job, listener)

    def stop(self, job: TrainingJob, status: str = "Stopped") -> None:
        """Ask a job to end; one that has ended stays as it is.

        Args:
            job: The job.
            status: The secondary status in which it will end.
        """
        with self.lock:
            if job.is_over or job.stop_status or job.secondary == "Uploading":
                return
            job.stop_status = status
            job.enter_secondary("Stopping", "Stopping")
            self.request_stop(job)

    def stop_early(self, job: TrainingJob) -> None:
        """Stop a job."""
        self.stop(job)

    def can_interrupt(self, job: TrainingJob) -> bool:
        """Return whether the job runs on spot instances."""
        return bool(job.request.get("EnableManagedSpotTraining"))

    def prepare(self, run: Run) -> ProcessSpec:
        """Take a job from Starting to Training, and return its first process."""
        job = run.job
        with self.lock:
            is_warm = run.attempts == 1 and self.pools.reuse(job)
        self.pass_time(run, 0.0 if is_warm else delays.STARTING)
        self._tell(run, PREPARING)
        preparing = 0.0 if is_warm else delays.PREPARING
        self.start_machine(run, preparing, _RETRYABLE, _NO_CAPACITY)
        with self.lock:
            self.pools.use(job)
            job.started = job.started or time.time()
        self._enter(run, "Downloading")
        try:
            script = run.script = Script.fetched(job)
        except (StorageError, BadArchive, OSError) as error:
            self.give_up(run, str(error))
        seconds = delays.WARM if is_warm else delays.DOWNLOADING
        self.pass_time(run, seconds / 2)
        self._tell(run, IMAGE)
        self.pass_time(run, seconds / 2)
        self._enter(run, "Training")
        seconds, status = _time_left(run)
        run.start_limit(seconds, lambda: self.stop(job, status))
        try:
            script.begin()
        except ToolkitFailure:
            self.give_up(run, script.failure())
        except OSError as error:
            self.give_up(run, f"InternalServerError: {error}")
        return script.process()

    def wait_for_machine(self, run: Run, seconds: float) -> None:
        """Wait for capacity, at most as long as the job's limits allow.

        Only a job that waits for capacity is Pending (recorded texts of 2024 and 2025).
        """
        self._enter(run, "Pending")
        condition = _stopping_condition(run.job)
        limit = min(
            condition.get("MaxWaitTimeInSeconds", math.inf),
            condition.get("MaxPendingTimeInSeconds", math.inf),
        )
        self.pass_time(run, min(seconds, limit))
        if seconds >= limit:
            self.stop(run.job, "MaxWaitTimeExceeded")
            raise JobNotStarted("waited too long")
        self._tell(run, PREPARING)

    def record(self, run: Run, measured: Measured) -> None:
        """Record the finite metrics that a script printed."""
        finite = {name: value for name, value in measured.metrics.items() if math.isfinite(value)}
        if not finite:
            return
        measured = replace(measured, metrics=finite)
        with self.lock:
            run.job.curves.add(measured)
        run.notify(measured)
        self.inject_fault(run, run.job.curves.measurements)

    def next_process(self, run: Run, ended: Ended) -> Callable[[], ProcessSpec] | None:
        """Return the toolkit's next step, such as the script itself."""
        if run.script is None or run.is_broken_off:
            return None
        try:
            return run.script.process if run.script.advance(ended) else None
        except OSError as error:
            run.problem = f"InternalServerError: {error}"
            return None

    def recover(self, run: Run) -> bool:
        """Restart a job whose machine was taken away, or that the service failed to run."""
        retries: int = run.job.request.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
        retry = run.problem == _RETRYABLE and run.attempts <= retries
        if not (run.interrupted or retry):
            return False
        if run.interrupted:
            self._enter(run, "Interrupted")
            _save_checkpoints(run)
        if self.delays.wait(delays.RESTARTING, run.job.stop_requested):
            return False
        self._enter(run, "Restarting")
        return True

    def finish(self, run: Run, ended: Ended) -> None:
        """Upload the results of a job, unless it failed.

        A job whose script failed is Uploading, too, for less than a second (recorded in 2019 and
        2022), and so is one that was stopped while its script ran (2026).
        """
        job = run.job
        if not run.problem and ended.state == "failed" and not job.stop_status:
            run.problem = (run.script.failure() if run.script else "") or ended.reason
            if run.script is not None:
                self._enter(run, "Uploading")
        if run.script is None and job.stop_status:
            self.delays.wait(delays.STOPPING, self.closing)
        if run.script is not None and not run.problem:
            with self.lock:
                job.enter_secondary("Uploading")
            self.delays.wait(delays.UPLOADING, self.closing)
            try:
                job.model = upload_artifacts(job, run.script.container)
            except (StorageError, OSError) as error:
                run.problem = str(error)
        _save_checkpoints(run)
        put_log(job, time.time())
        put_metrics(job)

    def settle(self, run: Run, ended: Ended) -> None:
        """Enter the job's final status."""
        job = run.job
        if run.problem:
            job.failure = run.problem[:MAX_REASON]
            job.enter_secondary("Failed", "Failed")
        elif job.stop_status:
            job.enter_secondary(job.stop_status, "Stopped")
        else:
            job.enter_secondary("Completed", "Completed")
        self.pools.keep(job, healthy=not (run.problem or "").startswith("InternalServerError"))

    def _tell(self, run: Run, message: str) -> None:
        with self.lock:
            if not run.job.stop_status:
                run.job.tell(message)

    def _enter(self, run: Run, secondary: str) -> None:
        with self.lock:
            if not run.job.stop_status:
                run.job.enter_secondary(secondary)


def _stopping_condition(job: TrainingJob) -> dict[str, float]:
    condition: dict[str, float] = job.request.get("StoppingCondition", {})
    return condition


def _time_left(run: Run) -> tuple[float, str]:
    """Return how long a script may run, and the secondary status of the limit that then ends it.

    MaxWaitTimeInSeconds has the wait for spot capacity and the run (API reference,
    StoppingCondition); it ended a running job on 2026-09-16 (tests/recordings/sagemaker).
    """
    condition = _stopping_condition(run.job)
    runs = condition.get("MaxRuntimeInSeconds", _DAY) - run.seconds
    waited = time.time() - run.job.created
    left = condition.get("MaxWaitTimeInSeconds", math.inf) - waited
    return min((runs, "MaxRuntimeExceeded"), (left, "MaxWaitTimeExceeded"))


def _save_checkpoints(run: Run) -> None:
    if run.script is not None:
        with suppress(StorageError, OSError):
            run.script.save_checkpoints()
