"""Read the YAML of a study into plain data, with the line of every field.

Reads the core schema of YAML 1.2. Syntax that hides the meaning of a text (anchors, tags, duplicate
keys) is a problem.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.study.regular_files import open_regular
from cloudtune.study.suggestions import closest_match
from cloudtune.study.yaml_builder import YamlBuilder, YamlSource, line_of

MAX_BYTES = 512 * 1024
_MAX_NUMBER_LENGTH = 400

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
    builder = YamlBuilder(text, name, parse_scalar, partial(_explain, text), is_study=True)
    source = next(iter(builder.build()), YamlSource(name))
    if source.data is None and not source.unreadable:
        raise StudyError(
            [*source.problems, Problem("", "is empty", "`cloudtune init` creates a study", name)]
        )
    return source


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


def _explain(text: str, reason: str, line: int, _: object) -> tuple[str, str, int]:
    from cloudtune.study.yaml_errors import explain_syntax_error, is_indented_with_a_tab

    source_line = line_of(text, line)
    if "{{" in _QUOTED.sub("", source_line) and not is_indented_with_a_tab(source_line):
        message = "strings with braces must be quoted inside [ ] and { }"
        hint = 'for example ["--lr={{lr}}"]'
    else:
        message, hint = explain_syntax_error(reason, source_line)
    more = "fix this first to see other mistakes"
    return message, f"{hint}; {more}" if hint else more, line


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
