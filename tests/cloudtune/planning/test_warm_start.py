"""Which trials of earlier runs count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloudtune.cli.main_group import cloudtune
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning import planner
from cloudtune.planning.warm_start import read_parents
from cloudtune.results.events import Ended, Event, Measured, Started, TrialState
from cloudtune.runs.lifecycle import create
from cloudtune.study.study import Study

STUDY: dict[str, Any] = {
    "objective": {"metric": "score", "goal": "maximize"},
    "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
    "limits": {"max_trials": 9},
    "trial": {"script": "train.py"},
}


@pytest.fixture(autouse=True)
def _script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Path("train.py").touch()


def record(strategy: object, *events: Event) -> str:
    """Write a run with these events, and return its id."""
    plan = planner.plan(Study.model_validate(STUDY | {"strategy": strategy}), "local")
    run = create([plan]).id
    with Ledger() as ledger:
        ledger.append(run, "local", *events)
    return run


def start(number: int, score: float, state: TrialState, resource: int | None = None) -> list[Event]:
    """Return the events of one start of a trial, whose x is its score on the whole data."""
    return [
        Started(number, 1.0, {"x": score}, resource=resource),
        Measured(number, 2.0, resource or 1, {"score": score}),
        Ended(number, 3.0, state),
    ]


@pytest.mark.parametrize("kind", ["same", "transfer"])
def test_scores_of_a_part_of_the_data_do_not_count(kind: str) -> None:
    run = record(
        {"name": "hyperband", "resource": "rows", "min": 10, "max": 90},
        *start(1, 0.99, "stopped_early", 10),
        *start(2, 0.5, "pending", 30),
        Started(2, 4.0, {"x": 0.5}, resource=90),
        Measured(2, 5.0, 90, {"score": 0.6}),
        Ended(2, 6.0, "completed"),
        *start(3, 0.98, "stopped_early", 30),
    )
    study = Study.model_validate(STUDY | {"warm_start": {"from": run, "kind": kind}})
    assert [each.objective for each in read_parents(study, "local", Path())[0]] == [(0.6,)]


def test_all_finished_trials_of_a_run_without_a_resource_count() -> None:
    run = record("random", *start(1, 0.5, "completed"), *start(2, 0.4, "stopped_early"))
    study = Study.model_validate(STUDY | {"warm_start": {"from": run}})
    assert [each.objective for each in read_parents(study, "local", Path())[0]] == [(0.5,), (0.4,)]


@pytest.mark.parametrize("source", ["nope", "[nope]"])
@pytest.mark.parametrize("has_runs", [False, True])
def test_an_unknown_run_is_a_mistake_with_file_line_and_field(
    source: str, has_runs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    if has_runs:
        Ledger(create=True).close()
    Path("train.py").touch()
    Path("study.yaml").write_text(
        "objective: {metric: loss, goal: minimize}\n"
        "parameters: {x: {type: float, min: 0, max: 1}}\n"
        "limits: {max_trials: 2}\n"
        "trial: {script: train.py}\n"
        f"warm_start: {{from: {source}}}\n"
    )
    index = ".0" if source.startswith("[") else ""
    for command in ("check", "plan", "run"):
        result = CliRunner().invoke(cloudtune, [command, "study.yaml"])
        text = result.output + str(result.exception or "")
        assert result.exit_code == 1
        assert f"study.yaml:5: warm_start.from{index}: " in text
