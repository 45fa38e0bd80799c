"""What IBM does to a script: how it is started, what it is told, how its metrics are read.

Sources, all read 2026-11: *code guidelines* and *HPO page*, "Coding guidelines for deep learning
programs" and "Hyperparameter optimization" of IBM Cloud's documentation of 2018, in copies of
IBM-Bluemix's repository; *emetrics*, ``emetrics.py`` of pmservice/wml-sample-models and the one in
``MNIST.zip`` of IBM/watsonx-ai-samples; *dlicmd*, ``dlicmd.py`` of IBM/wmla-assets (4.8.2); *HPO
notebooks*, ``WMLA-HPO-state.ipynb`` and others there; *WMLA readme*, ``wmla4.8-cpd4.8`` there. What
none of them says is marked as chosen.
"""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from cloudtune.emulator_kit import PASSED_ON
from cloudtune.provider import Json, is_list, is_map
from cloudtune_watson.launcher_contract import parse_literal

LIST = "val_dict_list.json"
"""In ``RESULT_DIR``: what the tuner reads when a trial has ended (HPO page; HPO notebooks)."""
LOG = "evaluation-metrics.txt"
"""In the folder for logs: what the service reads while a script runs (emetrics)."""
CONFIG = "config.json"
"""In the working folder: the parameters of a trial (HPO page; HPO notebooks)."""
TEST = "test"
"""The group of metrics that counts: the objective is that of a test metric (HPO page)."""
_MOST = 2_000_000
"""Characters of a list that is written as the text of Python values."""

_WITH_VALUE = frozenset(
    [
        *("--exec-start", "--model-main", "--model-dir", "--pbmodel-name", "--pbmodel-cmd"),
        *("--appName", "--submit-user", "--consumer", "--ig", "--cs-datastore-meta"),
        *("--data-source", "--conda-home", "--conda-env-yaml", "--conda-package"),
        *("--conda-env-name", "--numWorker", "--numPs", "--numDriver", "--debug-level"),
        *("--cs-rmq-meta", "--cs-url-meta", "--cs-url-bearer", "--lsf-gpu-syntax"),
        *("--sc-runasuser", "--sc-runasgroup", "--sc-fsgroup", "--python-version"),
        *("--gpuPerWorker", "--hardwareSpec"),
    ]
)
_BEGINNINGS = ("--worker", "--driver", "--msd-")
"""What of ``modelSpec.args`` is for the platform (dlicmd's options, and those in HPO notebooks).
All else is for the script; that it is passed on as it stands is chosen."""


class BadSpec(Exception):  # noqa: N818 - the end of a job, and no error of ours
    """A job cannot be started as it is described; the message says why."""


@dataclass(frozen=True)
class Container:
    """The folders of one job on this machine."""

    root: Path
    """What it has for itself."""
    data: Path
    """``DATA_DIR``."""
    result: Path
    """``RESULT_DIR``."""
    logs: Path
    """``LOG_DIR``."""

    @property
    def work(self) -> Path:
        """Where its archive is unpacked, and its script starts."""
        return self.root / "work"


@dataclass(frozen=True)
class Start:
    """All that is needed to run the script of a job."""

    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    """The whole environment."""


@dataclass(frozen=True)
class Arguments:
    """What ``modelSpec.args`` says."""

    main: str
    """The script."""
    words: Sequence[str] = ()
    """What follows it."""
    folder: str = ""
    """Where in the archive it is."""
    data_path: str = ""
    """Relative to the volume with data."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])


def arguments(text: str) -> Arguments:
    """Return what the arguments of a search's trials say.

    Raises:
        BadSpec: If they cannot be read, or name no script.
    """
    words = _split(text)
    said: dict[str, str] = {}
    env: dict[str, str] = {}
    own: list[str] = []
    place = 0
    while place < len(words):
        name, joined, value = words[place].partition("=")
        if name not in _WITH_VALUE and not name.startswith(_BEGINNINGS):
            own.append(words[place])
            place += 1
            continue
        if not joined:
            place += 1
            value = words[place] if place < len(words) else ""
        place += 1
        if name == "--msd-env":
            variable, _, value = value.partition("=")
            env[variable] = value
        said[name] = value
    if "--exec-start" not in said or not said.get("--model-main"):
        raise BadSpec("args must have --exec-start FRAMEWORK and --model-main FILE")
    for part in (said["--model-main"], said.get("--model-dir", "")):
        if part.startswith("/") or ".." in part.split("/"):
            raise BadSpec(f"{part} is no place in the archive")
    path = ""
    for part in said.get("--cs-datastore-meta", "").split(","):
        name, _, value = part.partition("=")
        path = value if name.strip() == "data_path" else path
    return Arguments(said["--model-main"], own, said.get("--model-dir", ""), path, env)


def training(command: str, container: Container, training_id: str, python: str) -> Start:
    """Return how the script of a training job is started.

    On Cloud Pak for Data the command begins with the script; in IBM's older samples, for its cloud,
    with ``python3``. That it is split as a shell would, and that nothing in it is replaced, is
    chosen.

    Raises:
        BadSpec: If the command cannot be read.
    """
    words = _split(command)
    if not words:
        raise BadSpec("the command is empty")
    if words[0] in {"python", "python3"}:
        words[0] = python
    elif words[0].endswith(".py"):
        words = [python, *words]
    env = _surroundings(container, python) | {"TRAINING_ID": training_id}
    return Start(words, container.work, env)


def trial(
    said: Arguments, container: Container, who: tuple[str, str], python: str, data_fs: Path
) -> Start:
    """Return how the script of a trial is started that a search has chosen.

    ``SUBID`` is set for trials of a search alone (code guidelines). That it is the experiment's id,
    and the name of the variable with the execution's id, which is that of an HPO notebook, are
    chosen.

    Args:
        said: What the search says of its trials.
        container: Where it runs.
        who: The ids of the execution and of the experiment.
        python: The Python that runs it.
        data_fs: The volume with data.
    """
    exec_id, number = who
    cwd = container.work / said.folder
    if not (cwd / said.main).is_file():  # a folder is packed under its own name (dlicmd)
        inner = [path for path in container.work.iterdir() if (path / said.main).is_file()]
        cwd = inner[0] if len(inner) == 1 else container.work
    env = _surroundings(container, python) | {
        "TRAINING_ID": exec_id,
        "SUBID": number,
        "DLI_EXECID": exec_id,
        "DLI_DATA_FS": str(data_fs),
        **said.env,
    }
    return Start([python, said.main, *said.words], cwd, env)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise BadSpec(f"it cannot be split into words: {error}") from error


def _surroundings(container: Container, python: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in PASSED_ON}
    return kept | {
        "PATH": f"{Path(python).parent}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "TMPDIR": str(container.root / "tmp"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "DATA_DIR": str(container.data),
        "RESULT_DIR": str(container.result),
        "LOG_DIR": str(container.logs),
    }


@dataclass(frozen=True)
class Measurement:
    """What a script measured at one step."""

    step: int
    time: float
    metrics: Mapping[str, float]


class Written:
    """What one script writes of its metrics, in both of its files."""

    def __init__(self, result: Path, logs: Path) -> None:
        self._list = result / LIST
        self._log = logs / LOG
        self._read = 0
        """Bytes of the log."""

    def logged(self, *, last: bool = False) -> list[Measurement]:
        """Return what is new in the log.

        Args:
            last: Whether the script has ended: a line without an end is whole.
        """
        try:
            with self._log.open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except OSError:
            return []
        whole = data if last else data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        lines = whole.decode("utf-8", "replace").splitlines()
        return [found for line in lines if (found := _logged(line)) is not None]

    def listed(self) -> list[Measurement]:
        """Return what the list has, in either form; nothing if it is not there or no such list."""
        try:
            return list(_listed(self._list.read_text("utf-8", "replace"), self._modified()))
        except (OSError, ValueError):
            return []

    def hide(self) -> None:
        """Take both files away."""
        for path in (self._list, self._log):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _modified(self) -> float:
        return self._list.stat().st_mtime


def _logged(line: str) -> Measurement | None:
    """Return what a line of the log tells of the test group; its values are texts."""
    try:
        said: Json = json.loads(line)
        if said["grouplabel"] != TEST:
            return None
        step = int(said["etimes"]["iteration"]["value"])
        when = float(said["meta"]["time"]) / 1000
        values = {name: float(value["value"]) for name, value in said["values"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    return _finite(step, when, values)


def _listed(text: str, when: float) -> Iterator[Measurement]:
    """Yield the entries of a list: a list of JSON, or its text as Python writes it (emetrics)."""
    try:
        said = json.loads(text)
        if isinstance(said, str) and len(said) <= _MOST:
            said = parse_literal(said)
    except RecursionError as error:
        raise ValueError(str(error)) from error
    for place, entry in enumerate(said if is_list(said) else (), start=1):
        if not is_map(entry):
            continue
        named = cast("Mapping[Any, Any]", entry)  # as Python writes it, a key may be anything
        numbers = {
            name: number
            for name, value in named.items()
            if isinstance(name, str) and (number := _number(value)) is not None
        }
        steps = [numbers.pop(name) for name in ("steps", "step") if name in numbers]
        found = _finite(int(steps[0]) if steps else place, when, numbers)
        if found is not None:
            yield found


def _number(said: Any) -> float | None:
    """Return a finite number, also one that is written as text, as all are in the log."""
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        return None
    try:
        found = float(said)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _finite(step: int, when: float, values: Mapping[str, float]) -> Measurement | None:
    known = {name: value for name, value in values.items() if math.isfinite(value)}
    return Measurement(step, when, known) if known and math.isfinite(when) else None
