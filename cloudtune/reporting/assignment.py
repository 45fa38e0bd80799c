"""The parameters of one trial as arguments, YAML, JSON, or environment variables."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, cast

from cloudtune.errors import UsageError
from cloudtune.launcher.values import expand_maps, flatten_maps
from cloudtune.results.model import Trial, script_values
from cloudtune.study.arguments import script_arguments
from cloudtune.study.search_space import Value, format_value
from cloudtune.study.study import Study

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED_VARIABLE = re.compile(
    r"(?:LD|DYLD|BASH|CLOUDTUNE)_[A-Z0-9_]*|(?:PYTHON|BASH)[A-Z0-9]*|PATH|CDPATH|HOME|SHELL|USER|LOGNAME|PWD|OLDPWD|TMPDIR"
    r"|IFS|ENV|FPATH|PS[0-4]|PROMPT_COMMAND|SHELLOPTS|E?UID|E?GID|PPID|LINENO|RANDOM|SECONDS|TERM"
    r"|LANG|LC_[A-Z]+|HOSTNAME|OPT(?:ARG|IND)|_"
)
"""Variables that a shell, the loader, or Python use, or that a shell refuses to set."""
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w.-]*")
_YAML_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])


def format_assignment(study: Study, trial: Trial, form: str, source: str) -> str:
    """Return the constants, the resource and the active parameters of a trial as text.

    Args:
        study: The study of the trial.
        trial: The trial.
        form: ``args``, the script's arguments, quoted for a shell; ``env``, export lines for a
            shell; ``yaml``, which YAML 1.1 and 1.2 read alike; or ``json``.
        source: The folder of the script, whose code shows how one-letter options are written.

    Raises:
        UsageError: If the values cannot be written in this form.
    """
    values = script_values(study, trial)
    match form:
        case "args":
            return _args(study, values, source)
        case "env":
            return _env(flatten_maps(expand_maps(study.maps, values)))
        case "yaml":
            return "\n".join(_yaml_lines(expand_maps(study.maps, values)))
        case _:
            return json.dumps(expand_maps(study.maps, values))


def _args(study: Study, values: dict[str, Value], source: str) -> str:
    if study.trial.arguments in {"env", "none"}:
        raise UsageError(
            f"this study's script takes no arguments (arguments: {study.trial.arguments}); use "
            "--as env, json, or yaml"
        )
    arguments = script_arguments(study, values, source)
    if unfilled := [word for word in arguments if "{{inputs." in word.replace(" ", "")]:
        raise UsageError(
            f"the arguments contain an input that is not on this machine: {unfilled[0]}; use "
            "--as json, yaml, or env"
        )
    return shlex.join(arguments)


def _env(values: dict[str, Value]) -> str:
    invalid = [name for name in values if not _VARIABLE.fullmatch(name)]
    if invalid:
        raise UsageError(
            f"not valid as names of shell variables: {', '.join(map(repr, invalid))}; "
            "use --as json, yaml, or args"
        )
    if reserved := [name for name in values if _RESERVED_VARIABLE.fullmatch(name)]:
        raise UsageError(
            f"these variables control the shell and the programs that it starts: "
            f"{', '.join(reserved)}; use --as json, yaml, or args"
        )
    return "\n".join(f"export {name}={shlex.quote(format_value(v))}" for name, v in values.items())


def _yaml_lines(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield f"{_key(name)}:"
            yield from (f"  {line}" for line in _yaml_lines(cast("dict[str, Any]", value)))
        else:
            yield f"{_key(name)}: {_yaml(value)}"


def _key(name: str) -> str:
    plain = _PLAIN_KEY.fullmatch(name) and name.lower() not in _YAML_WORDS
    return name if plain and name.isascii() else _quoted(name)


def _yaml(value: Value) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float) and "e" in repr(value) and "." not in repr(value):
        return repr(value).replace("e", ".0e")  # without a dot, YAML 1.1 reads a string
    return json.dumps(value)


def _quoted(value: str) -> str:
    """Return text in YAML's double quotes, with characters that are not printable escaped."""
    escaped = (
        character
        if character.isprintable() and character not in '"\\'
        else f"\\U{ord(character):08x}"
        for character in value
    )
    return f'"{"".join(escaped)}"'
