"""YAML text in, plain data and the line of every field out.

Reads YAML 1.2's core schema from the parser's events, without recursion and within fixed bounds, so
that a hostile text costs no more than a large honest one. Whatever would make the text say
something else than it shows (anchors, tags, duplicate keys) is a problem.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError

MAX_BYTES = 512 * 1024
MAX_DEPTH = 64
MAX_NODES = 100_000
_MAX_PATH_LENGTH = 300
_MAX_NUMBER_LENGTH = 400

KeyPath = tuple[str | int, ...]

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def is_map(value: Any) -> TypeGuard[dict[str, Any]]:
    """Tell whether a value that was read is a map; its keys are text."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Tell whether a value that was read is a list."""
    return isinstance(value, list)


@dataclass
class YamlSource:
    """What a text says."""

    name: str
    """The file, as the user named it."""
    data: Any = None
    lines: dict[str, int] = field(default_factory=dict[str, int])
    """The line of each field by its dotted path; items of lists count from 0."""
    problems: list[Problem] = field(default_factory=list[Problem])
    unreadable: list[KeyPath] = field(default_factory=list[KeyPath])
    """The fields whose value could not be read; they hold None."""


def read_file(path: Path) -> YamlSource:
    """Return what a file says.

    Raises:
        StudyError: If it cannot be read as one YAML document at all.
    """
    return parse(_text(path), str(path))


def parse(text: str, name: str) -> YamlSource:
    """Return what a text says.

    Raises:
        StudyError: If it cannot be read as one YAML document at all.
    """
    if len(text) > MAX_BYTES:  # a character is a byte or more
        raise _unreadable(name, _TOO_LARGE)
    return _Builder(text, name).build()


_TOO_LARGE = f"this is larger than a study can be ({MAX_BYTES // 1024} KiB)"


def _unreadable(name: str, message: str, hint: str = "", line: int | None = None) -> StudyError:
    return StudyError([Problem("", message, hint, name, line)])


def _text(path: Path) -> str:
    name = str(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _unreadable(name, "this is a folder", "name the study file in it")
        if not stat.S_ISREG(mode):
            raise _unreadable(name, "this is no ordinary file", "save the study to a file first")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unreadable(name, "there is no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _unreadable(name, f"this file cannot be read: {reason}") from error
    if len(data) > MAX_BYTES:
        raise _unreadable(name, _TOO_LARGE)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _unreadable(name, "this file is UTF-16 text", "save it as UTF-8")
    if b"\0" in data:
        raise _unreadable(name, "this is a binary file, not a text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unreadable(name, "this is not UTF-8 text", "save the file as UTF-8", line) from error


class _Frame:
    """A map or a list that is being read."""

    def __init__(self, container: dict[str, Any] | list[Any], path: KeyPath, dotted: str) -> None:
        self.container = container
        self.path = path
        self.dotted = dotted
        self.key: str | None = None
        """The key whose value comes next; None where a key comes next."""
        self.key_lines: dict[str, int] = {}
        self.duplicate = False
        """Whether the value that comes next belongs to a duplicate key and does not count."""


class _Builder:
    """Turns events into data, one open collection on top of the other."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.source = YamlSource(name)
        self.frames: list[_Frame] = []
        self.nodes = 0
        self.documents = 0
        self.skipping = 0
        """How many collections are open inside a key that is none."""

    def build(self) -> YamlSource:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        parser: Any = YAML(typ="safe", pure=True)
        try:
            for event in parser.parse(self.text):
                self._take(event, type(event).__name__)
        except YAMLError as error:
            raise self._syntax(error) from None
        except (ValueError, IndexError, OverflowError) as error:
            # The parser's own slips on malformed escapes and directives.
            raise self._fatal(f"this is not valid YAML: {error}") from None
        if self.source.data is None and not self.source.unreadable:
            raise self._fatal("this file says nothing", "`cloudtune init` writes a first study")
        return self.source

    def _fatal(self, message: str, hint: str = "", line: int | None = None) -> StudyError:
        return StudyError(
            [*self.source.problems, Problem("", message, hint, self.source.name, line)]
        )

    def _problem(self, path: str, message: str, hint: str, line: int) -> None:
        self.source.problems.append(Problem(path, message, hint, self.source.name, line))

    def _take(self, event: Any, kind: str) -> None:
        line: int = event.start_mark.line + 1
        match kind:
            case "ScalarEvent" | "AliasEvent" | "MappingStartEvent" | "SequenceStartEvent":
                self.nodes += 1
                if self.nodes > MAX_NODES:
                    raise self._fatal(f"this has more than {MAX_NODES:,} values", line=line)
                self._node(event, kind, line)
            case "MappingEndEvent" | "SequenceEndEvent":
                if self.skipping:
                    self.skipping -= 1
                else:
                    self.frames.pop()
            case "DocumentStartEvent":
                self.documents += 1
                if self.documents > 1:
                    message = "a study is one document, and a second begins here"
                    raise self._fatal(message, line=line)
                if event.version not in (None, (1, 2)) or event.tags:
                    raise self._fatal("only YAML 1.2 without tags is read", line=line)
            case _:
                pass

    def _node(self, event: Any, kind: str, line: int) -> None:
        if kind.endswith("StartEvent") and len(self.frames) + self.skipping >= MAX_DEPTH:
            raise self._fatal(f"this is nested deeper than {MAX_DEPTH} levels", line=line)
        if self.skipping:
            self.skipping += kind.endswith("StartEvent")
            return
        frame = self.frames[-1] if self.frames else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._key(frame, event, kind, line)
            return
        path, dotted = self._place(frame, line)
        if getattr(event, "anchor", None) is not None:
            self._problem(
                dotted,
                "anchors and aliases (& and *) are not read",
                "write the value out where it is used",
                line,
            )
        if getattr(event, "tag", None) is not None:
            hint = "quote the text" if kind == "ScalarEvent" else "leave it out"
            self._problem(dotted, f"tags such as {event.tag} are not read", hint, line)
        value: Any = None
        if kind == "MappingStartEvent":
            value = {}
        elif kind == "SequenceStartEvent":
            value = []
        elif kind == "ScalarEvent":
            value = self._scalar(event, path, dotted, line)
        else:
            self.source.unreadable.append(path)
        self._put(frame, value)
        if is_map(value) or is_list(value):
            self.frames.append(_Frame(value, path, dotted))

    def _place(self, frame: _Frame | None, line: int) -> tuple[KeyPath, str]:
        if frame is None:
            return (), ""
        if isinstance(frame.container, list):
            last: str | int = len(frame.container)
        else:
            assert frame.key is not None
            last, line = frame.key, frame.key_lines[frame.key]
        dotted = f"{frame.dotted}.{last}" if frame.dotted else str(last)
        if len(dotted) <= _MAX_PATH_LENGTH:
            self.source.lines.setdefault(dotted, line)
        else:
            dotted = frame.dotted
        return (*frame.path, last), dotted

    def _put(self, frame: _Frame | None, value: Any) -> None:
        if frame is None:
            self.source.data = value
        elif isinstance(frame.container, list):
            frame.container.append(value)
        else:
            assert frame.key is not None
            if not frame.duplicate:
                frame.container[frame.key] = value
            frame.key, frame.duplicate = None, False

    def _key(self, frame: _Frame, event: Any, kind: str, line: int) -> None:
        if kind != "ScalarEvent":
            hint = "write each key as a word"
            if "{{" in self._line(line):
                hint = 'quote words with braces, as in "--lr={{lr}}"'
            self._problem(frame.dotted, "a key must be a word, and this is none", hint, line)
            self.source.unreadable.append(frame.path)
            frame.duplicate, frame.key = True, ""
            frame.key_lines.setdefault("", line)
            if kind.endswith("StartEvent"):
                self.skipping = 1
            return
        key = _join_surrogates(event.value)
        if key is None:
            self._problem(frame.dotted, "a key has half a character in it", "", line)
            key = ascii(event.value)
        dotted = f"{frame.dotted}.{key}" if frame.dotted else key
        if event.anchor is not None or event.tag is not None:
            self._problem(dotted, "keys have no anchors or tags", "leave it out", line)
        if key in frame.key_lines:
            first = frame.key_lines[key]
            self._problem(
                dotted,
                f"this key stands twice, in line {first} and in line {line}",
                "remove one of them",
                line,
            )
            frame.duplicate = True
        frame.key_lines.setdefault(key, line)
        frame.key = key

    def _scalar(self, event: Any, path: KeyPath, dotted: str, line: int) -> Any:
        text = _join_surrogates(event.value)
        if text is None:
            self._problem(dotted, "this text has half a character in it", "", line)
            self.source.unreadable.append(path)
            return None
        if event.style or (event.tag is not None and not event.implicit[0]):
            return text
        try:
            return parse_scalar(text)
        except ValueError as error:
            self._problem(dotted, str(error), "", line)
            self.source.unreadable.append(path)
            return None

    def _line(self, line: int) -> str:
        return next(iter(self.text.split("\n", line)[line - 1 : line]), "")

    def _syntax(self, error: Any) -> StudyError:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        if getattr(error, "context", None) == "while scanning a quoted scalar":
            mark = error.context_mark
        said = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
        if mark is None:
            position = getattr(error, "position", 0)
            line = self.text.count("\n", 0, position) + 1
        else:
            line = mark.line + 1
        shown = self._line(line)
        message, hint = f"this is not valid YAML: {said}", ""
        if "\t" in shown[: len(shown) - len(shown.lstrip())]:
            message, hint = "a line is indented by a tab", "indent by spaces"
        elif "{{" in _QUOTED.sub("", shown):
            message = "words with braces must be quoted inside [ ] and { }"
            hint = 'as in ["--lr={{lr}}"]'
        else:
            for start, words, advice in _SYNTAX:
                if start in said:
                    message, hint = words, advice
                    break
        more = "other mistakes are looked for once this is right"
        return self._fatal(message, f"{hint}; {more}" if hint else more, line)


_SYNTAX = (
    (
        "mapping values are not allowed",
        "a second value on one line, or a line that is indented too far",
        "quote a text that has a colon in it; line keys of one block up",
    ),
    ("',' or ']'", "a list in [ ] lacks a comma or its end", "check the commas and brackets"),
    ("',' or '}'", "a map in { } lacks a comma or its end", "check the commas and braces"),
    (
        "expected <block end>",
        "this line does not line up with those above it",
        "indent all keys of one block alike",
    ),
    ("could not find expected ':'", "a key without its colon", "write it as key: value"),
    (
        "while scanning a quoted scalar",
        "a quoted text is never closed",
        "end it with the quote that begins it",
    ),
    ("unexpected end of stream", "a quoted text is never closed", "add the quote that ends it"),
    (
        "cannot start any token",
        "a text cannot begin with this character",
        "quote the text",
    ),
    ("special characters are not allowed", "there is a control character here", "remove it"),
)


def _join_surrogates(text: str) -> str | None:
    """Return a text with characters joined that JSON writes in halves; None for a half alone."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return None


def parse_scalar(text: str) -> Any:
    """Return what an unquoted word means in YAML 1.2's core schema.

    Raises:
        ValueError: If it is a number of absurd length.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-.":
        return text
    whole = _INT.fullmatch(text)
    if not whole and not _FLOAT.fullmatch(text):
        return text
    if len(text) > _MAX_NUMBER_LENGTH:
        raise ValueError(f"a number has more than {_MAX_NUMBER_LENGTH} digits")
    if not whole:
        return float(text)
    return int(text, 0) if text[1:2] in ("o", "x") else int(text)
