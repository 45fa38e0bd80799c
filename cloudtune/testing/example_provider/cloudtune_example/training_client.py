"""The training jobs: one job of the service for each trial."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudtune.provider import (
    SOURCE,
    JobContext,
    Json,
    Plan,
    ProviderError,
    TrainingJob,
    format_value,
    launcher_files,
    write_archive,
)
from cloudtune.provider.secrets import resolve_secrets
from cloudtune.results import Measurement, Started, TrialState

CLIENT = [sys.executable, str(Path(__file__).with_name("batch.py"))]
"""The command-line client of the service. Yours is probably the name of a program."""
TRY_AGAIN = 75
"""Its exit code if the service is busy or cannot be reached."""
STATES: Mapping[str, TrialState] = {
    "QUEUED": "waiting",
    "RUNNING": "running",
    "SUCCEEDED": "completed",
    "FAILED": "failed",
    "TIMED_OUT": "failed",
    "CANCELLED": "cancelled",
}
_METRIC = re.compile(r"^\[cloudtune\] metric (.+) = (\S+)$", re.MULTILINE)
"""The lines that the launcher prints."""


class ExampleJobs:
    """The jobs of one run."""

    enforces_trial_timeout = True
    poll_seconds = 0.25  # 10 or more for a service that is not on this machine
    hidden_seconds = 0.0

    def __init__(self, plan: Plan, context: JobContext) -> None:
        """Pack the user's code and cloudtune's launcher."""
        self._job = resolve_secrets(plan.request, plan.study)
        self._archive = context.folder / "code.tar.gz"
        source = context.folder / "source"
        files = launcher_files(plan.fitted, plan.facts.run_id, paths={})
        write_archive(self._archive, source if source.is_dir() else None, SOURCE, files)

    def job_name(self, number: int, start: int) -> str:
        """Return the name of a trial's job. It contains the id of the run, so it is unique."""
        return f"{self._job['name']}-{number}-{start}"

    def create(self, started: Started) -> None:
        """Create the job of a trial."""
        job: Json = {**self._job, "name": started.id, "archive": str(self._archive)}
        for name, value in started.parameters.items():
            job["command"] = [*job["command"], f"--{name}={format_value(value)}"]
        _call("submit", job=job)

    def poll(self, starts: Sequence[Started]) -> Mapping[str, TrainingJob]:
        """Return the current state of the jobs, keyed by name. Missing jobs are omitted."""
        jobs = json.loads(_call("describe", *(str(started.id) for started in starts)))
        return {name: _read_job(job) for name, job in jobs.items()}

    def stop(self, name: str) -> None:
        """Ask the service to cancel a job; no effect on one that has ended."""
        _call("cancel", name)


def _call(*words: str, job: Json | None = None) -> str:
    try:
        done = subprocess.run(
            [*CLIENT, *words], input=json.dumps(job), capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise ProviderError("example", str(error), affects_all_calls=True) from error
    if done.returncode:
        retryable = done.returncode == TRY_AGAIN
        raise ProviderError("example", f"{words[0]}: {done.stderr.strip()}", retryable=retryable)
    return done.stdout


def _read_job(job: Mapping[str, Any]) -> TrainingJob:
    log = Path(job["log"])
    text = log.read_text("utf-8", "replace") if log.exists() else ""
    reason = ""
    if job["state"] == "FAILED":
        reason = "\n".join([f"exit code {job['exit_code']}", *text.splitlines()[-3:]])
    elif job["state"] == "TIMED_OUT":
        reason = "its trial_timeout was reached"
    return TrainingJob(
        state=STATES.get(job["state"], "unknown"),
        word=job["state"],
        measurements=list(_read_measurements(text)),
        ended=job["ended"],
        reason=reason,
        log=job["log"],
    )


def _read_measurements(log: str) -> Iterator[Measurement]:
    steps = Counter[str]()
    for name, value in _METRIC.findall(log):
        steps[name] += 1
        yield Measurement(steps[name], {name: float(value)})
