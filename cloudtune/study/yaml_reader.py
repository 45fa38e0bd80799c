"""Read YAML into plain data, with the line of every field.

Reads the core schema of YAML 1.2 from the parser's events, without recursion and within fixed
limits, so that a malicious text costs no more than a large valid one. Syntax that hides the meaning
of a text (anchors, tags, duplicate keys) is a problem.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.study.regular_files import open_regular
from cloudtune.study.suggestions import closest_match
from cloudtune.study.yaml_errors import explain_syntax_error, is_indented_with_a_tab

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
    """Return whether a value from the reader is a map; its keys are strings."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Return whether a value from the reader is a list."""
    return isinstance(value, list)


@dataclass
class YamlSource:
    """The content of a YAML text."""

    name: str
    """The file, as passed by the user."""
    data: Any = None
    lines: dict[str, int] = field(default_factory=dict[str, int])
    """The line of each field, keyed by dotted path; items of lists count from 0."""
    problems: list[Problem] = field(default_factory=list[Problem])
    unreadable: list[KeyPath] = field(default_factory=list[KeyPath])
    """The fields whose value could not be read; their value is None."""


def read_file(path: Path) -> YamlSource:
    """Return the content of a YAML file.

    Raises:
        StudyError: If the file cannot be read as one YAML document.
    """
    if path.suffix in {".py", ".ipynb", ".sh"} and path.is_file():
        hint = "pass a study file, which names the script: `cloudtune init` creates one"
        raise file_error(str(path), "is a script, not a study", hint)
    return parse(_read_text(path), str(path))


def parse(text: str, name: str) -> YamlSource:
    """Return the content of a YAML text.

    Raises:
        StudyError: If the text cannot be read as one YAML document.
    """
    if len(text) > MAX_BYTES:  # a character has at least one byte
        raise _too_large(name, MAX_BYTES)
    return _Builder(text, name).build()


def file_error(name: str, message: str, hint: str = "", line: int | None = None) -> StudyError:
    """Return the error of a file, at a line of it."""
    return StudyError([Problem("", message, hint, name, line)])


def _too_large(name: str, max_bytes: int) -> StudyError:
    size = f"{max_bytes // 1024} KiB" if max_bytes < 1024**2 else f"{max_bytes // 1024**2} MiB"
    return file_error(name, f"larger than the limit of {size}")


def _file_hint(path: Path) -> str:
    studies = [file.name for file in path.parent.glob("*.y*ml")]
    match = closest_match(path.name, studies) or (studies[0] if len(studies) == 1 else None)
    if match:
        return f"did you mean {path.with_name(match)}?"
    return "`cloudtune init` creates a study"


def _read_text(path: Path) -> str:
    name = str(path)
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise file_error(name, "is a folder", "pass a study file in it") from None
    except FileNotFoundError:
        raise file_error(name, "file not found", _file_hint(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise file_error(name, f"cannot be read: {reason}") from error
    return decode_text(data, name, MAX_BYTES)


def decode_text(data: bytes, name: str, max_bytes: int) -> str:
    """Return the text of a file.

    Raises:
        StudyError: If it is larger than the limit, or not UTF-8 text.
    """
    if len(data) > max_bytes:
        raise _too_large(name, max_bytes)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise file_error(name, "is UTF-16 text", "save it as UTF-8")
    if b"\0" in data:
        raise file_error(name, "is a binary file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise file_error(name, "is not UTF-8 text", "save it as UTF-8", line) from error


@dataclass
class _Frame:
    """A map or list that is still open."""

    container: dict[str, Any] | list[Any]
    keys: KeyPath
    path: str
    key: str | None = None
    """The key of the next value; None if a key is next."""
    key_lines: dict[str, int] = field(default_factory=dict[str, int])
    duplicate: bool = False
    """Whether the next value belongs to a duplicate key and is ignored."""


class _Builder:
    """Builds data from parser events, with a stack of open maps and lists."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.source = YamlSource(name)
        self.frames: list[_Frame] = []
        self.nodes = 0
        self.documents = 0
        self.skipping = 0
        """How many maps and lists are open inside an invalid key."""

    def build(self) -> YamlSource:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        parser: Any = YAML(typ="safe", pure=True)
        try:
            for event in parser.parse(self.text):
                self._handle_event(event, type(event).__name__)
        except YAMLError as error:
            raise self._syntax_error(error) from None
        except (ValueError, IndexError, OverflowError) as error:
            # Bugs of the parser on malformed escapes and directives.
            raise self._fatal_error(f"invalid YAML: {error}") from None
        if self.source.data is None and not self.source.unreadable:
            raise self._fatal_error("is empty", "`cloudtune init` creates a study")
        return self.source

    def _fatal_error(self, message: str, hint: str = "", line: int | None = None) -> StudyError:
        return StudyError(
            [*self.source.problems, Problem("", message, hint, self.source.name, line)]
        )

    def _add_problem(self, path: str, message: str, hint: str, line: int) -> None:
        self.source.problems.append(Problem(path, message, hint, self.source.name, line))

    def _handle_event(self, event: Any, kind: str) -> None:
        line: int = event.start_mark.line + 1
        match kind:
            case "ScalarEvent" | "AliasEvent" | "MappingStartEvent" | "SequenceStartEvent":
                self.nodes += 1
                if self.nodes > MAX_NODES:
                    raise self._fatal_error(f"more than {MAX_NODES:,} values", line=line)
                self._add_node(event, kind, line)
            case "MappingEndEvent" | "SequenceEndEvent":
                if self.skipping:
                    self.skipping -= 1
                else:
                    self.frames.pop()
            case "DocumentStartEvent":
                self.documents += 1
                if self.documents > 1:
                    message = "a second document starts here; a study is a single document"
                    raise self._fatal_error(message, line=line)
                if event.version not in (None, (1, 2)) or event.tags:
                    raise self._fatal_error("only YAML 1.2 without tags is supported", line=line)
            case _:
                pass

    def _add_node(self, event: Any, kind: str, line: int) -> None:
        if kind.endswith("StartEvent") and len(self.frames) + self.skipping >= MAX_DEPTH:
            raise self._fatal_error(f"nested deeper than {MAX_DEPTH} levels", line=line)
        if self.skipping:
            self.skipping += kind.endswith("StartEvent")
            return
        frame = self.frames[-1] if self.frames else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._add_key(frame, event, kind, line)
            return
        keys, path = self._add_line(frame, line)
        if getattr(event, "anchor", None) is not None:
            message = "anchors and aliases (& and *) are not supported"
            hint = "repeat the value where it is used, or quote a string that starts like this"
            self._add_problem(path, message, hint, line)
        if getattr(event, "tag", None) is not None:
            hint = "quote the string" if kind == "ScalarEvent" else "remove it"
            self._add_problem(path, f"tags such as {event.tag} are not supported", hint, line)
        value: Any = None
        if kind == "MappingStartEvent":
            value = {}
        elif kind == "SequenceStartEvent":
            value = []
        elif kind == "ScalarEvent":
            value = self._read_scalar(event, keys, path, line)
        else:
            self.source.unreadable.append(keys)
        self._add_value(frame, value)
        if is_map(value) or is_list(value):
            self.frames.append(_Frame(value, keys, path))

    def _add_line(self, frame: _Frame | None, line: int) -> tuple[KeyPath, str]:
        if frame is None:
            return (), ""
        if isinstance(frame.container, list):
            last: str | int = len(frame.container)
        else:
            assert frame.key is not None
            last, line = frame.key, frame.key_lines[frame.key]
        path = f"{frame.path}.{last}" if frame.path else str(last)
        if len(path) <= _MAX_PATH_LENGTH:
            self.source.lines.setdefault(path, line)
        else:
            path = frame.path
        return (*frame.keys, last), path

    def _add_value(self, frame: _Frame | None, value: Any) -> None:
        if frame is None:
            self.source.data = value
        elif isinstance(frame.container, list):
            frame.container.append(value)
        else:
            assert frame.key is not None
            if not frame.duplicate:
                frame.container[frame.key] = value
            frame.key, frame.duplicate = None, False

    def _add_key(self, frame: _Frame, event: Any, kind: str, line: int) -> None:
        if kind != "ScalarEvent":
            hint = "write a plain word as the key"
            if "{{" in line_of(self.text, line):
                hint = 'quote strings with braces, for example "--lr={{lr}}"'
            self._add_problem(frame.path, "a key must be a string", hint, line)
            self.source.unreadable.append(frame.keys)
            frame.duplicate, frame.key = True, ""
            frame.key_lines.setdefault("", line)
            if kind.endswith("StartEvent"):
                self.skipping = 1
            return
        key = join_surrogates(event.value)
        if key is None:
            self._add_problem(frame.path, "a key contains an unpaired surrogate", "", line)
            key = ascii(event.value)
        path = f"{frame.path}.{key}" if frame.path else key
        if event.anchor is not None or event.tag is not None:
            self._add_problem(path, "keys cannot have anchors or tags", "remove it", line)
        if key in frame.key_lines:
            message = f"duplicate key (lines {frame.key_lines[key]} and {line})"
            self._add_problem(path, message, "remove one of them", line)
            frame.duplicate = True
        frame.key_lines.setdefault(key, line)
        frame.key = key

    def _read_scalar(self, event: Any, keys: KeyPath, path: str, line: int) -> Any:
        try:
            text = join_surrogates(event.value)
            if text is None:
                raise ValueError("the string contains an unpaired surrogate")
            is_string = event.style or (event.tag is not None and not event.implicit[0])
            return text if is_string else parse_scalar(text)
        except ValueError as error:
            self._add_problem(path, str(error), "", line)
            self.source.unreadable.append(keys)
            return None

    def _syntax_error(self, error: Any) -> StudyError:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        if getattr(error, "context", None) == "while scanning a quoted scalar":
            mark = error.context_mark
        reason = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
        position = getattr(error, "position", 0)
        line = mark.line + 1 if mark else self.text.count("\n", 0, position) + 1
        source_line = line_of(self.text, line)
        if "{{" in _QUOTED.sub("", source_line) and not is_indented_with_a_tab(source_line):
            message = "strings with braces must be quoted inside [ ] and { }"
            hint = 'for example ["--lr={{lr}}"]'
        else:
            message, hint = explain_syntax_error(reason, source_line)
        more = "fix this first to see other mistakes"
        return self._fatal_error(message, f"{hint}; {more}" if hint else more, line)


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


def parse_scalar(text: str) -> Any:
    """Return the value of an unquoted scalar in the core schema of YAML 1.2.

    Raises:
        ValueError: If it is a number of more than 400 characters.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-.":
        return text
    is_int = _INT.fullmatch(text)
    if not is_int and not _FLOAT.fullmatch(text):
        return text
    if len(text) > _MAX_NUMBER_LENGTH:
        raise ValueError(f"a number must not have more than {_MAX_NUMBER_LENGTH} digits")
    if not is_int:
        return float(text)
    return int(text, 0) if text[1:2] in ("o", "x") else int(text)
