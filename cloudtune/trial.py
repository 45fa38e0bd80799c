"""The API for training scripts.

::

    from cloudtune.trial import params, report

    p = params()                    # typed as in the study; {} outside of cloudtune
    report(accuracy=0.93, step=3)   # saved when it returns

`KerasCallback`, `LightGBMCallback`, `LightningCallback`, `TransformersCallback` and
`XGBoostCallback` report from these frameworks: see `cloudtune.callbacks`.

The file needs only the standard library and Python 3.7, so it can travel with a script to any
machine.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, SupportsFloat, SupportsIndex

    Json = dict[str, Any]
    KerasCallback: Any
    LightGBMCallback: Any
    LightningCallback: Any
    TransformersCallback: Any
    XGBoostCallback: Any

TRIAL = "CLOUDTUNE_TRIAL"
"""Environment variable: path of the JSON file that describes a script's trial."""
MAX_REPORT_LINE_BYTES = 65_536
"""Size limit of one reported line."""

_trials: dict[str, Json] = {}
_printed_steps: dict[str, int] = {}
_stop_signals: list[int] = []
_handler_installed: list[bool] = []


def params() -> Json:
    """Return the constants and the active parameters of this trial, typed as in the study.

    Empty if cloudtune did not start the script.

    Example:
        >>> params()
        {'epochs': 20, 'kernel': 'rbf', 'C': 0.1}
    """
    trial = _trial()
    return {**trial.get("constants", {}), **trial.get("parameters", {})}


def report(
    metrics: Mapping[str, SupportsFloat] | None = None,
    step: SupportsIndex | None = None,
    **named_metrics: SupportsFloat,
) -> None:
    """Report the values of one or more metrics.

    The values are saved when the function returns, even if the script is killed right after. If
    cloudtune did not start the script, they are printed.

    Args:
        metrics: Values by name, for names that are not Python identifiers.
        step: The training step or epoch. If omitted, each metric counts its reports from 1, or from
            the last step if the trial continues from its checkpoint.
        **named_metrics: Values by name.

    Raises:
        TypeError: If a value is not a number, or the step not an integer.
        ValueError: If there are no values, or the line is longer than `MAX_REPORT_LINE_BYTES`.

    Example:
        >>> for epoch in range(1, 4):
        ...     report(loss=1 / epoch, step=epoch)
        >>> report({"validation:auc": 0.9}, step=3)
    """
    values: dict[str, float] = {}
    for source in (metrics or {}, named_metrics):
        for name, value in source.items():
            values[_check_name(name)] = _to_float(name, value)
    if not values:
        raise ValueError("report() needs at least one metric")
    line: Json = {"metrics": values}
    if step is not None:
        line["step"] = _to_step(step)
    trial = _trial()
    if "reports" not in trial:
        _print(values, line.get("step"))
        return
    import time

    line["time"] = time.time()
    append_line(trial["reports"], line)
    ring(trial.get("doorbell"))


def inputs() -> dict[str, str]:
    """Return the path of each input of the study.

    Example:
        >>> inputs()["train"]
        '/data/train'
    """
    return dict(_trial().get("inputs", {}))


def checkpoint_dir() -> str:
    """Return a folder whose files survive when the trial is interrupted or continued.

    The folder is created if it does not exist.

    Example:
        >>> checkpoint = os.path.join(checkpoint_dir(), "model.json")
        >>> epoch = json.load(open(checkpoint))["epoch"] if os.path.exists(checkpoint) else 0
    """
    return _folder("checkpoint")


def output_dir() -> str:
    """Return the folder for the files that the trial produces, such as its model.

    The folder is created if it does not exist.

    Example:
        >>> with open(os.path.join(output_dir(), "model.json"), "w") as file:
        ...     json.dump({"weights": [0.5, 1.5]}, file)
    """
    return _folder("output")


def trial_id() -> str:
    """Return the id of this trial; empty if cloudtune did not start the script.

    Example:
        >>> trial_id()
        'digits-7'
    """
    return str(_trial().get("trial", ""))


def should_stop() -> bool:
    """Return whether the trial was asked to stop, so that the script can save its state.

    The first call in the main thread installs a handler for SIGTERM, which also calls the handler
    that the script had installed before.

    Example:
        >>> for step in range(100):
        ...     if should_stop():
        ...         break
    """
    if not _handler_installed:
        import signal
        import threading

        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGTERM)

            def handle(number: int, frame: Any) -> None:
                _stop_signals.append(number)
                if callable(previous):
                    previous(number, frame)

            signal.signal(signal.SIGTERM, handle)
            _handler_installed.append(True)
    return bool(_stop_signals)


if not TYPE_CHECKING:

    def __getattr__(name):
        """Return a callback of `cloudtune.callbacks`, whose framework is imported now."""
        if name.startswith("_") or not name.endswith("Callback"):
            raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
        from importlib import import_module

        callbacks = import_module("cloudtune.callbacks")
        callback = callbacks.callback_class(name, report, should_stop)
        globals()[name] = callback
        return callback


def _trial() -> Json:
    path = os.environ.get(TRIAL)
    if not path:
        return {}
    if path not in _trials:
        _trials[path] = load_json(path)
    import atexit

    atexit.unregister(_ignore_stop)
    atexit.register(_ignore_stop)  # the last one that is registered runs first
    return _trials[path]


def _ignore_stop() -> None:
    """Let a script that has run to its end exit by itself, also if it is asked to stop now."""
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def load_json(path: str) -> Json:
    """Return the JSON object in a file."""
    with open(path, encoding="utf-8") as file:
        content: Json = json.load(file)
    return content


def _folder(name: str) -> str:
    path = str(_trial().get(name) or os.path.abspath(name))
    os.makedirs(path, exist_ok=True)
    return path


def _check_name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise TypeError("a metric's name must be a non-empty string, not {!r}".format(name))
    return name


def _to_float(name: str, value: Any) -> float:
    if not isinstance(value, (str, bytes, bytearray)):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise TypeError("metric {}: expected a number, not {!r}".format(name, value))


def _to_step(step: Any) -> int:
    try:
        number = int(step)
        valid = not isinstance(step, str) and number == step and abs(number) < 2**63
    except (TypeError, ValueError, OverflowError):
        valid, number = False, 0
    if not valid:
        raise TypeError("step: expected an integer, not {!r}".format(step))
    return number


def _print(values: Mapping[str, float], step: int | None) -> None:
    for name in values:
        _printed_steps[name] = _printed_steps.get(name, 0) + 1 if step is None else step
    shown_step = step if step is not None else max(_printed_steps[name] for name in values)
    metrics = " ".join("{}={!r}".format(name, value) for name, value in values.items())
    print("step {}: {}".format(shown_step, metrics), flush=True)  # noqa: T201


def append_line(path: str, line: Json) -> None:
    """Append one line of JSON to a file; other processes see all of it or nothing.

    Raises:
        ValueError: If the line is longer than `MAX_REPORT_LINE_BYTES`.
        OSError: If it cannot be written.
    """
    data = json.dumps(line).encode() + b"\n"
    if len(data) > MAX_REPORT_LINE_BYTES:
        raise ValueError("a report must not be longer than {} bytes".format(MAX_REPORT_LINE_BYTES))
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        if os.write(file, data) != len(data):
            raise OSError("cannot write the whole report to {}".format(path))
    finally:
        os.close(file)


def ring(doorbell: str | None) -> None:
    """Wake the reader of reports. It reads them at the end in any case."""
    if not doorbell:
        return
    try:
        file = os.open(doorbell, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        os.write(file, b"\0")
    except OSError:
        pass  # the reader has a wake-up pending, or has gone
    finally:
        os.close(file)
