"""Write a study as YAML: no aliases, and quotes wherever a reader could see something else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cloudtune.study.fields import StudyFields
from cloudtune.study.yaml_reader import is_list, is_map, parse_scalar

_WIDTH = 100
_PLAIN = re.compile(
    r"(?:\d+[dhms])+|(?:\.?/)?[A-Za-z_](?:[\w./+-]|:(?=[\w/]))*(?: [\w./+-]+)*", re.ASCII
)
_WORDS = frozenset(
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"]
)
"""Words that some reader of YAML takes for something else than text."""


def order_study(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study with its blocks in the order of the documentation, without empty ones."""
    order = [field.alias or name for name, field in StudyFields.model_fields.items()]
    blocks = sorted(data.items(), key=lambda item: order.index(item[0]))
    return {key: value for key, value in blocks if value not in (None, "", [], {})}


def format_yaml(data: Mapping[str, Any], comment: str = "") -> str:
    """Return plain data as YAML that every reader reads as the same data."""
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    return "\n".join([*lines, *_block(data, "")]) + "\n"


def _block(value: Any, indent: str) -> Iterator[str]:
    """Yield the lines of a map or list that is not empty."""
    if is_map(value):
        for key, item in value.items():
            yield from _entry(f"{indent}{_scalar(key)}:", item, f"{indent}  ")
    else:
        for item in value:
            lines = list(_entry(f"{indent}-", item, f"{indent}  "))
            if len(lines) > 1:  # the first entry of a map starts at the dash
                lines[:2] = [f"{indent}- {lines[1].lstrip(' ')}"]
            yield from lines


def _entry(start: str, value: Any, indent: str) -> Iterator[str]:
    line = f"{start} {_flow(value)}"
    is_small = not _has_map(value) or (not indent.strip(" ") and _is_leaf(value))
    if not (is_map(value) or is_list(value)) or not value or (is_small and len(line) <= _WIDTH):
        yield line
        return
    yield start
    yield from _block(value, indent)


def _has_map(value: Any) -> bool:
    if is_list(value):
        return any(map(_has_map, value))
    return is_map(value)


def _is_leaf(value: Any) -> bool:
    """Return whether a value is a map of texts and numbers, or lists of them, in a block."""
    return is_map(value) and "type" in value and not any(map(_has_map, value.values()))


def _flow(value: Any) -> str:
    if is_map(value):
        items = (f"{_scalar(key)}: {_flow(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    if is_list(value):
        return f"[{', '.join(map(_flow, value))}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return format_number(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and parse_scalar(text) == text:
        return text
    if not text.isprintable() or ("'" in text and '"' not in text and "\\" not in text):
        return f'"{"".join(map(_escape, text))}"'
    return "'" + text.replace("'", "''") + "'"


def format_number(value: float) -> str:
    """Return a number as each reader of YAML reads it: for YAML 1.1, an exponent follows a point.

    >>> format_number(1e-05), format_number(0.1)
    ('1.0e-05', '0.1')
    """
    text = repr(value)
    return text if "." in text else text.replace("e", ".0e")


def _escape(char: str) -> str:
    if char in {'"', "\\"}:
        return f"\\{char}"
    if char.isprintable():
        return char
    code = ord(char)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def format_document(document: Any, syntax: str) -> str:
    """Return a document of another tool as ``json`` or ``yaml``."""
    if syntax == "yaml":
        return format_yaml(document)
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def comment_lines(texts: Sequence[str]) -> str:
    """Return texts as one comment; line breaks in them are spaces."""
    return "\n".join(" ".join(text.split()) for text in texts)
