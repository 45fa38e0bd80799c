"""Runs command jobs here: their command in a shell, with their inputs and outputs as folders."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.emulator_kit import (
    PASSED_ON,
    Delays,
    Ended,
    JobRun,
    Json,
    Measured,
    ProcessSpec,
    ScriptJobs,
    create_image,
    format_value,
    is_map,
)
from cloudtune_azure.emulator import delays
from cloudtune_azure.emulator.blobs import ARTIFACTS, DEFAULT_DATASTORE, Blobs, artifacts_folder
from cloudtune_azure.emulator.state import (
    CANCEL_REQUESTED,
    CANCELED,
    COMPLETED,
    QUEUED,
    RUNNING,
    STARTING,
    Job,
)

USER_ERROR, SERVICE_ERROR = "UserError", "ServiceError"
"""The codes of run history for failures of the script and of the service."""
_LOST = "The node of the job failed."
_EXPRESSION = re.compile(r"\$\{\{\s*(inputs|outputs|search_space)\.([^\s{}]+)\s*\}\}")
_PATH = re.compile(r"azureml://.*?datastores/([^/]+)/paths/(.*)")

Run = JobRun[Job, Path, str]


class Jobs(ScriptJobs[Job, Path, str]):
    """Runs jobs."""

    def __init__(
        self, delays_: Delays, lock: threading.RLock, blobs: Blobs, variables: Mapping[str, str]
    ) -> None:
        """Create a runner without jobs, whose scripts get some variables."""
        self._blobs = blobs
        self._variables = variables
        self.codes: dict[str, tuple[str, str]] = {}
        """The container and the folder of each registered code, by its id."""
        super().__init__(delays_, lock, grace=delays.CANCELLING)

    def stop(self, job: Job) -> None:
        """Cancel a job that has not ended. The caller holds the lock."""
        job.enter(CANCEL_REQUESTED)
        self.request_stop(job)

    def stop_early(self, job: Job) -> None:
        """Stop a job."""
        with self.lock:
            if not job.is_over:
                self.stop(job)

    def prepare(self, run: Run) -> ProcessSpec:
        """Wait for a machine, and return the process of the command."""
        job = run.job
        if job.state == STARTING:
            self.pass_time(run, delays.STARTING)
        self._enter(job, QUEUED)
        self.start_machine(run, delays.QUEUED, _LOST)
        try:
            python = create_image(job.folder / f"image{run.attempts}")
            work = job.folder / f"work{run.attempts}"
            work.mkdir()
            if code := self.codes.get(str(job.request.get("codeId"))):
                self._blobs.copy(*code, work)
        except OSError as error:
            self.give_up(run, f"The environment cannot be created: {error}")
        command = _EXPRESSION.sub(lambda match: self._mount(job, *match.groups()), _command(job))
        self._enter(job, RUNNING)
        if job.seconds is not None:
            run.start_limit(job.seconds, lambda: self.stop_early(job))
        env = {name: value for name, value in os.environ.items() if name in PASSED_ON}
        env |= self._run_variables(job)
        variables: Json = job.request.get("environmentVariables") or {}
        env |= {name: str(value) for name, value in variables.items()}
        env |= {f"AZUREML_SWEEP_{name}": text_of(value) for name, value in job.values.items()}
        env["PATH"] = f"{Path(python).parent}{os.pathsep}{env.get('PATH') or os.defpath}"
        words = ["/bin/bash", "-c", command]
        return ProcessSpec(words, work, env, job.log, grace=delays.CANCELLING)

    def read(self, run: Run, *, last: bool) -> None:
        """Pass on new values of a primary metric, and apply the fault after so many reports."""
        if run.job.sweep is not None:
            self._pass_on(run)
        if not last and run.job.fault is not None and run.job.state == RUNNING:
            self.inject_fault(run, run.job.reports)

    def _pass_on(self, run: Run) -> None:
        job = run.job
        with self.lock:
            new = job.metrics[job.seen :]
            job.seen += len(new)
        metric = job.sweep.metric if job.sweep else ""
        for each in new:
            if each["key"] == metric:
                values = {metric: each["value"]}
                run.notify(Measured(run.number, each["timestamp"] / 1000, each["step"], values))

    def finish(self, run: Run, ended: Ended) -> None:
        """Keep the folder ``outputs`` of the script, and let the time of a cancellation pass."""
        job = run.job
        outputs = job.folder / f"work{run.attempts}" / "outputs"
        if outputs.is_dir():
            kept = self._blobs.path(ARTIFACTS, f"{artifacts_folder(job.name)}/outputs")
            shutil.copytree(outputs, kept, dirs_exist_ok=True)
        if job.stop_requested.is_set():
            self.delays.wait(delays.CANCELLING, self.closing)

    def settle(self, run: Run, ended: Ended) -> None:
        """Enter the job's final state."""
        job = run.job
        if job.stop_requested.is_set():
            job.enter(CANCELED)
        elif run.problem:
            job.fail(SERVICE_ERROR, run.problem)
        elif ended.state == "completed":
            job.enter(COMPLETED)
        else:
            code = ended.exit_code if ended.exit_code is not None else -9
            job.fail(
                USER_ERROR,
                f"Execution failed. User process 'bash' exited with status code {code}. Please "
                "check log file 'user_logs/std_log.txt' for error details.",
            )

    def _enter(self, job: Job, state: str) -> None:
        with self.lock:
            if job.state != CANCEL_REQUESTED:
                job.enter(state)

    def _run_variables(self, job: Job) -> dict[str, str]:
        """Return the variables of MLflow; its own client reaches the emulator with them.

        On Azure, the address begins with ``azureml:``, for which that client needs a plug-in.
        """
        return {
            **self._variables,
            "AZUREML_RUN_ID": job.name,
            "MLFLOW_RUN_ID": job.name,
            "MLFLOW_TRACKING_URI": self._variables["MLFLOW_TRACKING_URI"] + job.workspace,
            "MLFLOW_EXPERIMENT_NAME": str(job.request.get("experimentName") or "Default"),
            "PYTHONUNBUFFERED": "1",
        }

    def _mount(self, job: Job, kind: str, name: str) -> str:
        """Return the path of an input or output, the blobs themselves, or a value of a sweep."""
        if kind == "search_space":
            return text_of(job.values[name])
        entries: Json = job.request[kind]
        given: Json = entries[name]
        if "value" in given:
            return str(given["value"])
        match = _PATH.fullmatch(str(given.get("uri") or ""))
        if match is not None:
            folder = self._blobs.path(match[1], match[2].strip("/"))
        elif kind == "outputs":  # azure-ai-ml looks for it there
            folder = self._blobs.path(DEFAULT_DATASTORE, f"azureml/{job.name}/{name}")
        else:  # data of another service
            folder = job.folder / kind / name
        if kind == "outputs" or match is None:
            folder.mkdir(parents=True, exist_ok=True)
        return str(folder)


def text_of(value: Any) -> str:
    """Return the text of a value of a sweep; of a map as in its tag, which is chosen."""
    return json.dumps(value) if is_map(value) else format_value(value)


def missing_binding(request: Json) -> str | None:
    """Return the first input or output that a command names and its job does not have."""
    trial: Json = request.get("trial") or request
    names = {**request, "search_space": request.get("searchSpace")}
    for match in _EXPRESSION.finditer(str(trial.get("command", ""))):
        if match[2] not in (names.get(match[1]) or {}):
            return f"{match[1]}.{match[2]}"
    return None


def _command(job: Job) -> str:
    return str(job.request.get("command", ""))
