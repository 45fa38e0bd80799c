"""What IBM's services do to a script: its command, environment and folders, and its metrics.

Sources, all read 2026-11: *code guidelines* and *HPO page*, "Coding guidelines for deep learning
programs" and "Hyperparameter optimization" of IBM Cloud's documentation of 2018, in copies of
IBM-Bluemix's repository; *emetrics*, ``emetrics.py`` of pmservice/wml-sample-models and the one in
``MNIST.zip`` of IBM/watsonx-ai-samples; *dlicmd*, ``dlicmd.py`` of IBM/wmla-assets (4.8.2); *HPO
notebooks*, ``WMLA-HPO-state.ipynb`` and others there; *WMLA readme*, ``wmla4.8-cpd4.8`` there.
"Chosen" marks behavior that none of them documents.
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
from cloudtune_watson.jobs.launcher_contract import METRICS
from cloudtune_watson.launcher_contract import parse_literal

METRIC_LIST = "val_dict_list.json"
"""In ``RESULT_DIR``: what the tuner reads when a trial has ended (HPO page; HPO notebooks)."""
METRIC_LOG = "evaluation-metrics.txt"
"""In the log folder: what the service reads while a script runs (emetrics)."""
CONFIG = "config.json"
"""In the working folder: the parameters of a trial (HPO page; HPO notebooks)."""
TEST = "test"
"""The group of metrics that has the objective (HPO page)."""
_MAX_LITERAL_LENGTH = 2_000_000
"""Characters of a list in Python's spelling."""

_PLATFORM_OPTIONS = frozenset(
    [
        *("--exec-start", "--model-main", "--model-dir", "--pbmodel-name", "--pbmodel-cmd"),
        *("--appName", "--submit-user", "--consumer", "--ig", "--cs-datastore-meta"),
        *("--data-source", "--conda-home", "--conda-env-yaml", "--conda-package"),
        *("--conda-env-name", "--numWorker", "--numPs", "--numDriver", "--debug-level"),
        *("--cs-rmq-meta", "--cs-url-meta", "--cs-url-bearer", "--lsf-gpu-syntax"),
        *("--sc-runasuser", "--sc-runasgroup", "--sc-fsgroup", "--python-version"),
        *("--gpuPerWorker", "--hardwareSpec", "--edt-options"),
    ]
)
_PLATFORM_PREFIXES = ("--worker", "--driver", "--msd-")
"""The options in ``modelSpec.args`` for the platform (dlicmd's options, and those in HPO
notebooks). Chosen: all others are passed to the script unchanged."""


class InvalidSpecError(Exception):
    """A job cannot be started as it is described."""


@dataclass(frozen=True)
class Container:
    """The folders of one job on this machine."""

    root: Path
    """The job's own folder."""
    data: Path
    """``DATA_DIR``."""
    result: Path
    """``RESULT_DIR``."""
    logs: Path
    """``LOG_DIR``."""

    @property
    def work(self) -> Path:
        """The working folder of the script, with the unpacked archive."""
        return self.root / "work"


@dataclass(frozen=True)
class Start:
    """The process of a script."""

    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    """The complete environment."""


@dataclass(frozen=True)
class Arguments:
    """The content of ``modelSpec.args``."""

    main: str
    """The script."""
    words: Sequence[str] = ()
    """The script's arguments."""
    folder: str = ""
    """The script's folder in the archive."""
    data_path: str = ""
    """The path of the data on the volume."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])


def parse_arguments(text: str) -> Arguments:
    """Parse the arguments of a search's trials.

    Raises:
        InvalidSpecError: If they cannot be parsed, or have no script.
    """
    words = iter(_split(text))
    options: dict[str, str] = {}
    env: dict[str, str] = {}
    script_words: list[str] = []
    for word in words:
        name, separator, value = word.partition("=")
        if name not in _PLATFORM_OPTIONS and not name.startswith(_PLATFORM_PREFIXES):
            script_words.append(word)
            continue
        if not separator:
            value = next(words, "")
        if name == "--msd-env":
            variable, _, value = value.partition("=")
            env[variable] = value
        options[name] = value
    if "--exec-start" not in options or not options.get("--model-main"):
        raise InvalidSpecError("args must have --exec-start FRAMEWORK and --model-main FILE")
    for path in (options["--model-main"], options.get("--model-dir", "")):
        if path.startswith("/") or ".." in path.split("/"):
            raise InvalidSpecError(f"{path} is not a path in the archive")
    data_path = ""
    for part in options.get("--cs-datastore-meta", "").split(","):
        name, _, value = part.partition("=")
        data_path = value if name.strip() == "data_path" else data_path
    main, folder = options["--model-main"], options.get("--model-dir", "")
    return Arguments(main, script_words, folder, data_path, env)


def training_start(command: str, container: Container, training_id: str, python: str) -> Start:
    """Return the process of a training job.

    On Cloud Pak for Data the command starts with the script; in IBM's older samples, for its cloud,
    with ``python3``. Chosen: it is split as in a shell, and nothing in it is replaced.

    Raises:
        InvalidSpecError: If the command cannot be parsed.
    """
    words = _split(command)
    if not words:
        raise InvalidSpecError("the command is empty")
    if words[0] in {"python", "python3"}:
        words[0] = python
    elif words[0].endswith(".py"):
        words = [python, *words]
    env = _environment(container, python) | {"TRAINING_ID": training_id}
    return Start(words, container.work, env)


def trial_start(
    arguments: Arguments, container: Container, ids: tuple[str, str], python: str, data_fs: Path
) -> Start:
    """Return the process of a search's trial.

    ``SUBID`` is set only for trials of a search (code guidelines). Chosen: it is the experiment's
    id, and the variable with the execution's id has the name that an HPO notebook uses.

    Args:
        arguments: The arguments of the search.
        container: The folders of the trial.
        ids: The ids of the execution and of the experiment.
        python: The Python that runs the script.
        data_fs: The volume with data.
    """
    exec_id, number = ids
    cwd = container.work / arguments.folder
    if not (cwd / arguments.main).is_file():  # a folder is packed under its own name (dlicmd)
        folders = [path for path in container.work.iterdir() if (path / arguments.main).is_file()]
        cwd = folders[0] if len(folders) == 1 else container.work
    env = _environment(container, python) | {
        "TRAINING_ID": exec_id,
        "SUBID": number,
        "DLI_EXECID": exec_id,
        "DLI_DATA_FS": str(data_fs),
        **arguments.env,
    }
    return Start([python, arguments.main, *arguments.words], cwd, env)


def batch_start(
    container: Container, variables: Mapping[str, str], payload: Path, python: str
) -> Start:
    """Return the process of a deployment job.

    IBM overwrites three variables (page "Input details for Python scripts" and its Chinese copy;
    see ``docs/watson.md``). Chosen: the working folder is an empty one with the script.

    Args:
        container: The folders, of which ``data`` has the inputs and ``result`` gets the outputs.
        variables: Those of the request.
        payload: The file with the request.
        python: The Python that runs the script.
    """
    env = {
        name: value
        for name, value in _environment(container, python).items()
        if name not in {"DATA_DIR", "RESULT_DIR", "LOG_DIR"}
    }
    ibm = {
        "BATCH_INPUT_DIR": str(container.data),
        "BATCH_OUTPUT_DIR": str(container.result),
        "JOBS_PAYLOAD_FILE": str(payload),
    }
    return Start([python, "script.py"], container.work, {**env, **variables, **ibm})


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidSpecError(f"cannot split into words: {error}") from error


def _environment(container: Container, python: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name in PASSED_ON}
    return inherited | {
        "PATH": f"{Path(python).parent}{os.pathsep}{inherited.get('PATH', os.defpath)}",
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


class MetricFiles:
    """The two files in which a script writes its metrics."""

    def __init__(self, result: Path, logs: Path) -> None:
        self._list = result / METRIC_LIST
        self._log = logs / METRIC_LOG
        self._offset = 0
        """Bytes of the log that were read."""

    def read_log(self, *, last: bool = False) -> list[Measurement]:
        """Return the new measurements in the log.

        Args:
            last: Whether the script has ended, so that a line without an end is complete.
        """
        try:
            with self._log.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return []
        complete = data if last else data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        lines = complete.decode("utf-8", "replace").splitlines()
        measurements = map(_parse_line, lines)
        return [each for each in measurements if each is not None]

    def read_list(self) -> list[Measurement]:
        """Return the measurements in the list; empty if it does not exist or is invalid."""
        try:
            text = self._list.read_text("utf-8", "replace")
            return list(_parse_list(text, self._list.stat().st_mtime))
        except (OSError, ValueError):
            return []

    def delete(self) -> None:
        """Delete both files."""
        for path in (self._list, self._log):
            with suppress(OSError):
                path.unlink(missing_ok=True)


class BatchMetrics(MetricFiles):
    """What cloudtune's launcher writes in a deployment job; IBM reads no metrics there.

    Only fault plans need it, to count what a script has measured.
    """

    def __init__(self, result: Path) -> None:
        super().__init__(result, result)
        self._lines = result / METRICS

    def read_log(self, *, last: bool = False) -> list[Measurement]:
        """Return nothing: IBM reads no log."""
        del last
        return []

    def read_list(self) -> list[Measurement]:
        """Return the measurements so far."""
        try:
            entries = [json.loads(line) for line in self._lines.read_bytes().splitlines()]
            return [Measurement(each["step"], each["time"], each["metrics"]) for each in entries]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def delete(self) -> None:
        """Delete the file."""
        self._lines.unlink(missing_ok=True)


def _parse_line(line: str) -> Measurement | None:
    """Return the measurement in a line of the log if it is of the test group."""
    try:
        entry: Json = json.loads(line)
        if entry["grouplabel"] != TEST:
            return None
        step = int(entry["etimes"]["iteration"]["value"])
        time = float(entry["meta"]["time"]) / 1000
        values = {name: float(value["value"]) for name, value in entry["values"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    return _finite_measurement(step, time, values)


def _parse_list(text: str, time: float) -> Iterator[Measurement]:
    """Yield the entries of a list, which is JSON or a string in Python's spelling (emetrics)."""
    try:
        content = json.loads(text)
        if isinstance(content, str) and len(content) <= _MAX_LITERAL_LENGTH:
            content = parse_literal(content)
    except RecursionError as error:
        raise ValueError(str(error)) from error
    for position, entry in enumerate(content if is_list(content) else (), start=1):
        if not is_map(entry):
            continue
        values = {
            name: number
            for name, value in cast("Mapping[Any, Any]", entry).items()
            if isinstance(name, str) and (number := _to_number(value)) is not None
        }
        steps = [values.pop(name) for name in ("steps", "step") if name in values]
        measurement = _finite_measurement(int(steps[0]) if steps else position, time, values)
        if measurement is not None:
            yield measurement


def _to_number(value: Any) -> float | None:
    """Return a finite number, which may be given as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _finite_measurement(step: int, time: float, values: Mapping[str, float]) -> Measurement | None:
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    return Measurement(step, time, finite) if finite and math.isfinite(time) else None
