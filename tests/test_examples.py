"""Examples in docstrings run as tests. Those of `cloudtune.trial` need a trial: see its tests."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
    for folder in (ROOT, ROOT / "providers")
    for path in folder.glob("cloudtune*/**/*.py")
    if ">>> " in path.read_text("utf-8") and path.name != "trial.py"
)


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert failed == 0
    assert tried > 0
