"""The launcher's contract with IBM's training jobs and tuner.

The archive of a job carries this file next to ``cloudtune/trial.py``, so it uses only the standard
library and the syntax of Python 3.7.
"""

from __future__ import annotations

import json
import os
import sys

from cloudtune.trial import TRIAL, Contract, append_line, load_json, parse_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Json = dict[str, Any]

METRIC_LIST = "val_dict_list.json"
"""In ``RESULT_DIR``: what IBM's tuner reads."""
METRIC_LOG = "evaluation-metrics.txt"
"""In ``LOG_DIR``: one line per measurement."""
FAILURE = "cloudtune_failure.txt"
"""In ``RESULT_DIR``: why the trial failed."""
SAVE_INTERVAL = 5.0
"""Minimum seconds between two writes of the list; longer where writing is slow."""


class WatsonContract(Contract):
    """IBM's services read metrics from files in the trial's folders.

    The files have the format of IBM's emetrics.py: a list, complete at the end, and a log. If the
    script writes the list itself, its entries stay, and only metrics that they do not have are
    added.
    """

    def __init__(self, raw: Json, trial: Json, results: str, logs: str) -> None:
        """Take the folders for results and logs; an empty ``logs`` means no log."""
        super().__init__(raw, trial)
        self._results = results
        self._logs = logs
        self._entries: list[Json] = []
        self._script_entries: list[Json] = []
        self._written: bytes | None = None
        self._saved_entries = 0
        self._save_at = 0.0
        self._last_steps: dict[str, int] = {}

    def publish(self, report: Mapping[str, Any]) -> str:
        """Queue a report for the list, append it to the log, and print it."""
        by_step: dict[int, Json] = {}
        for name, value in report["metrics"].items():
            step = report.get("step", self._last_steps.get(name, 0) + 1)
            self._last_steps[name] = step
            if abs(value) <= sys.float_info.max:
                by_step.setdefault(step, {})[name] = float(value)
        for step, values in by_step.items():
            entry: Json = {"steps": step}
            entry.update(values)
            self._entries.append(entry)
        if self._logs:
            _attempt(lambda: self._append_log(by_step, report["time"]))
        return super().publish(report)

    def report_failure(self, reason: str) -> None:
        """Write the reason next to the list."""
        _attempt(lambda: self._write(FAILURE, reason.encode()))

    def script_variables(self, _folder: str) -> dict[str, str]:
        """Set ``SUBID``, which emetrics.py reads, in training jobs too."""
        return {"SUBID": self.trial["trial"]}

    def tick(self) -> float | None:
        """Write the list when it is due."""
        import time

        started = time.monotonic()
        if len(self._entries) == self._saved_entries:
            return None
        if started < self._save_at:
            return self._save_at - started
        _attempt(self._save)
        ended = time.monotonic()
        self._save_at = ended + max(SAVE_INTERVAL, 20 * (ended - started))
        return None

    def close(self) -> None:
        """Write the complete list."""
        if self._entries:
            _attempt(self._save)

    def _save(self) -> None:
        path = os.path.join(self._results, METRIC_LIST)
        if os.path.exists(path):
            with open(path, "rb") as file:
                data = file.read()
            if data != self._written:  # the script wrote it; empty while it is writing
                self._script_entries = _parse_list(data)
        script_metrics = {name for entry in self._script_entries for name in entry}
        hidden = script_metrics - {"steps", "step"}
        added = [{k: v for k, v in entry.items() if k not in hidden} for entry in self._entries]
        entries = self._script_entries + [entry for entry in added if len(entry) > 1]
        data = json.dumps(entries).encode()
        self._write(METRIC_LIST, data)
        self._written, self._saved_entries = data, len(self._entries)

    def _write(self, name: str, data: bytes) -> None:
        os.makedirs(self._results, exist_ok=True)
        path = os.path.join(self._results, name)
        with open(path + ".new", "wb") as file:
            file.write(data)
        os.replace(path + ".new", path)

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
    for folder in (archive, os.getcwd()):
        config = os.path.join(folder, "config.json")
        if os.path.exists(config):
            raw.update(load_json(config))
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
    return WatsonContract(raw, trial, results, logs)
