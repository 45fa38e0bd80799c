"""Read the configuration of another tool: JSON or YAML into plain data, within fixed limits.

A malicious file costs no more than a large valid one: the size, the depth and the number of values
are limited, and an alias counts as many values as it stands for.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cloudtune.errors import StudyError
from cloudtune.formats.json_lines import JsonLines
from cloudtune.formats.yaml_scalars import YamlVersion, parse_scalar_of
from cloudtune.study.regular_files import open_regular
from cloudtune.study.yaml_builder import (
    INVALID_KEY,
    MAX_DEPTH,
    MAX_VALUES,
    YamlBuilder,
    join_surrogates,
    line_of,
)
from cloudtune.study.yaml_errors import explain_syntax_error
from cloudtune.study.yaml_reader import decode_text, file_error, is_list, is_map

MAX_BYTES = 2 * 1024 * 1024
MAX_YAML_BYTES = 512 * 1024
"""YAML takes longer to parse than JSON."""

_NO_SPACE = re.compile(r"[A-Za-z_][\w.-]{0,100}:[^\s:/][^\s:]{0,200}")
"""A key and its value without a space in between."""
_COMMENT = re.compile(r"(?:^|[\[\]{},\"\w])[ \t]*(//|/\*)", re.MULTILINE)
_TEMPLATE = re.compile(r"\{\{|\{%")
_UNRENDERED = ("is a template, not YAML", "fill it in first, for example with `helm template`")
"""A message and a hint for a line with an expression of Helm or Jinja that is not quoted."""
_ENDLESS_TAG = re.compile(r"![^\s]{1000}")
"""What takes the parser quadratic time."""


@dataclass(frozen=True)
class Document:
    """One document of a file."""

    data: Any
    lines: Mapping[str, int] = field(default_factory=dict[str, int])
    """The line of each field, keyed by dotted path; items of lists count from 0."""

    def line(self, path: str) -> int | None:
        """Return the line of a field, or else of what it is in; None if it is unknown."""
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        return self.lines.get(path)


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        StudyError: If it is not a text of at most 2 MiB.
    """
    name = str(path)
    try:
        if path.is_dir():
            raise file_error(name, "is a folder")
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise file_error(name, f"cannot be read: {reason}") from error
    return decode_text(data, name, MAX_BYTES)


def parse_documents(text: str, name: str, version: YamlVersion = "1.2") -> list[Document]:
    """Return the documents of a text, which is JSON or YAML.

    Args:
        text: The text.
        name: The file, for messages.
        version: The version of YAML as which the tool of the format reads its files.

    Raises:
        StudyError: If the text is neither JSON nor YAML, or exceeds a limit.
    """
    if text.lstrip()[:1] in {"{", "["} and (document := _parse_json(text, name)) is not None:
        return [document]
    if len(text) > MAX_YAML_BYTES:  # a character has at least one byte
        raise file_error(name, f"YAML larger than the limit of {MAX_YAML_BYTES // 1024} KiB")
    if _ENDLESS_TAG.search(text):
        raise file_error(name, "neither JSON nor YAML: a tag has no end")
    builder = YamlBuilder(
        text,
        name,
        lambda scalar: parse_scalar_of(scalar, version),
        partial(_explain, text),
        is_study=False,
    )
    try:
        documents = [Document(each.data, each.lines) for each in builder.build()]
    except StudyError as error:
        line = error.problems[0].line
        is_key = error.problems[0].message == INVALID_KEY
        if is_key and line and _TEMPLATE.search(line_of(text, line)):
            raise file_error(name, *_UNRENDERED, line) from None
        raise
    documents = [each for each in documents if each.data is not None]
    if not documents:
        raise file_error(name, "is empty")
    return documents


def _parse_json(text: str, name: str) -> Document | None:
    """Return a JSON text as a document; None if it is not JSON, but may be YAML."""

    def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        data = dict(pairs)
        if len(data) < len(pairs):
            ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
            raise file_error(name, f"duplicate key {twice}", "remove one of them")
        return data

    _check_depth(text, name)
    try:
        data = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        return None  # the YAML parser has the better messages
    _count_values(data, name)
    return Document(data, JsonLines(text))


_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


def _check_depth(text: str, name: str) -> None:
    depth = 0
    for token in _BRACKETS.finditer(text):
        depth += 1 if token[0] in "[{" else (-1 if token[0] in "]}" else 0)
        if depth > MAX_DEPTH:
            line = text.count("\n", 0, token.start()) + 1
            raise file_error(name, f"nested deeper than {MAX_DEPTH} levels", line=line)


def _count_values(data: Any, name: str) -> None:
    pending, count = [data], 0
    while pending:
        value = pending.pop()
        count += 1
        if count > MAX_VALUES:
            raise file_error(name, f"more than {MAX_VALUES:,} values")
        if isinstance(value, str) and join_surrogates(value) is None:
            raise file_error(name, "the text contains an unpaired surrogate")
        if is_map(value):
            pending += [*value.keys(), *value.values()]
        elif is_list(value):
            pending += value


def _explain(text: str, reason: str, line: int, error: Any) -> tuple[str, str, int]:
    key = getattr(error, "context_mark", None)
    if key and _NO_SPACE.fullmatch(pair := line_of(text, key.line + 1).strip()):
        return f"{pair} is not a key and its value", "put a space after the colon", key.line + 1
    if text.lstrip()[:1] in {"{", "["} and (comment := _COMMENT.search(text)):
        place = text.count("\n", 0, comment.start(1)) + 1
        return "JSON has no comments", "remove // and /* … */", place
    if _TEMPLATE.search(line_of(text, line)):
        return *_UNRENDERED, line
    message, hint = explain_syntax_error(reason, line_of(text, line))
    return f"neither JSON nor YAML: {message}", hint, line


def walk(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value in data that is neither a map nor a list, with its dotted path."""
    if is_map(data):
        for key, value in data.items():
            yield from walk(value, f"{path}.{key}" if path else key)
    elif is_list(data):
        for index, value in enumerate(data):
            yield from walk(value, f"{path}.{index}" if path else str(index))
    else:
        yield path, data
