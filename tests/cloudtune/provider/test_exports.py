"""The names that packages export: the public ones, and those that a provider imports."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

FACES = [
    *("cloudtune", "cloudtune.emulator_kit"),
    *("cloudtune.provider", "cloudtune.formats", "cloudtune.results"),
]


@pytest.mark.parametrize("face", FACES)
def test_each_export_is_importable_and_known_to_type_checkers(face: str) -> None:
    module = import_module(face)
    tree = ast.parse(Path(str(module.__file__)).with_suffix(".pyi").read_text("utf-8"))
    assert all(isinstance(node, ast.ImportFrom | ast.AnnAssign) for node in tree.body)
    exported = [
        (str(node.module), alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert len(exported) > 10
    for home, name in exported:
        assert getattr(module, name) is getattr(import_module(home), name)
        assert name in dir(module)


@pytest.mark.parametrize("face", FACES)
def test_an_unknown_name_is_an_attribute_error(face: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{face}' has no attribute 'nothing'"):
        import_module(face).nothing  # noqa: B018
