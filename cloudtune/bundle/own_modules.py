"""The files of a source folder that a script imports, by reading their text."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath

from cloudtune.launcher.python_code import parse
from cloudtune.study.regular_files import read_regular
from cloudtune.study.schema import TrialSpec

MAX_FILES = 1000
"""Files that are read."""


def script_files(trial: TrialSpec, source: Path) -> dict[str, str]:
    """Return the texts of the files of a source folder that run with a trial's script, by name."""
    entries = entry_files(trial.script, trial.module, trial.command or ())
    return reached_files(entries, partial(read_source, source))


def read_source(source: Path, name: str) -> str | None:
    """Return the text of a file in a source folder; None if there is no such file with text."""
    with suppress(OSError, ValueError):
        return read_regular(source / name).decode()
    return None


def reached_files(entries: Iterable[str], read: Callable[[str], str | None]) -> dict[str, str]:
    """Return the texts of the files that run with a script, by name, the script first.

    Args:
        entries: The names of files that may start it, relative to the source folder.
        read: Returns the text of a file; None if there is no such file.
    """
    reached: dict[str, str] = {}
    pending = [str(PurePosixPath(entry)) for entry in entries]
    while pending and len(reached) < MAX_FILES:
        name = pending.pop(0)
        text = None if name in reached else read(name)
        if text is None:
            continue
        reached[name] = text
        folders = {f"{each}/" if str(each) != "." else "" for each in PurePosixPath(name).parents}
        for module, _ in file_imports(text, members=True):
            path = module.replace(".", "/")
            pending += [
                f"{folder}{path}{end}" for folder in folders for end in (".py", "/__init__.py")
            ]
    return reached


def entry_files(script: str | None, module: str | None, command: Iterable[str] = ()) -> list[str]:
    """Return the names of the files that a study's script, module or command may start."""
    path = (module or "").replace(".", "/")
    modules = [f"{path}.py", f"{path}/__main__.py", f"{path}/__init__.py"] if path else []
    words = [word for word in command if word.endswith(".py")]
    return [*([script] if script else []), *modules, *words]


def file_imports(text: str, *, members: bool = False) -> Iterator[tuple[str, int]]:
    """Yield the modules that a file imports, each with its line.

    Imports that it can do without are omitted: in ``try`` and for type checkers. With ``members``,
    all of them are returned, also relative ones, and each name that is imported from a module.
    """
    tree = parse(text)
    optional: set[int] = set() if members else {id(node) for node in _optional(tree)}
    for node in ast.walk(tree):
        if id(node) in optional:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (members or not node.level):
            yield node.module or "", node.lineno
            if members:
                start = f"{node.module}." if node.module else ""
                yield from ((f"{start}{alias.name}", node.lineno) for alias in node.names)


def _optional(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        is_guard = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if isinstance(node, ast.Try) or is_guard:
            yield from ast.walk(node)
