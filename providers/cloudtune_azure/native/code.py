"""The code of a sweep's trials, if its command only starts a Python script."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from cloudtune.provider import Json, is_map

_REFERENCE = re.compile(r"\$\{\{\s*(inputs|search_space)\.(\w+)\s*\}\}")
_OPERATORS = frozenset("();<>|&")


def read_code(job: Mapping[str, Any]) -> Json | None:
    """Return the block ``trial`` of a job; None if its command does more than start a script.

    Parameters and inputs of the command become placeholders in ``args``. Inputs that are values are
    in the words themselves.
    """
    trial = job.get("trial")
    if not is_map(trial):
        return None
    code, command = trial.get("code"), trial.get("command")
    code = code.get("local_path") if is_map(code) else code
    if not isinstance(code, str) or not isinstance(command, str) or code.startswith("azureml:"):
        return None
    given: Any = job.get("inputs")
    inputs: Json = given if is_map(given) else {}
    used: Json = {}
    unknown: list[str] = []

    def replace(match: re.Match[str]) -> str:
        kind, name = match.groups()
        if kind == "search_space":
            return f"{{{{{name}}}}}"
        value = inputs.get(name)
        if is_map(value) and isinstance(value.get("path"), str):
            used[name] = value["path"]
            return f"{{{{inputs.{name}}}}}"
        if not isinstance(value, str | int | float):
            unknown.append(name)
            return ""
        return shlex.quote(str(value))

    words = _split(_REFERENCE.sub(replace, command))
    if unknown or words is None:
        return None
    script, args = words
    block: Json = {**script, "args": args, "source": code}
    return {**block, "inputs": used} if used else block


def _split(command: str) -> tuple[Json, list[str]] | None:
    """Return the script or module that a command starts, and its arguments."""
    lexer = shlex.shlex(command.replace("\\\n", " "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        return None
    if len(words) < 2 or words[0] not in {"python", "python3"}:
        return None
    if any(_OPERATORS.issuperset(word) or "$" in word or "`" in word for word in words):
        return None
    if words[1] == "-m" and len(words) > 2:
        return {"module": words[2]}, words[3:]
    return ({"script": words[1]}, words[2:]) if words[1].endswith(".py") else None
