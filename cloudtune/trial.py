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
    """Return the one spelling in which a script is given a value: `cloudtune.space.text`."""
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


# The launcher: the process that a service starts, which starts the user's script.


def launch_file(
    call: Mapping[str, Any],
    definitions: Sequence[Mapping[str, Any]],
    constants: Mapping[str, Value],
    paths: Mapping[str, str],
    run: str,
) -> Json:
    """Return the content of `STUDY_FILE`.

    Args:
        call: As in `command_line`, with the study's ``env`` and ``metrics``.
        definitions: One map a definition of a parameter, parents first: ``name``, ``type``, for
            discrete and categorical ones ``values``, for ranges ``min``, ``max`` and ``step``,
            ``when`` with its values by parent, ``sent``, the name under which the service has it,
            and ``fixed``, its value if it sends none.
        constants: Values that stay the same.
        paths: The inputs as they lie where the launcher runs.
        run: The id of the run.
    """
    return {
        "format": "cloudtune.launch/v1",
        "run": run,
        "trial": dict(call),
        "parameters": [dict(definition) for definition in definitions],
        "constants": dict(constants),
        "inputs": dict(paths),
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


def _raw_from_words(study: Json, argv: Sequence[str]) -> Json | None:
    """Read ``--name=value``, ``--name value`` and, for one letter, ``-n value``."""
    names = {definition.get("sent", definition["name"]) for definition in study["parameters"]}
    raw: Json = {}
    words = iter(argv)
    for word in words:
        flag, equals, value = word.partition("=")
        name = flag[2:] if flag.startswith("--") else flag[1:]
        if name in names and flag in ("--" + name, "-" + name):
            raw[name] = value if equals else next(words, "")
    return {"raw": raw} if raw else None


def _raw_from_trial_file(_study: Json, _argv: Sequence[str]) -> Json | None:
    """Read the local contract's file; what the service's side prepared there is kept."""
    path = os.environ.get(TRIAL)
    if not path:
        return None
    found = _load(path)
    found["raw"] = found.get("parameters", {})
    return found


CONTRACTS: Sequence[Callable[[Json, Sequence[str]], Json | None]] = (
    _raw_from_words,
    _raw_from_trial_file,
)
"""Where raw values may come from; the first that finds some is the contract we are under."""


def main(argv: Sequence[str]) -> int:
    """Start the user's script under the contract found, and return its exit code."""
    try:
        study = _load(_study_path())
        found: Json = {"raw": {}}
        for contract in CONTRACTS:
            found = contract(study, argv) or {}
            if found:
                break
        values = restore(study["parameters"], found.pop("raw", {}))
        patterns = _patterns(study["trial"].get("metrics") or {})
    except (OSError, ValueError, KeyError) as error:
        print("cloudtune: the trial cannot be started: {}".format(error), file=sys.stderr)  # noqa: T201
        return 2
    return _launch(study, found, values, patterns)


def _study_path() -> str:
    here = os.path.dirname(os.path.abspath(__file__))
    places = [here, os.path.dirname(here), os.getcwd()]
    for place in places:
        path = os.path.join(place, STUDY_FILE)
        if os.path.exists(path):
            return path
    raise OSError("there is no {} in any of {}".format(STUDY_FILE, ", ".join(places)))


def _launch(
    study: Json, found: Json, values: Mapping[str, Value], patterns: Sequence[_Named]
) -> int:
    import tempfile

    call: Json = study["trial"]
    constants = dict(found.get("constants") or study["constants"])
    paths = dict(found.get("inputs") or study["inputs"])
    folder = tempfile.mkdtemp(prefix="cloudtune-")
    trial = {
        "trial": study["run"],
        "reports": os.path.join(folder, "reports.jsonl"),
        "checkpoint": os.path.join(folder, "checkpoint"),
        "output": os.path.join(folder, "output"),
    }
    trial.update(found)
    trial.update({"parameters": dict(values), "constants": constants, "inputs": paths})
    trial_file = os.path.join(folder, "trial.json")
    with open(trial_file, "w", encoding="utf-8") as file:
        json.dump(trial, file)
    given = dict(constants)
    given.update(values)
    python = call.get("python") or sys.executable
    words = command_line(call, given, paths, python, single_dash(call, given, os.getcwd()))
    env = environment(os.environ, call, given, paths, trial_file=trial_file, package=_package())
    env.setdefault(RUN, study["run"])
    return _run(words, env, _matcher(patterns, trial))


def _package() -> str | None:
    """Return the folder in which ``cloudtune.trial`` is this file, if it is in such a package."""
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.dirname(here) if os.path.basename(here) == "cloudtune" else None


def _run(words: Sequence[str], env: Mapping[str, str], see: Callable[[bytes], None]) -> int:
    import signal
    import subprocess

    asked: list[int] = []
    running: list[Popen[bytes]] = []

    def forward(number: int, _frame: Any) -> None:
        asked.append(number)
        for process in running:
            process.send_signal(number)

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, forward)
    try:
        process = subprocess.Popen(
            words,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        print("cloudtune: {} cannot be started: {}".format(words[0], error), file=sys.stderr)  # noqa: T201
        return 127
    running.append(process)
    for number in asked:
        process.send_signal(number)
    try:
        _pass_through(process, see)
    except _TooSlow as error:
        process.kill()
        process.wait()
        print("cloudtune: {}".format(error), file=sys.stderr)  # noqa: T201
        return 2
    code = process.wait()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    return code if code >= 0 else 128 - code


def _pass_through(process: Popen[bytes], see: Callable[[bytes], None]) -> None:
    """Copy what the script prints to our output by whole lines, and show each line to ``see``."""
    assert process.stdout is not None
    source = process.stdout.fileno()
    rest = b""
    while True:
        data = os.read(source, 65_536)
        whole, newline, rest = (rest + data).rpartition(b"\n")
        if not data or len(rest) > LONGEST_REPORT:
            whole, newline, rest = whole + newline + rest, b"", b""
        if whole or newline:
            sys.stdout.buffer.write(whole + newline)
            sys.stdout.buffer.flush()
            for line in whole.replace(b"\r", b"\n").split(b"\n"):
                see(line)
        if not data:
            return


class _TooSlow(Exception):  # noqa: N818 - it is the expression's mistake, not an error of ours
    """An expression needs too long for a line; the trial fails for it."""


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
    signal, which `re` heeds; a system without such timers (Windows) has no limit.
    """
    if not patterns:
        return lambda _line: None
    import signal
    import time

    searched: list[str] = ["", ""]

    def too_slow(_number: int, _frame: Any) -> None:
        message = "the expression of the metric {} took more than {:g} s on one line: {}"
        raise _TooSlow(message.format(searched[0], PATIENCE, searched[1]))

    def allow(seconds: float) -> None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, seconds)

    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, too_slow)

    def see(line: bytes) -> None:
        said = plain(line[:LONGEST_REPORT].decode("utf-8", "replace"))
        for name, pattern in patterns:
            searched[:] = [name, pattern.pattern]
            allow(PATIENCE)
            try:
                matches = list(pattern.finditer(said))
            finally:
                allow(0)
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
