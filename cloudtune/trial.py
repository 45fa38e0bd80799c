"""The API for training scripts, and the launcher that starts them on a tuning service.

::

    from cloudtune.trial import params, report

    p = params()                    # typed as in the study; {} outside of cloudtune
    report(accuracy=0.93, step=3)   # saved when it returns

`KerasCallback`, `LightGBMCallback`, `LightningCallback`, `TransformersCallback` and
`XGBoostCallback` report from these frameworks: see `cloudtune.callbacks`.

The file needs only the standard library and Python 3.7, so it can travel with a script to any
machine. It also defines how a script is called: its arguments and its environment variables.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from re import Match, Pattern
    from subprocess import Popen
    from typing import Any, SupportsFloat, SupportsIndex, Union

    Value = Union[bool, int, float, str]
    Json = dict[str, Any]
    MetricPattern = tuple[str, Pattern[str]]
    KerasCallback: Any
    LightGBMCallback: Any
    LightningCallback: Any
    TransformersCallback: Any
    XGBoostCallback: Any

TRIAL = "CLOUDTUNE_TRIAL"
"""Environment variable: path of the JSON file that describes a script's trial."""
RUN = "CLOUDTUNE_RUN"
"""Environment variable: id of the run, by which its processes are found."""
STUDY_FILE = "cloudtune_study.json"
"""What the launcher knows of the study: see `cloudtune.bundle.launcher.launch_data`."""
CONTRACT_FILE = "launcher_contract.py"
"""The service's `Contract`, next to this file in the archive of a job."""
MAX_REPORT_LINE_BYTES = 65_536
"""Size limit of one reported line."""
BEGINS_ANEW = "begins_anew"
"""Key of a line of reports: the script starts again from the beginning, as do its steps."""
MAX_REASON_LENGTH = 1024
"""Character limit of the reason for which a trial failed."""
OUT_OF_MEMORY = "out of memory"
"""How the reason of a failure begins for which memory ran out."""
SIGKILL_EXIT = 137
"""The exit code of a shell whose process was killed by SIGKILL."""
MESSAGE_SECONDS = 1.0
"""A process that prints this long after a traceback has caught the exception."""
_MAX_MESSAGE_LINES = 1000
_TRACEBACK = b"Traceback (most recent call last)"
_SYNTAX_ERRORS = (b"SyntaxError", b"IndentationError", b"TabError")
"""The exceptions that Python shows without a header."""
_BOX = ("\u2502".encode(), "\u2570".encode())
"""The left side of the frame that rich draws around a traceback."""
MIN_SECRET_LENGTH = 4
"""Characters of the shortest secret that is masked."""
MIN_SECRET_DIGITS = 6
"""Digits of the shortest number that is masked as a secret, as long as one-time codes and PINs."""
_MIN_PART = 6
"""Bytes of the shortest part of a secret that is masked where a text was cut."""
_MIN_LINE = 16
"""Bytes of the shortest line of a secret that is masked by itself."""
REGEX_TIMEOUT = 2.0
"""Seconds that the launcher lets one metric's regex spend on one line."""
_REGEX_PART = (
    r"(?P<class>\\[dDsSwWbBAZntrfva]|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|[.^$+|])"
    r"|(?P<open>\((?!\?)|\(\?(?::|P<|=|!|<))|(?P<close>\))"
    r"|(?P<optional>[*?]|\{(?:\d+,?\d*|,\d+)\})|(?P<literal>\\[^\w\s]|[^\\\[({])|(?P<unknown>.)"
)
"""A part of a regular expression, as far as `required_text` knows them."""
_PLACEHOLDER = r"\{\{([^{}]+)\}\}"
_TEN_TO = (
    r"\s?[*x\u00d7\u00b7]\s?10(?:(?:\^|\*\*)[({]?[-+\u2212]?\d+"
    r"|[\u207a\u207b]?[\u00b2\u00b3\u00b9\u2070-\u2079]+)"
)
WHOLE_NUMBER = (
    r"(?<![\w.])(?:(?<![-+\u2212)\]%])[-+\u2212])?"
    r"(?:0[xX]\.?[0-9a-fA-F][0-9a-fA-F.]*(?:[pP][-+]?\d+)?"
    r"|(?P<grouped>\d{1,3}(?:[,'\u2019\u00a0\u2009\u202f]\d{3})+(?![\d,])(?:\.\d+)?"
    r"|(?:\d{1,3}(?:\.\d{3})+|\d+),\d+(?![\d,]|\.\d)|\d+(?::[0-5]\d){1,2}(?:\.\d+)?(?![\w:]))"
    r"|(?:\d{1,3}(?:_\d{3})+(?![\d_])(?:\.\d+)?|\d+\.?\d*|\.\d+)"
    r"(?:[eE][-+]?\d+|[dDqQ][-+]\d+|#[A-Z]\w+|" + _TEN_TO + r")?"
    r"(?P<unit>(?:\s?(?:[mnu\u00b5\u03bc]s|[kKMGTP]i?B)|[kKMGT]|[hm]\d[\dhms.]*)(?!\w))?)"
)
"""A number as programs print it: with sign, exponent, thousands or a decimal comma, in hexadecimal,
as a time, or with a unit that changes with its size."""
_GOES_ON = (
    r"[\w.+\-\u2212*\u00d7\u00b7#]|[,:'\u2019\u00a0\u2009\u202f]\d"
    r"|\s(?:[*x\u00d7\u00b7]\s?10|[mnu\u00b5\u03bc]s|[kKMGTP]i?B)"
)
"""What follows a part of a number."""
_NOT_FINITE = r"(?i)(?<![\w.])[-+]?(?:nan|inf(?:inity)?)(?!\w)"
"""A number that is not finite, as programs print it."""
_NO_NUMBER = r"(?<![\w.])(?i:none|null|n/?a|undefined|\*{3,})(?!\w)"
"""What programs print in place of a number."""
_WITH_NUMBER = r"[^\w.]*(?:[\w.]+[(\[]+)*[-+\u2212]?\.?\d"
"""How a text begins that contains a number and is none, such as ``0.98%`` or ``tensor(0.5)``."""
_CAPTURE_IT_WHOLE = "capture the whole number, for example with (\\S+)"
_NAME_THE_UNIT = "name the unit in the expression, after the group"
_PRINT_IT_PLAINLY = "print it as Python reads it, such as 1234.5 or 1.2e-05"
_MAX_LABELS = 100
"""Words before numbers that are remembered for each regex."""
_MAX_LINE_LENGTH = 1000
"""Characters of the lines with numbers that are remembered."""
_MAX_DECIMALS = 8
"""Decimals up to which an expression is tried in place of a number that is not finite."""
_FORMATS = ("{:.{}f}", "1{:.{}f}", "{:.{}e}", "-{:.{}f}", "-1{:.{}f}", "-{:.{}e}")
"""How the number is written that is tried."""
MISREADS = "misreads its number"
"""What the reason of a failure says of a regex that does not read a whole number."""
_MAX_SHOWN_LINE, _MAX_SHOWN_TEXT = 100, 40
"""Characters of a printed line, and of a text in place of a number, that a message quotes."""
DIVERGED_EXIT = 1
"""The launcher's exit code if a script succeeds whose last objective is not finite."""
_HERE = os.path.dirname(os.path.abspath(__file__))
_TOLERANCE = 1e-6
"""Relative rounding error up to which a service's number still matches a value."""


# The API for training scripts.

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
    _ring(trial.get("doorbell"))


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

        callback = import_module("cloudtune.callbacks").callback_class(name)
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


def _ring(doorbell: str | None) -> None:
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


# How a script is called.


def format_value(value: Value) -> str:
    """Return the text of a value, as passed to scripts and services.

    A bool is ``True`` or ``False``. A float is the shortest text that reads back as the same.

    >>> format_value(1e-05), format_value(True), format_value("1.0")
    ('1e-05', 'True', '1.0')
    """
    return value if isinstance(value, str) else repr(value)


def is_same_value(left: Value, right: Value) -> bool:
    """Return whether two values are the same: 4 equals 4.0, but 1 equals neither True nor "1"."""
    for kind in (bool, str):
        if isinstance(left, kind) != isinstance(right, kind):
            return False
    return left == right


def parse_number(text: str) -> float | None:
    """Return the number in a regex's match, without punctuation behind it; None if not a number."""
    try:
        return float(text.strip().rstrip(",;.)]}'\""))
    except ValueError:
        return None


class MisreadNumberError(ValueError):
    """A regex does not read the whole number of its metric.

    The attributes are the text that it reads, empty if none, the number, and the line.
    """

    def __init__(self, message: str, text: str, number: str, line: str) -> None:
        super().__init__(message)
        self.text, self.number, self.line = text, number, line


class MetricReader:
    """Reads a metric in printed lines with a regex: each number whole, and none left out.

    A number is left out if the regex would read it written like others after the same word, as
    ``loss: ([0-9.]+)`` does with ``loss: -0.5``. A number that is not finite is also read by a
    regex that knows only digits.
    """

    def __init__(
        self, name: str, pattern: Pattern[str], search: Callable[[str], Iterable[Match[str]]]
    ) -> None:
        """Start without any output; ``search`` returns the matches of the pattern in a line."""
        self.name = name
        self.required = required_text(pattern.pattern).strip()
        self.no_number = ""
        """What the last line had in place of a number."""
        self.pattern = pattern
        self._search = search
        self._group = value_group(pattern)
        self._samples: dict[str, str] = {}
        """A number that was read after each word."""
        self._passed: list[tuple[str, str, int, int]] = []
        """Numbers that were not read: the word before them, their line and place."""

    def read(self, line: str) -> list[tuple[float, int | None]]:
        """Return the numbers in a line, and their steps.

        Raises:
            MisreadNumberError: If it does not read a whole number.
        """
        import re

        group, self.no_number = self._group, ""
        matches = list(self._search(line))
        numbers: dict[int, tuple[float, int | None]] = {}
        for match in matches:
            text, start = match[group] or "", match.start(group)
            number = parse_number(text)
            token = whole_number(match, group)
            if token:
                raise self._misread(text, token[0], line, _cure(token))
            if number is not None:
                numbers[start] = number, matched_step(match)
                self._learn(_label(line, start), text)
            elif re.match(_WITH_NUMBER, text):
                cure = "capture only a number, or " + _PRINT_IT_PLAINLY
                raise self._misread(text, text, line, cure)
            else:
                self.no_number = text or self.no_number
        for token in re.finditer(_NOT_FINITE, line):
            start, end = token.span()
            past = [m for m in matches if m.start() <= start and end <= m.start(group)]
            is_read = any(_overlaps(match, group, start, end) for match in matches)
            # A match may pass over it: in "loss (nan ignored) 0.5", but not in "loss nan acc 0.5".
            if not is_read and all(re.search(r"[\w:=]\s*$", line[m.start() : start]) for m in past):
                instead = self._match_instead(token)
                if instead:
                    for match in past:
                        numbers.pop(match.start(group), None)
                    numbers[start] = float(token[0]), matched_step(instead)
        if not matches or line.count(_label(line, matches[-1].start(group))) > len(matches):
            self._check_others(line, matches)
        if numbers:
            self.no_number = ""
        return [numbers[start] for start in sorted(numbers)]

    def match(self, line: str) -> list[tuple[float, int | None]]:
        """Return what a service reads that applies the regex itself: each match as it is."""
        texts = [(match[self._group] or "", matched_step(match)) for match in self._search(line)]
        numbers = [(parse_number(text), text, step) for text, step in texts]
        self.no_number = next((text for number, text, _ in numbers if number is None), "")
        return [(number, step) for number, _, step in numbers if number is not None]

    @property
    def remark(self) -> str:
        """What the last line had in place of a number, as a sentence."""
        message = "the regular expression of {} last matched {!r}, which is not a number"
        return message.format(self.name, self.no_number[:_MAX_SHOWN_TEXT]) if self.no_number else ""

    def _misread(self, text: str, number: str, line: str, cure: str) -> MisreadNumberError:
        if not text:
            what = "does not match {}".format(number)
        elif text == number:
            what = "reads {!r}, which is not a number,".format(text)
        else:
            what = "reads only {!r} of {}".format(text, number)
        message = "the regular expression of {}, {}, {}: it {} in: {}; {}".format(
            self.name, self.pattern.pattern, MISREADS, what, line.strip()[:_MAX_SHOWN_LINE], cure
        )
        return MisreadNumberError(message, text, number, line)

    def _learn(self, label: str, text: str) -> None:
        """Store a number that follows a word, and check those that followed it before."""
        is_new = label not in self._samples and len(self._samples) < _MAX_LABELS
        self._samples[label] = text
        for passed, line, start, end in self._passed if is_new else ():
            if passed == label:
                self._check(label, line, start, end)

    def _check_others(self, line: str, matches: Sequence[Match[str]]) -> None:
        import re

        for token in re.finditer(WHOLE_NUMBER + "|" + _NO_NUMBER, line):
            start, end = token.span()
            label = _label(line, start)
            if any(_overlaps(match, self._group, start, end) for match in matches):
                continue
            if label in self._samples:
                self._check(label, line, start, end)
            elif len(self._passed) < _MAX_LABELS and end < _MAX_LINE_LENGTH:
                self._passed.append((label, line[:_MAX_LINE_LENGTH], start, end))

    def _check(self, label: str, line: str, start: int, end: int) -> None:
        for plain in (self._samples[label], " " + self._samples[label]):
            for match in self._search(line[:start] + plain + line[end:]):
                if _overlaps(match, self._group, start, start + len(plain)):
                    text = line[start:end]
                    if any(map(str.isdigit, text)):
                        raise self._misread("", text, line, _CAPTURE_IT_WHOLE)
                    self.no_number = text
                    return

    def _match_instead(self, token: Match[str]) -> Match[str] | None:
        """Return the match with a plain number in place of a text, if the regex reads that."""
        before, after = token.string[: token.start()], token.string[token.end() :]
        for written in _FORMATS:
            for decimals in range(_MAX_DECIMALS + 1):
                number = written.format(0, decimals)
                for match in self._search(before + number + after):
                    if _overlaps(match, self._group, len(before), len(before) + len(number)):
                        return match
        return None


def _cure(token: Match[str]) -> str:
    if token["unit"]:
        return _NAME_THE_UNIT
    return _PRINT_IT_PLAINLY if _token_value(token[0]) is None else _CAPTURE_IT_WHOLE


def _label(line: str, end: int) -> str:
    """Return the last word before a place in a line, with what follows it."""
    import re

    words = re.findall(r"\w*\W*$", line[max(0, end - 60) : end])
    return re.sub(r"\d+", "0", words[0].strip())


def whole_number(match: Match[str], group: int) -> Match[str] | None:
    """Return the number of which a match reads only a part, with another value; None if none.

    A sign or a unit that the regex itself names outside of its group is left out on purpose, and
    what looks like thousands may be columns if the regex names the comma.
    """
    import re

    start, end = match.span(group)
    line = match.string
    before = line[max(0, start - 1) : max(0, start)]
    is_inside = before.isalnum() or before in ("_", ".", ",", "+", "-", "\u2212")
    if start >= end or not (is_inside or re.compile(_GOES_ON).match(line, end)):
        return None
    value = parse_number(line[start:end])
    for token in re.finditer(WHOLE_NUMBER, line):
        if not _overlaps(match, group, *token.span()):
            continue
        if start <= token.start() and token.end() <= end:
            return None
        names_rest = match.end() > end and not re.search(r"\)\.[*+]\??$", match.re.pattern)
        if token["grouped"] and (token.start() != start or names_rest):
            return None
        text = token[0]
        if token["unit"] and names_rest:
            text = text[: -len(token["unit"])]
        number = _token_value(text)
        names_sign = re.search(r"-\((?:\?P<|[^?])", match.re.pattern) is not None
        if names_sign and token.end() <= end and number is not None and value == abs(number):
            return None
        return None if value is not None and value == number else token
    return None


def _token_value(text: str) -> float | None:
    try:
        return float.fromhex(text) if "x" in text.lower() else float(text.replace("\u2212", "-"))
    except (ValueError, OverflowError):
        return None


def _overlaps(match: Match[str], group: int, start: int, end: int) -> bool:
    return match.start(group) < end and match.end(group) > start


def command_line(
    call: Mapping[str, Any],
    values: Mapping[str, Value],
    paths: Mapping[str, str],
    python: str,
    dashed: Iterable[str] = (),
    *,
    switches: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the command that starts a script.

    Args:
        call: ``script``, ``module`` or ``command``, with ``args`` and ``arguments``, as in a
            study's ``trial``. ``parameters`` has the names of all parameters; without it, every
            unknown name in a placeholder is taken for an inactive parameter.
        values: Constants, then the active parameters, in order.
        paths: The inputs.
        python: The interpreter for a script or a module.
        dashed: The parameters that take a single dash: see `single_dash`.
        switches: The words for true and false of each switch without a value: see `switch_words`.

    Example:
        >>> call = {"script": "train.py", "args": ["--data={{inputs.train}}"]}
        >>> command_line(call, {"epochs": 3, "C": 0.5}, {"train": "/in"}, "python3")
        ['python3', 'train.py', '--data=/in', '--epochs', '3', '--C', '0.5']
    """
    switches = switches or {}
    empty = [n for n, v in values.items() if v is False and switches.get(n, "").endswith("=")]
    placed = {**values, **dict.fromkeys(empty, "")}
    command = _fill_placeholders(call, call.get("command") or [], placed, paths)
    if call.get("script"):
        command = [python, call["script"]]
    elif call.get("module"):
        command = [python, "-m", call["module"]]
    args = _fill_placeholders(call, call.get("args") or [], placed, paths)
    flags = _format_arguments(
        call.get("arguments", "flags"),
        _appended_values(call, values),
        frozenset(dashed),
        switches,
    )
    return command + args + flags


def environment(
    base: Mapping[str, str],
    call: Mapping[str, Any],
    values: Mapping[str, Value],
    paths: Mapping[str, str],
    *,
    trial_file: str,
    package: str | None,
) -> dict[str, str]:
    """Return the environment of a script.

    Args:
        base: The inherited variables. Those of another trial are removed.
        call: As in `command_line`, with the study's ``env``, which overrides the defaults. Values
            that ``env`` takes from elsewhere are already in ``base``.
        values: Constants, then the active parameters.
        paths: The inputs.
        trial_file: The file that `params` and the other functions read.
        package: The folder with a ``cloudtune`` package, for a Python without cloudtune.
    """
    env = {k: v for k, v in base.items() if k == RUN or not k.startswith("CLOUDTUNE_")}
    env.update({"PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "0"})
    study_env: Json = call.get("env") or {}
    env.update({name: value for name, value in study_env.items() if isinstance(value, str)})
    if call.get("arguments") == "env":
        appended = _appended_values(call, values)
        env.update({name: format_value(value) for name, value in appended.items()})
    for name, path in paths.items():
        env[input_variable(name)] = path
    env[TRIAL] = trial_file
    if package:
        folders = [folder for folder in env.get("PYTHONPATH", "").split(os.pathsep) if folder]
        env["PYTHONPATH"] = os.pathsep.join(folders + [package] * (package not in folders))
    return env


def single_dash(call: Mapping[str, Any], names: Iterable[str], folder: str) -> list[str]:
    """Return the names that the script expects as ``-C value`` instead of ``--C value``.

    These are one-letter names that the code has in quotes only as ``-C``. The script is searched
    first, then the other Python files of the folder.
    """
    letters = [name for name in names if len(name) == 1]
    if not letters or call.get("arguments", "flags") not in ("flags", "equals"):
        return []
    import re

    dashed: list[str] = []
    for code in _source_files(call, folder):
        for name in list(letters):
            dashes = set(re.findall("[\"'](--?)" + re.escape(name) + "[\"'= ,/]", code))
            if dashes:
                letters.remove(name)
                if dashes == {"-"}:
                    dashed.append(name)
        if not letters:
            break
    return dashed


def switch_words(call: Mapping[str, Any], names: Iterable[str], folder: str) -> dict[str, str]:
    """Return the words of boolean switches without a value, as ``--yes/--no``, by name.

    Either word can be empty. They are those of the study's ``switches``, or else of the parser in
    the script, then in the other Python files of the folder: of argparse, click or typer. An
    option with ``type=bool``, which reads only an empty text as false, has ``--name=True/--name=``.
    """
    options = _placeholder_options(call)
    words: dict[str, str] = dict(call.get("switches") or {})
    if call.get("arguments", "flags") not in ("flags", "equals"):
        names, words = [name for name in names if name in options], {}
    missing = {name for name in names if name not in words}
    if not missing:
        return words
    for code in _source_files(call, folder):
        if not any(mark in code for mark in _SWITCH_MARKS):
            continue
        for switch in _parse_switches(code):
            for name in missing:
                yes, no = switch.match(options.get(name, name))
                if yes or no:
                    before = words.get(name, "/").partition("/")
                    words[name] = (before[0] or yes) + "/" + (before[2] or no)
        missing -= words.keys()
        if not missing:
            break
    return words


def _placeholder_options(call: Mapping[str, Any]) -> dict[str, str]:
    """Return the options, without dashes, whose whole values are placeholders, by their names."""
    words = list(call.get("command") or ()) + list(call.get("args") or ())
    if not any("{{" in word for word in words):
        return {}
    import re

    pattern = r"--?([^\s={}]+)[= ]" + _PLACEHOLDER
    pairs = words + [word + " " + words[n + 1] for n, word in enumerate(words[:-1])]
    found = [match for match in (re.fullmatch(pattern, pair) for pair in pairs) if match]
    return {match[2].strip(): match[1] for match in found}


_SWITCH_MARKS = ("add_arg", "click", "typer")


_OPTION_CALLS = ("add_argument", "add_arg", "option")
"""Those of argparse, configargparse and click."""


class _Switch:
    """A boolean option of a script's parser."""

    has_value = False
    """Whether it has a value, of which only the empty text is false."""

    def __init__(self, dest: str, options: Sequence[str], yes: str, no: str) -> None:
        self._dest = dest
        self._options = options
        self._yes = yes
        self._no = no

    def match(self, name: str) -> tuple[str, str]:
        """Return the words for true and false if this is the option of a parameter."""
        if name.replace("-", "_") == self._dest:
            return self._yes, self._no
        option = ("-" if len(name) == 1 else "--") + name
        if option not in self._options:
            return "", ""
        return (self._no, self._yes) if option == self._no else (self._yes, self._no)


def _parse_switches(code: str) -> Iterator[_Switch]:
    import ast

    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name_of(node.func) in _OPTION_CALLS:
            for switch in _switch_of_call(node):
                if not (switch.has_value and "jsonargparse" in code):  # which reads False as false
                    yield switch
        elif isinstance(node, ast.FunctionDef) and "typer" in code:
            is_command = any(_name_of(each) == "command" for each in node.decorator_list)
            if is_command or "typer.run(" + node.name in code.replace(" ", ""):
                yield from _switches_of_function(node)


def _name_of(node: Any) -> str:
    """Return the last part of a name, also of what is called or subscripted."""
    node = getattr(node, "func", getattr(node, "value", node)) if _is_wrapper(node) else node
    return getattr(node, "attr", getattr(node, "id", "")) or ""


def _is_wrapper(node: Any) -> bool:
    import ast

    return isinstance(node, (ast.Call, ast.Subscript))


def _literal(node: Any) -> Any:
    import ast

    try:
        return None if node is None else ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _to_switch(dest: str, options: Sequence[str]) -> _Switch | None:
    """Return the switch of click's options, such as ``--yes/--no``."""
    for option in options:
        yes, slash, no = (part.strip() for part in option.partition("/"))
        if slash:
            return _Switch(dest or _dest(yes or no), [yes, no], yes, no)
    return None


def _dest(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def call_keywords(call: Any) -> Json:
    """Return the keyword arguments of a call, with those of literal maps in ``**{...}``.

    Other maps are below an empty name.
    """
    import ast

    keywords: Json = {}
    for each in call.keywords:
        value = each.value
        if each.arg is not None:
            keywords[each.arg] = value
        elif isinstance(value, ast.Dict):
            keywords.update((_literal(k), value.values[n]) for n, k in enumerate(value.keys))
        elif isinstance(value, ast.Call) and _name_of(value.func) == "dict" and not value.args:
            keywords.update(call_keywords(value))
        else:
            keywords[""] = value
    return keywords


def _switch_of_call(call: Any) -> Iterator[_Switch]:
    """Yield the switch of a call of argparse's ``add_argument`` or click's ``option``."""
    words = [word for word in map(_literal, call.args) if isinstance(word, str)]
    keywords = call_keywords(call)
    options = [word for word in words if word.startswith("-") or "/" in word]
    if not options:
        return
    option = next((word for word in options if word.startswith("--")), options[0])
    dest = _literal(keywords.get("dest")) or ""
    if _name_of(call.func) == "option":
        dest = next((word for word in words if word not in options), "")
        pair = _to_switch(dest, options)
        if pair:
            yield pair
        elif _literal(keywords.get("is_flag")) and not _literal(keywords.get("default")):
            yield _Switch(dest or _dest(option), options, option, "")
        return
    action = keywords.get("action")
    dest = dest or _dest(option)
    if _name_of(action) == "BooleanOptionalAction":
        yield _Switch(dest, options, option, "--no-" + option[2:])
    elif _literal(action) == "store_true" or _constant(keywords) is True:
        yield _Switch(dest, options, option, "")
    elif _literal(action) == "store_false" or _constant(keywords) is False:
        yield _Switch(dest, options, "", option)
    elif calls_bool(keywords.get("type")):
        switch = _Switch(dest, options, option + "=True", option + "=")
        switch.has_value = True
        yield switch


def _constant(keywords: Json) -> Any:
    """Return the value that an option without a value stores."""
    is_constant = _literal(keywords.get("action")) == "store_const"
    return _literal(keywords.get("const")) if is_constant else None


def calls_bool(node: Any) -> bool:
    """Return whether a type is ``bool``, also numpy's, or a lambda that only calls it."""
    import ast

    if isinstance(node, ast.Lambda) and isinstance(node.body, ast.Call):
        call = node.body
        is_direct = len(call.args) == 1 and isinstance(call.args[0], ast.Name)
        return is_direct and _name_of(call.func) in ("bool", "bool_")
    return _name_of(node) in ("bool", "bool_") and not _is_wrapper(node)


def _switches_of_function(function: Any) -> Iterator[_Switch]:
    """Yield the switches of a function that is a command of typer."""
    import ast

    declared = function.args
    absent = [None] * (len(declared.args) - len(declared.defaults))
    defaults = absent + declared.defaults + declared.kw_defaults
    for index, argument in enumerate(declared.args + declared.kwonlyargs):
        default = defaults[index]
        annotation = argument.annotation
        nodes = [default] + (list(ast.walk(annotation)) if annotation else [])
        calls = [n for n in nodes if isinstance(n, ast.Call) and _name_of(n) == "Option"]
        is_bool = any(isinstance(n, ast.Name) and n.id == "bool" for n in nodes[1:])
        if not is_bool or (default is None and not calls):
            continue
        texts = [word for call in calls for word in map(_literal, call.args)]
        options = [word for word in texts if isinstance(word, str) and "-" in word]
        name = argument.arg.replace("_", "-")
        pair = _to_switch(argument.arg, options or ["--" + name + "/--no-" + name])
        yield pair or _Switch(argument.arg, options, options[0], "")


def _source_files(call: Mapping[str, Any], folder: str) -> Iterator[str]:
    """Yield the text of the script, then of the folder's other Python files, up to a thousand."""
    module = (call.get("module") or "").replace(".", os.sep) + ".py"
    command: Sequence[str] = call.get("command") or []
    words: list[str] = [call.get("script") or "", module, *command]
    seen: set[str] = set()

    def paths() -> Iterator[str]:
        yield from (os.path.join(folder, word) for word in words if word)
        for parent, folders, files in os.walk(folder):
            folders.sort()
            for name in sorted(files):
                if name.endswith(".py"):
                    yield os.path.join(parent, name)

    for path in paths():
        if path in seen or not os.path.isfile(path):
            continue
        seen.add(path)
        with open(path, encoding="utf-8", errors="replace") as file:
            yield file.read(1_000_000)
        if len(seen) == 1_000:
            return


def input_variable(name: str) -> str:
    """Return the environment variable that has the path of an input.

    Example:
        >>> input_variable("train-2")
        'CLOUDTUNE_INPUT_TRAIN_2'
    """
    return "CLOUDTUNE_INPUT_" + "".join(
        c if c.isascii() and c.isalnum() else "_" for c in name.upper()
    )


def _placeholder_names(word: str) -> list[str]:
    import re

    return [name.strip() for name in re.findall(_PLACEHOLDER, word)]


def _appended_values(call: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values without a placeholder in the fixed words."""
    words: list[str] = [*(call.get("command") or []), *(call.get("args") or [])]
    if not any("{{" in word for word in words):
        return dict(values)
    placed = {name for word in words for name in _placeholder_names(word)}
    return {name: value for name, value in values.items() if name not in placed}


def _fill_placeholders(
    call: Mapping[str, Any],
    words: Sequence[str],
    values: Mapping[str, Value],
    paths: Mapping[str, str],
) -> list[str]:
    """Replace the placeholders in fixed words; omit words that are empty or inactive then."""
    if not any("{{" in word for word in words):
        return list(words)
    import re

    known = {"inputs." + name: path for name, path in paths.items()}
    known.update({name: format_value(value) for name, value in values.items()})
    parameters = call.get("parameters")
    filled: list[str] = []
    after_flag = False
    for word in words:
        names = _placeholder_names(word)
        if any(n not in known and (parameters is None or n in parameters) for n in names):
            if after_flag and re.fullmatch(_PLACEHOLDER, word):
                filled.pop()
            after_flag = False
            continue
        text = re.sub(_PLACEHOLDER, lambda match: known.get(match[1].strip(), match[0]), word)
        is_number = after_flag and names and not isinstance(values.get(names[0], ""), str)
        if is_number and re.fullmatch(_PLACEHOLDER, word) and looks_like_option(text):
            filled[-1] += "=" + text
        elif text or after_flag or not names:
            filled.append(text)
        after_flag = word.startswith("-") and not names and "=" not in word
    return filled


def _format_arguments(
    style: str, values: Mapping[str, Value], dashed: frozenset[str], switches: Mapping[str, str]
) -> list[str]:
    if style in ("env", "none"):
        return []
    if style == "json":
        return [json.dumps(values, ensure_ascii=False)]
    if style == "assign":
        return ["{}={}".format(name, format_value(value)) for name, value in values.items()]
    words: list[str] = []
    for name, value in values.items():
        if isinstance(value, bool) and name in switches:
            yes, _, no = switches[name].partition("/")
            words += filter(None, [yes if value else no])
            continue
        flag = ("-" if name in dashed else "--") + name
        argument = format_value(value)
        if style == "equals" or looks_like_option(argument):
            words.append(flag + "=" + argument)
        else:
            words += [flag, argument]
    return words


def looks_like_option(argument: str) -> bool:
    """Return whether argparse takes a value for an option, as it does with ``-1e-05``."""
    digits = argument[1:].replace(".", "", 1)
    is_number = digits.isdecimal() and not argument.endswith(".")
    return argument.startswith("-") and argument != "-" and not is_number


# A service's values in the study's types.


def restore(definitions: Sequence[Mapping[str, Any]], raw: Mapping[str, Any]) -> dict[str, Value]:
    """Return the values of the active parameters in the study's types.

    Scripts and results both get their values from here. Numbers that a service has rounded become
    the value of the study.

    Args:
        definitions: One map per definition of a parameter, parents first: ``name``, ``type``;
            ``values`` of a discrete or categorical parameter; ``min``, ``max`` and ``step`` of a
            range; ``when`` with its values by parent; ``sent``, its name at the service; and
            ``fixed``, its value if the service sends none.
        raw: The service's values as text or numbers, including inactive parameters.

    Raises:
        ValueError: If a value is not one of its parameter's.

    Example:
        >>> restore([{"name": "C", "type": "float", "min": 0.1, "max": 1}], {"C": "0.0999999999"})
        {'C': 0.1}
    """
    values: dict[str, Value] = {}
    for definition in definitions:
        name = definition["name"]
        conditions: Mapping[str, Sequence[Value]] = definition.get("when") or {}
        active = all(
            parent in values and any(is_same_value(values[parent], value) for value in allowed)
            for parent, allowed in conditions.items()
        )
        raw_value = raw.get(definition.get("sent", name), definition.get("fixed"))
        if active and raw_value is not None and name not in values:
            values[name] = _restore_value(definition, raw_value)
    return values


def _restore_value(definition: Mapping[str, Any], raw: Any) -> Value:
    kind = definition["type"]
    value: Value | None
    if kind == "bool":
        value = _BOOLS.get(format_value(raw).lower())
    elif kind in ("discrete", "categorical"):
        value = _match_member(definition, raw)
    else:
        value = _match_range(definition, raw)
    if value is None:
        raise ValueError("invalid value {!r} for parameter {}".format(raw, definition["name"]))
    return value


_BOOLS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def _match_member(definition: Mapping[str, Any], raw: Any) -> Value | None:
    members: Sequence[Value] = definition["values"]
    text, number = format_value(raw), _finite_number(raw)
    tests: list[Callable[[Value], bool]] = [
        lambda member: type(member) is type(raw) and member == raw,
        lambda member: format_value(member) == text,
        lambda member: number is not None and is_same_value(member, number),
    ]
    for test in tests:
        for member in members:
            if test(member):
                return member
    if number is None or definition["type"] == "categorical":
        return None
    numbers = [member for member in members if not isinstance(member, str)]
    nearest = min(numbers, key=lambda member: abs(member - number))
    return nearest if _is_close(number, nearest) else None


def _match_range(definition: Mapping[str, Any], raw: Any) -> Value | None:
    number = _finite_number(raw)
    if number is None:
        return None
    low, high = definition.get("min", number), definition.get("max", number)
    if definition["type"] == "int":
        valid = number == int(number) and low <= number <= high
        on_step = valid and not (int(number) - low) % definition.get("step", 1)
        return int(number) if on_step else None
    for bound in (low, high):
        if not low <= number <= high and _is_close(number, bound):
            number = bound
    if not low <= number <= high:
        return None
    value = float(number)
    return _match_grid(value, low, high, definition["step"]) if "step" in definition else value


def _match_grid(value: float, low: float, high: float, step: float) -> float | None:
    from decimal import Decimal

    first, last, distance = Decimal(repr(low)), Decimal(repr(high)), Decimal(repr(step))
    steps = (Decimal(repr(value)) - first) / distance
    nearest = round(steps)
    member = float(first + nearest * distance)
    is_off = member != value and abs(steps - nearest) > Decimal(repr(_TOLERANCE))
    return None if is_off or nearest > (last - first) / distance else member


def _finite_number(raw: Any) -> float | None:
    """Return a value or its text as a finite number, integers with all their digits."""
    if isinstance(raw, str):
        for parse in (int, float):
            try:
                return None if "_" in raw else _finite_number(parse(raw))
            except ValueError:
                pass
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        return None
    return raw if abs(raw) <= sys.float_info.max else None


def _is_close(number: float, value: float) -> bool:
    return abs(number - value) <= _TOLERANCE * abs(value)


def _constants(study: Json, raw: Mapping[str, Any]) -> dict[str, Value]:
    """Return the constants, as the service sent them if it did, and hyperband's resource."""
    values: dict[str, Value] = {}
    for name, constant in study["constants"].items():
        values[name] = _convert(constant, name, raw[name]) if name in raw else constant
    resource = study.get("resource") or ""
    if resource in raw:
        values[resource] = _convert(1, resource, raw[resource])
    return values


def _convert(constant: Value, name: str, raw: Any) -> Value:
    if isinstance(constant, str):
        return format_value(raw)
    value: Value | None = _finite_number(raw)
    if isinstance(constant, bool):
        value = _BOOLS.get(format_value(raw).lower())
    elif isinstance(constant, int) and isinstance(value, float) and value.is_integer():
        value = int(value)
    elif isinstance(constant, float) and value is not None:
        value = float(value)
    if value is None:
        raise ValueError("invalid value {!r} for {}".format(raw, name))
    return value


# Secrets in the output of a script.


class SecretFilter:
    """Replaces secrets in output, also in JSON, Python's repr, URLs, HTML, base64 and hex."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """Set the secrets.

        Values of less than `MIN_SECRET_LENGTH` characters and numbers of less than
        `MIN_SECRET_DIGITS` digits are in too much output, so they stay. Numbers of up to nine
        digits also stay where they are part of a longer number.

        Args:
            names: The name that replaces each value.
        """
        self._rest = b""
        self._names: dict[bytes, bytes] = {}
        for value, name in names.items():
            for text in (value, value.strip()):  # programs strip what they read
                min_length = MIN_SECRET_DIGITS if text.isdigit() else MIN_SECRET_LENGTH
                if len(text) >= min_length:
                    for form in _secret_forms(text):
                        self._names.setdefault(form, "${{{}}}".format(name).encode())
        if self._names:
            import re

            longest_first = sorted(self._names, key=len, reverse=True)
            self._longest = len(longest_first[0])
            self._pattern = re.compile(b"|".join(map(_secret_regex, longest_first)))
            starts = {form[:1] for form in self._names}
            self._start = re.compile(b"|".join(map(re.escape, starts)))

    def __bool__(self) -> bool:
        """Return whether there is anything to replace."""
        return bool(self._names)

    def feed(self, data: bytes) -> bytes:
        """Return the next output without secrets; a possible start of one is held back."""
        if not self._names:
            return data
        pending = self._rest + data
        end, start = self._find_incomplete(pending), 0
        parts: list[bytes] = []
        for match in self._pattern.finditer(pending):
            if match.start() >= end:
                break
            parts += [pending[start : match.start()], self._names[match.group()]]
            start = match.end()
        end = max(start, end)
        self._rest = pending[end:]
        return b"".join([*parts, pending[start:end]])

    def finish(self) -> bytes:
        """Return what was held back."""
        rest, self._rest = self._rest, b""
        return self.hide(rest)

    def hide(self, data: bytes) -> bytes:
        """Return complete output without secrets."""
        if not self._names:
            return data
        return self._pattern.sub(lambda match: self._names[match.group()], data)

    def hide_text(self, text: str) -> str:
        """Return a complete text without secrets."""
        if not self._names:
            return text
        data = text.encode("utf-8", "surrogatepass")
        return self.hide(data).decode("utf-8", "surrogatepass")

    def hide_cut_text(self, text: str) -> str:
        """Return a text without secrets, and without a part of one at its ends.

        A service cuts long texts.
        """
        if not self._names:
            return text
        data = self.hide(text.encode("utf-8", "surrogatepass"))
        for form, name in self._names.items():
            for size in range(min(len(form) - 1, len(data)), _MIN_PART - 1, -1):
                if data.endswith(form[:size]):
                    data = data[:-size] + name
                    break
            for size in range(min(len(form) - 1, len(data)), _MIN_PART - 1, -1):
                if data.startswith(form[-size:]):
                    data = name + data[size:]
                    break
        return data.decode("utf-8", "replace")

    def _find_incomplete(self, pending: bytes) -> int:
        """Return where the first incomplete secret at the end begins, or the length."""
        for match in self._start.finditer(pending, max(0, len(pending) - self._longest + 1)):
            rest = pending[match.start() :]
            if any(len(rest) < len(f) and f.startswith(rest) for f in self._names):
                return match.start()
        return len(pending)


def _secret_regex(form: bytes) -> bytes:
    import re

    is_short_number = form.isdigit() and len(form) < 10
    return b"(?<![0-9.])%b(?![0-9])" % form if is_short_number else re.escape(form)


def _secret_forms(value: str) -> set[bytes]:
    """Return a value as it is, and as it is usually encoded."""
    import base64
    import html
    from urllib.parse import quote, quote_plus

    data = value.encode("utf-8", "surrogateescape")
    text = data.decode("utf-8", "replace")
    escaped = [json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]]
    escaped += [json.dumps(each)[1:-1] for each in escaped]  # JSON within JSON
    escaped += [each.replace("/", "\\/") for each in escaped]
    texts = [*escaped, repr(text)[1:-1], repr(data)[2:-1]]
    for quoted in (quote(data), quote(data, safe=""), quote_plus(data)):
        texts += [quoted, _lower_escapes(quoted)]
    escaped_html = html.escape(text)
    texts += [html.escape(text, quote=False), escaped_html]
    texts += [escaped_html.replace("&#x27;", apostrophe) for apostrophe in ("&#39;", "&apos;", "'")]
    texts.append(escaped_html.replace("&quot;", "&#34;").replace("&#x27;", "&#39;"))
    texts += [data.hex(), data.hex().upper()]
    forms = {data, base64.b64encode(data), base64.urlsafe_b64encode(data)}
    forms |= {each.encode("utf-8", "surrogatepass") for each in texts}
    for offset, first in ((0, 0), (1, 2), (2, 3)):  # within a longer text, as user:password is
        last = (offset + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(b"\0" * offset + data)[first:last])
    # Each line of a key, which programs print with a prefix.
    lines = [line.strip() for line in data.splitlines()] if b"\n" in data else []
    forms |= {line for line in lines if len(line) >= _MIN_LINE}
    return {form for form in forms if len(form) >= MIN_SECRET_LENGTH}


def _lower_escapes(quoted: str) -> str:
    import re

    return re.sub("%..", lambda match: match.group().lower(), quoted)


# What a service does to the process that it starts.


class Contract:
    """The contract of a service that reads metrics from the log.

    A provider whose service needs more has a subclass in its `CONTRACT_FILE`, and there a function
    ``find_contract(study, argv)``, which returns it, or None in another environment.
    """

    signals_script = False
    """Whether the service itself signals the script to stop, and not only the launcher."""

    def __init__(self, raw: Mapping[str, Any], trial: Json | None = None) -> None:
        """Store what the service provides for this trial.

        Args:
            raw: Values by the names under which they were sent.
            trial: Fields of the trial's file: ``trial``, ``inputs``, ``output``, ``checkpoint``.
                With ``reports``, the service reads that file itself.
        """
        self.raw = raw
        self.trial: Json = trial or {}
        self.continues = False
        """Whether there were checkpoints when the script was started; the launcher sets it."""
        self.grace: float | None = None
        """Seconds after a stop signal until the launcher kills the script; None for never."""
        self._last_steps: dict[str, int] = {}
        self._latest: dict[str, tuple[int, float]] = {}
        """The step and the value of each metric's latest report."""

    def observe(self, report: Mapping[str, Any]) -> None:
        """Remember the values of a report, for `divergence`."""
        for name, value in report["metrics"].items():
            before = self._latest.get(name, (0, 0.0))[0]
            self._latest[name] = (report.get("step", before + 1), float(value))

    def divergence(self, objectives: Iterable[str]) -> str:
        """Return which of the objectives ended with a value that is not finite; empty if none.

        Services drop such values, and would count the trial with its last finite one.
        """
        for name in objectives:
            step, value = self._latest.get(name, (0, 0.0))
            if not abs(value) <= sys.float_info.max:
                return "{} was {} at step {}".format(name, value, step)
        return ""

    def assign_steps(self, report: Mapping[str, Any], after: int = 0) -> dict[int, Json]:
        """Return the metrics of a report by step.

        In a report without a step, each metric has the one that follows its last step.

        Args:
            report: The report.
            after: The last step of a metric that was not reported yet.
        """
        by_step: dict[int, Json] = {}
        for name, value in report["metrics"].items():
            step = report.get("step", self._last_steps.get(name, after) + 1)
            self._last_steps[name] = step
            by_step.setdefault(step, {})[name] = float(value)
        return by_step

    def publish(self, report: Mapping[str, Any]) -> str:
        """Pass a report on to the service; return the lines to print for it."""
        lines = ""
        for name, value in report["metrics"].items():
            if abs(value) <= sys.float_info.max and name.isprintable():
                lines += "[cloudtune] metric {} = {!r}\n".format(name, float(value))
            else:
                lines += skipped_metric(name, value)
        return lines

    def report_failure(self, reason: str) -> None:
        """Pass on why the trial failed, if the service does not read that from the log."""

    def report_exit(self, code: int, *, stopped: bool) -> None:
        """Pass on the script's exit code, negative for a signal; before `close`.

        ``stopped`` is whether the launcher received a stop signal.
        """

    def script_variables(self, _folder: str) -> dict[str, str]:
        """Return additional environment variables; ``folder`` is for temporary files."""
        return {}

    def tick(self) -> float | None:
        """Do what is due while a process runs; return the seconds until the next call."""
        return None

    def close(self) -> None:
        """Write everything that is still queued."""


def count_memory_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory; 0 if it does not say.

    Linux counts them in ``/proc/vmstat`` since 4.13, and for a control group in ``memory.events``.
    """
    for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        try:
            with open(path, "rb") as file:
                for line in file:
                    if line.startswith(b"oom_kill "):
                        return int(line.split()[1])
        except (OSError, ValueError):
            pass
    return 0


def is_memory_error(output: str) -> bool:
    """Return whether the last lines of a failed program are an error for lack of memory.

    They are those of Python, NumPy, PyTorch on CPUs, and C++. The memory of GPUs does not count.
    """
    import re

    pattern = (
        r"(?m)^(?:[\w.]+\.)?(?:_Array)?MemoryError\b"
        r"|DefaultCPUAllocator: (?:can't allocate|not enough) memory|std::bad_alloc"
    )
    return re.search(pattern, "\n".join(output.splitlines()[-5:])) is not None


def has_files(folder: str) -> bool:
    """Return whether a folder exists and is not empty."""
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False


def skipped_metric(name: str, value: float) -> str:
    """Return the line to print for a value that a service does not accept."""
    return "[cloudtune] skipped metric {!r}: {}\n".format(name, value)


def parse_flags(study: Json, argv: Sequence[str]) -> Json:
    """Return the values of ``--name=value``, ``--name value`` and, for one letter, ``-n value``.

    Args:
        study: The content of `STUDY_FILE`. Other names are ignored.
        argv: The arguments of the launcher.
    """
    names = {definition.get("sent", definition["name"]) for definition in study["parameters"]}
    names |= {study.get("resource"), *study["constants"]}
    raw: Json = {}
    words = iter(argv)
    for word in words:
        flag, equals, value = word.partition("=")
        name = flag[2:] if flag.startswith("--") else flag[1:]
        if name in names and flag in ("--" + name, "-" + name):
            raw[name] = value if equals else next(words, "")
    return raw


def _find_contract(study: Json, argv: Sequence[str]) -> Contract | None:
    """Return the provider's contract, else one with only arguments, else that of a local trial."""
    contract = _service_contract(study, argv)
    if contract:
        return contract
    raw = parse_flags(study, argv)
    if raw:
        return Contract(raw)
    path = os.environ.get(TRIAL)
    trial = load_json(path) if path else {}
    return Contract(trial.get("parameters", {}), trial) if trial else None


def _service_contract(study: Json, argv: Sequence[str]) -> Contract | None:
    path = os.path.join(_HERE, CONTRACT_FILE)
    if not os.path.exists(path):
        return None
    from importlib.machinery import SourceFileLoader

    sys.modules.setdefault("cloudtune.trial", sys.modules[__name__])  # what the contract imports
    loader = SourceFileLoader("cloudtune.launcher_contract", path)
    module: Any = type(sys)(loader.name)
    module.__file__ = path
    loader.exec_module(module)
    contract: Contract | None = module.find_contract(study, argv)
    return contract


# The launcher: the process that a service starts, which starts the user's script.


def main(argv: Sequence[str]) -> int:
    """Start the user's script under the service's contract, and return its exit code.

    It needs a POSIX system, as every container is.
    """
    contract = Contract({})
    try:
        path = _study_path()
        study = load_json(path)
        contract = _find_contract(study, argv) or contract
        constants = dict(contract.trial.get("constants") or _constants(study, contract.raw))
        values = restore(study["parameters"], contract.raw)
        patterns = _compile_patterns(study["trial"].get("metrics") or {})
        if study.get("folder"):
            work = os.path.join(os.path.dirname(path), study["folder"])
            os.makedirs(work, exist_ok=True)
            os.chdir(work)
    except (OSError, ValueError, KeyError) as error:
        return _refuse(contract, "cannot start the trial: {}".format(error))
    return _launch(study, contract, constants, values, patterns)


def _refuse(contract: Contract, reason: str, code: int = 2) -> int:
    print("cloudtune: " + reason.partition("\n")[0], file=sys.stderr)  # noqa: T201
    contract.report_failure(reason[:MAX_REASON_LENGTH])
    contract.report_exit(code, stopped=False)
    contract.close()
    return code


def _study_path() -> str:
    folders = [_HERE, os.path.dirname(_HERE), os.getcwd()]
    for folder in folders:
        path = os.path.join(folder, STUDY_FILE)
        if os.path.exists(path):
            return path
    raise OSError("{} not found in {}".format(STUDY_FILE, ", ".join(folders)))


def _launch(
    study: Json,
    contract: Contract,
    constants: Mapping[str, Value],
    values: Mapping[str, Value],
    patterns: Sequence[MetricPattern],
) -> int:
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix="cloudtune-")
    trial: Json = {
        "trial": study["run"],
        "reports": os.path.join(folder, "reports.jsonl"),
        "doorbell": os.path.join(folder, "doorbell"),
        "checkpoint": os.path.join(folder, "checkpoint"),
        "output": os.path.join(folder, "output"),
        "inputs": study["inputs"],
        **contract.trial,
        "parameters": dict(values),
        "constants": dict(constants),
    }
    contract.continues = has_files(trial["checkpoint"])
    trial_file = os.path.join(folder, "trial.json")
    with open(trial_file, "w", encoding="utf-8") as file:
        json.dump(trial, file)
    arguments = {**constants, **values}
    call: Json = study["trial"]
    secrets = _secrets_in_environment(call)
    python = sys.executable
    paths = trial["inputs"]
    folder_of_code = os.getcwd()
    dashed = single_dash(call, arguments, folder_of_code)
    flags = [name for name, value in arguments.items() if isinstance(value, bool)]
    switches = switch_words(call, flags, folder_of_code)
    words = command_line(call, arguments, paths, python, dashed, switches=switches)
    package = os.path.dirname(_HERE) if os.path.basename(_HERE) == "cloudtune" else None
    env = environment(os.environ, call, arguments, paths, trial_file=trial_file, package=package)
    env.setdefault(RUN, study["run"])
    env.update(contract.script_variables(folder))
    python_folder = os.path.dirname(python)
    if os.path.dirname(shutil.which("python", path=env.get("PATH")) or "") != python_folder:
        env["PATH"] = python_folder + os.pathsep + (env.get("PATH") or os.defpath)
    try:
        launcher = _Launcher(contract, trial, secrets)
        requirements = call.get("requirements")
        code = launcher.install(requirements, python, env) if requirements else 0
        metrics = _PrintedMetrics(patterns, trial)
        code = code or launcher.run(words, env, metrics)
    except _TrialError as error:
        return _refuse(contract, secrets.hide_text(str(error)), error.code)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if code and not launcher.stop_signals:
        contract.report_failure(launcher.failure_reason(code))
    elif not launcher.stop_signals:
        objectives: Json = study.get("objectives") or {}
        reason = contract.divergence(objectives) or metrics.remark(objectives)
        if reason:
            return _refuse(contract, secrets.hide_text(reason), DIVERGED_EXIT)
    contract.report_exit(code, stopped=bool(launcher.stop_signals))
    contract.close()
    return _exit_like(code)


def _secrets_in_environment(call: Mapping[str, Any]) -> SecretFilter:
    """Return a filter for the variables that the study takes from the user's environment."""
    variables: Json = call.get("env") or {}
    sources = {
        name: source["from_env"]
        for name, source in variables.items()
        if not isinstance(source, str)
    }
    return SecretFilter({os.environ.get(name, ""): source for name, source in sources.items()})


def _exit_like(code: int) -> int:
    """Return a script's exit code, or end by the signal that ended it."""
    if code >= 0:
        return code
    import signal

    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 128 - code  # process 1 of a container ignores signals that it sends itself


class _TrialError(Exception):
    """The trial fails for another reason than its script's exit code."""

    def __init__(self, reason: str, code: int = 2) -> None:
        super().__init__(reason)
        self.code = code


class _Launcher:
    """Runs processes, copies their output line by line, and passes reports on to the contract.

    It wakes up for output, reports, signals and the end of the process.
    """

    def __init__(self, contract: Contract, trial: Json, secrets: SecretFilter) -> None:
        import signal

        self._secrets = secrets
        self.stop_signals: list[int] = []
        self._kill_at: float | None = None
        self._memory_kills = count_memory_kills()
        self._contract = contract
        self._processes: list[Popen[bytes]] = []
        self._last_lines: list[bytes] = []
        self._partial_line = b""
        self._partial_report = b""
        self._within_line = False
        self._reports: int | None = None
        wake_reader, wake_writer = os.pipe()
        os.set_blocking(wake_writer, False)
        signal.set_wakeup_fd(wake_writer)
        self._wakeups = [wake_reader]
        if "reports" not in contract.trial:
            self._reports = os.open(trial["reports"], os.O_RDONLY | os.O_CREAT, 0o600)
            os.mkfifo(trial["doorbell"])
            self._wakeups.append(os.open(trial["doorbell"], os.O_RDWR | os.O_NONBLOCK))
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._forward_signal)

    def install(self, requirements: str, python: str, env: Mapping[str, str]) -> int:
        """Install requirements with pip, and return its exit code; not 0 after a stop signal.

        Raises:
            _TrialError: If pip fails.
        """
        options = ["--disable-pip-version-check", "--no-input"]
        code = self.run([python, "-m", "pip", "install", *options, "-r", requirements], env)
        if code and not self.stop_signals:
            message = "cannot install {}: {}"
            raise _TrialError(message.format(requirements, self.failure_reason(code)))
        return code

    def run(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        metrics: _PrintedMetrics | None = None,
    ) -> int:
        """Run a process to its end, report the metrics in its lines, and return its exit code.

        A child that keeps the output open after that is not waited for.

        Raises:
            _TrialError: If the process cannot be started, or a metric's regex takes too long.
        """
        import select
        import subprocess

        try:
            process = subprocess.Popen(
                words,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise _TrialError("cannot start {}: {}".format(words[0], error), 127) from error
        self._processes, self._last_lines = [process], []
        for number in self.stop_signals:
            process.send_signal(number)
        assert process.stdout is not None
        output = process.stdout.fileno()
        outputs = [output]
        try:
            while process.poll() is None:
                timeout = self._kill_if_due(process, self._contract.tick())
                for ready in select.select(self._wakeups + outputs, [], [], timeout)[0]:
                    data = os.read(ready, 65_536)
                    if ready == output:
                        outputs = outputs if data else []
                        self._copy(data, metrics)
                self._publish_reports()
            for _ in range(64):
                if not outputs or not select.select(outputs, [], [], 0)[0]:
                    break
                data = os.read(output, 65_536)
                outputs = outputs if data else []
                self._copy(data, metrics)
            self._copy(b"", metrics)
            if metrics:
                metrics.finish(failed=process.returncode != 0 and not self.stop_signals)
            self._publish_reports()
            self._contract.tick()
        except _TrialError:
            process.kill()
            process.wait()
            raise
        return process.returncode

    def failure_reason(self, code: int) -> str:
        """Return how the process ended, with its last lines, up to `MAX_REASON_LENGTH`."""
        import signal

        ending = "exit code {}".format(code)
        if code < 0:
            names = {each.value: each.name for each in signal.Signals}
            ending = "killed by {}".format(names.get(-code, "signal {}".format(-code)))
        output = b"\n".join(self._last_lines[-5:]).decode("utf-8", "replace")
        is_killed = code in (-signal.SIGKILL, SIGKILL_EXIT)
        if is_memory_error(output) or (is_killed and count_memory_kills() > self._memory_kills):
            ending = "{}: {}".format(OUT_OF_MEMORY, ending)
        room = MAX_REASON_LENGTH - len(ending)
        lines: list[str] = []
        for data in reversed(self._last_lines):
            line = strip_ansi(data.decode("utf-8", "replace")).rstrip()[: room - 1]
            room -= len(line) + 1
            if lines and room <= 0:
                break
            lines.insert(0, line)
        return "\n".join([ending, *lines])

    def _kill_if_due(self, process: Popen[bytes], timeout: float | None) -> float | None:
        """Kill a process that was asked to stop in vain; return how long to wait at most."""
        import time

        if self._kill_at is None:
            return timeout
        left = self._kill_at - time.monotonic()
        if left <= 0:
            self._kill_at = None
            process.kill()
            return timeout
        return left if timeout is None else min(left, timeout)

    def _forward_signal(self, number: int, _frame: Any) -> None:
        import time

        if self._contract.grace is not None and not self.stop_signals:
            self._kill_at = time.monotonic() + self._contract.grace
        self.stop_signals.append(number)
        for process in () if self._contract.signals_script else self._processes:
            process.send_signal(number)

    def _copy(self, data: bytes, metrics: _PrintedMetrics | None) -> None:
        """Copy complete lines to our output; without data, also the incomplete last one."""
        pending = self._partial_line + data
        end = max(pending.rfind(b"\n"), pending.rfind(b"\r")) + 1
        if not data or len(pending) - end > MAX_REPORT_LINE_BYTES:
            end = len(pending)
        complete, self._partial_line = pending[:end], pending[end:]
        masked = self._secrets.feed(complete) + (b"" if data else self._secrets.finish())
        self._write(masked)
        self._last_lines = self._last_lines[-40:]
        self._last_lines += [line[:MAX_REASON_LENGTH] for line in _split_lines(masked)[-40:]]
        if metrics:
            metrics.feed(complete)  # unmasked, since a metric can look like a secret

    def _publish_reports(self) -> None:
        import contextlib

        published: list[str] = []
        while self._reports is not None:
            data = os.read(self._reports, 65_536)
            *lines, self._partial_report = (self._partial_report + data).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError):  # a full disk truncates lines
                    report = json.loads(line)
                    self._contract.observe(report)
                    published.append(self._contract.publish(self._hide_names(report)))
            if not data:
                break
        text = "".join(published).encode()
        self._write(b"\n" + text if text and self._within_line else text)

    def _hide_names(self, report: Json) -> Json:
        """Return a report without secrets; its numbers stay, since one can look like a secret."""
        metrics = {self._secrets.hide_text(k): value for k, value in report["metrics"].items()}
        return {**report, "metrics": metrics}

    def _write(self, data: bytes) -> None:
        if data:
            self._within_line = not data.endswith(b"\n")
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def _split_lines(output: bytes) -> list[bytes]:
    return [line for line in output.replace(b"\r", b"\n").split(b"\n") if line.strip()]


def _compile_patterns(metrics: Mapping[str, Sequence[str]]) -> list[MetricPattern]:
    if not any(metrics.values()):
        return []
    import re

    patterns: list[MetricPattern] = []
    for name, regexes in metrics.items():
        for regex in regexes:
            try:
                patterns.append((name, re.compile(regex)))
            except re.error as error:
                message = "this Python cannot compile the regex of metric {}: {}"
                raise ValueError(message.format(name, error)) from error
    return patterns


def value_group(pattern: Pattern[str]) -> int:
    """Return the group of a metric's regular expression around the value; 0 if there is none.

    It is the one named ``value``, else the first that is not named ``step``.
    """
    names = pattern.groupindex
    others = [n for n in range(1, pattern.groups + 1) if n != names.get("step")]
    return names.get("value") or next(iter(others), 0)


def matched_step(match: Match[str]) -> int | None:
    """Return the whole number in the group named ``step``; None if there is none."""
    text = match["step"] if "step" in match.re.groupindex else None
    if text is None or not text.isdecimal() or len(text) > 18:
        return None
    return int(text)


def required_text(pattern: str) -> bytes:
    """Return a text that each match of a regular expression contains; empty if none is known.

    Finding it is many times faster than the expression. It is outside of groups, in an expression
    without flags and outer alternatives.
    """
    import re

    texts, depth, index = [""], 0, 0
    for token in re.finditer(_REGEX_PART, pattern, re.DOTALL):
        if token.start() != index:
            return b""
        index = token.end()
        kind, text = token.lastgroup, token.group()
        depth += (kind == "open") - (kind == "close")
        if kind == "unknown" or (text == "|" and not depth):
            return b""
        if kind == "optional":
            texts[-1] = texts[-1][:-1]
        if kind == "literal" and not depth:
            texts[-1] += text[-1]
        else:
            texts.append("")
    text = max(texts, key=len)
    return b"" if "\ufffd" in text or index < len(pattern) else text.encode("utf-8", "ignore")


class TracebackFilter:
    """Leaves out the lines of Python's tracebacks, including the messages of the exceptions.

    Where a message of several lines ends is not visible. The lines after its first one are held
    back until the process ends, or prints more after `MESSAGE_SECONDS`. If it fails before that,
    they belong to the message.
    """

    def __init__(self) -> None:
        """Start outside of a traceback."""
        self._state = "output"
        """Also "frames", "stack" (frames without a header), or "message"."""
        self._prefix = b""
        self._in_group = False
        self._held: list[bytes] = []
        self._message_time = 0.0

    def passes(self, output: bytes) -> bool:
        """Return whether `feed` would return all lines of an output."""
        return self._state == "output" and _TRACEBACK not in output and not _is_frame(output)

    def feed(self, lines: Iterable[bytes]) -> list[bytes]:
        """Return the lines of these, and of earlier ones, that belong to no traceback."""
        import time

        now = time.monotonic()
        passed: list[bytes] = []
        if self._state == "message" and now - self._message_time >= MESSAGE_SECONDS:
            passed += self._leave()
        for line in lines:
            before, header, after = line.partition(_TRACEBACK)
            if header and after.strip()[:1] in (b":", b"\xe2"):  # the latter in a frame of rich
                passed += [] if self._is_chained(before) else self._held
                self._state, self._prefix, self._held = "frames", before, []
                self._in_group |= before.endswith(b"+ Exception Group ")
            elif _is_frame(line):
                passed += self._held
                is_bare = self._state == "output" or bool(self._held)
                self._state, self._held = "stack" if is_bare else "frames", []
            else:
                passed += self._feed_other(line, now)
        return passed

    def finish(self, *, failed: bool) -> list[bytes]:
        """Return the lines that were held back, none if the process has ``failed``."""
        held = self._leave()
        return [] if failed else held

    def _feed_other(self, line: bytes, now: float) -> list[bytes]:
        if self._state == "output":
            return [line]
        margin = line.lstrip(b" ")[:2] if self._in_group else b""
        if self._state == "message":
            if margin not in (b"| ", b"+-"):
                self._held.append(line)
            return self._leave() if len(self._held) > _MAX_MESSAGE_LINES else []
        body = line[len(self._prefix) :] if line.startswith(self._prefix) else line
        body = line.lstrip(b" ")[2:] if margin == b"| " else body
        if body[:1].isspace() or body.startswith(_BOX):
            return []
        if self._state == "frames" or body.startswith(_SYNTAX_ERRORS):
            self._state, self._message_time = "message", now
            return []
        return [*self._leave(), line]

    def _is_chained(self, margin: bytes) -> bool:
        """Return whether the lines held back lead to the traceback of another exception."""
        if self._in_group and margin.lstrip(b" ") == b"| ":
            return True
        last = self._held[-1].rstrip() if self._held else b""
        return last.endswith((b"another exception occurred:", b"cause of the following exception:"))

    def _leave(self) -> list[bytes]:
        held, self._held = self._held, []
        self._state, self._in_group = "output", False
        return held


def _is_frame(line: bytes) -> bool:
    return b' File "' in line and b'", line ' in line


def may_contain(output: bytes, texts: Iterable[bytes]) -> bool:
    """Return whether output may match an expression, given the texts that they require."""
    return b"\x1b" in output or any(text in output for text in texts)


class _PrintedMetrics:
    """Reports the metrics in lines.

    It must be used in the main thread: a timer's signal interrupts `re` after `REGEX_TIMEOUT`.
    """

    def __init__(self, patterns: Sequence[MetricPattern], trial: Json) -> None:
        import signal

        self._readers = [MetricReader(name, each, each.finditer) for name, each in patterns]
        self._remarks: dict[str, str] = {}
        """What each metric with a number was last printed as, if that is none."""
        self._trial = trial
        self._tracebacks = TracebackFilter()
        self._current = ["", ""]
        if patterns:
            signal.signal(signal.SIGALRM, self._interrupt)

    def feed(self, output: bytes) -> None:
        """Report the metrics in complete lines."""
        texts = [reader.required for reader in self._readers]
        if not texts or (not may_contain(output, texts) and self._tracebacks.passes(output)):
            return
        if b"\x1b" in output:
            output = strip_ansi(output.decode("utf-8", "surrogateescape")).encode(
                "utf-8", "surrogateescape"
            )
        for line in self._tracebacks.feed(_split_lines(output)):
            self._search(line)

    def finish(self, *, failed: bool) -> None:
        """Report the metrics in the lines that were held back, after the end of the process."""
        for line in self._tracebacks.finish(failed=failed):
            self._search(line)

    def remark(self, objectives: Iterable[str]) -> str:
        """Return which of the objectives was last printed without a number; empty if none."""
        return next((self._remarks[name] for name in objectives if self._remarks.get(name)), "")

    def _interrupt(self, _number: int, _frame: Any) -> None:
        message = "the regex of metric {} took more than {:g} s on one line: {}"
        raise _TrialError(message.format(self._current[0], REGEX_TIMEOUT, self._current[1]))

    def _search(self, line: bytes) -> None:
        import signal
        import time

        text = line[:MAX_REPORT_LINE_BYTES].decode("utf-8", "replace")
        for reader in self._readers:
            if reader.required not in line:
                continue
            name = reader.name
            self._current[:] = [name, reader.pattern.pattern]
            signal.setitimer(signal.ITIMER_REAL, REGEX_TIMEOUT)
            try:
                numbers = reader.read(text)
            except MisreadNumberError as error:
                raise _TrialError(str(error)) from error
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if numbers or (reader.no_number and name in self._remarks):
                self._remarks[name] = reader.remark
            for value, step in numbers:
                report: Json = {"metrics": {name: value}, "time": time.time()}
                if step is not None:
                    report["step"] = step
                append_line(self._trial["reports"], report)
                _ring(self._trial.get("doorbell"))


def strip_ansi(text: str) -> str:
    """Return text without terminal escape sequences, such as those for colors."""
    if "\x1b" not in text:
        return text
    import re

    return re.sub(
        r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_].*?\x1b\\|.)?", "", text
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
