"""What the launcher reads in Python code, without running it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    Json = dict[str, Any]

OPTION_CALLS = ("add_argument", "add_arg", "add_option", "option")
"""Those of argparse, configargparse, optparse and click."""

_PARSER = r"(Argument|Arg|Option)Parser\(|\.command\(|^\s*(from|import)\s+(absl|fire|tyro|typer)\b"


def reads_arguments(code: str) -> bool:
    """Return whether code reads arguments, and does not only add options to a parser."""
    import re

    return bool(re.search(_PARSER, code, re.M))


def parse(code: str | bytes) -> Any:
    """Return the syntax tree of code, which is empty if it is not Python."""
    import ast
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.parse("")


def name_of(node: Any) -> str:
    """Return the last part of a name, also of what is called or subscripted."""
    node = getattr(node, "func", getattr(node, "value", node)) if is_wrapper(node) else node
    return getattr(node, "attr", getattr(node, "id", "")) or ""


def is_wrapper(node: Any) -> bool:
    """Return whether something is called or subscripted."""
    import ast

    return isinstance(node, (ast.Call, ast.Subscript))


def literal(node: Any) -> Any:
    """Return the value of a literal; None for other code."""
    import ast

    try:
        return None if node is None else ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def to_dest(option: str) -> str:
    """Return the name that argparse gives the value of an option."""
    return option.lstrip("-").replace("-", "_")


def call_keywords(call: Any) -> Json:
    """Return the keyword arguments of a call, with those of literal maps in ``**{...}``.

    Other maps are below an empty name.
    """
    import ast

    keywords: Json = {}
    for each in call.keywords:
        value = each.value
        if each.arg is not None:
            keywords[each.arg] = value
        elif isinstance(value, ast.Dict):
            keywords.update((literal(k), value.values[n]) for n, k in enumerate(value.keys))
        elif isinstance(value, ast.Call) and name_of(value.func) == "dict" and not value.args:
            keywords.update(call_keywords(value))
        else:
            keywords[""] = value
    return keywords


def imported_files(call: Mapping[str, Any], folder: str) -> Iterator[str]:
    """Yield the text of the script, then of the folder's files that it imports or starts.

    If the call names no Python file of the folder, these are all Python files.
    """
    import re

    files = _source_files(call, folder)
    found = [path for path in _started_files(call, folder) if path in files]
    if not any(path.endswith(".py") for path in found):
        yield from map(_read, files)
        return
    modules: set[str] = set()
    while found:
        files = [path for path in files if path not in found]
        for path in found:
            code = _read(path)
            yield code
            imports = re.findall(r"^\s*(?:from|import)\b(?:[^\n(]*\([^)]*\)|.*)", code, re.M)
            modules.update(re.findall(r"\w+", " ".join(imports)))
            modules.update(re.findall(r"(\w+)\.py[\"']", code))
        found = [path for path in files if _module_name(path) in modules]


def _module_name(path: str) -> str:
    """Return the last part of a module's name."""
    parent, name = os.path.split(os.path.splitext(path)[0])
    return os.path.basename(parent) if name == "__init__" else name


def _started_files(call: Mapping[str, Any], folder: str) -> list[str]:
    """Return the paths of what a call may start, also those that do not exist."""
    module = (call.get("module") or "").replace(".", os.sep)
    command: Sequence[str] = call.get("command") or []
    words = [call.get("script") or ""]
    words += [module + ".py", os.path.join(module, "__main__.py")] if module else []
    return [os.path.normpath(os.path.join(folder, word)) for word in [*words, *command] if word]


def _source_files(call: Mapping[str, Any], folder: str) -> list[str]:
    """Return the script, then the folder's other Python files, up to a thousand."""
    paths = _started_files(call, folder)
    for parent, folders, files in os.walk(os.path.normpath(folder)):
        folders.sort()
        paths += [os.path.join(parent, name) for name in sorted(files) if name.endswith(".py")]
    return [path for path in dict.fromkeys(paths) if os.path.isfile(path)][:1_000]


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(1_000_000)
