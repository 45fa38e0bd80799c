"""Each leaf of the study's schema changes the document of each dialect, or there is a finding."""

from __future__ import annotations

import importlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cloudtune.bundle.files import list_files
from cloudtune.bundle.launcher import launch_data
from cloudtune.conversion import exporter
from cloudtune.conversion.registry import all_formats
from cloudtune.errors import ConversionError
from cloudtune.study.schema import IntParameter
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study
from tests.cloudtune.dialect.bases import FLOAT, bases
from tests.cloudtune.dialect.bases import study as plain
from tests.cloudtune.dialect.schema_leaves import Leaf, candidates, changed, schema_leaves, valid
from tests.providers import TUNERS

MOST = 2
"""Cases of a leaf in one study: its other places and values show no more."""
FORMATS = [name for name, each in all_formats().items() if each.dialect()]


@cache
def cases() -> list[tuple[str, str, Study, Study]]:
    """Return each leaf with its path, a study, and the same study with another value there."""
    found: list[tuple[str, str, Study, Study]] = []
    studies = [Study.model_validate(data) for _, data in bases()]
    for leaf in schema_leaves():
        before = len(found)
        for base in studies:
            found += itertools.islice(_cases_in(base, leaf), MOST)
        assert found[before:], f"no study has another value of {leaf}: add a study to bases.py"
    without, with_text = (
        Study.model_validate(plain({"x": FLOAT}) | {"trial": {"script": "train.py", "env": env}})
        for env in ({}, {"MODE": "b"})
    )
    found.append(("trial.env.*.from_env", "trial.env.MODE", without, with_text))
    return found


def _cases_in(base: Study, leaf: Leaf) -> Iterator[tuple[str, str, Study, Study]]:
    whole = base.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    same = meaning(base)
    seen: set[str] = set()
    for value in candidates(leaf):
        for place, other in changed(whole, leaf, value):
            key = f"{place} {value}"
            study = None if key in seen else valid(other)
            if study is not None and meaning(study) != same:
                seen.add(key)
                yield str(leaf), ".".join(map(str, place)), base, study


def meaning(study: Study) -> Study:
    """Return a study without what means the same as nothing, by the descriptions of the fields."""
    parameters = {
        name: [
            each.model_copy(update={"step": None})
            if isinstance(each, IntParameter) and each.step == 1
            else each
            for each in variants
        ]
        for name, variants in study.parameters.items()
    }
    strategy, update = study.strategy, dict[str, Any]()
    if strategy.name != "bayesian" and strategy.method in STRATEGIES[strategy.name].methods[:1]:
        update["method"] = None
    for key, default in (("min", 1), ("eta", 3)):
        if getattr(strategy, key) == default:
            update[key] = None
    stopping = study.early_stopping
    if stopping and (stopping.rule, stopping.min_trials) == ("median", 5):
        stopping = stopping.model_copy(update={"min_trials": None})
    select = {name: each for name, each in study.trial.select.items() if each != "last"}
    return study.model_copy(
        update={
            "parameters": parameters,
            "strategy": strategy.model_copy(update=update),
            "early_stopping": stopping,
            "trial": study.trial.model_copy(update={"select": select}),
        }
    )


def test_each_leaf_has_another_value() -> None:
    assert {leaf for leaf, *_ in cases()} == {str(leaf) for leaf in schema_leaves()}


Written = tuple[Any, list[str]]


def exported(study: Study, name: str) -> Written:
    """Return the document, and the paths of its findings; no document if it is refused."""
    try:
        found = exporter.write(study, name)
    except ConversionError as error:
        return None, [each.path for each in error.findings]
    return found.document, [each.path for each in found.findings]


def planned(study: Study, provider: str) -> Written:
    """Return the request of a run with what the launcher gets, and the paths of the findings."""
    support = importlib.import_module(f"tests.cloudtune_{provider}.support")
    settings = support.SETTINGS["wmla"] if provider == "watson" else support.SETTINGS
    study = study.model_copy(update={"providers": {provider: settings}})
    plan = support.plan_of(study, Path.cwd(), "managed")
    call = launch_data(plan.fitted, "run", {}, "source", None)
    return None if plan.refused else [plan.request, call], [each.path for each in plan.found]


def lost(name: str, write: Callable[[Study, str], Written], step: int = 1) -> Iterator[str]:
    """Yield the leaves that are lost, of the first and of each n-th case of a leaf."""
    before: dict[int, Written] = {}
    number = Counter[str]()
    for leaf, path, base, study in cases():
        number[leaf] += 1
        if (number[leaf] - 1) % step:
            continue
        if id(base) not in before:
            before[id(base)] = write(base, name)
        document, findings = write(study, name)
        if document is None or document != before[id(base)][0]:
            continue
        if not any(related(path, each) for each in [*findings, *before[id(base)][1]]):
            yield f"{leaf}: {study.to_json()}"


def related(path: str, finding: str) -> bool:
    """Return whether a finding is about a field, or about what it is in."""
    one, other = (
        [part for part in each.split(".") if not part.isdigit()] for each in (path, finding)
    )
    length = min(len(one), len(other))
    return one[:length] == other[:length]


@pytest.mark.parametrize("name", FORMATS)
def test_a_leaf_changes_the_document_or_has_a_finding(name: str) -> None:
    assert "\n".join(lost(name, exported)) == ""


HERE = {
    "description": "a label, for the report",
    **dict.fromkeys(
        ["confirm.metric", "confirm.goal", "confirm.train_metric"], "for the confirming run"
    ),
    "notify.command": "this machine runs it",
    "notify.on": "this machine decides it",
    "trial.select.*": "the results have all measurements, and choose one",
    "trial.resources.#.when.*": "each resource is a finding by its own name",
}
"""The leaves that a request of a service does not need, with the reason."""


@pytest.mark.parametrize("provider", TUNERS)
def test_a_leaf_changes_the_request_or_has_a_finding(
    provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATSONX_APIKEY", "key")
    work = tmp_path / "work"
    for folder in (work / "a", work / "b", tmp_path / "src"):
        folder.mkdir(parents=True)
    (work / "train.py").touch()
    monkeypatch.chdir(work)
    monkeypatch.setattr("tests.plan_factory.list_files", cache(list_files))  # git is slower
    found = lost(provider, planned, step=5)
    assert "\n".join(each for each in found if each.partition(": ")[0] not in HERE) == ""
