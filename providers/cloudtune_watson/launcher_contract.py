"""The launcher's contract with IBM's training jobs and tuner.

The archive of a job carries this file in ``cloudtune/``, so it uses only the standard
library and the syntax of Python 3.7.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys

from cloudtune.launcher.contract import Contract, parse_flags
from cloudtune.trial import TRIAL, append_line, load_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    Json = dict[str, Any]

METRIC_LIST = "val_dict_list.json"
"""In ``RESULT_DIR``: what IBM's tuner reads."""
METRIC_LOG = "evaluation-metrics.txt"
"""In ``LOG_DIR``: one line per measurement."""
FAILURE = "cloudtune_failure.txt"
"""In ``RESULT_DIR``: why the trial failed."""
SCRIPT_LIST = "val_dict_list.script.json"
"""In ``RESULT_DIR``: the list that the launcher has moved out of its way, maybe the script's."""
SAVE_INTERVAL = 5.0
"""Minimum seconds between two writes of the list; longer where writing is slow."""
_STEPS = ("steps", "step")


class WatsonContract(Contract):
    """IBM's services read metrics from files in the trial's folders.

    The files have the format of IBM's emetrics.py: a list, complete at the end, and a log. If the
    script writes the list itself, its entries stay, and only metrics that they do not have are
    added.

    IBM's tuner uses one value of each trial, and IBM does not document which. Therefore the list
    that it reads has one entry, with the value that counts of each metric.
    """

    def __init__(
        self, raw: Json, trial: Json, results: str, logs: str, objectives: Mapping[str, str] | None
    ) -> None:
        """Take the trial's folders, and read the list of an earlier start of the trial.

        Args:
            raw: As in `Contract`.
            trial: As in `Contract`.
            results: The folder of the results.
            logs: The folder of the logs; empty for no log.
            objectives: In a trial of IBM's tuner, the value of each objective that counts:
                ``last``, or the one that is best by its goal, ``maximize`` or ``minimize``.
        """
        super().__init__(raw, trial)
        self._results = results
        self._logs = logs
        self._objectives = objectives
        self._entries: list[Json] = []
        self._script_entries: list[Json] = []
        self._written: bytes | None = None
        """The content of the list that is not the script's."""
        self._moved: bytes | None = None
        """The content of `SCRIPT_LIST` when it was read."""
        self._saved_entries = 0
        self._save_at = 0.0
        self._is_restart = False
        _attempt(self._load)

    def _load(self) -> None:
        """Start with the measurements of an earlier start, which may have ended at any point."""
        if os.path.exists(self._path(FAILURE)):
            os.remove(self._path(FAILURE))
        if os.path.exists(self._path(SCRIPT_LIST)) and not os.path.exists(self._path(METRIC_LIST)):
            os.rename(self._path(SCRIPT_LIST), self._path(METRIC_LIST))
        self._written = self._read(METRIC_LIST)
        if self._written:
            with contextlib.suppress(ValueError):  # interrupted while it was written
                self._entries = _parse_list(self._written)
            self._saved_entries = len(self._entries)
            self._is_restart = True

    def publish(self, report: Mapping[str, Any]) -> str:
        """Queue a report for the list, append it to the log, and print it."""
        if self._is_restart and self.continues:
            self._count_steps(self._entries)
        by_step: dict[int, Json] = {}
        for step, metrics in self.assign_steps(report).items():
            numbers = {n: v for n, v in metrics.items() if abs(v) <= sys.float_info.max}
            if numbers:
                by_step[step] = numbers
        if self._is_restart and by_step:  # it continues here; what came later is repeated
            first = min(by_step)
            self._entries = [entry for entry in self._entries if _step(entry) < first]
            self._is_restart = False
        for step, values in by_step.items():
            entry: Json = {"steps": step}
            entry.update(values)
            self._entries.append(entry)
        if self._logs:
            _attempt(lambda: self._append_log(by_step, report["time"]))
        return super().publish(report)

    def _count_steps(self, entries: Sequence[Json]) -> None:
        """Set the last step of each metric."""
        for entry in entries:
            for name in entry.keys() - set(_STEPS):
                self._last_steps[name] = int(_step(entry))

    def report_failure(self, reason: str) -> None:
        """Write the reason next to the list."""
        path = self._path(FAILURE)
        _attempt(lambda: os.replace(self._write_new(FAILURE, reason.encode()), path))

    def script_variables(self, _folder: str) -> dict[str, str]:
        """Set ``SUBID``, which emetrics.py reads, in training jobs too."""
        return {"SUBID": self.trial["trial"]}

    def tick(self) -> float | None:
        """Write the list when it is due."""
        import time

        started = time.monotonic()
        if self._saved_entries == len(self._entries):
            return None
        if started < self._save_at:
            return self._save_at - started
        _attempt(self._save)
        ended = time.monotonic()
        self._save_at = ended + max(SAVE_INTERVAL, 20 * (ended - started))
        return None

    def divergence(self, objectives: Iterable[str]) -> str:
        """Return which objective ended with a value that is not finite, also in the script's list.

        The latter comes first, as in the list that IBM reads.
        """
        entries = self._script_entries
        with contextlib.suppress(ValueError, OSError):  # `close` reports what cannot be read
            data = self._read(METRIC_LIST)
            if data is not None and data != self._written:
                entries = _parse_list(data)
        for entry in entries:
            values = {name: _to_float(value) for name, value in entry.items()}
            metrics = {n: v for n, v in values.items() if v is not None and n not in _STEPS}
            step = _step(entry)
            report: Json = {"metrics": metrics}
            self.observe(report if step == math.inf else dict(report, step=int(step)))
        return super().divergence(objectives)

    def close(self) -> None:
        """Write the complete list, after the script's last write."""
        _attempt(self._finish)

    def _finish(self) -> None:
        try:
            self._read_script_entries()
        except ValueError:  # the script ended while it was writing
            self._moved = self._read(SCRIPT_LIST)
        is_search = self._objectives is not None
        if self._entries or (is_search and os.path.exists(self._path(METRIC_LIST))):
            self._save()
        if not (is_search and self._script_entries):
            with contextlib.suppress(FileNotFoundError):
                os.remove(self._path(SCRIPT_LIST))

    def _save(self) -> None:
        """Replace the list without losing what the script writes meanwhile.

        The script may replace the list too, or may have opened it before it is moved.
        """
        self._read_script_entries()
        path, moved = self._path(METRIC_LIST), self._path(SCRIPT_LIST)
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, moved)
            self._moved = self._written
        try:
            self._read_script_entries()
            data = json.dumps(self._merge()).encode()
            _move_if_absent(self._write_new(METRIC_LIST, data), path)
        except FileExistsError:  # the script has just written the list
            self._save()
        except (OSError, ValueError):
            with contextlib.suppress(OSError):
                _move_if_absent(moved, path)
            raise
        else:
            self._written, self._saved_entries = data, len(self._entries)

    def _read_script_entries(self) -> None:
        """Read the moved list if the script has written to it."""
        data = self._read(SCRIPT_LIST)
        if data is not None and data != self._moved:
            self._script_entries = _parse_list(data)
            self._moved = data

    def _merge(self) -> list[Json]:
        """Return the entries of the list that IBM reads."""
        script_metrics = {name for entry in self._script_entries for name in entry}
        hidden = script_metrics - set(_STEPS)
        added = [{k: v for k, v in entry.items() if k not in hidden} for entry in self._entries]
        entries = self._script_entries + [entry for entry in added if set(entry) - set(_STEPS)]
        return entries if self._objectives is None else _select(entries, self._objectives)

    def _path(self, name: str) -> str:
        return os.path.join(self._results, name)

    def _read(self, name: str) -> bytes | None:
        try:
            with open(self._path(name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _write_new(self, name: str, data: bytes) -> str:
        """Write the new content of a file next to it, and return its path."""
        os.makedirs(self._results, exist_ok=True)
        path = self._path(name) + ".new"
        with open(path, "wb") as file:
            file.write(data)
        return path

    def _append_log(self, by_step: Mapping[int, Mapping[str, float]], moment: float) -> None:
        import time

        local_time = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(moment))
        os.makedirs(self._logs, exist_ok=True)
        for step, values in by_step.items():
            line: Json = {
                "meta": {
                    "training_id": os.environ.get("TRAINING_ID", ""),
                    "time": int(moment * 1000),
                    "rindex": 1,
                    "subid": self.trial["trial"],
                },
                "grouplabel": "test",
                "etimes": {
                    "iteration": {"type": 2, "value": str(step)},
                    "time_stamp": {"value": local_time},
                },
                "values": {n: {"type": 3, "value": repr(value)} for n, value in values.items()},
            }
            append_line(os.path.join(self._logs, METRIC_LOG), line)


def _move_if_absent(source: str, target: str) -> None:
    """Rename a file.

    Raises:
        FileExistsError: If the target exists, on file systems with hard links.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        os.rename(source, target)
    else:
        os.remove(source)


def _select(entries: Sequence[Json], objectives: Mapping[str, str]) -> list[Json]:
    """Return one entry with the value that counts of each metric, at the last step."""
    selected: Json = {}
    for entry in entries:
        for name, value in entry.items():
            number = _to_number(value)
            if number is None or name in _STEPS:
                continue
            goal, known = objectives.get(name), selected.get(name, number)
            is_worse = number < known if goal == "maximize" else number > known
            if goal not in ("maximize", "minimize") or not is_worse:
                selected[name] = number
    steps = [int(step) for step in map(_step, entries) if step != math.inf]
    entry = {"steps": max(steps, default=1)}
    entry.update(selected)
    return [entry] if selected else []


def _step(entry: Json) -> float:
    """Return the step of an entry; infinite without one."""
    numbers = [_to_number(entry.get(name)) for name in _STEPS]
    return next((number for number in numbers if number is not None), math.inf)


def _to_number(value: Any) -> float | None:
    """Return a finite number, which may be given as text."""
    number = _to_float(value)
    return None if number is None or not math.isfinite(number) else number


def _to_float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _attempt(write: Callable[[], None]) -> None:
    """Print an error and let the trial continue if measurements cannot be written."""
    try:
        write()
    except (OSError, ValueError) as error:
        message = "[cloudtune] cannot save the measurements: {}".format(error)
        print(message, file=sys.stderr)  # noqa: T201


def _parse_list(data: bytes) -> list[Json]:
    """Parse a script's list; one version of emetrics.py writes it as a JSON string."""
    content = json.loads(data)
    if isinstance(content, str):
        content = parse_literal(content)
    try:
        return [dict(entry) for entry in content]
    except TypeError as error:
        raise ValueError("{} is not a list of maps: {}".format(METRIC_LIST, error)) from error


def parse_literal(text: str) -> Any:
    """Return the value of a Python literal, including nan, inf and numbers as NumPy prints them.

    No code is executed.

    Raises:
        ValueError: If the text is anything else.

    Example:
        >>> parse_literal("[{'steps': 1, 'loss': np.float64(0.5)}]")
        [{'steps': 1, 'loss': 0.5}]
    """
    import ast

    def evaluate(node: Any) -> Any:
        if isinstance(node, (ast.List, ast.Tuple)):
            return [evaluate(item) for item in node.elts]
        if isinstance(node, ast.Dict):
            keys = [evaluate(key) for key in node.keys]
            return {key: evaluate(node.values[index]) for index, key in enumerate(keys)}
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -evaluate(node.operand)
        if isinstance(node, ast.Name) and node.id in {"nan", "inf"}:
            return float(node.id)
        if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
            function = node.func
            if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
                is_number = function.attr.rstrip("0123456789") in {"float", "int", "uint"}
                if is_number and function.value.id in {"np", "numpy"}:
                    return evaluate(node.args[0])
        return ast.literal_eval(node)

    try:
        return evaluate(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("not a Python literal: {}".format(error)) from error


def find_contract(study: Json, argv: Sequence[str]) -> Contract | None:
    """Return the contract in a training job or in a trial of IBM's tuner.

    A training job passes values as arguments. The tuner writes them to ``config.json`` in the
    working folder, in some versions all as text.
    """
    env = os.environ
    results = env.get("RESULT_DIR")
    if not results or TRIAL in env:
        return None
    raw = parse_flags(study, argv)
    archive = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    objectives: dict[str, str] | None = None
    for folder in (archive, os.getcwd()):
        config = os.path.join(folder, "config.json")
        if os.path.exists(config):
            raw.update(load_json(config))
            objectives = dict(study["objectives"])
    logs = env.get("LOG_DIR") or ""
    if not logs and env.get("JOB_STATE_DIR"):
        logs = os.path.join(env["JOB_STATE_DIR"], "logs")
    if logs and env.get("SUBID"):
        logs = os.path.join(logs, env["SUBID"])
    data = env.get("DATA_DIR") or env.get("DLI_DATA_FS")
    trial = {
        "trial": env.get("SUBID") or env.get("TRAINING_ID") or study["run"],
        "checkpoint": os.path.join(results, "checkpoint"),
        "output": os.path.join(results, "model"),
        "inputs": {
            name: path.replace("$DATA_DIR", data, 1) if data else path
            for name, path in study["inputs"].items()
        },
    }
    return WatsonContract(raw, trial, results, logs, objectives)
