"""Optuna itself holds what was exported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import RDBStorage

from cloudtune.errors import UsageError
from cloudtune.formats.optuna import run_export as to_optuna
from cloudtune.results.model import StudyResult, Trial
from cloudtune.study.study import Study


@pytest.fixture
def storage_of() -> Iterator[Callable[[Path], RDBStorage]]:
    """Return Optuna's own storage in a file, which is closed after the test."""
    opened: list[RDBStorage] = []

    def opens(file: Path) -> RDBStorage:
        opened.append(RDBStorage(f"sqlite:///{file}"))
        return opened[-1]

    yield opens
    for storage in opened:
        storage.engine.dispose()


@pytest.fixture
def held(
    result: StudyResult, tmp_path: Path, storage_of: Callable[[Path], RDBStorage]
) -> optuna.Study:
    name = to_optuna.export(result, result.trials, str(tmp_path / "o.db"))
    return optuna.load_study(study_name=name, storage=storage_of(tmp_path / "o.db"))


def test_trials_keep_their_states_values_and_curves(held: Any) -> None:
    assert held.study_name == "demo k7f2 local"
    assert held.direction.name == "MAXIMIZE"
    assert held.metric_names == ["score"]
    assert [trial.state.name for trial in held.trials] == [
        *("COMPLETE", "FAIL", "PRUNED", "FAIL", "RUNNING", "WAITING", "FAIL")
    ]
    first, second = held.trials[:2]
    assert held.best_trial.number == first.number
    assert first.value == 0.75
    assert first.intermediate_values == {1: 0.25, 2: 0.75}
    assert (first.datetime_complete - first.datetime_start).total_seconds() == 2
    assert first.user_attrs["cost"] == "0.5 USD (estimated)"
    assert first.user_attrs["metric loss: a/b (c)"] == 1.0
    assert second.user_attrs["reason"] == "it broke"
    assert held.user_attrs["cloudtune run"] == "k7f2"


def test_values_are_exact_and_definitions_of_one_name_apart(held: Any, result: StudyResult) -> None:
    first, second = held.trials[:2]
    exact = {name: value for name, value in result.trials[0].parameters.items() if name != "kind"}
    assert {name: value for name, value in first.params.items() if name != "kind"} == exact
    assert second.params["extra#2"] == "b"
    assert "extra" not in second.params
    assert [first.params["kind"], second.params["kind"]] == ["True", "true"]  # 1 is among them
    assert first.distributions["x"] == FloatDistribution(0.001, 1, log=True)
    assert first.distributions["depth"] == IntDistribution(2, 8, step=3)
    assert first.distributions["grid"] == FloatDistribution(0, 0.75, step=0.25)
    assert first.distributions["batch"] == CategoricalDistribution([16, 32])


def test_a_value_out_of_its_range_is_exported(
    result: StudyResult, tmp_path: Path, storage_of: Callable[[Path], RDBStorage]
) -> None:
    """Optuna warns of such a value when it is enqueued, and tries it."""
    trial = result.trials[0]
    trial = replace(trial, parameters={**trial.parameters, "x": 99.0, "depth": 1})
    name = to_optuna.export(result, (trial,), str(tmp_path / "o.db"))
    study = optuna.load_study(study_name=name, storage=storage_of(tmp_path / "o.db"))
    assert study.trials[0].params["x"] == 99
    assert study.trials[0].params["depth"] == 1
    assert study.trials[0].distributions["x"] == FloatDistribution(0.001, 99, log=True)


def test_a_second_export_is_refused(held: Any, result: StudyResult, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="already has the study 'demo k7f2 local'"):
        to_optuna.export(result, (), f"sqlite:///{tmp_path / 'o.db'}")


def test_a_job_that_goes_on_is_exported_again(
    result: StudyResult, tmp_path: Path, storage_of: Callable[[Path], RDBStorage]
) -> None:
    file = tmp_path / "o.db"
    running = replace(result, state="running", ended=None)
    for job, count in ((running, 1), (running, 2), (result, 7), (replace(result, ended=2e3), 3)):
        name = to_optuna.export(job, result.trials[:count], str(file))
        study = optuna.load_study(study_name=name, storage=storage_of(file))
        assert len(study.trials) == count


@pytest.mark.parametrize("to", ["nosuch://x", "sqlite:////no/such/folder/o.db"])
def test_a_storage_that_cannot_be_opened_is_an_error(result: StudyResult, to: str) -> None:
    with pytest.raises(UsageError, match="Optuna cannot open"):
        to_optuna.export(result, (), to)


def test_trials_are_stored_as_optuna_stores_them(
    held: Any, tmp_path: Path, storage_of: Callable[[Path], RDBStorage]
) -> None:
    again = optuna.create_study(storage=storage_of(tmp_path / "other.db"), direction="maximize")
    again.add_trials(held.trials)
    for ours, own in zip(held.trials, again.trials, strict=True):
        assert ours == own


def test_several_objectives_and_more_trials_than_are_written_at_once(
    result: StudyResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    storage_of: Callable[[Path], RDBStorage],
) -> None:
    monkeypatch.setattr(to_optuna, "_BATCH", 2)
    goals = [{"metric": "score", "goal": "maximize"}, {"metric": "cost", "goal": "minimize"}]
    study = Study.model_validate({**result.study.to_json(), "objective": goals})
    values = result.trials[0].parameters
    trials = [
        Trial(f"k7-{n}", n, "completed", values, objective=(n / 2, float("inf") if n == 3 else 1.0))
        for n in range(1, 6)
    ]
    name = to_optuna.export(replace(result, study=study), trials, str(tmp_path / "m.db"))
    held = optuna.load_study(study_name=name, storage=storage_of(tmp_path / "m.db"))
    assert [direction.name for direction in held.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trial.number for trial in held.trials] == [0, 1, 2, 3, 4]
    assert [trial.values for trial in held.trials] == [list(t.objective or ()) for t in trials]
    assert [trial.number for trial in held.best_trials] == [4]
    held.optimize(lambda trial: (trial.suggest_float("x", 0.001, 1, log=True), 1.0), n_trials=1)
    assert held.trials[-1].number == 5


def test_an_interrupted_export_can_be_repeated(result: StudyResult, tmp_path: Path) -> None:
    def broken_off() -> Iterator[Trial]:
        yield result.trials[0]
        raise KeyboardInterrupt

    to = str(tmp_path / "again.db")
    with pytest.raises(KeyboardInterrupt):
        to_optuna.export(result, broken_off(), to)
    assert to_optuna.export(result, result.trials, to) == "demo k7f2 local"
