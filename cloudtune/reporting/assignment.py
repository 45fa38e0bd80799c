"""One trial's values in the words of what comes next: of a shell, a file, a program."""

from __future__ import annotations

import json
import re
import shlex

from cloudtune.errors import UsageError
from cloudtune.results.model import Trial
from cloudtune.study.search_space import Value, format_value
from cloudtune.study.study import Study

FORMS = ("args", "yaml", "json", "env")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OF_THE_SHELL = re.compile(
    r"(?:LD|DYLD|BASH|CLOUDTUNE)_[A-Z0-9_]*|(?:PYTHON|BASH)[A-Z0-9]*|PATH|CDPATH|HOME|SHELL|USER|LOGNAME|PWD|OLDPWD|TMPDIR"
    r"|IFS|ENV|FPATH|PS[0-4]|PROMPT_COMMAND|SHELLOPTS|E?UID|E?GID|PPID|LINENO|RANDOM|SECONDS|TERM"
    r"|LANG|LC_[A-Z]+|HOSTNAME|OPT(?:ARG|IND)|_"
)
"""Variables by which a shell, the loader or Python work, or which a shell refuses to set."""
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w.-]*")
_YAML_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])


def format_assignment(study: Study, trial: Trial, form: str, source: str) -> str:
    """Return what a trial's script is given, constants and active parameters, as one text.

    Args:
        study: The trial's.
        trial: Its values are taken.
        form: ``args``, the words behind the script, quoted for a shell; ``env``, lines that a shell
            reads; ``yaml``, of which 1.1 and 1.2 read the same; ``json``.
        source: The folder of the script, in which is looked how names of one letter are given.

    Raises:
        UsageError: If the form cannot hold them.
    """
    values = {**study.constants, **trial.parameters}
    match form:
        case "args":
            return _args(study, values, source)
        case "env":
            return _env(values)
        case "yaml":
            return "\n".join(f"{_key(name)}: {_yaml(value)}" for name, value in values.items())
        case _:
            return json.dumps(values)


def script_arguments(study: Study, values: dict[str, Value], source: str) -> list[str]:
    """Return the words that a script is started with, behind itself."""
    from cloudtune.trial import command_line, single_dash

    call = study.trial.model_dump(include={"script", "module", "command", "arguments"})
    dashed = single_dash(call, values, source)
    style = {"arguments": study.trial.arguments, "args": study.trial.args}
    style |= {"parameters": list(study.parameters)}
    return command_line(style, values, {}, "", dashed)


def _args(study: Study, values: dict[str, Value], source: str) -> str:
    if study.trial.arguments in {"env", "none"}:
        raise UsageError(
            f"this study's script gets no words (arguments: {study.trial.arguments}); take --as "
            "env, json or yaml"
        )
    found = script_arguments(study, values, source)
    if unfilled := [word for word in found if "{{inputs." in word.replace(" ", "")]:
        raise UsageError(
            f"the words name inputs, and where they lie is not the trial's to say: {unfilled[0]}"
        )
    return shlex.join(found)


def _env(values: dict[str, Value]) -> str:
    wrong = [name for name in values if not _VARIABLE.fullmatch(name)]
    if wrong:
        raise UsageError(
            f"no shell has variables of these names: {', '.join(map(repr, wrong))}; "
            "take --as json, yaml or args"
        )
    if taken := [name for name in values if _OF_THE_SHELL.fullmatch(name)]:
        raise UsageError(
            f"a shell, and what it starts, work by the variables {', '.join(taken)}, "
            "which a trial's values would replace; take --as json, yaml or args"
        )
    return "\n".join(f"export {name}={shlex.quote(format_value(v))}" for name, v in values.items())


def _key(name: str) -> str:
    plain = _PLAIN_KEY.fullmatch(name) and name.lower() not in _YAML_WORDS
    return name if plain and name.isascii() else _quoted(name)


def _yaml(value: Value) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float) and "e" in repr(value) and "." not in repr(value):
        return repr(value).replace("e", ".0e")  # without a dot YAML 1.1 reads text
    return json.dumps(value)


def _quoted(value: str) -> str:
    """Return a text in YAML's double quotes; what does not print is escaped."""
    escaped = (
        character
        if character.isprintable() and character not in '"\\'
        else f"\\U{ord(character):08x}"
        for character in value
    )
    return f'"{"".join(escaped)}"'
