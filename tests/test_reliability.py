"""Each promise of docs/reliability.md names the tests that hold it, and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from cloudtune.provider import registry

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
KIT = "cloudtune/testing/"
"""Where the tests are that every provider passes."""
NAMED = re.compile(rf"`((?:tests/|{KIT})[\w/]+\.py)::(\w+)`")


def promises(text: str) -> list[str]:
    """Return the items of a page's lists, each as one line."""
    found = re.findall(r"^- (.+(?:\n  .+)*)", text, re.MULTILINE)
    return [re.sub(r"\s+", " ", item) for item in found]


def lacking(promise: str) -> list[str]:
    """Return what is wrong with the tests that a promise names."""
    named = NAMED.findall(promise)
    if not named:
        return ["no test holds it"]
    return [f"{path} has no {name}" for path, name in named if name not in names_in(ROOT / path)]


def names_in(path: Path) -> set[str]:
    """Return the names of the tests of a file, functions and methods."""
    if not path.is_file():
        return set()
    body: list[ast.stmt] = ast.parse(path.read_text("utf-8")).body
    body += [each for node in body if isinstance(node, ast.ClassDef) for each in node.body]
    names = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    return {name for name in names if name.startswith("test_")}


def test_each_provider_with_an_emulator_passes_the_kit() -> None:
    for provider in map(registry.get, registry.names()):
        if provider.emulator is not None:
            name = provider.capabilities.provider
            kit = (ROOT / "tests" / f"cloudtune_{name}" / "test_on_emulator.py").read_text("utf-8")
            assert re.search(r"\(.*(EmulatedRunContract|EmulatedCommands)\):", kit), name


@pytest.mark.parametrize("promise", promises(PAGE.read_text("utf-8")))
def test_each_promise_is_under_a_test(promise: str) -> None:
    assert lacking(promise) == []


def test_a_promise_without_its_test_is_noticed() -> None:
    assert promises("text\n- one\n  two\n- three\n") == ["one two", "three"]
    assert lacking("It works.") == ["no test holds it"]
    assert lacking("It works. `tests/test_reliability.py::test_none`") != []
    assert lacking("It works. `tests/none.py::test_none`") != []
    assert lacking("It works. `cloudtune/testing/emulated_run_contract.py::_wait_until`") != []
    assert len(promises(PAGE.read_text("utf-8"))) > 25
