"""Each word of a tool stands in one file, and what writes a document reports nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from cloudtune.conversion.registry import all_formats
from cloudtune.dialect.model import Dialect
from cloudtune.study import schema
from cloudtune.study.strategies import STRATEGIES
from cloudtune_watson.request_fields import LIMITS
from cloudtune_watson.wmla.native.names import ETA, METRIC, METRICS
from tests.providers import TUNERS

ROOT = Path(__file__).parents[3]
FOLDERS = {
    **{path.name.replace("_", "-"): path for path in (ROOT / "cloudtune" / "formats").iterdir()},
    **{name: ROOT / "providers" / f"cloudtune_{name}" for name in TUNERS},
}
DIALECTS = {name: found for name, each in all_formats().items() if (found := each.dialect())}
STUDY = {
    *(*STRATEGIES, *(method for each in STRATEGIES.values() for method in each.methods)),
    *(*get_args(schema.Goal), *get_args(schema.MetricSelect), *get_args(schema.StoppingRule)),
    *get_args(schema.Scale),
}
"""The words of a study: a tool may have the same."""
OTHERS = {"ray": {"optuna"}}
"""Words that are also the name of something else."""


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def files(name: str) -> Iterator[Path]:
    """Yield the files of a dialect, without the emulator of its service."""
    for path in sorted(FOLDERS[name].rglob("*.py")):
        if "emulator" not in path.parts:
            yield path


def texts(path: Path) -> Iterator[str]:
    """Yield the texts in a file other than docstrings."""
    docs = {id(each.value) for each in ast.walk(parsed(path)) if isinstance(each, ast.Expr)}
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def words(dialect: Dialect) -> set[str]:
    found = dialect.words
    tables = (found.strategies, found.similar, found.goals, found.scales, found.rules)
    return {*found.selects, *found.instead.values(), *(word for each in tables for word in each)}


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_each_word_of_a_tool_stands_in_one_file(name: str) -> None:
    places: dict[str, set[str]] = {}
    for path in files(name):
        for text in texts(path):
            places.setdefault(text, set()).add(path.relative_to(FOLDERS[name]).as_posix())
    known = words(DIALECTS[name]) - STUDY - OTHERS.get(name, set())
    assert {word: where for word in known if len(where := places.get(word, ())) > 1} == {}


def test_a_field_of_a_search_stands_in_one_file_besides_the_emulator() -> None:
    folder = FOLDERS["watson"]
    for field in (*LIMITS.values(), METRIC, METRICS, ETA):
        found = sorted(path for path in folder.rglob("*.py") if field in " ".join(texts(path)))
        places = [path.relative_to(folder).as_posix() for path in found]
        assert [each.startswith("emulator/") for each in places] == [True, False], (field, places)


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_what_writes_a_document_reports_nothing(name: str) -> None:
    found: list[str] = []
    for path in files(name):
        if "dialect" not in path.stem and not path.stem.endswith(("study_part", "run_part")):
            continue
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef):
                returned = ast.unparse(node.returns) if node.returns else ""
                reports = any(
                    isinstance(each, ast.Call)
                    and ast.unparse(each.func).partition(".")[0] in {"Finding", "Note", "report"}
                    for each in ast.walk(node)
                )
                if reports and not any(each in returned for each in ("Finding", "Note")):
                    found.append(f"{path.name}: {node.name}")
    assert found == []
