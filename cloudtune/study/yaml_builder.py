"""Build plain data from the events of YAML's parser, with the line of every field.

There is no recursion, and the depth and the number of values are limited, so that a malicious text
costs no more than a large valid one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError

MAX_DEPTH = 64
MAX_VALUES = 100_000
_MAX_PATH_LENGTH = 300
_MERGE = "<<"
_TAGS = "tag:yaml.org,2002:"
_CORE = {
    "ScalarEvent": frozenset(["!", "str", "int", "float", "bool", "null"]),
    "MappingStartEvent": frozenset(["!", "map"]),
    "SequenceStartEvent": frozenset(["!", "seq"]),
}
"""The tags that change nothing but the type of a scalar."""

INVALID_KEY = "a key must be a string"

KeyPath = tuple[str | int, ...]
Explain = Callable[[str, int, Any], tuple[str, str, int]]
"""Returns message, hint and line for a message of the parser, its line and its error."""


@dataclass
class YamlSource:
    """A document of a YAML text."""

    name: str
    """The file, as passed by the user."""
    data: Any = None
    lines: dict[str, int] = field(default_factory=dict[str, int])
    """The line of each field, keyed by dotted path; items of lists count from 0."""
    problems: list[Problem] = field(default_factory=list[Problem])
    unreadable: list[KeyPath] = field(default_factory=list[KeyPath])
    """The fields whose value could not be read; their value is None."""


@dataclass
class _Frame:
    """A map or list that is still open."""

    container: dict[str, Any] | list[Any]
    keys: KeyPath
    path: str
    anchor: str | None
    first_value: int
    """How many values had been read with its start."""
    key: str | None = None
    """The key of the next value; None if a key is next."""
    key_lines: dict[str, int] = field(default_factory=dict[str, int])
    is_ignored: bool = False
    """Whether the next value is not put into the map, as that of a duplicate key."""
    merged: Any = None
    """The map, or the list of maps, that ``<<`` merges into it."""

    def join(self, key: str | int) -> str:
        return f"{self.path}.{key}" if self.path else str(key)


class YamlBuilder:
    """Builds data with a stack of open maps and lists."""

    def __init__(
        self,
        text: str,
        name: str,
        read_plain: Callable[[str], Any],
        explain: Explain,
        *,
        is_study: bool,
    ) -> None:
        """Create a builder that has read nothing.

        Args:
            text: The text.
            name: The file, for messages.
            read_plain: Returns the value of an unquoted scalar, or raises ValueError.
            explain: Explains what the parser refuses.
            is_study: Whether the text must be one document without anchors and tags, with all
                mistakes as problems. Otherwise, the first mistake ends the reading.
        """
        self._text = text
        self._name = name
        self._read_plain = read_plain
        self._explain = explain
        self._is_study = is_study
        self._documents: list[YamlSource] = []
        self._values = 0
        self._frames: list[_Frame] = []
        self._skipping = 0
        """How many maps and lists are open inside an invalid key."""
        self._anchors: dict[str, tuple[Any, int]] = {}
        """The value of each anchor, and how many values it has."""

    def build(self) -> list[YamlSource]:
        """Return the documents of the text.

        Raises:
            StudyError: If it is not YAML, or exceeds a limit.
        """
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        parser: Any = YAML(typ="safe", pure=True)
        try:
            for event in parser.parse(self._text):
                self._handle_event(event, type(event).__name__)
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            if getattr(error, "context", None) == "while scanning a quoted scalar":
                mark = getattr(error, "context_mark", None)
            reason = getattr(error, "problem", None) or getattr(error, "reason", None) or error
            position = getattr(error, "position", 0)
            line = mark.line + 1 if mark else self._text.count("\n", 0, position) + 1
            raise self._error(*self._explain(str(reason), line, error)) from None
        except (ValueError, IndexError, OverflowError, RecursionError) as error:
            # Bugs of the parser on malformed escapes and directives.
            raise self._error(f"invalid YAML: {error}") from None
        return self._documents

    def _error(self, message: str, hint: str = "", line: int | None = None) -> StudyError:
        """Return the error that ends the reading, with the problems that were found before."""
        problems = [problem for each in self._documents for problem in each.problems]
        return StudyError([*problems, Problem("", message, hint, self._name, line)])

    def _report(self, path: str, message: str, hint: str, line: int) -> None:
        problem = Problem(path, message, hint, self._name, line)
        if not self._is_study:
            raise StudyError([problem])
        self._documents[-1].problems.append(problem)

    def _count(self, values: int, line: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise self._error(f"more than {MAX_VALUES:,} values", line=line)

    def _handle_event(self, event: Any, kind: str) -> None:
        line: int = event.start_mark.line + 1
        match kind:
            case "ScalarEvent" | "AliasEvent" | "MappingStartEvent" | "SequenceStartEvent":
                self._count(1, line)
                self._add_node(event, kind, line)
            case "MappingEndEvent" | "SequenceEndEvent":
                if self._skipping:
                    self._skipping -= 1
                else:
                    self._close(self._frames.pop())
            case "DocumentStartEvent":
                if self._is_study and self._documents:
                    message = "a second document starts here; a study is a single document"
                    raise self._error(message, line=line)
                if self._is_study and (event.version not in (None, (1, 2)) or event.tags):
                    raise self._error("only YAML 1.2 without tags is supported", line=line)
                self._documents.append(YamlSource(self._name))
                self._anchors = {}
            case _:
                pass

    def _add_node(self, event: Any, kind: str, line: int) -> None:
        is_start = kind.endswith("StartEvent")
        if is_start and len(self._frames) + self._skipping >= MAX_DEPTH:
            raise self._error(f"nested deeper than {MAX_DEPTH} levels", line=line)
        if self._skipping:
            self._skipping += is_start
            return
        frame = self._frames[-1] if self._frames else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._add_key(frame, event, kind, line)
            return
        keys, path = self._add_line(frame, line)
        self._check_node(event, kind, path, line)
        value: Any = {} if kind == "MappingStartEvent" else []
        if not is_start:
            try:
                value = self._read_scalar(event) if kind == "ScalarEvent" else self._alias(event)
            except ValueError as error:
                if kind == "ScalarEvent" or not self._is_study:
                    self._report(path, str(error), "", line)
                self._documents[-1].unreadable.append(keys)
                value = None
        self._add_value(frame, value)
        if is_start:
            self._frames.append(_Frame(value, keys, path, event.anchor, self._values))
        elif kind == "ScalarEvent" and event.anchor:
            self._anchors[event.anchor] = (value, 1)

    def _add_line(self, frame: _Frame | None, line: int) -> tuple[KeyPath, str]:
        """Record the line of the next value; return its keys and its path."""
        if frame is None:
            return (), ""
        last: str | int = len(frame.container) if frame.key is None else frame.key
        path = frame.join(last)
        if len(path) > _MAX_PATH_LENGTH:
            return (*frame.keys, last), frame.path
        self._documents[-1].lines.setdefault(path, frame.key_lines.get(str(last), line))
        return (*frame.keys, last), path

    def _check_node(self, event: Any, kind: str, path: str, line: int) -> None:
        """Report an anchor or a tag that is not supported."""
        tag: str | None = getattr(event, "tag", None)
        if self._is_study and event.anchor is not None:
            message = "anchors and aliases (& and *) are not supported"
            hint = "repeat the value where it is used, or quote a string that starts like this"
            self._report(path, message, hint, line)
        if tag is not None and (self._is_study or tag.removeprefix(_TAGS) not in _CORE[kind]):
            hint = "quote the string" if kind == "ScalarEvent" else "remove it"
            self._report(path, f"tags such as {tag} are not supported", hint, line)

    def _read_scalar(self, event: Any) -> Any:
        text = join_surrogates(event.value)
        if text is None:
            raise ValueError("the string contains an unpaired surrogate")
        tag = (event.tag or "").removeprefix(_TAGS)
        is_text = tag not in {"int", "float", "bool", "null"} or self._is_study
        if (event.style and event.tag is None) or (event.tag and is_text and not event.implicit[0]):
            return text
        value = self._read_plain(text)
        if tag != "float" or isinstance(value, float):
            return value
        return float(text.replace("_", ""))  # 1e-5 is text for YAML 1.1 without the tag

    def _alias(self, event: Any) -> Any:
        value, size = self._anchors.get(event.anchor, (None, 0))
        if size == 0 or self._is_study:
            raise ValueError(f"unknown or recursive alias *{event.anchor}")
        self._count(size - 1, event.start_mark.line + 1)
        return value

    def _add_key(self, frame: _Frame, event: Any, kind: str, line: int) -> None:
        if kind != "ScalarEvent":
            hint = "write a plain word as the key"
            if "{{" in line_of(self._text, line):
                hint = 'quote strings with braces, for example "--lr={{lr}}"'
            self._report(frame.path, INVALID_KEY, hint, line)
            self._documents[-1].unreadable.append(frame.keys)
            frame.is_ignored, frame.key = True, ""
            frame.key_lines.setdefault("", line)
            if kind.endswith("StartEvent"):
                self._skipping = 1
            return
        if event.value == _MERGE and not (event.style or self._is_study):
            frame.key, frame.is_ignored = _MERGE, True
            return
        key = join_surrogates(event.value)
        if key is None:
            self._report(frame.path, "a key contains an unpaired surrogate", "", line)
            key = ascii(event.value)
        if self._is_study and (event.anchor is not None or event.tag is not None):
            path = frame.join(key)
            self._report(path, "keys cannot have anchors or tags", "remove it", line)
        if key in frame.key_lines:
            message = f"duplicate key (lines {frame.key_lines[key]} and {line})"
            self._report(frame.join(key), message, "remove one of them", line)
            frame.is_ignored = True
        frame.key_lines.setdefault(key, line)
        frame.key = key

    def _add_value(self, frame: _Frame | None, value: Any) -> None:
        if frame is None:
            self._documents[-1].data = value
        elif isinstance(frame.container, list):
            frame.container.append(value)
        else:
            assert frame.key is not None
            if not frame.is_ignored:
                frame.container[frame.key] = value
            elif frame.key == _MERGE:
                frame.merged = value
            frame.key, frame.is_ignored = None, False

    def _close(self, frame: _Frame) -> None:
        if frame.merged is not None and not self._is_study:
            merged: Any = frame.merged
            maps: list[Any] = [*merged] if isinstance(merged, list) else [merged]
            if not all(isinstance(each, dict) for each in maps):
                raise self._error(f"{frame.path}: << merges only maps")
            assert isinstance(frame.container, dict)
            for key, value in (pair for each in maps for pair in each.items()):
                frame.container.setdefault(key, value)
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.container, self._values - frame.first_value + 1)


def line_of(text: str, line: int) -> str:
    """Return a line of a text, counted from 1; empty if there is none."""
    return next(iter(text.split("\n", line)[line - 1 : line]), "")


def join_surrogates(text: str) -> str | None:
    """Return a text with its surrogate pairs joined, or None if a surrogate is unpaired."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return None
