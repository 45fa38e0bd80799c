"""Studies that Optuna made itself, in a database and in a journal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from cloudtune.attachments.finished_runs import record_finished
from cloudtune.errors import UsageError
from cloudtune.formats.optuna import run_export
from cloudtune.formats.run_reader import RunChoice
from cloudtune.formats.tool_runs.optuna import OptunaReader
from cloudtune.results.model import Measurement, StudyResult, encode_json
from cloudtune.runs import lifecycle
from cloudtune.study.search_space import Space
from tests.cloudtune.formats.conftest import result as result  # noqa: PLC0414 - a fixture
from tests.cloudtune.formats.tool_runs.conftest import MakeStudy, load_study, read

STATES = {"COMPLETE": "completed", "PRUNED": "stopped_early", "FAIL": "failed"}
KINDS = pytest.mark.parametrize("kind", ["database", "journal"])


@KINDS
def test_trials_are_those_that_optuna_has(kind: str, make_study: MakeStudy) -> None:
    path = make_study(kind)
    run, trials = read("optuna", path, name="svm")
    expected = load_study(path, "svm").trials[:20]
    assert [trial.parameters for trial in trials[:20]] == [each.params for each in expected]
    assert [trial.state for trial in trials[:20]] == [STATES[each.state.name] for each in expected]
    for trial, each in zip(trials, expected, strict=False):
        curve = [m.metrics["value"] for m in trial.measurements]
        assert curve == list(each.intermediate_values.values())
        assert [m.step for m in trial.measurements] == list(each.intermediate_values)
        assert each.datetime_start is not None
        assert trial.started == pytest.approx(each.datetime_start.timestamp(), abs=1e-5)
        if each.state == TrialState.COMPLETE:
            assert curve[-1] == each.value
            assert trial.measurements[-1].metrics["acc"] == each.user_attrs["acc"]
    assert (trials[20].state, trials[20].word) == ("cancelled", "RUNNING")
    assert len(trials) == 21
    assert any("1 trial that never started" in str(each) for each in run.findings)


@KINDS
def test_the_space_is_that_of_the_distributions_with_conditions(
    kind: str, make_study: MakeStudy
) -> None:
    run, trials = read("optuna", make_study(kind), name="svm")
    space = Space.from_study(run.study)
    definitions = {node.name: node.parameter.model_dump(exclude_none=True) for node in space.nodes}
    assert definitions["C"] == {"type": "float", "min": 1e-3, "max": 1e3, "scale": "log"}
    assert definitions["kernel"]["values"] == ["linear", "rbf", "poly"]
    assert set(definitions["gamma"].pop("when")["kernel"]) == {"rbf", "poly"}
    assert definitions["degree"] == {
        "type": "int",
        "min": 2,
        "max": 5,
        "scale": "linear",
        "when": {"kernel": ["poly"]},
    }
    assert [each.goal for each in run.study.objectives] == ["minimize"]
    for trial in trials[:20]:
        active = {node.name for node in space.active_nodes(trial.parameters)}
        assert active == trial.parameters.keys()


@KINDS
def test_several_objectives(kind: str, make_study: MakeStudy) -> None:
    run, trials = read("optuna", make_study(kind), name="fronts")
    assert [(each.metric, each.goal) for each in run.study.objectives] == [
        ("values_0", "minimize"),
        ("values_1", "maximize"),
    ]
    first = trials[0].parameters
    metrics = {"values_0": first["x"], "values_1": first["n"]}
    assert trials[0].measurements[0].metrics == metrics


def test_the_user_names_the_study_and_the_metric(make_study: MakeStudy) -> None:
    path = make_study("database")
    with pytest.raises(UsageError, match="several runs: svm, fronts"):
        read("optuna", path)
    with pytest.raises(UsageError, match="no 'swm', did you mean svm"):
        read("optuna", path, name="swm")
    run, trials = read("optuna", path, name="svm", metric="loss")
    assert run.study.objectives[0].metric == "loss"
    assert trials[0].measurements[-1].metrics.keys() == {"loss", "acc"}
    run, _ = read("optuna", path, name="svm", metric="acc", goal="maximize")
    assert (run.study.objectives[0].metric, run.study.objectives[0].goal) == ("acc", "maximize")


def test_user_attributes_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    study = optuna.create_study(storage=f"sqlite:///{tmp_path / 'x.db'}")
    for number in range(7):
        trial = create_trial(value=1.0, user_attrs={"acc": 0.5, f"note {number}": "by hand"})
        study.add_trial(trial)
    run, trials = read("optuna", tmp_path / "x.db")
    assert trials[0].measurements[-1].metrics == {"value": 1.0, "acc": 0.5}
    (finding,) = [each for each in run.findings if "attributes" in str(each)]
    assert "'note 0'" in str(finding)
    assert "and 2 more" in str(finding)


@pytest.mark.parametrize("is_list", [False, True])
def test_trials_that_break_a_constraint_are_not_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_list: bool
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    study = optuna.create_study(storage=f"sqlite:///{tmp_path / 'x.db'}", direction="maximize")
    for value, excess in ((1.0, -0.5), (2.0, 0.0), (3.0, 0.5), (4.0, None)):
        attributes: dict[str, object] = {} if excess is None else {"constraints": [excess]}
        if excess is not None and not is_list:
            attributes = {"constraints:memory": excess, "constraints:a`b": excess}
        study.add_trial(create_trial(value=value, system_attrs=attributes))
    run, _ = read("optuna", tmp_path / "x.db")
    name = "constraint 0" if is_list else "constraint memory"
    assert run.study.constraints == [f"`{name}` <= 0"]
    found = [str(each) for each in run.findings if each.path == "constraints"]
    assert any(f"1 trial without a value of {name}" in each for each in found)
    assert any("'constraint a`b': a study has no such name" in each for each in found) != is_list
    (result,) = lifecycle.results(record_finished(run, "optuna"))
    assert result.best is not None
    assert (result.best.number, result.best.metrics[name]) == (2, 0.0)
    assert [bool(trial.broken) for trial in result.trials] == [False, False, True, True]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_names_of_metrics_are_those_that_the_study_has(tmp_path: Path) -> None:
    study = optuna.create_study(storage=f"sqlite:///{tmp_path / 'x.db'}", direction="maximize")
    study.set_metric_names(["acc"])
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    run, (trial,) = read("optuna", tmp_path / "x.db")
    assert (run.study.objectives[0].metric, run.study.objectives[0].goal) == ("acc", "maximize")
    assert trial.measurements[0].metrics == {"acc": trial.parameters["x"]}
    with pytest.raises(UsageError, match="no trial has the metric 'loss'"):
        read("optuna", tmp_path / "x.db", metric="loss")


def test_what_is_returned_after_other_reports_counts(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'x.db'}"
    study = optuna.create_study(storage=storage, study_name="x")

    def reports_another_value(trial: optuna.Trial) -> float:
        trial.report(0.5, 3)
        return trial.suggest_float("x", 0, 1)

    study.optimize(reports_another_value, n_trials=1)
    study.add_trial(create_trial(state=TrialState.FAIL))
    study.add_trial(
        create_trial(
            value=float("inf"), params={"x": 1.5}, distributions={"x": FloatDistribution(0, 2)}
        )
    )
    run, (first, second, third) = read("optuna", tmp_path / "x.db")
    assert [m.step for m in first.measurements] == [3, 4]
    assert first.measurements[-1].metrics["value"] == first.parameters["x"]
    assert (second.state, second.parameters, second.measurements) == ("failed", {}, ())
    assert third.measurements[0].metrics == {"value": float("inf")}
    assert "1 completed trial with an infinite objective" in str(run.findings[0])
    assert "the bounds differ between trials" in str(run.findings[1])
    assert run.study.to_json()["parameters"]["x"][0]["max"] == 2


def test_odd_choices_and_names(tmp_path: Path) -> None:
    choices = [1, 1.0, None, "1", True, "x"]
    study = optuna.create_study(storage=f"sqlite:///{tmp_path / 'x.db'}")
    distributions: dict[str, BaseDistribution] = {
        "x": CategoricalDistribution(choices),
        " odd": FloatDistribution(0, 1),
        "n": IntDistribution(1, 2**70),
    }
    for number in range(6):
        params = {"x": choices[number], " odd": 0.5, "n": 2**number}
        study.add_trial(create_trial(value=1.0, params=params, distributions=distributions))
    run, trials = read("optuna", tmp_path / "x.db")
    assert run.study.to_json()["parameters"]["x"][0]["values"] == [1, "null", "1", True, "x"]
    assert [trial.parameters["x"] for trial in trials] == [1, 1, "null", "1", True, "x"]
    assert "n" in run.study.parameters
    assert " odd" not in trials[0].parameters


def test_the_address_is_the_same_from_anywhere(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_study("database")
    monkeypatch.chdir(path.parent)
    places = [
        "study.db",
        "sqlite:///study.db",
        f"sqlite:///{path}",
        f"../{path.parent.name}/study.db",
    ]
    addresses = {read("optuna", place, name="svm")[0].address for place in places}
    assert addresses == {f"optuna:{path.resolve()}#svm"}


@KINDS
def test_reading_changes_nothing(kind: str, make_study: MakeStudy) -> None:
    path = make_study(kind)
    before = path.read_bytes()
    path.chmod(0o444)
    read("optuna", path, name="svm")
    assert path.read_bytes() == before
    assert not path.with_name(f"{path.name}.lock").exists()


def test_a_journal_whose_last_line_is_cut_off(make_study: MakeStudy) -> None:
    path = make_study("journal")
    data = path.read_bytes()
    path.write_bytes(data[:-30])
    _, trials = read("optuna", path, name="fronts")
    assert [trial.state for trial in trials] == ["completed", "completed", "cancelled"]
    middle = len(data) // 2
    path.write_bytes(data[:middle] + b"\0\0" + data[middle:])
    with pytest.raises(UsageError, match=r"line \d+ is no operation of Optuna's journal"):
        read("optuna", path, name="svm")


@pytest.mark.parametrize(
    "line",
    [
        {"op_code": 4},
        {"op_code": 4, "study_id": 0, "state": 77, "datetime_start": None},
        {"op_code": 5, "trial_id": 0, "param_name": "x", "distribution": "{"},
        {"op_code": 7, "trial_id": 0, "step": "x", "intermediate_value": []},
    ],
)
def test_a_journal_with_other_operations(line: dict[str, object], tmp_path: Path) -> None:
    start = [
        {"op_code": 0, "worker_id": "w", "study_name": "s", "directions": [1]},
        {"op_code": 4, "worker_id": "w", "study_id": 0, "datetime_start": None},
    ]
    path = tmp_path / "j.log"
    path.write_text("".join(json.dumps(each) + "\n" for each in [*start, line]))
    with pytest.raises(
        UsageError,
        match=r"line 3 is no operation of Optuna's journal|trial 0 has a value that is no number",
    ):
        read("optuna", path)


def test_a_database_of_another_program(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "x.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE studies (x)")
    db.close()
    before = path.read_bytes()
    assert not OptunaReader().matches(path)
    with pytest.raises(UsageError, match="Optuna cannot"):
        OptunaReader().read(str(path), RunChoice())
    assert path.read_bytes() == before


def test_an_exported_run_is_equal_when_it_is_attached(
    result: StudyResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloudtune import api

    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "home"))
    path = tmp_path / "exported.db"
    run_export.export(result, result.trials, str(path))
    run, trials = read("optuna", path)
    assert run.study == result.study
    assert [*map(encode_json, trials)] == [*map(encode_json, result.trials)]
    assert (run.state, run.started, run.ended) == ("completed", 999.5, 1002.0)
    attached = api.find_run(record_finished(run, "optuna")).results()["optuna"]
    # What the ledger derives: no prices are known, and a trial is created when it starts.
    for trial, expected in zip(attached.trials, result.trials, strict=True):
        same = replace(expected, cost=None, created=expected.started, metrics=trial.metrics)
        same = replace(same, seconds=trial.seconds, objective=trial.objective)
        assert trial.parameters == same.parameters
        assert replace(trial, measurements=()) == replace(same, measurements=())
        assert trial.measurements == expected.measurements
    assert attached.trials[0].metrics == result.trials[0].metrics
    assert attached.trials[0].objective == (0.75,)


def test_an_export_of_others_names_no_file_of_this_machine(
    result: StudyResult, tmp_path: Path
) -> None:
    logs = ["/etc/passwd", "/runs/k7/trials/1/log.txt", "https://example.com/log"]
    trials = [replace(t, log=log) for t, log in zip(result.trials, logs, strict=False)]
    run_export.export(result, trials, str(tmp_path / "o.db"))
    assert [trial.log for trial in read("optuna", tmp_path / "o.db")[1]] == [None, *logs[1:]]


def test_a_job_that_was_exported_while_it_ran_is_not_running(
    result: StudyResult, tmp_path: Path
) -> None:
    run_export.export(replace(result, state="running"), result.trials, str(tmp_path / "o.db"))
    run, _ = read("optuna", tmp_path / "o.db")
    assert (run.state, run.reason) == ("unknown", "it had not ended when it was exported")


def test_an_emulated_run_stays_emulated(result: StudyResult, tmp_path: Path) -> None:
    path = tmp_path / "exported.db"
    run_export.export(replace(result, emulated=True), result.trials, str(path))
    assert read("optuna", path)[0].emulated


def test_long_curves_of_an_export(result: StudyResult, tmp_path: Path) -> None:
    curve = tuple(Measurement(n, {"score": n / 7, "x": float("nan")}, n + 0.1) for n in range(1001))
    trial = replace(result.trials[0], measurements=curve)
    run_export.export(result, [trial], str(tmp_path / "o.db"))
    (read_back,) = read("optuna", tmp_path / "o.db")[1]
    assert repr(read_back.measurements) == repr(curve)
