"""What a training script imports, and the launcher that starts a training script.

::

    from cloudtune.trial import params, report

    p = params()                    # typed as in the study; {} when nobody tunes
    report(accuracy=0.93, step=3)   # durable when it returns

One file on the standard library alone, in syntax that Python 3.7 reads, so that it can be put
beside a script on any machine. It is also the one place that says how a script is called: which
words and which environment variables it gets.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from re import Pattern
    from subprocess import Popen
    from typing import Any, SupportsFloat, SupportsIndex, Union

    Value = Union[bool, int, float, str]
    Json = dict[str, Any]
    _Named = tuple[str, Pattern[str]]

TRIAL = "CLOUDTUNE_TRIAL"
"""The variable that names the file in which a script finds what concerns its trial."""
RUN = "CLOUDTUNE_RUN"
"""The variable by which the processes of a run are found again."""
STUDY_FILE = "cloudtune_study.json"
"""What the launcher knows of the study; written by `launch_file`."""
LONGEST_REPORT = 65_536
"""Bytes of one reported line."""
LONGEST_REASON = 1024
"""Characters of the reason for which a trial failed."""
PATIENCE = 2.0
"""Seconds that the launcher lets one expression spend on one line."""
_ROUNDING = 1e-6
"""How far, as a share, a service's number may lie from the value that it means."""


# The script's side.

_read: dict[str, Json] = {}
_printed: dict[str, int] = {}
_stopping: list[int] = []
_listening: list[bool] = []


def params() -> Json:
    """Return the values of this trial by name: the study's constants and its active parameters.

    The types are those of the study. Empty when the script was not started by cloudtune.
    """
    trial = _trial()
    values = dict(trial.get("constants", {}))
    values.update(trial.get("parameters", {}))
    return values


def report(
    metrics: Mapping[str, SupportsFloat] | None = None,
    step: SupportsIndex | None = None,
    **named: SupportsFloat,
) -> None:
    """Report metrics: ``report(accuracy=0.9, step=3)`` or ``report({"validation:auc": 0.9}, 3)``.

    When it returns, the values are kept, even if the script is killed right after. When the script
    was not started by cloudtune, they are printed.

    Args:
        metrics: Values by name, for names that are no Python words.
        step: How far training has come; counted from 1 for each metric when left out.
        **named: Values by name.

    Raises:
        TypeError: If a value is no number, or a step no whole number.
        ValueError: If there is no value at all, or the line would be too long.
    """
    values: dict[str, float] = {}
    for source in (metrics or {}, named):
        for name, value in source.items():
            values[_name(name)] = _finite_or_not(name, value)
    if not values:
        raise ValueError("report() was given no metric")
    line: Json = {"metrics": values}
    if step is not None:
        line["step"] = _whole(step)
    trial = _trial()
    if "reports" not in trial:
        _print(values, line.get("step"))
        return
    import time

    line["time"] = time.time()
    append_line(trial["reports"], line)
    _ring(trial.get("doorbell"))


def inputs() -> dict[str, str]:
    """Return the path of each input of the study by name."""
    return dict(_trial().get("inputs", {}))


def checkpoint_dir() -> str:
    """Return the folder, made if need be, that a continued trial finds again as it left it."""
    return _folder("checkpoint")


def output_dir() -> str:
    """Return the folder, made if need be, for what the trial produces."""
    return _folder("output")


def trial_id() -> str:
    """Return the id of this trial; empty when the script was not started by cloudtune."""
    return str(_trial().get("trial", ""))


def should_stop() -> bool:
    """Tell whether the trial was asked to end, so that the script can save what it has.

    The first call, if it is in the main thread, begins to listen; a handler that the script had
    installed before is still called.
    """
    if not _listening:
        import signal
        import threading

        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGTERM)

            def take(number: int, frame: Any) -> None:
                _stopping.append(number)
                if callable(before):
                    before(number, frame)

            signal.signal(signal.SIGTERM, take)
            _listening.append(True)
    return bool(_stopping)


def _trial() -> Json:
    path = os.environ.get(TRIAL)
    if not path:
        return {}
    if path not in _read:
        _read[path] = _load(path)
    return _read[path]


def _load(path: str) -> Json:
    with open(path, encoding="utf-8") as file:
        loaded: Json = json.load(file)
    return loaded


def _folder(name: str) -> str:
    path = str(_trial().get(name) or os.path.abspath(name))
    os.makedirs(path, exist_ok=True)
    return path


def _name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise TypeError("the name of a metric is text, and this is {!r}".format(name))
    return name


def _finite_or_not(name: str, value: Any) -> float:
    if not isinstance(value, (str, bytes, bytearray)):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise TypeError("the metric {} needs a number, and this is {!r}".format(name, value))


def _whole(step: Any) -> int:
    try:
        number = int(step)
        fits = not isinstance(step, str) and number == step and abs(number) < 2**63
    except (TypeError, ValueError, OverflowError):
        fits, number = False, 0
    if not fits:
        raise TypeError("a step is a whole number, and this is {!r}".format(step))
    return number


def _print(values: Mapping[str, float], step: int | None) -> None:
    for name in values:
        _printed[name] = _printed.get(name, 0) + 1 if step is None else step
    shown = step if step is not None else max(_printed[name] for name in values)
    said = " ".join("{}={!r}".format(name, value) for name, value in values.items())
    print("step {}: {}".format(shown, said), flush=True)  # noqa: T201 - what a reader asked for


def append_line(path: str, line: Json) -> None:
    """Add one line of JSON to a file, whole or not at all as other processes see it.

    Raises:
        ValueError: If the line is longer than `LONGEST_REPORT`.
        OSError: If it cannot be written.
    """
    data = json.dumps(line).encode() + b"\n"
    if len(data) > LONGEST_REPORT:
        raise ValueError("one report may have {} bytes".format(LONGEST_REPORT))
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        if os.write(file, data) != len(data):
            raise OSError("the report could not be written whole: {}".format(path))
    finally:
        os.close(file)


def _ring(doorbell: str | None) -> None:
    """Tell whoever waits for reports that there is one. It is read at the end in any case."""
    if not doorbell:
        return
    try:
        file = os.open(doorbell, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        os.write(file, b"\0")
    except OSError:
        pass  # the bell rings already, or nobody listens any more
    finally:
        os.close(file)


# How a script is called.


def text(value: Value) -> str:
    """Return the text of a value as a script gets it: `search_space.format_value`."""
    return value if isinstance(value, str) else repr(value)


def number(said: str) -> float | None:
    """Return the number in what a metric's expression found, or None.

    Punctuation that a sentence puts behind a number does not count.
    """
    try:
        return float(said.strip().rstrip(",;.)]}'\""))
    except ValueError:
        return None


def command_line(
    call: Mapping[str, Any],
    values: Mapping[str, Value],
    paths: Mapping[str, str],
    python: str,
    dashed: Iterable[str] = (),
) -> list[str]:
    """Return the words that start a script.

    Args:
        call: ``script``, ``module`` or ``command``, with ``args`` and ``arguments``, as in a
            study's ``trial``; also ``parameters``, the names of all parameters, active or not.
            Where these are not given, every name that is not known is one that is not active.
        values: Constants, then the active parameters, in order.
        paths: The inputs.
        python: What runs a script or a module.
        dashed: The names that have a single dash: see `single_dash`.
    """
    command = _filled(call, call.get("command") or [], values, paths)
    if call.get("script"):
        command = [python, call["script"]]
    elif call.get("module"):
        command = [python, "-m", call["module"]]
    rest = _appended(call, values)
    words = _styled(call.get("arguments", "flags"), rest, frozenset(dashed))
    return command + _filled(call, call.get("args") or [], values, paths) + words


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
        base: What it starts from; what another trial was told is left out.
        call: As in `command_line`, with the study's ``env``, which wins over what is always set;
            what it takes from elsewhere is in ``base`` already.
        values: Constants, then the active parameters.
        paths: The inputs.
        trial_file: What `params` and the others read.
        package: The folder with a ``cloudtune`` package for scripts whose Python has none.
    """
    env = {k: v for k, v in base.items() if k == RUN or not k.startswith("CLOUDTUNE_")}
    env.update({"PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "0"})
    own: Json = call.get("env") or {}
    env.update({name: value for name, value in own.items() if isinstance(value, str)})
    if call.get("arguments") == "env":
        env.update({name: text(value) for name, value in _appended(call, values).items()})
    for name, path in paths.items():
        env[input_variable(name)] = path
    env[TRIAL] = trial_file
    if package:
        known = [part for part in env.get("PYTHONPATH", "").split(os.pathsep) if part]
        env["PYTHONPATH"] = os.pathsep.join(known + [package] * (package not in known))
    return env


def single_dash(call: Mapping[str, Any], names: Iterable[str], folder: str) -> list[str]:
    """Return the names that are given as ``-C value`` and not as ``--C value``.

    Those are names of one letter which the code writes in quotes as ``-C`` and not as ``--C``:
    first the script is looked at, then the other Python files of the folder.
    """
    short = [name for name in names if len(name) == 1]
    if not short or call.get("arguments", "flags") not in ("flags", "equals"):
        return []
    import re

    found: list[str] = []
    for code in _code(call, folder):
        for name in list(short):
            written = set(re.findall("[\"'](--?)" + re.escape(name) + "[\"'= ,/]", code))
            if written:
                short.remove(name)
                if written == {"-"}:
                    found.append(name)
        if not short:
            break
    return found


def _code(call: Mapping[str, Any], folder: str) -> Iterator[str]:
    """Yield the text of the script, then of the folder's other Python files, up to a thousand."""
    words = [call.get("script"), (call.get("module") or "").replace(".", os.sep) + ".py"]
    first = [os.path.join(folder, word) for word in words + list(call.get("command") or []) if word]
    seen: set[str] = set()

    def paths() -> Iterator[str]:
        yield from first
        for place, folders, files in os.walk(folder):
            folders.sort()
            for name in sorted(files):
                if name.endswith(".py"):
                    yield os.path.join(place, name)

    for path in paths():
        if path in seen or not os.path.isfile(path):
            continue
        seen.add(path)
        with open(path, encoding="utf-8", errors="replace") as file:
            yield file.read(1_000_000)
        if len(seen) == 1_000:
            return


def input_variable(name: str) -> str:
    """Return the name of the variable that holds the path of an input."""
    plain_name = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.upper())
    return "CLOUDTUNE_INPUT_" + plain_name


def _placeholders() -> Pattern[str]:
    import re

    return re.compile(r"\{\{([^{}]+)\}\}")


def _named(word: str) -> list[str]:
    return [name.strip() for name in _placeholders().findall(word)]


def _appended(call: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values that do not stand as a placeholder in the fixed words."""
    words: list[str] = [*(call.get("command") or []), *(call.get("args") or [])]
    if not any("{{" in word for word in words):
        return dict(values)
    placed = {name for word in words for name in _named(word)}
    return {name: value for name, value in values.items() if name not in placed}


def _filled(
    call: Mapping[str, Any],
    words: Sequence[str],
    values: Mapping[str, Value],
    paths: Mapping[str, str],
) -> list[str]:
    """Return fixed words with placeholders replaced, without those of inactive parameters."""
    if not any("{{" in word for word in words):
        return list(words)
    placeholder = _placeholders()
    known = {"inputs." + name: path for name, path in paths.items()}
    known.update({name: text(value) for name, value in values.items()})
    parameters = call.get("parameters")
    filled: list[str] = []
    flag = False
    for word in words:
        names = _named(word)
        if any(n not in known and (parameters is None or n in parameters) for n in names):
            if flag and placeholder.fullmatch(word):
                filled.pop()
            flag = False
            continue
        filled.append(placeholder.sub(lambda match: known.get(match[1].strip(), match[0]), word))
        flag = word.startswith("-") and not names and "=" not in word
    return filled


def _styled(style: str, values: Mapping[str, Value], dashed: frozenset[str]) -> list[str]:
    if style in ("env", "none"):
        return []
    if style == "json":
        return [json.dumps(values, ensure_ascii=False)]
    if style == "assign":
        return ["{}={}".format(name, text(value)) for name, value in values.items()]
    words: list[str] = []
    for name, value in values.items():
        flag = ("-" if name in dashed else "--") + name
        said = text(value)
        if style == "equals" or _looks_like_option(said):
            words.append(flag + "=" + said)
        else:
            words += [flag, said]
    return words


def _looks_like_option(said: str) -> bool:
    """Tell whether argparse would take a value for an option, as it does with ``-1e-05``."""
    if not said.startswith("-") or said == "-":
        return False
    whole, _, part = said[1:].partition(".")
    return not ((whole.isdigit() or not whole) and (part.isdigit() or not part))


# What a service's values mean.


def launch_file(
    call: Mapping[str, Any],
    definitions: Sequence[Mapping[str, Any]],
    constants: Mapping[str, Value],
    paths: Mapping[str, str],
    run: str,
    *,
    resource: str | None = None,
    folder: str | None = None,
    objectives: Mapping[str, str] | None = None,
    measurements: str | None = None,
) -> Json:
    """Return the content of `STUDY_FILE`.

    Args:
        call: As in `command_line`, with the study's ``env``, ``metrics`` and ``requirements``.
        definitions: One map a definition of a parameter, parents first: ``name``, ``type``, for
            discrete and categorical ones ``values``, for ranges ``min``, ``max`` and ``step``,
            ``when`` with its values by parent, ``sent``, the name under which the service has it,
            and ``fixed``, its value if it sends none.
        constants: Values that stay the same, unless the service sends another one for a trial.
        paths: The inputs as they lie where the launcher runs.
        run: The id of the run.
        resource: The name of hyperband's resource, which reaches the script if it is sent.
        folder: The folder beside this file in which the script runs; None: where we are started.
        objectives: By metric that is optimised which of its values counts: the ``last``, or the
            best, which is that to ``maximize`` or ``minimize``.
        measurements: The address below which the launcher keeps what is measured, for a service
            that tells no more than the last values.
    """
    return {
        "format": "cloudtune.launch/v1",
        "run": run,
        "trial": dict(call),
        "parameters": [dict(definition) for definition in definitions],
        "constants": dict(constants),
        "inputs": dict(paths),
        "resource": resource,
        "folder": folder,
        "objectives": dict(objectives or {}),
        "measurements": measurements,
    }


def restore(definitions: Sequence[Mapping[str, Any]], raw: Mapping[str, Any]) -> dict[str, Value]:
    """Return the values of the active parameters in the study's types.

    This is what the script is given and what the result says, so both go through here. Numbers
    that a service has rounded become the value that they mean.

    Args:
        definitions: As in `launch_file`.
        raw: Values as a service gives them, text or numbers, inactive ones among them.

    Raises:
        ValueError: If a value is not one of its parameter's.
    """
    values: dict[str, Value] = {}
    for definition in definitions:
        name = definition["name"]
        conditions: Mapping[str, Sequence[Value]] = definition.get("when") or {}
        active = all(
            parent in values and any(_same(values[parent], value) for value in allowed)
            for parent, allowed in conditions.items()
        )
        said = raw.get(definition.get("sent", name), definition.get("fixed"))
        if active and said is not None and name not in values:
            values[name] = _typed(definition, said)
    return values


def _typed(definition: Mapping[str, Any], raw: Any) -> Value:
    kind = definition["type"]
    value: Value | None
    if kind == "bool":
        value = _BOOLS.get(text(raw).lower())
    elif kind in ("discrete", "categorical"):
        value = _member(definition, raw)
    else:
        value = _in_range(definition, raw)
    if value is None:
        raise ValueError("{!r} is no value of the parameter {}".format(raw, definition["name"]))
    return value


_BOOLS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def _member(definition: Mapping[str, Any], raw: Any) -> Value | None:
    members: Sequence[Value] = definition["values"]
    said, found = text(raw), _number(raw)
    tests: list[Callable[[Value], bool]] = [
        lambda member: type(member) is type(raw) and member == raw,
        lambda member: text(member) == said,
        lambda member: found is not None and _same(member, found),
    ]
    for test in tests:
        for member in members:
            if test(member):
                return member
    if found is None or definition["type"] == "categorical":
        return None
    numbers = [member for member in members if not isinstance(member, str)]
    nearest = min(numbers, key=lambda member: abs(member - found))
    return nearest if _close(found, nearest) else None


def _in_range(definition: Mapping[str, Any], raw: Any) -> Value | None:
    found = _number(raw)
    if found is None:
        return None
    low, high = definition.get("min", found), definition.get("max", found)
    if definition["type"] == "int":
        fits = found == int(found) and low <= found <= high
        return int(found) if fits and not (int(found) - low) % definition.get("step", 1) else None
    for bound in (low, high):
        if not low <= found <= high and _close(found, bound):
            found = bound
    if not low <= found <= high:
        return None
    value = float(found)
    return _on_grid(value, low, high, definition["step"]) if "step" in definition else value


def _on_grid(value: float, low: float, high: float, step: float) -> float | None:
    from decimal import Decimal

    first, last, distance = Decimal(repr(low)), Decimal(repr(high)), Decimal(repr(step))
    steps = (Decimal(repr(value)) - first) / distance
    near = round(steps)
    meant = float(first + near * distance)
    rounded = meant != value and abs(steps - near) > Decimal(repr(_ROUNDING))
    return None if rounded or near > (last - first) / distance else meant


def _number(raw: Any) -> float | None:
    """Return the finite number that a value or its text is, whole ones with all their digits."""
    if isinstance(raw, str):
        for read in (int, float):
            try:
                return None if "_" in raw else _number(read(raw))
            except ValueError:
                pass
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        return None
    return raw if abs(raw) <= sys.float_info.max else None


def _close(found: float, meant: float) -> bool:
    return abs(found - meant) <= _ROUNDING * abs(meant)


def _same(left: Value, right: Value) -> bool:
    for kind in (bool, str):
        if isinstance(left, kind) != isinstance(right, kind):
            return False
    return left == right


def _constants(study: Json, raw: Mapping[str, Any]) -> dict[str, Value]:
    """Return the constants with what was sent in their place, and hyperband's resource."""
    values: dict[str, Value] = {}
    for name, constant in study["constants"].items():
        values[name] = _like(constant, name, raw[name]) if name in raw else constant
    resource = study.get("resource") or ""
    if resource in raw:
        values[resource] = _like(1, resource, raw[resource])
    return values


def _like(constant: Value, name: str, raw: Any) -> Value:
    """Return what was sent for a constant in the constant's type."""
    if isinstance(constant, str):
        return text(raw)
    value: Value | None = _number(raw)
    if isinstance(constant, bool):
        value = _BOOLS.get(text(raw).lower())
    elif isinstance(constant, int) and isinstance(value, float) and value.is_integer():
        value = int(value)
    elif isinstance(constant, float) and value is not None:
        value = float(value)
    if value is None:
        raise ValueError("{!r} is no value of {}".format(raw, name))
    return value


# The contracts: what the services do to the process that they start.


class Contract:
    """A service that reads what is printed. Services with ways of their own are subclasses."""

    def __init__(self, raw: Mapping[str, Any], told: Json | None = None) -> None:
        """Keep what the service says of this trial.

        Args:
            raw: Values by the names under which they were sent.
            told: What the trial's file has of it as it is: ``trial``, ``inputs``, ``output``,
                ``checkpoint``; with ``reports``, the service's side reads what is reported.
        """
        self.raw = raw
        self.told: Json = told or {}

    def speak(self, report: Mapping[str, Any]) -> str:
        """Tell the service what was reported; return the lines that are printed for it."""
        lines = ""
        for name, value in report["metrics"].items():
            if abs(value) <= sys.float_info.max and name.isprintable():
                lines += "[cloudtune] metric {} = {!r}\n".format(name, float(value))
            else:
                lines += "[cloudtune] not passed on: {!r} was reported as {}\n".format(name, value)
        return lines

    def fail(self, reason: str) -> None:
        """Tell the service why the trial failed, where it does not see it in what is printed."""

    def variables(self, _folder: str) -> dict[str, str]:
        """Return what the script's environment has of its own, given a folder for its files."""
        return {}

    def tend(self) -> float | None:
        """Do what is due while a process runs; return in how many seconds more will be."""
        return None

    def close(self) -> None:
        """Write what is not yet written, since nothing follows."""


class _SageMaker(Contract):
    def fail(self, reason: str) -> None:
        folder = os.environ.get("SM_OUTPUT_DIR")
        if folder:
            with open(os.path.join(folder, "failure"), "w", encoding="utf-8") as file:
                file.write(reason)


class _Vertex(Contract):
    """Vertex AI finds the last values of the objectives in a file, and tells no others.

    The file is as Google's cloudml-hypertune writes it, with the value that counts so far at each
    step: where the best is selected, that is the best one. A trial counts with a step that has all
    objectives, so one that is not reported at a step has there what it had before.

    A script that reports through that package itself is given a file of ours for it, and what is in
    there is treated like any report. All measurements are kept in Cloud Storage, where an object
    can only be written as a whole.
    """

    def __init__(
        self, raw: Json, told: Json, objectives: Mapping[str, str], metric_file: str, kept: str
    ) -> None:
        super().__init__(raw, told)
        self._objectives = objectives
        self._metric_file = metric_file
        self._kept_file = kept
        self._measured = bytearray()
        self._kept = 0
        self._due = 0.0
        self._late: dict[str, Json] = {}
        self._spoken: list[str] = []
        self._fresh = False
        self._speak_at = 0.0
        self._steps: dict[str, int] = {}
        self._counts: dict[str, float] = {}
        self._step = 0
        self._moment = 0.0
        self._at_step: set[str] = set()
        self._script_file = ""
        self._heard: list[str] = []
        self._at_zero: set[str] = set()
        if os.path.exists(kept):  # the machine was restarted
            with open(kept, "rb") as file:
                self._restore(file.read())

    def speak(self, report: Mapping[str, Any]) -> str:
        said = ""
        for name, value in report["metrics"].items():
            step = report.get("step", self._steps.get(name, 0) + 1)
            self._steps[name] = step
            if self._note(name, value):
                self._tell(name, step, report["time"])
            elif name in self._objectives:
                said += "[cloudtune] not passed on: {!r} was reported as {}\n".format(name, value)
        if len(self._measured) < _MOST_KEPT:
            self._keep_line(report)
        else:
            self._keep_for_the_end(report)
        return said

    def _note(self, name: str, value: float) -> bool:
        """Take note of an objective's value; return whether it is one that the service takes."""
        if name not in self._objectives or not abs(value) <= sys.float_info.max:
            return False
        which, before = self._objectives[name], self._counts.get(name, value)
        choose = {"maximize": max, "minimize": min}.get(which)
        self._counts[name] = choose(before, value) if choose else value
        return True

    def _tell(self, name: str, step: int, moment: float) -> None:
        """Add a line for an objective; with several of them, steps never go back."""
        if self._at_step and len(self._objectives) > 1:
            step = max(step, self._step)
            if name in self._at_step or step > self._step:
                self._complete()
        self._step, self._moment = step, moment
        self._at_step.add(name)
        self._add(name)

    def _complete(self) -> None:
        """Give the step that ends here the objectives that were not reported at it."""
        if self._at_step and len(self._counts) == len(self._objectives):
            for name in self._objectives:
                if name not in self._at_step:
                    self._add(name)
        self._at_step.clear()

    def _add(self, name: str) -> None:
        line = {
            "timestamp": self._moment,
            "trial": os.environ.get("CLOUD_ML_TRIAL_ID", "0"),
            name: str(float(self._counts[name])),
            "global_step": str(self._step),
            "checkpoint_path": "",
        }
        self._spoken = [*self._spoken[-99:], json.dumps(line, sort_keys=True) + "\n"]
        self._fresh = bool(self._metric_file)

    def fail(self, reason: str) -> None:
        self._keep_line({"failure": reason})

    def variables(self, folder: str) -> dict[str, str]:
        self._script_file = os.path.join(folder, "hypertune", "output.metrics")
        return {"CLOUD_ML_HP_METRIC_FILE": self._script_file}

    def tend(self) -> float | None:
        import time

        for report in self._hear():
            self._say(self.speak(report))
        begun = time.monotonic()
        if self._fresh and begun >= self._speak_at:
            os.makedirs(os.path.dirname(self._metric_file), exist_ok=True)
            with open(self._metric_file, "w") as file:
                file.writelines(self._spoken)
            self._fresh, self._speak_at = False, begun + _SPEAK_EVERY
        if self._kept_file and len(self._measured) > self._kept and begun >= self._due:
            self._keep()
            now = time.monotonic()
            self._due = now + max(_KEEP_EVERY, 20 * (now - begun))
        return _SPEAK_EVERY if self._fresh else 1.0

    def close(self) -> None:
        self._complete()
        for line in self._late.values():
            self._keep_line(line)
        self._due = self._speak_at = 0.0
        self.tend()

    def _restore(self, data: bytes) -> None:
        """Go on with what was measured before."""
        self._measured += data[: data.rfind(b"\n") + 1]
        for line in self._measured.splitlines():
            for name, value in json.loads(line).get("metrics", {}).items():
                self._note(name, value)

    def _keep_line(self, line: Mapping[str, Any]) -> None:
        self._measured += json.dumps(line).encode() + b"\n"

    def _keep_for_the_end(self, report: Mapping[str, Any]) -> None:
        """Keep of each metric the best value, where that counts, and the last one."""
        if not self._late:
            said = "[cloudtune] more than {:,} bytes were measured: of what follows only the best "
            self._say((said + "and the last values are kept, at the end\n").format(_MOST_KEPT))
        for name, value in report["metrics"].items():
            line = {"metrics": {name: value}, "step": self._steps[name], "time": report["time"]}
            best = self._objectives.get(name, "last") != "last" and self._counts.get(name) == value
            for kept in ["best " + name] * best + ["last " + name]:
                self._late.pop(kept, None)
                self._late[kept] = line

    def _keep(self) -> None:
        try:
            os.makedirs(os.path.dirname(self._kept_file), exist_ok=True)
            with open(self._kept_file, "wb") as file:
                file.write(self._measured)
        except OSError as error:
            self._say("[cloudtune] what was measured could not be kept: {}\n".format(error))
        else:
            self._kept = len(self._measured)

    def _hear(self) -> list[Json]:
        """Return what the script has reported by itself; its file is rewritten while we read."""
        try:
            with open(self._script_file, encoding="utf-8") as file:
                whole = file.read().split("\n")[:-1]
        except (OSError, ValueError):
            return []
        heard: list[Json] = []
        before = set(self._heard)
        for line in [each for each in whole if each not in before]:
            self._heard = [*self._heard[-299:], line]
            try:
                said = json.loads(line)
                (name,) = said.keys() - _OF_HYPERTUNE
                report = {"metrics": {name: float(said[name])}, "time": float(said["timestamp"])}
                step = int(said["global_step"])
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # another has written it
            if step or name not in self._at_zero:  # where none was given it is 0 each time
                report["step"] = step
            if not step:
                self._at_zero.add(name)
            heard.append(report)
        return heard

    def _say(self, said: str) -> None:
        print(said, end="", file=sys.stderr)  # noqa: T201


_OF_HYPERTUNE = {"checkpoint_path", "global_step", "timestamp", "trial"}
_SPEAK_EVERY = 0.1
"""Seconds between two writes of the file that the service reads."""
_KEEP_EVERY = 5.0
"""Seconds between two writes of what was measured; more where writing takes long."""
_MOST_KEPT = 64 * 1024 * 1024
"""Bytes of what was measured, which are written anew each time."""


class _Watson(Contract):
    """IBM's training jobs and its tuner read what was measured from files of the trial's folders.

    They are as IBM's emetrics.py writes them: a list, whole at the end, and a log. A script that
    writes the list by itself is believed; ours is added for the metrics that it does not have.
    """

    def __init__(self, raw: Json, told: Json, results: str, logs: str) -> None:
        super().__init__(raw, told)
        self._results = results
        self._logs = logs
        self._entries: list[Json] = []
        self._theirs: list[Json] = []
        self._written: bytes | None = None
        self._kept = 0
        self._due = 0.0
        self._steps: dict[str, int] = {}

    def speak(self, report: Mapping[str, Any]) -> str:
        by_step: dict[int, Json] = {}
        for name, value in report["metrics"].items():
            step = report.get("step", self._steps.get(name, 0) + 1)
            self._steps[name] = step
            if abs(value) <= sys.float_info.max:
                by_step.setdefault(step, {})[name] = float(value)
        for step, values in by_step.items():
            entry: Json = {"steps": step}
            entry.update(values)
            self._entries.append(entry)
        if self._logs:
            self._try(lambda: self._log(by_step, report["time"]))
        return super().speak(report)

    def fail(self, reason: str) -> None:
        self._try(lambda: self._write(WATSON_FAILURE, reason.encode()))

    def variables(self, _folder: str) -> dict[str, str]:
        return {"SUBID": self.told["trial"]}

    def tend(self) -> float | None:
        import time

        begun = time.monotonic()
        if len(self._entries) == self._kept:
            return None
        if begun < self._due:
            return self._due - begun
        self._try(self._keep)
        now = time.monotonic()
        self._due = now + max(_KEEP_EVERY, 20 * (now - begun))
        return None

    def close(self) -> None:
        if self._entries:
            self._try(self._keep)

    def _keep(self) -> None:
        """Write the list; a file that is not as we wrote it is the script's own."""
        path = os.path.join(self._results, WATSON_LIST)
        if os.path.exists(path):
            with open(path, "rb") as file:
                there = file.read()
            if there != self._written:  # or the script is about to write: it is empty then
                self._theirs = _listed(there)
        own = {name for entry in self._theirs for name in entry} - {"steps", "step"}
        ours = [{k: v for k, v in entry.items() if k not in own} for entry in self._entries]
        whole = self._theirs + [entry for entry in ours if len(entry) > 1]
        data = json.dumps(whole).encode()
        self._write(WATSON_LIST, data)
        self._written, self._kept = data, len(self._entries)

    def _write(self, name: str, data: bytes) -> None:
        os.makedirs(self._results, exist_ok=True)
        path = os.path.join(self._results, name)
        with open(path + ".new", "wb") as file:
            file.write(data)
        os.replace(path + ".new", path)

    def _log(self, by_step: Mapping[int, Mapping[str, float]], moment: float) -> None:
        import time

        shown = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(moment))
        os.makedirs(self._logs, exist_ok=True)
        for step, values in by_step.items():
            line: Json = {
                "meta": {
                    "training_id": os.environ.get("TRAINING_ID", ""),
                    "time": int(moment * 1000),
                    "rindex": 1,
                    "subid": self.told["trial"],
                },
                "grouplabel": "test",
                "etimes": {
                    "iteration": {"type": 2, "value": str(step)},
                    "time_stamp": {"value": shown},
                },
                "values": {n: {"type": 3, "value": repr(value)} for n, value in values.items()},
            }
            append_line(os.path.join(self._logs, WATSON_LOG), line)

    def _try(self, write: Callable[[], None]) -> None:
        """Write something, or tell why that is not possible; the trial goes on."""
        try:
            write()
        except (OSError, ValueError) as error:
            said = "[cloudtune] what was measured could not be kept: {}".format(error)
            print(said, file=sys.stderr)  # noqa: T201


WATSON_LIST = "val_dict_list.json"
"""In ``RESULT_DIR``: what IBM's tuner reads."""
WATSON_LOG = "evaluation-metrics.txt"
"""In ``LOG_DIR``: one line a measurement."""
WATSON_FAILURE = "cloudtune_failure.txt"
"""In ``RESULT_DIR``: why the trial failed."""


def _listed(data: bytes) -> list[Json]:
    """Return what a script has listed; one form of IBM's emetrics.py writes a list's text."""
    said = json.loads(data)
    try:
        return [dict(entry) for entry in (printed(said) if isinstance(said, str) else said)]
    except TypeError as error:
        raise ValueError("{} holds no list of maps: {}".format(WATSON_LIST, error)) from error


def printed(said: str) -> Any:
    """Return the value that Python prints so: literals, nan, inf, and numbers as NumPy prints them.

    Nothing of it is run.

    Raises:
        ValueError: If it is anything else.
    """
    import ast

    def value(node: Any) -> Any:
        if isinstance(node, (ast.List, ast.Tuple)):
            return [value(part) for part in node.elts]
        if isinstance(node, ast.Dict):
            names = [value(name) for name in node.keys]
            return {name: value(node.values[place]) for place, name in enumerate(names)}
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        if isinstance(node, ast.Name) and node.id in {"nan", "inf"}:
            return float(node.id)
        if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
            kind = node.func
            if isinstance(kind, ast.Attribute) and isinstance(kind.value, ast.Name):
                known = kind.attr.rstrip("0123456789") in {"float", "int", "uint"}
                if known and kind.value.id in {"np", "numpy"}:
                    return value(node.args[0])
        return ast.literal_eval(node)

    try:
        return value(ast.parse(said.strip(), mode="eval").body)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("it is nothing that Python prints: {}".format(error)) from error


def _flags(study: Json, argv: Sequence[str]) -> Json:
    """Return what ``--name=value``, ``--name value`` and, for one letter, ``-n value`` say."""
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


def _words(study: Json, argv: Sequence[str]) -> Contract | None:
    """Find a service that has nothing but the words of the command line."""
    raw = _flags(study, argv)
    return Contract(raw) if raw else None


def _vertex(study: Json, argv: Sequence[str]) -> Contract | None:
    """Find a job of Vertex AI: a trial of a tuning job, or one that cloudtune drives.

    Cloud Storage is at ``/gcs`` there.
    """
    env = os.environ
    job = env.get("CLOUDTUNE_JOB")
    if not (job or "CLOUD_ML_JOB_ID" in env or "AIP_CHECKPOINT_DIR" in env):
        return None
    told: Json = {"trial": job or env.get("CLOUD_ML_TRIAL_ID") or study["run"]}
    told["inputs"] = {name: _mounted(path) for name, path in study["inputs"].items()}
    for name, variable in (("checkpoint", "AIP_CHECKPOINT_DIR"), ("output", "AIP_MODEL_DIR")):
        if env.get(variable):
            told[name] = _mounted(env[variable]).rstrip("/")
    kept = study.get("measurements") or ""
    if kept:
        bucket = _mounted("/".join(kept.split("/")[:3]))
        if not os.path.isdir(bucket):
            message = "Cloud Storage is not at {}; may the job's service account use the bucket?"
            raise OSError(message.format(bucket))
        kept = "{}/{}.jsonl".format(_mounted(kept), told["trial"])
    file = env.get("CLOUD_ML_HP_METRIC_FILE") or "/tmp/hypertune/output.metrics"  # noqa: S108
    return _Vertex(
        _flags(study, argv), told, study.get("objectives") or {}, "" if job else file, kept
    )


def _mounted(address: str) -> str:
    """Return where an address of Cloud Storage, or its usual path, is; others as they are."""
    for start in ("gs://", "/gcs/"):
        if address.startswith(start):
            return (os.environ.get("CLOUDTUNE_GCS") or "/gcs") + "/" + address[len(start) :]
    return address


def _local(_study: Json, _argv: Sequence[str]) -> Contract | None:
    """Find the local contract's file, with all that its service's side prepared there."""
    path = os.environ.get(TRIAL)
    told = _load(path) if path else {}
    return Contract(told.get("parameters", {}), told) if told else None


def _sagemaker(study: Json, _argv: Sequence[str]) -> Contract | None:
    """Find the file of a training job that SageMaker's training toolkit started.

    The toolkit passes words too, but what it has decoded: "true" is "True" there, "null" nothing.
    """
    config = os.environ.get("SM_INPUT_CONFIG_DIR")
    path = os.path.join(config or "", "hyperparameters.json")
    if not config or not os.path.exists(path):
        return None
    raw = _load(path)
    base = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")
    job = os.environ.get("TRAINING_JOB_NAME") or study["run"]
    checkpoint = os.path.join(base, "checkpoints")
    if "_tuning_objective_metric" in raw:  # the trials of a tuning job save to one address
        checkpoint = os.path.join(checkpoint, job)
    told = {
        "trial": job,
        "checkpoint": checkpoint,
        "output": os.environ.get("SM_MODEL_DIR") or os.path.join(base, "model"),
        "inputs": {name: _channel(base, name, path) for name, path in study["inputs"].items()},
    }
    return _SageMaker(raw, told)


def _watson(study: Json, argv: Sequence[str]) -> Contract | None:
    """Find a trial of IBM's: of a training by its words, of the tuner by a file where we are.

    That file may tell all values as text.
    """
    env = os.environ
    results = env.get("RESULT_DIR")
    if not results or TRIAL in env:
        return None
    raw = _flags(study, argv)
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for folder in (here, os.getcwd()):
        chosen = os.path.join(folder, "config.json")
        if os.path.exists(chosen):
            raw.update(_load(chosen))
    logs = env.get("LOG_DIR") or ""
    if not logs and env.get("JOB_STATE_DIR"):
        logs = os.path.join(env["JOB_STATE_DIR"], "logs")
    if logs and env.get("SUBID"):
        logs = os.path.join(logs, env["SUBID"])
    data = env.get("DATA_DIR") or env.get("DLI_DATA_FS")
    told = {
        "trial": env.get("SUBID") or env.get("TRAINING_ID") or study["run"],
        "checkpoint": os.path.join(results, "checkpoint"),
        "output": os.path.join(results, "model"),
        "inputs": {
            name: path.replace("$DATA_DIR", data, 1) if data else path
            for name, path in study["inputs"].items()
        },
    }
    return _Watson(raw, told, results, logs)


def _channel(base: str, name: str, path: str) -> str:
    """Return where an input lies: its channel's folder, or a file in it that ``path`` names."""
    folder = os.environ.get("SM_CHANNEL_" + name.upper())
    if not folder:
        folder = os.environ.get("SM_INPUT_DIR") or os.path.join(base, "input")
        folder = os.path.join(folder, "data", name)
    usual = "/opt/ml/input/data/" + name + "/"
    return os.path.join(folder, path[len(usual) :]) if path.startswith(usual) else folder


CONTRACTS: Sequence[Callable[[Json, Sequence[str]], Contract | None]] = (
    _sagemaker,
    _vertex,
    _watson,
    _words,
    _local,
)
"""What looks for each contract; the first that is found is the one that we are under."""


# The launcher: the process that a service starts, which starts the user's script.


def main(argv: Sequence[str]) -> int:
    """Start the user's script under the contract found, and return its exit code.

    This needs a POSIX system, as every container is.
    """
    contract = Contract({})
    try:
        path = _study_path()
        study = _load(path)
        found = (find(study, argv) for find in CONTRACTS)
        contract = next((one for one in found if one), contract)
        given = dict(contract.told.get("constants") or _constants(study, contract.raw))
        values = restore(study["parameters"], contract.raw)
        patterns = _patterns(study["trial"].get("metrics") or {})
        if study.get("folder"):
            work = os.path.join(os.path.dirname(path), study["folder"])
            os.makedirs(work, exist_ok=True)
            os.chdir(work)
    except (OSError, ValueError, KeyError) as error:
        return _refuse(contract, "the trial cannot be started: {}".format(error))
    return _launch(study, contract, given, values, patterns)


def _refuse(contract: Contract, reason: str, code: int = 2) -> int:
    print("cloudtune: " + reason.partition("\n")[0], file=sys.stderr)  # noqa: T201
    contract.fail(reason[:LONGEST_REASON])
    contract.close()
    return code


def _study_path() -> str:
    here = os.path.dirname(os.path.abspath(__file__))
    places = [here, os.path.dirname(here), os.getcwd()]
    for place in places:
        path = os.path.join(place, STUDY_FILE)
        if os.path.exists(path):
            return path
    raise OSError("there is no {} in any of {}".format(STUDY_FILE, ", ".join(places)))


def _launch(
    study: Json,
    contract: Contract,
    constants: Mapping[str, Value],
    values: Mapping[str, Value],
    patterns: Sequence[_Named],
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
    }
    trial.update(contract.told)
    trial.update({"parameters": dict(values), "constants": dict(constants)})
    trial_file = os.path.join(folder, "trial.json")
    with open(trial_file, "w", encoding="utf-8") as file:
        json.dump(trial, file)
    given = dict(constants)
    given.update(values)
    call: Json = study["trial"]
    python = sys.executable
    paths = trial["inputs"]
    words = command_line(call, given, paths, python, single_dash(call, given, os.getcwd()))
    env = environment(os.environ, call, given, paths, trial_file=trial_file, package=_package())
    env.setdefault(RUN, study["run"])
    env.update(contract.variables(folder))
    beside = os.path.dirname(python)
    if os.path.dirname(shutil.which("python", path=env.get("PATH")) or "") != beside:
        env["PATH"] = beside + os.pathsep + (env.get("PATH") or os.defpath)
    try:
        launcher = _Launcher(contract, trial)
        code = 0
        if call.get("requirements"):
            code = launcher.install(call["requirements"], python, env)
        code = code or launcher.run(words, env, _matcher(patterns, trial))
    except _Failed as failure:
        return _refuse(contract, str(failure), failure.code)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if code and not launcher.asked:
        contract.fail(launcher.reason(code))
    contract.close()
    return _end_alike(code)


def _package() -> str | None:
    """Return the folder in which ``cloudtune.trial`` is this file, if it is in such a package."""
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.dirname(here) if os.path.basename(here) == "cloudtune" else None


def _end_alike(code: int) -> int:
    """Return a script's exit code, or end by the signal by which it ended."""
    if code >= 0:
        return code
    import signal

    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 128 - code  # the first process of a container cannot be ended so


class _Failed(Exception):  # noqa: N818 - it ends the trial, not the launcher
    """The trial fails for another reason than its script's exit code."""

    def __init__(self, reason: str, code: int = 2) -> None:
        super().__init__(reason)
        self.code = code


class _Launcher:
    """Runs processes: copies what they print by whole lines, and passes on what is measured.

    It wakes up for what is printed, for the doorbell, for signals and for the end of the process.
    """

    def __init__(self, contract: Contract, trial: Json) -> None:
        import signal

        self.asked: list[int] = []
        self._contract = contract
        self._running: list[Popen[bytes]] = []
        self._last_lines: list[bytes] = []
        self._rest = b""
        self._half_report = b""
        self._within_line = False
        self._reports: int | None = None
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        self._bells = [woken]
        if "reports" not in contract.told:
            self._reports = os.open(trial["reports"], os.O_RDONLY | os.O_CREAT, 0o600)
            os.mkfifo(trial["doorbell"])
            self._bells.append(os.open(trial["doorbell"], os.O_RDWR | os.O_NONBLOCK))
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._forward)

    def install(self, requirements: str, python: str, env: Mapping[str, str]) -> int:
        """Install what the script needs; return how pip ended: not with 0 if we were asked to end.

        Raises:
            _Failed: If that fails.
        """
        options = ["--disable-pip-version-check", "--no-input"]
        code = self.run([python, "-m", "pip", "install", *options, "-r", requirements], env)
        if code and not self.asked:
            message = "{} could not be installed: {}"
            raise _Failed(message.format(requirements, self.reason(code)))
        return code

    def run(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        see: Callable[[bytes], None] = lambda _line: None,
    ) -> int:
        """Run a process to its end, show its lines to ``see``, and return its exit code.

        A process that it leaves behind is not waited for, though it holds its output open.

        Raises:
            _Failed: If it cannot be started, or ``see`` wants its end.
        """
        import select
        import subprocess

        pipe, together = subprocess.PIPE, subprocess.STDOUT
        try:
            process = subprocess.Popen(
                words, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=together
            )
        except OSError as error:
            raise _Failed("{} cannot be started: {}".format(words[0], error), 127) from error
        self._running, self._last_lines = [process], []
        for number in self.asked:
            process.send_signal(number)
        assert process.stdout is not None
        source = process.stdout.fileno()
        sources = [source]
        try:
            while process.poll() is None:
                pause = self._contract.tend()
                for ready in select.select(self._bells + sources, [], [], pause)[0]:
                    data = os.read(ready, 65_536)
                    if ready == source:
                        sources = sources if data else []
                        self._copy(data, see)
                self._pass_on()
            for _ in range(64):
                if not sources or not select.select(sources, [], [], 0)[0]:
                    break
                data = os.read(source, 65_536)
                sources = sources if data else []
                self._copy(data, see)
            self._copy(b"", see)
            self._pass_on()
            self._contract.tend()
        except _Failed:
            process.kill()
            process.wait()
            raise
        return process.returncode

    def reason(self, code: int) -> str:
        """Return how a process ended, and the last lines that it printed, as far as they fit."""
        import signal

        names = {each.value: each.name for each in signal.Signals}
        said = "exit code {}".format(code)
        if code < 0:
            said = "killed by {}".format(names.get(-code, "signal {}".format(-code)))
        room = LONGEST_REASON - len(said)
        kept: list[str] = []
        for line in reversed(self._last_lines):
            shown = plain(line.decode("utf-8", "replace")).rstrip()[: room - 1]
            room -= len(shown) + 1
            if kept and room <= 0:
                break
            kept.insert(0, shown)
        return "\n".join([said, *kept])

    def _forward(self, number: int, _frame: Any) -> None:
        self.asked.append(number)
        for process in self._running:
            process.send_signal(number)

    def _copy(self, data: bytes, see: Callable[[bytes], None]) -> None:
        """Copy whole lines to our output; where there is no more data, all that is left."""
        said = self._rest + data
        end = max(said.rfind(b"\n"), said.rfind(b"\r")) + 1
        if not data or len(said) - end > LONGEST_REPORT:
            end = len(said)
        whole, self._rest = said[:end], said[end:]
        self._write(whole)
        lines = [line for line in whole.replace(b"\r", b"\n").split(b"\n") if line.strip()]
        self._last_lines = self._last_lines[-40:] + [line[:LONGEST_REASON] for line in lines[-40:]]
        for line in lines:
            see(line)

    def _pass_on(self) -> None:
        """Speak what was reported since the last time."""
        import contextlib

        said: list[str] = []
        while self._reports is not None:
            data = os.read(self._reports, 65_536)
            *lines, self._half_report = (self._half_report + data).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError):  # a line that a full disk has cut off
                    said.append(self._contract.speak(json.loads(line)))
            if not data:
                break
        whole = "".join(said).encode()
        self._write(b"\n" + whole if whole and self._within_line else whole)

    def _write(self, data: bytes) -> None:
        if data:
            self._within_line = not data.endswith(b"\n")
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def _patterns(metrics: Mapping[str, Sequence[str]]) -> list[_Named]:
    if not any(metrics.values()):
        return []
    import re

    found: list[_Named] = []
    for name, many in metrics.items():
        for said in many:
            try:
                found.append((name, re.compile(said)))
            except re.error as error:
                message = "this Python cannot read the expression of the metric {}: {}"
                raise ValueError(message.format(name, error)) from error
    return found


def _matcher(patterns: Sequence[_Named], trial: Json) -> Callable[[bytes], None]:
    """Return what looks for metrics in a line and reports them.

    It must be called in the main thread. An expression that explodes is interrupted by a timer's
    signal, which `re` heeds.
    """
    if not patterns:
        return lambda _line: None
    import signal
    import time

    searched: list[str] = ["", ""]

    def too_slow(_number: int, _frame: Any) -> None:
        message = "the expression of the metric {} took more than {:g} s on one line: {}"
        raise _Failed(message.format(searched[0], PATIENCE, searched[1]))

    signal.signal(signal.SIGALRM, too_slow)

    def see(line: bytes) -> None:
        said = plain(line[:LONGEST_REPORT].decode("utf-8", "replace"))
        for name, pattern in patterns:
            searched[:] = [name, pattern.pattern]
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            try:
                matches = list(pattern.finditer(said))
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            for match in matches:
                value = number(match["value" if "value" in pattern.groupindex else 1] or "")
                if value is not None:
                    append_line(trial["reports"], {"metrics": {name: value}, "time": time.time()})
                    _ring(trial.get("doorbell"))

    return see


def plain(said: str) -> str:
    """Return text without the escape sequences that colour it in a terminal."""
    if "\x1b" not in said:
        return said
    import re

    return re.sub(
        r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_].*?\x1b\\|.)?", "", said
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
