"""Texts of a study that its script reads as other values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from cloudtune.diagnostics import Note
from cloudtune.launcher.expressions import is_expression, is_quoted, with_reader
from cloudtune.launcher.numbers import parse_number
from cloudtune.provider.facts import Facts
from cloudtune.study.schema import CategoricalParameter, Json
from cloudtune.study.study import Study

_READER = "argument_reader"
"""The data of a lookup with the module that reads the script's arguments."""
_INTERPOLATION = re.compile(r"(?<!\\)((?:\\\\)*)\$\{")
_NAMES = {"hydra": "Hydra", "fire": "Python Fire"}


def read_reader(study: Study, source: Path) -> Json:
    """Return the module that reads the arguments as expressions, as data of a lookup."""
    call = study.trial.model_dump(include={"script", "module", "command", "arguments"})
    reader = with_reader(call, str(source)).get("reader")
    return {_READER: reader} if reader else {}


def check_expressions(study: Study, facts: Facts) -> Iterator[Note]:
    """Yield the texts that the script reads as other values, or may."""
    reader = facts.data.get(_READER)
    if reader is None and study.trial.arguments != "assign":
        return
    for path, text in _texts(study):
        quoted = f"to get the text, write {json.dumps(text)!r}"
        if reader != "fire" and _INTERPOLATION.search(text):
            escaped = _INTERPOLATION.sub(r"\1\\${", text)
            who = "Hydra" if reader else "a script with OmegaConf"
            yield Note(path, f"{who} reads {text} as an interpolation; to get the text: {escaped}")
        if is_quoted(text):
            continue
        if reader and is_expression(reader, text):
            yield Note(path, f"{_NAMES[reader]} reads {text} as null, a list or a map; {quoted}")
        elif reader is None and _is_no_text(text):
            yield Note(path, f"a script with OmegaConf reads {text} as no text; there, {quoted}")


def _texts(study: Study) -> Iterator[tuple[str, str]]:
    for name, variants in study.parameters.items():
        for variant in variants:
            for value in variant.values if isinstance(variant, CategoricalParameter) else ():
                parts = study.maps.get(name, {}).get(str(value), {"": value})
                yield from ((f"parameters.{name}", v) for v in parts.values() if isinstance(v, str))
    yield from ((f"constants.{n}", v) for n, v in study.constants.items() if isinstance(v, str))


def _is_no_text(text: str) -> bool:
    is_word = text.lower() in {"null", "true", "false", "~"}
    return is_word or parse_number(text) is not None or text.startswith(("[", "{"))
