"""Runs jobs here: the command as a shell runs it, and what the supervisor of a job does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from cloudtune.emulator_kit import (
    PASSED_ON,
    Delays,
    Ended,
    JobRun,
    Json,
    ProcessSpec,
    ScriptJobs,
    create_image,
    is_map,
)
from cloudtune_ray.emulator import delays
from cloudtune_ray.emulator.session import Session
from cloudtune_ray.emulator.state import (
    NODE_CPUS,
    NODE_GPUS,
    NODE_MEMORY,
    RUNNING,
    STOPPED,
    SUCCEEDED,
    Job,
)

FORGET_PACKAGES = "forget_packages"
"""The fault that the cluster has forgotten all packages when a job is to start."""
RESTART_HEAD = "restart_head"
"""The fault that the head is replaced, with all jobs, when a job has measured once."""
OUT_OF_MEMORY = "out_of_memory"
"""The fault that the memory monitor of a node ends a job when it has measured once."""
_LINES_ON_ERROR = 10
_SUPERVISOR = str(Path(__file__).with_name("supervisor.py"))
_GRACE = "RAY_JOB_STOP_WAIT_TIME_S"

Run = JobRun[Job, Path, str]


class Jobs(ScriptJobs[Job, Path, str]):
    """Runs jobs."""

    def __init__(self, delays_: Delays, lock: threading.RLock, session: Session) -> None:
        self._session = session
        super().__init__(delays_, lock, grace=float(delays.GRACE))

    def stop(self, job: Job) -> None:
        """Signal all processes of a job that exist now (job_supervisor.py, run)."""
        with self.lock:
            self.request_stop(job)
            self.send_signal(job, signal.SIGTERM, to="left")

    def stop_early(self, job: Job) -> None:
        """Stop a job."""
        self.stop(job)

    def prepare(self, run: Run) -> ProcessSpec:
        """Wait for a node, set up the runtime environment, and return the command's process."""
        job = run.job
        if run.take_fault(FORGET_PACKAGES):
            with self.lock:
                self._session.packages.clear()
        self.start_machine(run, delays.STARTING, "JOB_SUPERVISOR_ACTOR_START_FAILURE")
        if not _fits(job.request):
            self.pass_time(run, delays.START_TIMEOUT)
            job.message = (
                f"Job supervisor actor failed to start within {delays.START_TIMEOUT} seconds. This "
                "may be because the job entrypoint's specified resources aren't available on the "
                "cluster."
            )
            self.give_up(run, "JOB_SUPERVISOR_ACTOR_START_TIMEOUT")
        environment: Json = job.request.get("runtime_env") or {}
        try:
            with self.lock:
                folder = self._session.unpack(environment["working_dir"])
            python = create_image(job.folder / "image")
            _install(python, environment.get("pip"))
        except (OSError, KeyError) as error:
            job.message = f"runtime_env setup failed: {error}"
            self.give_up(run, "RUNTIME_ENV_SETUP_FAILURE")
        env_vars: Json = environment.get("env_vars") or {}
        variables = {name: str(value) for name, value in env_vars.items()}
        with self.lock:
            job.node = self._session.choose_node()
            job.enter(RUNNING)
        with job.log.open("a", encoding="utf-8") as log:
            log.write(f"Running entrypoint for job {job.id}: {job.request['entrypoint']}\n")
        command = [sys.executable, "-I", _SUPERVISOR, job.request["entrypoint"]]
        metadata = {"job_submission_id": job.id, "job_name": job.id}
        metadata |= job.request.get("metadata") or {}
        env = {name: value for name, value in os.environ.items() if name in PASSED_ON}
        env |= variables
        env["RAY_JOB_CONFIG_JSON_ENV_VAR"] = json.dumps({"metadata": metadata})
        env["PYTHONUNBUFFERED"] = "1"
        env["PATH"] = f"{Path(python).parent}{os.pathsep}{env.get('PATH') or os.defpath}"
        grace = float(variables.get(_GRACE, delays.GRACE))
        return ProcessSpec(command, folder, env, job.log, grace=grace)

    def read(self, run: Run, *, last: bool) -> None:
        """Apply the fault of a job once its record has so many measurements."""
        job = run.job
        if last or job.fault is None or job.state != RUNNING:
            return
        count = _count_measurements(self._session.logs / f"cloudtune-{job.id}.jsonl")
        self.inject_fault(run, count)
        if count < job.fault.after:
            return
        if run.take_fault(RESTART_HEAD):
            self._restart_head()
        elif run.take_fault(OUT_OF_MEMORY):
            job.message = (
                "Unexpected error occurred: 1 worker(s) were killed due to the node running low on "
                "memory."
            )
            run.problem = "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE"
            self._processes.stop(run.number, now=True)

    def recover(self, run: Run) -> bool:
        """Return False: Ray does not start a job again."""
        return False

    def finish(self, run: Run, ended: Ended) -> None:
        """Let the time pass until the head knows that a node is gone."""
        if run.interrupted:
            if run.job.node:
                with self.lock:
                    self._session.lose(run.job.node)
            self.delays.wait(delays.NODE_LOSS, self.closing)

    def settle(self, run: Run, ended: Ended) -> None:
        """Enter the job's final state (job_supervisor.py, run; job_manager.py, _monitor_job)."""
        job = run.job
        if run.interrupted:
            job.fail(
                "JOB_SUPERVISOR_ACTOR_DIED",
                "Job supervisor actor died: The actor died because its node has died.",
            )
        elif job.stop_requested.is_set():
            job.enter(STOPPED)
        elif run.problem:
            job.fail(run.problem, job.message or "Job supervisor actor failed to start.")
        elif ended.state == "completed":
            job.exit_code = 0
            job.enter(SUCCEEDED)
        else:
            code = ended.exit_code if ended.exit_code is not None else -9
            job.exit_code = code
            text = f"Job entrypoint command failed with exit code {code}, last available logs"
            tail = "".join(_last_lines(job.log))
            job.fail("JOB_ENTRYPOINT_COMMAND_ERROR", f"{text} (truncated to 20,000 chars):\n{tail}")

    def _restart_head(self) -> None:
        with self.lock:
            jobs = [job for job in self._session.jobs.values() if not job.is_over]
            self._session.reset()
            for job in jobs:
                self.request_stop(job)
                self.send_signal(job, signal.SIGKILL, to="all")


def _fits(request: Json) -> bool:
    """Return whether a node is large enough; nodes have all custom resources and labels."""
    wanted: list[tuple[float, float]] = [
        (request.get("entrypoint_num_cpus", 0), NODE_CPUS),
        (request.get("entrypoint_num_gpus", 0), NODE_GPUS),
        (request.get("entrypoint_memory", 0), NODE_MEMORY),
    ]
    return all(amount <= most for amount, most in wanted)


def _install(python: str, pip: Any) -> None:
    """Install packages as ``runtime_env`` asks (_private/runtime_env/pip.py).

    Raises:
        OSError: If pip fails.
    """
    packages = pip.get("packages", []) if is_map(pip) else pip
    if not packages:
        return
    words = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run(
        [*words, *(str(each) for each in packages)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(f"Failed to install pip packages: {done.stderr[-500:]}")


def _count_measurements(record: Path) -> int:
    with suppress(OSError), record.open("rb") as file:
        return sum(line.startswith(b'{"n"') for line in file)
    return 0


def _last_lines(log: Path) -> Iterator[str]:
    with suppress(OSError), log.open(encoding="utf-8", errors="replace") as file:
        yield from deque(file, _LINES_ON_ERROR)
