"""Runs jobs here: the script as a process, the metrics that it writes, its end."""

from __future__ import annotations

import threading

from cloudtune.emulator_kit import Delays, Ended, JobRun, ProcessSpec, ScriptJobs, add_measurement
from cloudtune_watson.contract import InvalidSpecError
from cloudtune_watson.emulator import delays
from cloudtune_watson.emulator.state import Job, Script

FILES_ONLY = "files_only"
"""The fault of a training whose status has no metrics, although its files do."""
_MAX_OUTPUT = 1_500
"""Characters of a script's output in its failure."""

Run = JobRun[Job, Script, str]


class Jobs(ScriptJobs[Job, Script, str]):
    """Runs jobs."""

    def __init__(self, delays_: Delays, lock: threading.RLock) -> None:
        self._logged: dict[str, int] = {}
        """The number of measurements in each running job's log."""
        super().__init__(delays_, lock, grace=delays.GRACE)

    def stop(self, job: Job) -> None:
        """Ask a job to end; one that has ended stays as it is."""
        with self.lock:
            if not job.is_over:
                self.request_stop(job)

    def stop_early(self, job: Job) -> None:
        """Stop a job."""
        self.stop(job)

    def close(self) -> None:
        """End all jobs."""
        super().close()
        for run in self._runs.values():
            _delete_payload(run.job)

    def prepare(self, run: Run) -> ProcessSpec:
        """Take a job from waiting to running, and return its process."""
        job = run.job
        while job.queued is not None and job.queued():
            self.pass_time(run, delays.QUEUE_CHECK)
        first = delays.QUEUED if job.queued is not None else delays.PENDING
        self.start_machine(
            run,
            first if run.attempts == 1 else delays.RESTARTING,
            "The container of the job could not be started: internal error.",
        )
        earlier = run.script
        try:
            run.script = job.prepare()
        except (InvalidSpecError, OSError) as error:
            self.give_up(run, str(error))
        if earlier is not None:  # the log has grown since it was read
            run.script = Script(run.script.start, earlier.written)
        with self.lock:
            job.enter("running")
        start = run.script.start
        return ProcessSpec(start.command, start.cwd, start.env, job.log, grace=delays.GRACE)

    def read(self, run: Run, *, last: bool) -> None:
        """Record what a script has written since it was last read."""
        job = run.job
        if run.script is None:
            return
        written = run.script.written
        measurements = written.read_log(last=last)
        logged = self._logged[job.id] = self._logged.get(job.id, 0) + len(measurements)
        effect = job.fault.effect if job.fault else ""
        if effect == "no_metric":
            if last:
                written.delete()
            return
        if job.live and effect == FILES_ONLY:
            return
        if not job.live:
            measurements = written.read_list() if last else []
        with self.lock:
            if last and not job.live:  # those of an earlier start, whose list is replaced
                job.measurements.clear()
            for each in measurements:
                add_measurement(job.measurements, each)
        if job.fault is not None:
            self.inject_fault(run, max(logged, len(written.read_list())))

    def recover(self, run: Run) -> bool:
        """Restart a job whose machine was taken away, with what is on the volume.

        The restart is chosen: a job of the accelerator may be in RECOVERING (dlicmd 4.8.2 of
        IBM/wmla-assets).
        """
        return run.interrupted and run.job.restarts

    def finish(self, run: Run, ended: Ended) -> None:
        """Let the time pass in which the service stores the results."""
        job = run.job
        _delete_payload(job)
        with self.lock:
            if job.state == "running" and not job.stop_requested.is_set():
                job.enter("storing")
        self.delays.wait(delays.STORING, self.closing)
        if job.keep is None or job.state != "storing" or ended.state != "completed":
            return
        try:
            with self.lock:
                job.keep()
        except OSError as error:
            run.problem = f"the results cannot be stored: {error}"

    def settle(self, run: Run, ended: Ended) -> None:
        """Enter the job's final state."""
        job = run.job
        self._logged.pop(job.id, None)
        if job.stop_requested.is_set() and job.state != "storing":
            job.enter("stopped")
        elif run.problem or ended.state != "completed":
            job.enter("failed", run.problem or _failure(ended))
        else:
            job.enter("completed")


def _delete_payload(job: Job) -> None:
    if job.payload is not None:
        job.payload.unlink(missing_ok=True)


def _failure(ended: Ended) -> str:
    """Return why a script failed. The wording is chosen; no source shows one."""
    if ended.exit_code is None and not ended.reason.startswith("killed"):
        return ended.reason
    code = ended.exit_code if ended.exit_code is not None else 137
    return f"The training script exited with the status {code}.\n{ended.log_tail[-_MAX_OUTPUT:]}"
