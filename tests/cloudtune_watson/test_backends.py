"""A back end is chosen in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import cloudtune_watson
from cloudtune_watson.backends import BACKENDS
from cloudtune_watson.settings import MODES

FOLDER = Path(cloudtune_watson.__file__).parent


def compared_texts(tree: ast.AST) -> Iterator[object]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                listed = side.elts if isinstance(side, ast.Set | ast.Tuple | ast.List) else [side]
                yield from (each.value for each in listed if isinstance(each, ast.Constant))


def test_no_code_asks_which_back_end_it_has() -> None:
    asking = [
        path.relative_to(FOLDER).as_posix()
        for path in FOLDER.rglob("*.py")
        if not BACKENDS.keys().isdisjoint(compared_texts(ast.parse(path.read_text("utf-8"))))
    ]
    assert asking == []


def test_each_back_end_has_a_mode_and_the_same_files() -> None:
    assert BACKENDS.keys() == MODES.keys()
    common = {
        "account",
        "backend",
        "client",
        "native_rules",
        "request",
        "rights",
        "rules",
        "uploads",
    }
    for name in BACKENDS:
        assert common <= {path.stem for path in (FOLDER / name).iterdir()}
