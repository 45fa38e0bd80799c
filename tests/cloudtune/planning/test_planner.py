"""Plans of one run belong together, and a saved one is read with care."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudtune.errors import UsageError
from cloudtune.planning.planner import plan, plan_run
from cloudtune.planning.serialization import read_plan_file, restore_plan
from cloudtune.provider import registry
from cloudtune.provider.facts import Parent
from cloudtune.provider.stored_plan import parse_stored_plan
from cloudtune.study.loader import load
from cloudtune.study.study import Study
from cloudtune_local import LocalProvider

STUDY = {
    "objective": {"metric": "x", "goal": "maximize"},
    "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
    "limits": {"max_trials": 1},
    "trial": {"command": ["true"], "metrics": {"x": "x=(.*)"}},
}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def held() -> Any:
    """Return a plan as plain data."""
    return json.loads(json.dumps(plan(Study.model_validate(STUDY)).to_json()))


def test_the_plans_of_a_run_share_their_seed_and_id() -> None:
    with registry.temporary_provider("other", LocalProvider):
        plans = plan_run(Study.model_validate(STUDY), ["local", "other", "local"])
    assert [each.provider for each in plans] == ["local", "other"]
    assert len({each.facts.seed for each in plans}) == 1
    assert len({each.facts.run_id for each in plans}) == 1
    with pytest.raises(UsageError, match="at least one provider"):
        plan_run(Study(), [])


def test_a_plan_says_which_models_choose_where_cloudtune_does() -> None:
    def said(strategy: Any) -> list[str]:
        study = Study.model_validate(STUDY | {"strategy": strategy})
        return [note.text for note in plan(study).notes if note.path == "strategy"]

    assert "Gaussian process" in said("bayesian")[0]
    assert said({"name": "bayesian", "method": "tpe"}) == []
    assert said("random") == []


def test_a_plan_keeps_where_its_study_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "study.json").write_text(json.dumps(STUDY), "utf-8")
    created = plan(load("study.json")).to_json()
    monkeypatch.chdir("/")
    assert restore_plan(created).study.file == str(tmp_path / "study.json")


def test_values_keep_their_types_in_a_plan(held: Any) -> None:
    parameters: dict[str, Any] = {"a": True, "b": 1, "c": 1.0, "d": "1", "e": "true"}
    held["facts"]["parents"] = [{"parameters": parameters, "objective": [0.5]}]
    (parent,) = restore_plan(held).facts.parents
    assert parent == Parent(parameters, (0.5,))
    assert [type(v) for v in parent.parameters.values()] == [bool, int, float, str, str]


def without(*path: str) -> Callable[[Any], None]:
    def change(plan: Any) -> None:
        for step in path[:-1]:
            plan = plan[step]
        del plan[path[-1]]

    return change


def with_(value: Any, *path: str) -> Callable[[Any], None]:
    def change(plan: Any) -> None:
        for step in path[:-1]:
            plan = plan[step]
        plan[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without("format"), "not a plan"),
        (without("study"), "study: Field required"),
        (without("provider"), "provider: Field required"),
        (without("facts"), "facts: Field required"),
        (without("facts", "seed"), "facts.seed: Field required"),
        (without("facts", "lookup", "data", "python"), "without the fact 'python'"),
        (without("request", "python"), "would send something else"),
        (with_([], "study"), "study: Input should be"),
        (with_(3, "facts"), "facts: Input should be"),
        (with_("x", "facts", "seed"), "facts.seed: Input should be"),
        (with_([{}], "facts", "parents"), "facts.parents.0.parameters: Field required"),
        (with_("other", "mode"), "mode: Input should be"),
        (with_("../../x", "run"), "run: String should match"),
        (with_({"parameters": 3}, "study"), "invalid study in this plan"),
        (with_({"strategy": "psychic"}, "study"), "invalid study in this plan"),
        (with_({**STUDY, "limits": {"max_trials": 0}}, "study"), "invalid study in this plan"),
        (
            with_({"parameters": {"x": {"type": "float", "min": 1, "max": 0}}}, "study"),
            "invalid study in this plan",
        ),
        (with_("nowhere", "provider"), "no provider 'nowhere'"),
    ],
)
def test_a_damaged_plan_is_refused_in_words(
    held: Any, change: Callable[[Any], None], told: str
) -> None:
    assert restore_plan(held)
    change(held)
    with pytest.raises(UsageError) as caught:
        restore_plan(held)
    assert told in str(caught.value)


@pytest.mark.parametrize("data", [None, 3, "x", [], {}, {"format": "cloudtune.plan/v99"}])
def test_what_is_no_plan_is_refused(data: Any) -> None:
    with pytest.raises(UsageError, match="not a plan"):
        parse_stored_plan(data)


def test_a_file_of_plans(tmp_path: Path, held: Any) -> None:
    file = tmp_path / "plan.json"

    def write(data: Any) -> Path:
        file.write_text(json.dumps(data), "utf-8")
        return file

    for content in ([held], held):
        assert [each.to_json() for each in read_plan_file(write(content)) or ()] == [held]
    assert read_plan_file(write(STUDY)) is None
    assert read_plan_file(tmp_path / "none.json") is None
    file.write_text("[" * 100_000, "utf-8")
    assert read_plan_file(file) is None
    with pytest.raises(UsageError, match="contains no plan"):
        read_plan_file(write([]))
    with pytest.raises(UsageError, match="not a plan"):
        read_plan_file(write([held, STUDY]))
    with pytest.raises(UsageError, match="one per provider"):
        read_plan_file(write([held, held]))
    with pytest.raises(UsageError, match="of one run"):
        read_plan_file(write([held, {**held, "provider": "other", "run": "other"}]))
