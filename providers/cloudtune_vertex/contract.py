"""Vertex AI's contract with a script: its command, its environment and its metric file.

Jobs are in the JSON of the REST API. Sources: the documentation pages "Prepare training code" and
"Create a hyperparameter tuning job" of docs.cloud.google.com (read 2026-11); the types of
google-cloud-aiplatform 2.7.0, and its training_utils/environment_variables.py; the sdist of
cloudml-hypertune 0.1.0.dev6.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from cloudtune.emulator_kit import PASSED_ON
from cloudtune.provider import Json, Value, format_value

GCS = "CLOUDTUNE_GCS"
"""The variable with the folder of all buckets, ``/gcs`` or a stand-in; real jobs do not have it."""
MAX_REPORTS = 100
"""Reports of one trial; cloudml-hypertune keeps the last ones."""
_REPORT_FIELDS = frozenset(["timestamp", "trial", "global_step", "checkpoint_path"])
"""The fields of a line in the metric file that are not metrics."""
_VARIABLE = re.compile(r"\$(\$|)\(([A-Za-z_][A-Za-z0-9_]*)\)")


class BadSpec(Exception):  # noqa: N818 - the end of a job, not an error of cloudtune
    """A job cannot be started as it is described; the message says why."""


@dataclass(frozen=True)
class Container:
    """The folders of one job on this machine."""

    root: Path
    """The job's own folder, which is lost with its machine."""
    gcs: Path
    """Where the script finds all buckets: ``/gcs``, or the folder that replaces it."""

    @property
    def work(self) -> Path:
        """The working folder of the script."""
        return self.root / "work"

    @property
    def metrics(self) -> Path:
        """The metric file of a trial: ``/var/hypertune/output.metrics`` on the service."""
        return self.root / "hypertune" / "output.metrics"


IN_IMAGE = Container(Path("/var"), Path("/gcs"))
"""The folders as a job sees them in its image."""


@dataclass(frozen=True)
class Identity:
    """The ids of a job in its variables."""

    job: str
    """The custom job's number."""
    project: str
    """The project's number."""
    trial: str | None = None
    """The trial's id; None outside of tuning jobs."""
    tag: str | None = None
    """The first metric of a trial."""


@dataclass(frozen=True)
class Start:
    """The process of a job's script."""

    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    """The whole environment."""


def format_flags(parameters: Mapping[str, Value]) -> list[str]:
    """Return the arguments with the active parameters of a trial.

    An integer has no decimal point: Google's samples read DISCRETE parameters with ``type=int``.
    """
    return [
        f"--{name}={format_value(int(value) if _is_whole(value) else value)}"
        for name, value in parameters.items()
    ]


def _is_whole(value: Value) -> bool:
    return isinstance(value, float) and value.is_integer()


def append_args(spec: Json, args: Sequence[str]) -> Json:
    """Return a CustomJobSpec with arguments appended to those of its chief."""
    pools: list[Json] = [dict(pool) for pool in spec["workerPoolSpecs"]]
    kind = "pythonPackageSpec" if "pythonPackageSpec" in pools[0] else "containerSpec"
    task: Json = dict(pools[0].get(kind, {}))
    pools[0][kind] = {**task, "args": [*task.get("args", ()), *args]}
    return {**spec, "workerPoolSpecs": pools}


def package_uris(spec: Json) -> Sequence[str]:
    """Return the addresses of the packages to install before the chief starts."""
    package: Json = spec["workerPoolSpecs"][0].get("pythonPackageSpec", {})
    uris: Sequence[str] = package.get("packageUris", ())
    return uris


def install_command(file: Path, python: str) -> list[str]:
    """Return the command that installs a package."""
    return [
        *(python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"),
        "--no-build-isolation",  # Google's images have setuptools
        "--no-cache-dir",  # a wheel of each run's package would stay on this machine
        str(file),
    ]


def build_start(spec: Json, identity: Identity, container: Container, python: str) -> Start:
    """Return the process of a job's chief, for which its packages must be installed.

    Args:
        spec: The CustomJobSpec, with the output folder and the flags of its trial.
        identity: The ids of the job.
        container: The folders of the job.
        python: The Python of its image.

    Raises:
        BadSpec: If the job has neither a package nor a command.
    """
    pool: Json = spec["workerPoolSpecs"][0]
    package: Json = pool.get("pythonPackageSpec", {})
    image: Json = pool.get("containerSpec", {})
    if package:
        command = [python, "-m", package["pythonModule"], *package.get("args", ())]
    elif image.get("command"):
        command = [*image["command"], *image.get("args", ())]
    else:
        raise BadSpec("the emulator runs no images: set containerSpec.command")
    env = _image_variables(container, python) | _service_variables(spec, identity, container)
    for variable in (package or image).get("env", ()):
        env[variable["name"]] = _expand(variable.get("value", ""), env)
    return Start(command, container.work, env)


def image_variables(spec: Json, identity: Identity) -> dict[str, str]:
    """Return the variables that a job has in any image, with the paths of the service."""
    pool: Json = spec["workerPoolSpecs"][0]
    task: Json = pool.get("pythonPackageSpec") or pool.get("containerSpec", {})
    env = _service_variables(spec, identity, IN_IMAGE)
    for variable in task.get("env", ()):
        env[variable["name"]] = _expand(variable.get("value", ""), env)
    return env


def _image_variables(container: Container, python: str) -> dict[str, str]:
    missing_path = str(container.root / "nowhere")
    passed_on = {name: value for name, value in os.environ.items() if name in PASSED_ON}
    return passed_on | {
        "PATH": f"{Path(python).parent}{os.pathsep}{passed_on.get('PATH', os.defpath)}",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        GCS: str(container.gcs),
        # Hide this machine's credentials and metadata server from Google's libraries.
        "CLOUDSDK_CONFIG": missing_path,
        "GOOGLE_APPLICATION_CREDENTIALS": missing_path,
        "NO_GCE_CHECK": "true",
    }


def _service_variables(spec: Json, identity: Identity, container: Container) -> dict[str, str]:
    task: Json = {"type": "workerpool0", "index": 0}
    env = {"CLOUD_ML_JOB_ID": identity.job, "CLOUD_ML_PROJECT_ID": identity.project}
    if identity.trial is not None:
        task["trial"] = identity.trial
        env["CLOUD_ML_TRIAL_ID"] = identity.trial
        env["CLOUD_ML_HP_METRIC_FILE"] = str(container.metrics)
        env["CLOUD_ML_HP_METRIC_TAG"] = identity.tag or ""
    cluster = {"workerpool0": ["127.0.0.1:2222"]}
    env["CLUSTER_SPEC"] = json.dumps({"cluster": cluster, "environment": "cloud", "task": task})
    base: str = spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "")
    if base:
        base = base.rstrip("/") + "/"
        env["AIP_MODEL_DIR"] = f"{base}model/"
        env["AIP_CHECKPOINT_DIR"] = f"{base}checkpoints/"
        env["AIP_TENSORBOARD_LOG_DIR"] = f"{base}logs/"
    return env


def _expand(value: str, env: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` in a variable's value; ``$$(NAME)`` becomes ``$(NAME)``."""

    def replacement(match: re.Match[str]) -> str:
        return match[0][1:] if match[1] else env.get(match[2], match[0])

    return _VARIABLE.sub(replacement, value)


@dataclass
class Measurement:
    """The metrics of a trial at one step."""

    step: int
    time: float
    metrics: dict[str, float] = field(default_factory=dict[str, float])


class MetricFile:
    """The metric file of one trial, which its script rewrites."""

    def __init__(self, path: Path, metrics: Collection[str]) -> None:
        """Create a reader of some metrics; the file may not exist yet."""
        self._path = path
        self._metrics = frozenset(metrics)
        self._previous_lines: list[str] = []

    def read(self, *, last: bool = False) -> list[Measurement]:
        """Return new measurements in order; the metrics of one step are one measurement.

        Args:
            last: Whether the script has ended, so the file is complete.
        """
        try:
            content = self._path.read_text("utf-8", "replace")
        except FileNotFoundError:
            return []
        complete = content if last else content[: content.rfind("\n") + 1]
        lines = [line for line in complete.splitlines() if line.strip()][-MAX_REPORTS:]
        if not last and len(lines) < len(self._previous_lines):
            return []  # the script is rewriting it
        new_lines = lines[_count_overlap(self._previous_lines, lines) :]
        self._previous_lines = lines
        measurements: list[Measurement] = []
        for line in new_lines:
            self._add(line, measurements)
        return measurements

    def _add(self, line: str, measurements: list[Measurement]) -> None:
        report = _parse_report(line)
        if report is None:
            return
        values = {tag: v for tag, v in report.metrics.items() if tag in self._metrics}
        last = measurements[-1] if measurements else None
        if last and last.step == report.step and not values.keys() & last.metrics.keys():
            last.metrics |= values
        elif values:
            measurements.append(Measurement(report.step, report.time, values))


def _count_overlap(before: Sequence[str], now: Sequence[str]) -> int:
    """Return how many of the first lines are the last lines from before."""
    for count in range(min(len(before), len(now)), 0, -1):
        if before[-count:] == now[:count]:
            return count
    return 0


def _parse_report(line: str) -> Measurement | None:
    """Return the finite values of a line; None if it is not a report."""
    try:
        data = json.loads(line)
        if not isinstance(data, dict):
            return None
        entries = cast("Json", data)
        values = {tag: float(entries[tag]) for tag in entries.keys() - _REPORT_FIELDS}
        step = int(entries.get("global_step") or 0)
        time = float(entries.get("timestamp") or 0)
    except (ValueError, TypeError):
        return None
    return Measurement(step, time, {tag: v for tag, v in values.items() if math.isfinite(v)})
