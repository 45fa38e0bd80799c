"""Finds what a script imports at its top, by reading its text; nothing is executed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cloudtune.study.regular_files import read_regular

Import = tuple[str, tuple[str, ...]]
"""A module and the names imported from it."""


@dataclass
class ImportScan:
    """The imports that can run before a script starts, with the same effect as in the script."""

    modules: list[Import] = field(default_factory=list[Import])
    """In the order of the script. The script's own modules are replaced by what they import."""
    quiet: bool = False
    """Whether the script filters warnings before an import."""


def scan_imports(name: str, folder: Path, *, module: bool = False) -> ImportScan:
    """Return what a script imports before it does anything else.

    The scan ends at the first statement that could affect later imports, such as one that sets an
    environment variable.

    Args:
        name: The script's file in the folder, or the module.
        folder: The folder that is searched first for modules.
        module: Whether it is a module, run with ``python -m``.

    Raises:
        OSError: If a file cannot be read.
        SyntaxError: If a file is not valid Python.
        ValueError: If a file is not text.
    """
    scan = ImportScan()
    scanner = _Scanner(folder, scan)
    if module:
        scanner.scan_module(name.split("."))
    else:
        scanner.scan_file(folder / name, ())
    return scan


class _Scanner:
    """Collects imports. Its methods return whether the scan may continue after what they read."""

    def __init__(self, folder: Path, scan: ImportScan) -> None:
        self._folder = folder
        self._result = scan
        self._seen: set[Path] = set()

    def scan_module(self, name: list[str]) -> None:
        """Scan a module that is run, if it is in the folder."""
        all(self.scan_file(file, package) for file, package in self._own_files(name, ("__main__",)))

    def scan_file(self, file: Path, package: Sequence[str]) -> bool:
        if file in self._seen:
            return True
        self._seen.add(file)
        return all(self._scan(node, package) for node in ast.parse(read_regular(file)).body)

    def _scan(self, node: ast.stmt, package: Sequence[str]) -> bool:
        if isinstance(node, ast.Import):
            return all(self._import(alias.name.split("."), (), package) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            if node.level > len(package):
                return False  # the import fails
            start = package[: len(package) + 1 - node.level] if node.level else ()
            name = [*start, *(node.module.split(".") if node.module else [])]
            return self._import(name, tuple(alias.name for alias in node.names), package)
        if isinstance(node, ast.Try):
            return all(self._scan(statement, package) for statement in node.body)
        if isinstance(node, ast.If):
            return ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
        if isinstance(node, ast.Expr) and ast.unparse(node).startswith("warnings."):
            self._result.quiet = True
            return True
        return _only_defines(node)

    def _import(self, name: list[str], members: tuple[str, ...], package: Sequence[str]) -> bool:
        """Record a module, or scan it if it is the script's own."""
        files = list(self._own_files(name, members))
        if files:
            return all(self.scan_file(file, inner) for file, inner in files)
        if package and name[0] == package[0]:
            return False  # a module of the source that does not exist
        self._result.modules.append((".".join(name), members))
        return True

    def _own_files(
        self, name: list[str], members: tuple[str, ...]
    ) -> Iterator[tuple[Path, Sequence[str]]]:
        """Yield the files in the script's folder that an import runs, each with its package."""
        for count in range(1, len(name) + 1):
            yield from self._own_file(name[:count])
        if (self._folder.joinpath(*name)).is_dir():
            for member in members:
                yield from self._own_file([*name, member])

    def _own_file(self, name: list[str]) -> Iterator[tuple[Path, Sequence[str]]]:
        path = self._folder.joinpath(*name)
        if (path / "__init__.py").is_file():
            yield path / "__init__.py", name
        elif path.with_name(path.name + ".py").is_file():
            yield path.with_name(path.name + ".py"), name[:-1]


def _only_defines(node: ast.stmt) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        only_names = all(isinstance(target, ast.Name) for target in targets)
        return only_names and not any(isinstance(part, ast.Call) for part in ast.walk(node))
    return False
