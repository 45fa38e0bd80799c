"""Runs custom jobs here: the package from the storage, the script as a process, its metric file.

The image of a job does not run. `cloudtune_vertex.contract` has how its script starts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from cloudtune.emulator_kit import (
    POLL_SECONDS,
    Delays,
    Ended,
    JobNotStarted,
    JobRun,
    Measured,
    ProcessSpec,
    ScriptJobs,
    add_measurement,
    runtime,
)
from cloudtune_vertex.contract import BadSpec
from cloudtune_vertex.emulator import delays, errors, namespace
from cloudtune_vertex.emulator.image_script import ImageScript
from cloudtune_vertex.emulator.literal_paths import ADVICE
from cloudtune_vertex.emulator.mount import Mount
from cloudtune_vertex.emulator.package_cache import PackageCache
from cloudtune_vertex.emulator.script import Script
from cloudtune_vertex.emulator.state import (
    CANCELLED,
    CANCELLING,
    EXPIRED,
    FAILED,
    PENDING,
    QUEUED,
    RUNNING,
    SUCCEEDED,
    CustomJob,
    Status,
)
from cloudtune_vertex.emulator.storage import Storage, StorageError
from cloudtune_vertex.emulator.times import parse_duration

_WEEK = 7 * 86_400
_DAY = 86_400
_MAX_OUTPUT = 1_500
"""Characters of a script's output in its failure."""

AnyScript = Script | ImageScript
Run = JobRun[CustomJob, AnyScript, Status]


class CustomJobs(ScriptJobs[CustomJob, AnyScript, Status]):
    """Runs custom jobs."""

    def __init__(
        self,
        delays_: Delays,
        lock: threading.RLock,
        *,
        storage: Storage,
        mount: Mount,
        packages: PackageCache,
        url: str,
    ) -> None:
        """Create a runner without jobs.

        Args:
            delays_: How long the service's own steps take.
            lock: Held while a job changes.
            storage: Has the packages.
            mount: Stands in for ``/gcs``.
            packages: The packages that are already installed.
            url: Where scripts reach the storage.
        """
        self._storage = storage
        self._mount = mount
        self._packages = packages
        self._url = url
        self._gcs = Path(namespace.MOUNT_POINT)
        self._had_gcs = self._gcs.exists()
        super().__init__(delays_, lock, grace=delays.GRACE)

    def cancel(self, job: CustomJob, message: str = "CANCELED", state: str = CANCELLED) -> None:
        """Ask a job to end; one that has ended stays as it is.

        Args:
            job: The job.
            message: The message of its error.
            state: The state in which it will end.
        """
        with self.lock:
            if job.is_over or job.ending:
                return
            job.ending = (state, Status(errors.CANCELLED, message))
            if job.state == RUNNING:  # a job that waits keeps its state (recorded, 2026-07-08)
                job.enter(CANCELLING)
            self.request_stop(job)

    def stop_early(self, job: CustomJob) -> None:
        """Stop the job of a trial, with the message of other cancelled jobs: none is recorded."""
        self.cancel(job)

    def prepare(self, run: Run) -> ProcessSpec:
        """Take a job from JOB_STATE_PENDING to JOB_STATE_RUNNING; return its first process."""
        job = run.job
        failure = Status(errors.INTERNAL, "Internal error occurred for the current attempt.")
        pending = delays.PENDING
        if "persistentResourceId" in job.spec:
            pending = delays.PERSISTENT
        if job.start_time is None:
            self._queue(run)
        pending = pending if run.attempts == 1 else delays.RESTARTING
        self.start_machine(run, pending, failure, _no_machine(job))
        with self.lock:
            if not job.ending:
                job.enter(RUNNING)
        limit = parse_duration(job.scheduling.get("timeout"), _WEEK)
        run.start_limit(limit - run.seconds, lambda: self._time_out(job))
        try:
            self._mount.synchronize()
            if engine := runtime().engine:
                run.script = ImageScript(job, self._storage, self._mount, self._url, engine)
            else:
                run.script = Script(job, self._storage, self._mount, self._packages, self._url)
            return run.script.process()
        except (StorageError, BadSpec) as error:
            self.give_up(run, Status(errors.INVALID, str(error)))

    def _queue(self, run: Run) -> None:
        """Let a job pass through JOB_STATE_QUEUED."""
        for seconds, state in ((delays.CREATED, QUEUED), (delays.QUEUED, PENDING)):
            self.pass_time(run, seconds)
            with self.lock:
                run.job.enter(state)

    def wait_for_machine(self, run: Run, seconds: float) -> None:
        """Wait for a machine; with FLEX_START only as long as the job allows.

        Scheduling.max_wait_duration (types of google-cloud-aiplatform 2.7.0): "the maximum duration
        that a job will wait for the requested resources ... if the scheduling strategy is set to
        FLEX_START. If set to 0, the job will wait indefinitely. The default is 24 hours."
        """
        scheduling = run.job.scheduling
        limit = parse_duration(scheduling.get("maxWaitDuration"), _DAY) or seconds
        if scheduling.get("strategy") == "FLEX_START" and seconds > limit:
            self.pass_time(run, limit)
            self.cancel(run.job, "No machine was found in time.", EXPIRED)
            raise JobNotStarted("waited too long")
        self.pass_time(run, seconds)

    def read_all(self) -> bool:
        """Synchronize what stands in for ``/gcs``; return whether both sides are in sync."""
        try:
            return self._mount.synchronize()
        except OSError:  # each job meets the error at its end
            return True

    def read(self, run: Run, *, last: bool) -> None:
        """Record the new measurements in the metric file of a trial."""
        script, job = run.script, run.job
        if script is None:
            return
        if script.metrics is None:  # nothing is measured, so seconds count
            if not last and script.started is not None:
                self.inject_fault(run, time.monotonic() - script.started)
            return
        measurements = script.metrics.read(last=last)
        if job.fault is not None and job.fault.effect == "no_metric":
            return
        for each in measurements:
            with self.lock:
                add_measurement(job.measurements, each)
            run.notify(Measured(run.number, each.time, each.step, each.metrics))
            self.inject_fault(run, len(job.measurements))

    def next_process(self, run: Run, ended: Ended) -> Callable[[], ProcessSpec] | None:
        """Return the next step of the script: an installation, or the script itself."""
        script = run.script
        if script is None:
            return None
        if ended.state == "completed" and not run.is_broken_off and script.advance():
            return script.process
        script.close()
        return None

    def recover(self, run: Run) -> bool:
        """Restart a job whose machine was taken away; what it wrote below ``/gcs`` is kept.

        "VMs may restart"; the code starts from its beginning (page "Prepare training code"). With
        disable_retries a job is not tried again (Scheduling, types of google-cloud-aiplatform
        2.7.0).
        """
        if not run.interrupted:
            return False
        if run.job.scheduling.get("disableRetries"):
            run.problem = Status(errors.UNAVAILABLE, "The machine of the job was taken away.")
            return False
        run.script = None
        return True

    def finish(self, run: Run, ended: Ended) -> None:
        """Store what a job has written."""
        base: str = run.job.spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "")
        try:
            while not self._mount.synchronize(output=base, before=ended.time):
                self.closing.wait(POLL_SECONDS / 4)
            if names := self._mount.remove_strangers():
                self._fail_writers(run, names[0])
            if not self._had_gcs and not namespace.is_supported() and self._gcs.exists():
                text = (
                    f"A script wrote to {self._gcs} of this machine, not to a bucket. It {ADVICE}."
                )
                run.problem = Status(errors.INVALID, f"{text} Then remove {self._gcs}.")
        except OSError as error:
            run.problem = Status(errors.INTERNAL, f"/gcs cannot be synchronized: {error}")
        seconds = delays.WITHDRAWING if run.job.started is None else delays.ENDING
        self.delays.wait(seconds, self.closing)

    def _fail_writers(self, run: Run, name: str) -> None:
        """Fail each job that may have written to a folder that is not a bucket.

        That is the job that has ended, and those whose scripts run at the same time: the files do
        not show which of them it was.
        """
        with self.lock:
            others = [each for each in self._runs.values() if each.script and each is not run]
            text = f"Files were written to /gcs/{name}, but there is no such bucket."
            if others:
                text += " Jobs that ran at the same time fail, too, since each may have written."
            for each in (run, *others):
                each.problem = Status(errors.INVALID, text)

    def settle(self, run: Run, ended: Ended) -> None:
        """Enter the job's final state."""
        if run.job.ending:
            run.job.enter(*run.job.ending)
        elif run.problem or ended.state != "completed":
            run.job.enter(FAILED, run.problem or _failure(run.job, ended))
        else:
            run.job.enter(SUCCEEDED)

    def _time_out(self, job: CustomJob) -> None:
        """End a job that has run too long.

        The effect is documented only for the service's predecessor: "AI Platform Training cancels
        it" (REST reference of ml.projects.jobs, Scheduling.maxRunningTime).
        """
        self.cancel(job, "The job ran longer than its timeout and was cancelled.")


def _no_machine(job: CustomJob) -> Status:
    """Return the error of a job for which its region has no machine.

    The text is that of https://github.com/openreview/openreview-expertise/issues/401 (2026-08). The
    code is not known.
    """
    region = job.parent.location
    return Status(errors.UNAVAILABLE, f"Resources are insufficient in region: {region}")


def _failure(job: CustomJob, ended: Ended) -> Status:
    """Return the error of a job whose script failed.

    The wording is that of GoogleCloudPlatform/vertex-ai-samples issue 1898 and pull request 1504.
    """
    if ended.exit_code is None and not ended.reason.startswith("killed"):
        return Status(errors.INTERNAL, ended.reason)
    code = ended.exit_code if ended.exit_code is not None else 137
    return Status(
        errors.INVALID,
        f"The replica workerpool0-0 exited with a non-zero status of {code}. Termination reason: "
        f"Error. \n{ended.log_tail[-_MAX_OUTPUT:]}\nTo find out more about why your job exited "
        f"please check the logs of the job {job.id}.",
    )
