"""What a user does with runs of other tools: attach, report, and start from what they found."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtune.attachments.finished_runs import record_finished
from cloudtune.formats import run_readers
from cloudtune.formats.run_reader import RunChoice
from cloudtune.ledger.ledger import Ledger
from cloudtune.runs.status import read_status
from tests.cloudtune.conftest import Cloudtune
from tests.cloudtune.formats.tool_runs.conftest import MakeStudy, Unpack, read

STUDY = """
objective: {metric: %s, goal: minimize}
parameters:
  kernel: {type: categorical, values: [linear, rbf, poly]}
  C: {type: float, min: 1e-3, max: 1e3, scale: log}
  gamma: {type: float, min: 1e-4, max: 1, scale: log, when: {kernel: [rbf, poly]}}
  degree: {type: int, min: 2, max: 5, when: {kernel: poly}}
limits: {max_trials: 2}
strategy: {name: bayesian, seed: 1}
%s
trial: {script: train.py, arguments: none}
"""
SCRIPT = """
from cloudtune.trial import params, report
p = params()
report(value=p["C"] * p.get("gamma", 1) + p.get("degree", 0))
"""


@pytest.mark.slow
def test_a_local_run_starts_from_an_optuna_study(
    typed: Cloudtune, make_study: MakeStudy, tmp_path: Path
) -> None:
    make_study("database")
    attached = typed("attach", "sqlite:///study.db", "--name", "svm", "--json")
    (result,) = json.loads(attached.stdout)
    assert (result["provider"], len(result["trials"])) == ("optuna", 21)
    assert "conditions inferred from the trials that have gamma, degree" in attached.stderr
    status = typed("status", result["run"]).stdout
    assert "failed: " in status
    assert "cloudtune logs" not in status, "Optuna has no logs"
    warm = f"warm_start: {{from: {result['run']}}}"
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "cold.yaml").write_text(STUDY % ("value", ""))
    (tmp_path / "warm.yaml").write_text(STUDY % ("value", warm))
    (tmp_path / "other.yaml").write_text(STUDY % ("loss", warm))
    assert "19 of 19 earlier trials fit this space" in typed("plan", "warm.yaml").stdout
    assert "no finished trial of" in typed("plan", "other.yaml").stdout
    found = {
        name: [
            trial["parameters"]
            for trial in json.loads(typed("run", f"{name}.yaml", "--json").stdout)[0]["trials"]
        ]
        for name in ("cold", "warm")
    }
    assert found["cold"] != found["warm"]
    for trial in found["warm"]:  # poly is the worst by far, which the study has found
        assert trial["kernel"] != "poly"
    runs = [row["run"] for row in json.loads(typed("status", "--json").stdout)]
    assert "minimize value" in typed("report", *runs).stdout


def test_a_name_of_a_tool_in_a_study_says_to_attach_it(typed: Cloudtune, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "study.yaml").write_text(STUDY % ("value", "warm_start: {from: 'optuna:study.db'}"))
    text = typed("plan", "study.yaml").stdout
    assert "`cloudtune attach optuna:study.db` makes it a run" in " ".join(text.split())


def test_a_report_compares_runs_of_several_tools(
    typed: Cloudtune, unpack: Unpack, tmp_path: Path
) -> None:
    ray, syne = unpack("ray"), unpack("syne-tune")
    mlruns = unpack("mlruns")
    typed("attach", str(ray), "--goal", "minimize")
    typed("attach", str(syne))
    typed("attach", f"mlflow:{mlruns}", "--name", "grid", "--metric", "loss", "--goal", "minimize")
    status = json.loads(typed("status", "--json").stdout)
    assert [row["on"] for row in status] == ["mlflow", "syne-tune", "ray"]
    report = typed("report", *(row["run"] for row in status)).stdout
    for tool in ("mlflow", "syne-tune", "ray"):
        assert tool in report
    assert "Bounds: width" not in typed("report", status[2]["run"]).stdout
    results = typed("results", status[2]["run"]).stdout
    assert "RuntimeError: out of depth" in results
    again = json.loads(typed("attach", str(syne), "--json").stdout)[0]["run"]
    assert again == status[1]["run"]


def test_a_failure_leaves_nothing_in_the_ledger(
    unpack: Unpack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "home"))
    run, trials = read("ray", unpack("ray"), goal="minimize")
    record_finished(run, "ray")

    def broken() -> object:
        yield trials[0]
        raise KeyboardInterrupt

    other = replace(run, address="ray:/elsewhere", trials=broken())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        record_finished(other, "ray")
    original = Ledger.append

    def fails(self: Ledger, *args: object) -> None:
        original(self, *args)  # type: ignore[arg-type]
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(Ledger, "append", fails)
    with pytest.raises(Exception, match="disk full"):
        record_finished(replace(run, address="ray:/elsewhere"), "ray")
    monkeypatch.undo()
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "home"))
    (status,) = read_status()
    assert status["on"] == "ray"
    assert [each.name for each in (tmp_path / "home" / "runs").iterdir()] in ([], [status["run"]])


@pytest.mark.parametrize("archive", ["ray", "syne-tune", "mlruns"])
def test_a_run_is_read_in_little_memory(archive: str, unpack: Unpack) -> None:
    """Trials come one at a time, and each iteration reads them anew."""
    choices = {
        "ray": RunChoice(goal="minimize"),
        "mlruns": RunChoice(name="grid", metric="loss", goal="minimize"),
    }
    tool = {"mlruns": "mlflow"}.get(archive, archive)
    run = run_readers.get(tool).read(str(unpack(archive)), choices.get(archive, RunChoice()))
    assert not isinstance(run.trials, list | tuple)
    assert [trial.id for trial in run.trials] == [trial.id for trial in run.trials]
