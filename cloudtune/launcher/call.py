"""How a script is called: its arguments and its environment variables."""

from __future__ import annotations

import json
import os

from cloudtune.launcher import SEED
from cloudtune.launcher.expressions import write_text
from cloudtune.launcher.values import expand_maps, flatten_maps, format_value, part_name
from cloudtune.trial import TRIAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Union

    Value = Union[bool, int, float, str]
    ValueOrMap = Union[Value, "dict[str, Value]"]
    Json = dict[str, Any]

RUN = "CLOUDTUNE_RUN"
"""Environment variable: id of the run, by which its processes are found."""
CONFIRM = "CLOUDTUNE_CONFIRM"
"""Environment variable of the script: 1 in a confirming trial."""
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""Environment variables that set the number of threads of numeric libraries."""
_PLACEHOLDER = r"\{\{([^{}]+)\}\}"


def command_line(
    call: Mapping[str, Any],
    values: Mapping[str, Value],
    paths: Mapping[str, str],
    python: str,
    options: Mapping[str, str] | None = None,
    *,
    switches: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the command that starts a script.

    Args:
        call: ``script``, ``module`` or ``command``, with ``args`` and ``arguments``, as in a
            study's ``trial``. ``parameters`` has the names of all parameters; without it, every
            unknown name in a placeholder is taken for an inactive parameter. ``maps`` has the
            values that are maps: see `expand_maps`. ``reader`` is that of `with_reader`.
        values: Constants, then the active parameters, in order; maps as their texts.
        paths: The inputs.
        python: The interpreter for a script or a module.
        options: The options that are not ``--name``, by name: see `option_words`.
        switches: The words for true and false of each switch without a value: see `switch_words`.

    Example:
        >>> call = {"script": "train.py", "args": ["--data={{inputs.train}}"]}
        >>> command_line(call, {"epochs": 3, "C": 0.5}, {"train": "/in"}, "python3")
        ['python3', 'train.py', '--data=/in', '--epochs', '3', '--C', '0.5']
    """
    switches = switches or {}
    whole = expand_maps(call.get("maps") or {}, values)
    values = flatten_maps(whole)
    empty = [n for n, v in values.items() if v is False and switches.get(n, "").endswith("=")]
    placed = {**values, **dict.fromkeys(empty, "")}
    command = _fill_placeholders(call, call.get("command") or [], placed, paths)
    if call.get("script"):
        command = [python, call["script"]]
    elif call.get("module"):
        command = [python, "-m", call["module"]]
    args = _fill_placeholders(call, call.get("args") or [], placed, paths)
    style, appended = call.get("arguments", "flags"), _appended_values(call, values)
    if style == "json":
        return [*command, *args, json.dumps(_nest(whole, appended), ensure_ascii=False)]
    reader = call.get("reader") or ""
    texts = {n: write_text(reader, v) if isinstance(v, str) else v for n, v in appended.items()}
    return command + args + _format_arguments(style, texts, options or {}, switches)


def environment(
    base: Mapping[str, str],
    call: Mapping[str, Any],
    values: Mapping[str, Value],
    paths: Mapping[str, str],
    *,
    trial_file: str,
    package: str | None,
    seed: int | None = None,
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
        seed: The seed of a confirming trial; None for that of the call.
    """
    env = {k: v for k, v in base.items() if k == RUN or not k.startswith("CLOUDTUNE_")}
    env.update({"PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "0"})
    study_env: Json = call.get("env") or {}
    env.update({name: value for name, value in study_env.items() if isinstance(value, str)})
    if call.get("arguments") == "env":
        appended = _appended_values(call, argument_values(call, values))
        env.update({name: format_value(value) for name, value in appended.items()})
    for name, path in paths.items():
        env[input_variable(name)] = path
    env[TRIAL] = trial_file
    env.update(seed_variables(call.get("seed", 0), seed))
    if package:
        folders = [folder for folder in env.get("PYTHONPATH", "").split(os.pathsep) if folder]
        env["PYTHONPATH"] = os.pathsep.join(folders + [package] * (package not in folders))
    return env


def argument_values(call: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Value]:
    """Return values under the names of arguments: a map's parts each have one."""
    return flatten_maps(expand_maps(call.get("maps") or {}, values))


def seed_variables(common: int, seed: int | None) -> dict[str, str]:
    """Return the variables with the seed of a confirming trial, or the common one of a search."""
    return {SEED: str(common)} if seed is None else {SEED: str(seed), CONFIRM: "1"}


def placeholder_options(call: Mapping[str, Any]) -> dict[str, str]:
    """Return the options, without dashes, whose whole values are placeholders, by their names."""
    words = list(call.get("command") or ()) + list(call.get("args") or ())
    if not any("{{" in word for word in words):
        return {}
    import re

    pattern = r"--?([^\s={}]+)[= ]" + _PLACEHOLDER
    pairs = words + [word + " " + words[n + 1] for n, word in enumerate(words[:-1])]
    found = [match for match in (re.fullmatch(pattern, pair) for pair in pairs) if match]
    return {match[2].strip(): match[1] for match in found}


def input_variable(name: str) -> str:
    """Return the environment variable that has the path of an input.

    Example:
        >>> input_variable("train-2")
        'CLOUDTUNE_INPUT_TRAIN_2'
    """
    return "CLOUDTUNE_INPUT_" + "".join(
        c if c.isascii() and c.isalnum() else "_" for c in name.upper()
    )


def placeholder_names(words: Iterable[str]) -> list[str]:
    """Return the names of the placeholders in fixed words, in order."""
    import re

    return [name.strip() for word in words for name in re.findall(_PLACEHOLDER, word)]


def _nest(whole: Mapping[str, ValueOrMap], flat: Mapping[str, Value]) -> Json:
    """Return values with maps, of which only the parts in ``flat`` are left."""
    nested: Json = {}
    for name, value in whole.items():
        if name in flat:
            nested[name] = value
        elif isinstance(value, dict):
            kept = {key: part for key, part in value.items() if part_name(name, key) in flat}
            nested.update({name: kept} if kept else {})
    return nested


def _appended_values(call: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values without a placeholder in the fixed words."""
    words: list[str] = [*(call.get("command") or []), *(call.get("args") or [])]
    if not any("{{" in word for word in words):
        return dict(values)
    placed = placeholder_names(words)
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
        names = placeholder_names([word])
        if any(n not in known and (parameters is None or n in parameters) for n in names):
            if after_flag and re.fullmatch(_PLACEHOLDER, word):
                filled.pop()
            after_flag = False
            continue
        text = re.sub(_PLACEHOLDER, lambda match: known.get(match[1].strip(), match[0]), word)
        is_number = after_flag and names and not isinstance(values.get(names[0], ""), str)
        if is_number and re.fullmatch(_PLACEHOLDER, word) and looks_like_option(text):
            filled[-1] += ("" if _is_short(filled[-1]) else "=") + text
        elif text or after_flag or not names:
            filled.append(text)
        after_flag = word.startswith("-") and not names and "=" not in word
    return filled


def _format_arguments(
    style: str, values: Mapping[str, Value], options: Mapping[str, str], switches: Mapping[str, str]
) -> list[str]:
    if style in ("env", "none"):
        return []
    if style == "assign":
        return ["{}={}".format(name, format_value(value)) for name, value in values.items()]
    words: list[str] = []
    for name, value in values.items():
        if isinstance(value, bool) and name in switches:
            yes, _, no = switches[name].partition("/")
            words += filter(None, [yes if value else no])
            continue
        flag = options.get(name) or "--" + name
        argument = format_value(value)
        if style == "equals" or looks_like_option(argument):
            words.append(flag + ("" if style != "equals" and _is_short(flag) else "=") + argument)
        else:
            words += [flag, argument]
    return words


def _is_short(flag: str) -> bool:
    """Return whether a value can follow an option at once: click reads ``-C=1`` as ``=1``."""
    return len(flag) == 2 and flag[0] == "-" != flag[1]


def looks_like_option(argument: str) -> bool:
    """Return whether argparse takes a value for an option, as it does with ``-1e-05``."""
    digits = argument[1:].replace(".", "", 1)
    is_number = digits.isdecimal() and not argument.endswith(".")
    return argument.startswith("-") and argument != "-" and not is_number
