"""Runs batch scripts here, as slurmstepd does: their files, their signals, their end."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudtune.emulator_kit import (
    Delays,
    Ended,
    JobRun,
    ProcessSpec,
    ScriptJobs,
    create_folder,
    create_image,
)
from cloudtune_slurm.emulator import delays
from cloudtune_slurm.emulator.conf import Conf
from cloudtune_slurm.emulator.state import Job

OUT_OF_MEMORY, LOSE_NODE = "out_of_memory", "lose_node"
"""Faults of a trial that only this emulator has."""
_REDIRECT = 'out=$1 err=$2; shift 2; exec "$@" >>"$out" 2>>"$err" </dev/null'
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LAUNCH_FAILURE = "JobLaunchFailure"
"""A reason of squeue(1)."""


@dataclass
class Script:
    """A script that runs."""

    errors: Path
    """The file with its standard error, to which slurmstepd adds its own messages."""
    begun: float
    """When, by the monotonic clock."""
    early_signal_sent: bool = False


Run = JobRun[Job, Script, str]


class Jobs(ScriptJobs[Job, Script, str]):
    """Runs jobs that have a node."""

    def __init__(
        self,
        folder: Path,
        conf: Conf,
        delays_: Delays,
        lock: threading.RLock,
    ) -> None:
        """Create a runner.

        Args:
            folder: The emulator's folder.
            conf: The cluster.
            delays_: How long Slurm's own steps take.
            lock: Held while a job changes.
        """
        self.release: Callable[[Job], None] = lambda _job: None
        """Called under the lock when a job has left its node."""
        self.lose_node: Callable[[str], None] = lambda _node: None
        """Called when a fault plan takes a node away."""
        self._conf = conf
        self._folder = folder
        self._image = folder / "image"
        self._image_lock = threading.Lock()
        super().__init__(delays_, lock, grace=conf.kill_wait)

    def stop_early(self, job: Job) -> None:
        """Do nothing: Slurm does not stop jobs early."""

    def prepare(self, run: Run) -> ProcessSpec:
        """Write the script into the node's spool folder, and return its process."""
        job = run.job
        if run.take_fault("fail") is not None:
            self.give_up(run, _LAUNCH_FAILURE)
        self.pass_time(run, delays.LAUNCHING)
        script = create_folder(self._spool(job)) / "slurm_script"
        script.write_bytes(job.spec.script.encode("utf-8", "surrogateescape"))
        script.chmod(0o700)
        output = job.output_file(job.spec.output)
        errors = job.output_file(job.spec.error) if job.spec.error else output
        for file in {output, errors}:
            _open_output(file, append=job.spec.append or job.restarts > 0)
        cwd = Path(job.spec.chdir)
        if not cwd.is_dir():  # measured with 24.11.5
            _append(errors, job, f"couldn't chdir to `{cwd}': No such file or directory: going to")
            cwd = Path("/tmp")  # noqa: S108 - as slurmstepd
        run.script = Script(errors, time.monotonic())
        interpreter = job.spec.script[2:].partition("\n")[0].split()
        if interpreter and not os.access(interpreter[0], os.X_OK):  # measured with 24.11.5
            text = f"execve(): bad interpreter({interpreter[0]}): No such file or directory"
            _append(errors, job, text)
            words = ["/bin/sh", "-c", "exit 2"]
        else:
            script_words = [str(script), *job.spec.args]
            words = ["/bin/sh", "-c", _REDIRECT, "sh", str(output), str(errors), *script_words]
        log = create_folder(self._folder / "jobs" / str(job.id)) / "stepd.log"
        return ProcessSpec(words, cwd, self._environment(job), log, grace=self._conf.kill_wait)

    def read(self, run: Run, *, last: bool) -> None:
        """Do what the time brings: the signal before the limit, the limit, the fault."""
        job, script = run.job, run.script
        if last or script is None:
            return
        elapsed = time.monotonic() - script.begun
        with self.lock:
            if job.is_over or job.outcome:
                return
            limit = None if job.limit is None else job.limit * 60
            early = job.spec.signal
            if limit is not None and elapsed >= limit:
                self.cancel(job, "TIMEOUT", "TimeLimit", "DUE TO TIME LIMIT")
            elif early and limit is not None and elapsed >= limit - early.seconds:
                if not script.early_signal_sent:
                    script.early_signal_sent = True
                    if early.batch:
                        self.signal(job, early.number)
            else:
                self._inject(run, elapsed)

    def signal(self, job: Job, number: int) -> None:
        """Send a signal to the batch script, and nothing else.

        slurmstepd writes of SIGTERM that the job is cancelled although it is not, and adds
        SIGCONT; measured with 24.11.5.
        """
        for run in self._runs_of(job):
            if number == signal.SIGTERM and run.script:
                _append(run.script.errors, job, _cancelled(job))
            self._processes.signal(run.number, number)
            if number == signal.SIGTERM:
                self._processes.signal(run.number, signal.SIGCONT)

    def cancel(self, job: Job, state: str, reason: str = "None", words: str = "") -> None:
        """Let all processes of a job end, which then enters a state; called under the lock.

        They get SIGCONT and SIGTERM, also those in other sessions, and SIGKILL after KillWait
        (scancel(1); measured with 24.11.5).
        """
        job.outcome, job.reason = state, reason
        for run in self._runs_of(job):
            if run.script:
                _append(run.script.errors, job, _cancelled(job, words))
            self._processes.signal(run.number, signal.SIGCONT, to="all")
            self._processes.signal(run.number, signal.SIGTERM, to="left")
        self.request_stop(job)

    def kill(self, job: Job, state: str, reason: str = "None") -> None:
        """Kill all processes of a job, which then enters a state; called under the lock."""
        job.outcome, job.reason = state, reason
        job.stop_requested.set()
        for run in self._runs_of(job):
            self._processes.stop(run.number, now=True)

    def finish(self, run: Run, ended: Ended) -> None:
        """Let the time pass that Slurm takes to complete a job, or to miss its node."""
        lost = run.job.outcome == "NODE_FAIL"
        self.delays.wait(delays.NODE_LOSS if lost else delays.COMPLETING, self.closing)

    def settle(self, run: Run, ended: Ended) -> None:
        """Enter the job's final state."""
        job = run.job
        job.exit_code, job.exit_signal = _exit_status(ended)
        shutil.rmtree(self._spool(job), ignore_errors=True)
        if run.problem:
            job.exit_code, job.exit_signal = 0, 1
            job.end("FAILED", run.problem)
        elif job.outcome:
            job.end(job.outcome, job.reason)
        elif ended.state == "completed":
            job.end("COMPLETED")
        elif job.exit_signal:
            name = signal.strsignal(job.exit_signal) or "Unknown"
            job.end("FAILED", f"RaisedSignal:{job.exit_signal}({name})")
        else:
            job.end("FAILED", "NonZeroExitCode" if job.exit_code else _LAUNCH_FAILURE)
        if job.state == "NODE_FAIL":
            job.exit_code, job.exit_signal = 0, 1  # measured with 24.11.5
        elif job.state == "OUT_OF_MEMORY":
            job.exit_code, job.exit_signal = 0, 125
        self.release(job)

    def _inject(self, run: Run, elapsed: float) -> None:
        """Apply the fault of a job that has run for as many seconds as the plan says."""
        fault = run.job.fault
        if fault is None or elapsed < fault.after or run.take_fault(fault.effect) is None:
            return
        if fault.effect == "lose":
            self.kill(run.job, "NODE_FAIL", "NodeDown")
        elif fault.effect == LOSE_NODE:
            self.lose_node(run.job.node)
        elif fault.effect == "interrupt":
            self.cancel(run.job, "PREEMPTED", "None", "DUE TO PREEMPTION")
        elif fault.effect == OUT_OF_MEMORY:
            self._exhaust_memory(run)

    def _exhaust_memory(self, run: Run) -> None:
        """Kill a script as the kernel does in a control group, and write as slurmstepd does.

        The words are those of issues about Slurm 22 to 24; without control groups they could not
        be measured.
        """
        job = run.job
        if run.script:
            text = (
                f"Detected 1 oom_kill event in StepId={job.id}.batch. Some of the step tasks have "
                "been OOM Killed."
            )
            _append(run.script.errors, job, text)
        self.kill(job, "OUT_OF_MEMORY", "OutOfMemory")

    def _runs_of(self, job: Job) -> list[Run]:
        return [run for run in list(self._runs.values()) if run.job is job]

    def _spool(self, job: Job) -> Path:
        return self._folder / "spool" / job.node / f"job{job.id:05}"

    def _environment(self, job: Job) -> Mapping[str, str]:
        """Return the variables of a script (sbatch(1); the names measured with 24.11.5)."""
        spec = job.spec
        login = self._login() if spec.login else dict[str, str]()
        user = pwd.getpwuid(os.getuid())
        started = int(job.started or time.time())
        end = started + (job.limit * 60 if job.limit is not None else 365 * 24 * 3600)
        variables = {
            "ENVIRONMENT": "BATCH",
            "HOSTNAME": job.node,
            "SLURMD_NODENAME": job.node,
            "SLURM_CLUSTER_NAME": self._conf.name,
            "SLURM_CPUS_ON_NODE": str(spec.cpus),
            "SLURM_GTIDS": "0",
            "SLURM_JOBID": str(job.id),
            "SLURM_JOB_CPUS_PER_NODE": str(spec.cpus),
            "SLURM_JOB_END_TIME": str(end),
            "SLURM_JOB_GID": str(user.pw_gid),
            "SLURM_JOB_ID": str(job.id),
            "SLURM_JOB_NAME": spec.name,
            "SLURM_JOB_NODELIST": job.node,
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_JOB_PARTITION": job.partition,
            "SLURM_JOB_START_TIME": str(started),
            "SLURM_JOB_UID": str(user.pw_uid),
            "SLURM_JOB_USER": user.pw_name,
            "SLURM_LOCALID": "0",
            "SLURM_NNODES": "1",
            "SLURM_NODEID": "0",
            "SLURM_NODELIST": job.node,
            "SLURM_PROCID": "0",
            "SLURM_TASKS_PER_NODE": str(spec.tasks),
        }
        if spec.account:
            variables["SLURM_JOB_ACCOUNT"] = spec.account
        if spec.qos:
            variables["SLURM_JOB_QOS"] = spec.qos
        if spec.gpus:
            variables["SLURM_GPUS_ON_NODE"] = str(spec.gpus)
        if job.restarts:
            variables["SLURM_RESTART_COUNT"] = str(job.restarts)
        return {**login, **spec.env, **variables}

    def _login(self) -> Mapping[str, str]:
        """Return the variables of a login shell, whose first ``python`` is the emulator's own."""
        user = pwd.getpwuid(os.getuid())
        with self._image_lock:
            if not self._image.exists():
                create_image(self._image)
        return {
            "HOME": user.pw_dir,
            "LOGNAME": user.pw_name,
            "PATH": f"{self._image / 'bin'}:{_PATH}",
            "SHELL": user.pw_shell,
            "USER": user.pw_name,
        }


def _open_output(file: Path, *, append: bool) -> None:
    """Create an output file; missing folders are created too (measured with 24.11.5)."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab" if append else "wb"):
            pass
    except OSError:  # the redirection fails, and with it the script
        return


def _append(file: Path, job: Job, text: str) -> None:
    try:
        with file.open("a", encoding="utf-8") as opened:
            opened.write(f"slurmstepd-{job.node}: error: {text}\n")
    except OSError:
        return


def _cancelled(job: Job, words: str = "") -> str:
    now = time.strftime("%Y-%m-%dT%H:%M:%S")
    return f"*** JOB {job.id} ON {job.node} CANCELLED AT {now} {f'{words} ' if words else ''}***"


def _exit_status(ended: Ended) -> tuple[int, int]:
    """Return the exit code and the signal of a script."""
    if ended.exit_code is not None:
        return ended.exit_code, 0
    _, _, name = ended.reason.partition("killed by ")
    if name.startswith("SIG"):
        return 0, signal.Signals[name]
    return (0, int(signal.SIGKILL)) if "did not exit within" in ended.reason else (0, 0)
