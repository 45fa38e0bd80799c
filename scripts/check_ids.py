"""The ids of the doctor's checks, read from the source code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FILES = (
    "cloudtune/doctor/*.py",
    "cloudtune/provider/account.py",
    "providers/*/auth.py",
    "providers/*/account.py",
    "providers/*/*/account.py",
    "providers/*/account/*.py",
)
_HELPERS = re.compile(r"_warning|_error|_check|_optional|_Case|_ask|unknown|right_missing|^check$")
"""Functions whose first argument, or whose argument `id_`, is an id."""
_ID = re.compile(r"[a-z]+(?:-[a-z]+)*")


def check_ids() -> dict[str, set[str]]:
    """Return the providers that have each check which is not always ok; "" for all of them."""
    found: dict[str, set[str]] = {}
    for path in [path for pattern in _FILES for path in sorted(ROOT.glob(pattern))]:
        match = re.fullmatch(r"cloudtune_(\w+)", path.relative_to(ROOT).parts[1])
        for name in _ids(ast.parse(path.read_text("utf-8"))):
            found.setdefault(name, set()).add(match[1] if match else "")
    return found


def _ids(tree: ast.Module) -> Iterator[str]:
    known = dict[str, list[ast.expr]]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for name, value in _assigned(node.targets[0], node.value):
                known.setdefault(name, []).append(value)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        values = {each.arg: each.value for each in node.keywords}
        function = ast.unparse(node.func).rpartition(".")[2]
        if function.endswith("_ok") or ast.unparse(values.get("severity", node)) == "'ok'":
            continue
        if node.args and _HELPERS.search(ast.unparse(node.func)):
            values["id_"] = node.args[0]
        for value in (values[key] for key in ("id", "id_") if key in values):
            yield from _texts(value, known)


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for each, part in zip(target.elts, value.elts, strict=True):
            yield from _assigned(each, part)


def _texts(value: ast.expr, known: dict[str, list[ast.expr]]) -> Iterator[str]:
    match value:
        case ast.Constant(value=str(text)):
            yield from [text] if _ID.fullmatch(text) else []
        case ast.IfExp():
            yield from _texts(value.body, known)
            yield from _texts(value.orelse, known)
        case ast.Name():
            for each in known.get(value.id, ()):
                yield from _texts(each, {})
        case ast.JoinedStr(values=[_, ast.Constant(value=str(end))]):
            yield from [f"KIND{end}"] if _ID.fullmatch(f"kind{end}") else []
        case _:
            pass
