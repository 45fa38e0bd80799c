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
from pathlib import Path
from typing import Any

from cloudtune.errors import StudyError
from cloudtune.formats.json_lines import JsonLines
from cloudtune.formats.yaml_scalars import YamlVersion, parse_scalar_of
from cloudtune.study.regular_files import open_regular
from cloudtune.study.yaml_errors import explain_syntax_error
from cloudtune.study.yaml_reader import (
    decode_text,
    file_error,
    is_list,
    is_map,
    join_surrogates,
    line_of,
)

MAX_BYTES = 2 * 1024 * 1024
MAX_YAML_BYTES = 512 * 1024
"""YAML takes longer to parse than JSON."""
MAX_DEPTH = 64
MAX_VALUES = 100_000

_TAGS = "tag:yaml.org,2002:"
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
    documents = [each for each in _YamlParser(text, name, version).parse() if each.data is not None]
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


@dataclass
class _Frame:
    """A map or list that is still open."""

    container: dict[str, Any] | list[Any]
    path: str
    anchor: str | None
    first_value: int
    """How many values were read before it."""
    key: str | None = None
    keys: set[str] = field(default_factory=set[str])
    merged: Any = None
    """The map, or the list of maps, that `<<` merges into it."""


class _YamlParser:
    """Builds data from parser events, with a stack of open maps and lists."""

    def __init__(self, text: str, name: str, version: YamlVersion) -> None:
        self._text = text
        self._name = name
        self._version: YamlVersion = version
        self._values = 0
        self._frames: list[_Frame] = []
        self._lines: dict[str, int] = {}
        self._anchors: dict[str, tuple[Any, int]] = {}
        """The value of each anchor, and how many values it has."""
        self._data: Any = None

    def parse(self) -> list[Document]:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        parser: Any = YAML(typ="safe", pure=True)
        documents: list[Document] = []
        try:
            for event in parser.parse(self._text):
                kind = type(event).__name__
                if kind == "DocumentStartEvent":
                    self._lines, self._anchors, self._data = {}, {}, None
                elif kind == "DocumentEndEvent":
                    documents.append(Document(self._data, self._lines))
                else:
                    self._handle(event, kind)
        except YAMLError as error:
            raise self._syntax_error(error) from None
        except (ValueError, IndexError, OverflowError, RecursionError) as error:
            raise file_error(self._name, f"neither JSON nor YAML: {error}") from None
        return documents

    def _handle(self, event: Any, kind: str) -> None:
        line: int = event.start_mark.line + 1
        match kind:
            case "MappingEndEvent" | "SequenceEndEvent":
                self._close()
            case "ScalarEvent":
                self._count(1, line)
                frame = self._frames[-1] if self._frames else None
                if frame and isinstance(frame.container, dict) and frame.key is None:
                    self._add_key(frame, event, line)
                    return
                self._add(self._scalar(event, line), line, event.anchor)
            case "AliasEvent":
                if event.anchor not in self._anchors:
                    raise self._fail(f"unknown or recursive alias *{event.anchor}", line)
                value, size = self._anchors[event.anchor]
                self._count(size, line)
                self._add(value, line, None)
            case "MappingStartEvent" | "SequenceStartEvent":
                self._count(1, line)
                if len(self._frames) >= MAX_DEPTH:
                    raise self._fail(f"nested deeper than {MAX_DEPTH} levels", line)
                is_mapping = kind == "MappingStartEvent"
                expected = "map" if is_mapping else "seq"
                if event.tag not in (None, "!", _TAGS + expected):
                    raise self._fail(f"tags such as {event.tag} are not supported", line)
                container: dict[str, Any] | list[Any] = {} if is_mapping else []
                path = self._add(container, line, None)
                frame = _Frame(container, path, event.anchor, self._values)
                self._frames.append(frame)
            case _:
                pass

    def _syntax_error(self, error: Any) -> StudyError:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        key = getattr(error, "context_mark", None)
        if key and _NO_SPACE.fullmatch(text := line_of(self._text, key.line + 1).strip()):
            message, hint = f"{text} is not a key and its value", "put a space after the colon"
            return file_error(self._name, message, hint, key.line + 1)
        if self._text.lstrip()[:1] in {"{", "["} and (comment := _COMMENT.search(self._text)):
            place = self._text.count("\n", 0, comment.start(1)) + 1
            return file_error(self._name, "JSON has no comments", "remove // and /* … */", place)
        line: int | None = mark.line + 1 if mark else None
        if line is not None and _TEMPLATE.search(line_of(self._text, line)):
            return file_error(self._name, *_UNRENDERED, line)
        message, hint = explain_syntax_error(str(reason), line_of(self._text, line) if line else "")
        return file_error(self._name, f"neither JSON nor YAML: {message}", hint, line)

    def _fail(self, message: str, line: int) -> StudyError:
        return file_error(self._name, message, line=line)

    def _count(self, values: int, line: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise self._fail(f"more than {MAX_VALUES:,} values", line)

    def _add_key(self, frame: _Frame, event: Any, line: int) -> None:
        key = join_surrogates(event.value)
        if key is None:
            raise self._fail("a key contains an unpaired surrogate", line)
        if key == "<<" and not event.style:
            frame.key = key
            return
        if key in frame.keys:
            raise self._fail(f"duplicate key {key}", line)
        frame.keys.add(key)
        frame.key = key

    def _add(self, value: Any, line: int, anchor: str | None) -> str:
        """Add a value to the open map or list, and return its path."""
        if anchor:
            self._anchors[anchor] = (value, 1)
        frame = self._frames[-1] if self._frames else None
        if frame is None:
            self._data = value
            return ""
        if isinstance(frame.container, list):
            path = (
                f"{frame.path}.{len(frame.container)}" if frame.path else str(len(frame.container))
            )
            frame.container.append(value)
        elif frame.key is None:
            if _TEMPLATE.search(line_of(self._text, line)):
                raise file_error(self._name, *_UNRENDERED, line)
            raise self._fail("a key must be a string", line)
        elif frame.key == "<<" and "<<" not in frame.keys:
            frame.merged = value
            path, frame.key = frame.path, None
        else:
            path = f"{frame.path}.{frame.key}" if frame.path else frame.key
            frame.container[frame.key] = value
            frame.key = None
        if len(path) <= 300:
            self._lines.setdefault(path, line)
        return path

    def _close(self) -> None:
        frame = self._frames.pop()
        if frame.merged is not None:
            self._merge(frame)
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.container, self._values - frame.first_value + 1)

    def _merge(self, frame: _Frame) -> None:
        maps: list[Any] = frame.merged if is_list(frame.merged) else [frame.merged]
        if not is_map(frame.container) or not all(map(is_map, maps)):
            raise file_error(self._name, f"{frame.path}: << merges only maps")
        for merged in maps:
            for key, value in merged.items():
                frame.container.setdefault(key, value)

    def _scalar(self, event: Any, line: int) -> Any:
        tag = (event.tag or "").removeprefix(_TAGS)
        text = join_surrogates(event.value)
        if text is None:
            raise self._fail("the text contains an unpaired surrogate", line)
        if tag in {"str", "!"}:
            return text
        if event.tag is not None and tag not in {"int", "float", "bool", "null"}:
            raise self._fail(f"tags such as {event.tag} are not supported", line)
        if event.style and event.tag is None:
            return text
        try:
            value = parse_scalar_of(text, self._version)
        except ValueError as error:
            raise self._fail(str(error), line) from None
        return float(value) if tag == "float" and isinstance(value, int) else value


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
