"""Which runs may go on without a plan that was shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from cloudtune import api
from cloudtune.errors import UsageError
from cloudtune.planning.planner import plan
from cloudtune.planning.serialization import read_plan_file, write_plan_file
from cloudtune.provider.plan import Plan
from cloudtune.runs import lifecycle
from cloudtune.runs.limits import set_limits
from cloudtune.runs.shown_plans import (
    UnshownRunError,
    find_shown_plan,
    require_shown_run,
    reserve_plan,
    seal_plan,
)
from cloudtune.study.study import Study

STUDY = {
    "objective": {"metric": "m", "goal": "minimize"},
    "parameters": {"x": {"type": "float", "min": 0, "max": 10}},
    "strategy": "random",
    "limits": {"max_trials": 2},
    "trial": {"script": "train.py"},
}


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("", "utf-8")


@pytest.mark.parametrize(
    ("provider", "settings", "emulated", "is_free"),
    [
        ("local", {}, False, True),
        ("local", {"prices": {"hour": "1 USD"}}, False, False),
        ("ray", {"address": "http://127.0.0.1:1"}, True, True),
        ("ray", {"address": "http://127.0.0.1:1"}, False, False),
        ("ray", {"address": "http://127.0.0.1:1", "prices": {"hour": "0 USD"}}, False, True),
    ],
)
def test_a_run_goes_on_if_it_costs_nothing_for_certain(
    provider: str, settings: dict[str, object], *, emulated: bool, is_free: bool
) -> None:
    study = Study.model_validate({**STUDY, "providers": {provider: settings}})
    run = lifecycle.create(api.plan(study, [provider], emulate=emulated)).id
    if is_free:
        assert require_shown_run(None) == run
    else:
        with pytest.raises(UnshownRunError, match=f"run {run} may cost money"):
            require_shown_run(run[:4])


PRICED = {"local": {"prices": {"hour": "1 USD"}}, "slurm": {"prices": {"hour": "1 USD"}}}


def _show(plans: list[Plan]) -> Path:
    path = reserve_plan("it")
    write_plan_file(plans, path)
    seal_plan(path)
    return path


def _write_study(name: str, data: Mapping[str, object]) -> None:
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in data.items()]
    Path(name).write_text("".join(lines), "utf-8")


def _run_saved(path: Path) -> str:
    return lifecycle.create(read_plan_file(path) or (), saved=True).id


def test_a_run_of_a_shown_plan_goes_on_also_with_other_limits() -> None:
    _write_study("study.yaml", {**STUDY, "providers": PRICED})
    path = _show(api.plan("study.yaml", ["slurm", "local"]))
    _write_study("other.yaml", STUDY)  # no code, so it may run
    run = _run_saved(path)
    assert require_shown_run(None) == run
    set_limits(run, ["limits.max_trials=3"])
    assert require_shown_run(None) == run


@pytest.mark.parametrize(
    "changes",
    [
        {"limits": {"max_trials": 2, "trial_timeout": "30d"}},
        {"strategy": "bayesian"},
        {"providers": {"local": {"prices": {"hour": "9 USD"}}}},
        {"trial": {"script": "train.py", "env": {"SIZE": "large"}}},
    ],
)
def test_a_run_with_the_id_of_a_shown_plan_is_not_the_same(changes: dict[str, object]) -> None:
    data = {**STUDY, "providers": PRICED}
    first, second = (
        plan(Study.model_validate(each), "local", run_id="k7f2-confirm", seed=1)
        for each in (data, data | changes)
    )
    _show([first])
    lifecycle.create([second])
    with pytest.raises(UnshownRunError, match="not started from a plan that was saved here"):
        require_shown_run(None)


def test_a_shown_plan_without_a_price_does_not_let_its_run_go_on() -> None:
    settings = {"ray": {"address": "http://127.0.0.1:1"}}
    path = _show(api.plan(Study.model_validate({**STUDY, "providers": settings}), ["ray"]))
    with pytest.raises(UsageError, match="the price of the plan 'it' is unknown"):
        find_shown_plan("it")
    run = _run_saved(path)
    with pytest.raises(UnshownRunError, match=f"run {run} may cost money, and has no price"):
        require_shown_run(None)
