"""What Vertex AI does to a script: how it is started, what it is told, how its metrics are read.

Jobs are given as the service's REST API spells them. Sources: the documentation pages "Prepare
training code" and "Create a hyperparameter tuning job" of docs.cloud.google.com (read 2026-11);
google-cloud-aiplatform 2.7.0 (the types, and training_utils/environment_variables.py); the sdist of
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
"""The variable that names the folder in place of ``/gcs``; no real job has it."""
MOST_REPORTS = 100
"""Of one trial; cloudml-hypertune keeps the last ones."""
_NOT_TAGS = frozenset(["timestamp", "trial", "global_step", "checkpoint_path"])
_VARIABLE = re.compile(r"\$(\$|)\(([A-Za-z_][A-Za-z0-9_]*)\)")


class BadSpec(Exception):  # noqa: N818 - the end of a job, and no error of ours
    """A job cannot be started as it is described; the message says why."""


@dataclass(frozen=True)
class Container:
    """The folders of one job on this machine."""

    root: Path
    """What the job has for itself, and loses when its machine is taken away."""
    gcs: Path
    """What stands for ``/gcs``, where all buckets are mounted."""

    @property
    def work(self) -> Path:
        """Where the script starts."""
        return self.root / "work"

    @property
    def metrics(self) -> Path:
        """The metric file of a trial: ``/var/hypertune/output.metrics`` on the service."""
        return self.root / "hypertune" / "output.metrics"


@dataclass(frozen=True)
class Identity:
    """Who a job is, for the variables that tell it so."""

    job: str
    """The custom job's number."""
    project: str
    """The project's number."""
    trial: str | None = None
    """Of a tuning job: the trial's id."""
    tag: str | None = None
    """Of a trial: its first metric."""


@dataclass(frozen=True)
class Start:
    """All that is needed to run the script of a job."""

    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    """The whole environment."""


def flags(parameters: Mapping[str, Value]) -> list[str]:
    """Return the words by which a trial is told its parameters; only active ones are given.

    A whole number is written without a point: Google's own samples read those of DISCRETE
    parameters with ``type=int``.
    """
    return [f"--{name}={_word(value)}" for name, value in parameters.items()]


def _word(value: Value) -> str:
    return (
        format_value(int(value))
        if isinstance(value, float) and value.is_integer()
        else format_value(value)
    )


def with_flags(spec: Json, words: Sequence[str]) -> Json:
    """Return a CustomJobSpec whose chief's arguments are followed by some words."""
    pools: list[Json] = [dict(pool) for pool in spec["workerPoolSpecs"]]
    kind = "pythonPackageSpec" if "pythonPackageSpec" in pools[0] else "containerSpec"
    task: Json = dict(pools[0].get(kind, {}))
    pools[0][kind] = {**task, "args": [*task.get("args", ()), *words]}
    return {**spec, "workerPoolSpecs": pools}


def packages(spec: Json) -> Sequence[str]:
    """Return the addresses of the packages that are installed before the chief is started."""
    package: Json = spec["workerPoolSpecs"][0].get("pythonPackageSpec", {})
    uris: Sequence[str] = package.get("packageUris", ())
    return uris


def installation(file: Path, python: str) -> list[str]:
    """Return the command that installs a package."""
    return [
        *(python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"),
        "--no-build-isolation",  # as in Google's images, setuptools is there
        str(file),
    ]


def start(spec: Json, who: Identity, container: Container, python: str) -> Start:
    """Return how the chief of a job is started, once its packages are installed.

    Args:
        spec: The CustomJobSpec, with the output folder and the flags of its own trial.
        who: Which job it is.
        container: Where it runs.
        python: The Python of its image.

    Raises:
        BadSpec: If nothing says what is to be run.
    """
    pool: Json = spec["workerPoolSpecs"][0]
    package: Json = pool.get("pythonPackageSpec", {})
    image: Json = pool.get("containerSpec", {})
    task = package or image
    if package:
        words = [python, "-m", package["pythonModule"], *package.get("args", ())]
    elif image.get("command"):
        words = [*image["command"], *image.get("args", ())]
    else:
        raise BadSpec(
            "this emulator runs no images: containerSpec.command must say what is to be run here"
        )
    env = _surroundings(container, python) | variables(spec, who, container)
    for variable in task.get("env", ()):
        env[variable["name"]] = _expanded(variable.get("value", ""), env)
    return Start(words, container.work, env)


def _surroundings(container: Container, python: str) -> dict[str, str]:
    nowhere = str(container.root / "nowhere")
    kept = {name: value for name, value in os.environ.items() if name in PASSED_ON}
    return kept | {
        "PATH": f"{Path(python).parent}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "TMPDIR": str(container.root / "tmp"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        GCS: str(container.gcs),
        # Google's libraries find neither this machine's credentials nor its metadata server.
        "CLOUDSDK_CONFIG": nowhere,
        "GOOGLE_APPLICATION_CREDENTIALS": nowhere,
        "NO_GCE_CHECK": "true",
    }


def variables(spec: Json, who: Identity, container: Container) -> dict[str, str]:
    """Return the variables that the service itself sets."""
    task: Json = {"type": "workerpool0", "index": 0}
    env = {"CLOUD_ML_JOB_ID": who.job, "CLOUD_ML_PROJECT_ID": who.project}
    if who.trial is not None:
        task["trial"] = who.trial
        env["CLOUD_ML_TRIAL_ID"] = who.trial
        env["CLOUD_ML_HP_METRIC_FILE"] = str(container.metrics)
        env["CLOUD_ML_HP_METRIC_TAG"] = who.tag or ""
    cluster = {"workerpool0": ["127.0.0.1:2222"]}
    env["CLUSTER_SPEC"] = json.dumps({"cluster": cluster, "environment": "cloud", "task": task})
    base: str = spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "")
    if base:
        base = base.rstrip("/") + "/"
        env["AIP_MODEL_DIR"] = f"{base}model/"
        env["AIP_CHECKPOINT_DIR"] = f"{base}checkpoints/"
        env["AIP_TENSORBOARD_LOG_DIR"] = f"{base}logs/"
    return env


def _expanded(value: str, env: Mapping[str, str]) -> str:
    """Return a variable's value with ``$(NAME)`` replaced; ``$$(NAME)`` stands for itself."""

    def replaced(found: re.Match[str]) -> str:
        return found[0][1:] if found[1] else env.get(found[2], found[0])

    return _VARIABLE.sub(replaced, value)


@dataclass
class Measurement:
    """What a trial measured at one step."""

    step: int
    time: float
    metrics: dict[str, float] = field(default_factory=dict[str, float])


class MetricFile:
    """The metric file of one trial, read again and again while its script rewrites it."""

    def __init__(self, path: Path, metrics: Collection[str]) -> None:
        """Prepare to read a file that need not be there yet.

        Args:
            path: Where it is.
            metrics: The ids of the metrics; all other tags are passed over.
        """
        self._path = path
        self._metrics = frozenset(metrics)
        self._seen: list[str] = []

    def read(self, *, last: bool = False) -> list[Measurement]:
        """Return what is new, in order; metrics of one step are one measurement.

        Args:
            last: Whether the script has ended: what is there now is complete.
        """
        try:
            content = self._path.read_text("utf-8", "replace")
        except FileNotFoundError:
            return []
        whole = content if last else content[: content.rfind("\n") + 1]
        lines = [line for line in whole.splitlines() if line.strip()][-MOST_REPORTS:]
        if not last and len(lines) < len(self._seen):
            return []  # it is just being written
        fresh = lines[_overlap(self._seen, lines) :]
        self._seen = lines
        found: list[Measurement] = []
        for line in fresh:
            self._add(line, found)
        return found

    def _add(self, line: str, found: list[Measurement]) -> None:
        report = _report(line)
        if report is None:
            return
        step, when, tags = report
        known = {tag: value for tag, value in tags.items() if tag in self._metrics}
        if not known:
            return
        if found and found[-1].step == step and not known.keys() & found[-1].metrics.keys():
            found[-1].metrics |= known
        else:
            found.append(Measurement(step, when, known))


def _overlap(before: Sequence[str], now: Sequence[str]) -> int:
    """Return how many of the first lines are the last ones from before."""
    for count in range(min(len(before), len(now)), 0, -1):
        if before[-count:] == now[:count]:
            return count
    return 0


def _report(line: str) -> tuple[int, float, dict[str, float]] | None:
    """Return step, time and values of a line; None for one that is no report."""
    try:
        said = json.loads(line)
        if not isinstance(said, dict):
            return None
        entries = cast("Json", said)
        tags = {tag: float(entries[tag]) for tag in entries.keys() - _NOT_TAGS}
        step = int(entries.get("global_step") or 0)
        when = float(entries.get("timestamp") or 0)
    except (ValueError, TypeError):
        return None
    return step, when, {tag: value for tag, value in tags.items() if math.isfinite(value)}
