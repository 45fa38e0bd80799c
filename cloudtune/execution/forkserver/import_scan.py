"""What a script imports at its top, found in its text: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Import = tuple[str, tuple[str, ...]]
"""A module, and the names that are taken from it."""


@dataclass
class ImportScan:
    """What may be imported before a script is started, as if it had done so itself."""

    modules: list[Import] = field(default_factory=list[Import])
    """In their order; not those of the script's own folder, but what these import in turn."""
    quiet: bool = False
    """Whether the script says beforehand which warnings it does not want to see."""


def scan_imports(name: str, folder: Path, *, module: bool = False) -> ImportScan:
    """Return what a script imports before it does anything else.

    It ends at the first statement that could make a difference to what is imported after it, such
    as one that sets an environment variable.

    Args:
        name: The script's file in the folder, or the module.
        folder: Where its own modules are looked for first.
        module: Whether it is a module, run as ``python -m``.

    Raises:
        OSError: If it cannot be read.
        SyntaxError: If it is no Python.
        ValueError: If it is no text.
    """
    found = ImportScan()
    reader = _Reader(folder, found)
    if module:
        reader.run_module(name.split("."))
    else:
        reader.read(folder / name, ())
    return found


class _Reader:
    def __init__(self, folder: Path, found: ImportScan) -> None:
        self._folder = folder
        self._found = found
        self._seen: set[Path] = set()

    def run_module(self, name: list[str]) -> None:
        """Take in the imports of a module that is run, as far as it is the script's own."""
        all(self.read(file, package) for file, package in self._own(name, ("__main__",)))

    def read(self, file: Path, package: Sequence[str]) -> bool:
        """Take in the imports of a file; return whether one may go on after it."""
        if file in self._seen:
            return True
        self._seen.add(file)
        return self._take(ast.parse(file.read_bytes()).body, package)

    def _take(self, statements: Sequence[ast.stmt], package: Sequence[str]) -> bool:
        return all(self._take_one(statement, package) for statement in statements)

    def _take_one(self, node: ast.stmt, package: Sequence[str]) -> bool:
        if isinstance(node, ast.Import):
            return all(self._import(alias.name.split("."), (), package) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            if node.level > len(package):
                return False  # it fails
            start = package[: len(package) + 1 - node.level] if node.level else ()
            name = [*start, *(node.module.split(".") if node.module else [])]
            return self._import(name, tuple(alias.name for alias in node.names), package)
        if isinstance(node, ast.Try):
            return self._take(node.body, package)
        if isinstance(node, ast.If):
            return ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
        if isinstance(node, ast.Expr) and ast.unparse(node).startswith("warnings."):
            self._found.quiet = True
            return True
        return _changes_nothing(node)

    def _import(self, name: list[str], members: tuple[str, ...], package: Sequence[str]) -> bool:
        """Note a module, or go on in it where it is the script's own."""
        files = list(self._own(name, members))
        if files:
            return all(self.read(file, within) for file, within in files)
        if package and name[0] == package[0]:
            return False  # a module of the source that is nowhere to be found
        self._found.modules.append((".".join(name), members))
        return True

    def _own(
        self, name: list[str], members: tuple[str, ...]
    ) -> Iterator[tuple[Path, Sequence[str]]]:
        """Yield the files in the script's folder that an import runs, each with its package."""
        for count in range(1, len(name) + 1):
            yield from self._file(name[:count])
        if (self._folder.joinpath(*name)).is_dir():
            for member in members:
                yield from self._file([*name, member])

    def _file(self, name: list[str]) -> Iterator[tuple[Path, Sequence[str]]]:
        place = self._folder.joinpath(*name)
        if (place / "__init__.py").is_file():
            yield place / "__init__.py", name
        elif place.with_name(place.name + ".py").is_file():
            yield place.with_name(place.name + ".py"), name[:-1]


def _changes_nothing(node: ast.stmt) -> bool:
    """Tell whether a statement only gives names to functions, classes and plain values."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        named = all(isinstance(target, ast.Name) for target in targets)
        return named and not any(isinstance(part, ast.Call) for part in ast.walk(node))
    return False
