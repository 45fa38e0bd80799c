"""MLflow itself, in an environment of its own, holds what was exported.

It needs the Python that is named in ``CLOUDTUNE_MLFLOW_PYTHON``, or one that is made once below
pytest's cache, which needs a package index.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cloudtune
from cloudtune.errors import MissingExtraError
from cloudtune.formats import mlflow
from cloudtune.formats.run_reader import RunChoice
from cloudtune.formats.tool_runs.mlflow import MlflowReader
from cloudtune.results.model import StudyResult, encode_json

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def held(
    result: StudyResult, python_with: Callable[[str, str], str], folder: Path
) -> dict[str, Any]:
    (folder / "result.json").write_text(result.to_json(), "utf-8")
    python = python_with("mlflow", "CLOUDTUNE_MLFLOW_PYTHON")
    done = subprocess.run(
        [python, Path(__file__).with_name("mlflow_side.py"), "result.json", str(folder / "runs")],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(cloudtune.__file__).parents[1]),
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "DO_NOT_TRACK": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def runs_of(held: dict[str, Any]) -> dict[str, Any]:
    return {run["name"]: run for run in held["runs"]}


def test_each_trial_is_a_run_below_the_jobs(held: dict[str, Any]) -> None:
    runs = runs_of(held)
    assert set(runs) == {"k7f2 on local", *(f"trial {n}" for n in range(1, 8))}
    parent = runs["k7f2 on local"]
    assert parent["id"] == held["parent"]
    assert parent["status"] == "FINISHED"
    assert parent["tags"]["mlflow.note.content"] == "Which is best?"
    assert parent["params"]["goal.score"] == "maximize"
    assert parent["params"]["limits.max_trials"] == "9"
    # the export before the confirmation, with trial 1 as the best, was replaced
    assert parent["metrics"] == {"best.score": 0.25}
    assert parent["tags"]["cloudtune.best_trial"] == "3"
    assert parent["tags"]["cloudtune.decision"] == "a confirmation decides"
    for name, run in runs.items():
        if run is not parent:
            assert run["tags"]["mlflow.parentRunId"] == held["parent"], name
            assert run["tags"]["cloudtune.run"] == "k7f2"


def test_states_are_exported(held: dict[str, Any]) -> None:
    runs = runs_of(held)
    assert [runs[f"trial {n}"]["status"] for n in range(1, 8)] == [
        *("FINISHED", "FAILED", "KILLED", "KILLED", "RUNNING", "SCHEDULED", "FINISHED")
    ]
    assert runs["trial 2"]["tags"]["cloudtune.reason"] == "it broke"
    assert runs["trial 3"]["tags"]["cloudtune.state"] == "stopped_early"


def test_values_metrics_and_times_are_kept(held: dict[str, Any]) -> None:
    first = runs_of(held)["trial 1"]
    assert first["params"] == {
        "epochs": "3",
        "x": "0.01",
        "depth": "5",
        "grid": "0.5",
        "kind": "True",
        "batch": "16",
        "extra": "4",
    }
    assert first["history"] == {
        "score": [[1, 0.25, 1000500], [2, 0.75, 1001000]],
        "loss_ a/b _c_": [[1, 2.0, 1000500], [2, 1.0, 1001000]],
    }
    assert first["times"] == [1000000, 1002000]
    assert first["tags"]["cloudtune.cost"] == "0.5 USD"


def test_a_second_export_is_refused_and_deletes_nothing(held: dict[str, Any]) -> None:
    assert held["again"] == "run k7f2 on local is already in MLflow"
    assert len(held["runs"]) == 8


def test_an_exported_run_is_equal_when_it_is_attached(
    held: dict[str, Any], folder: Path, result: StudyResult
) -> None:
    run = MlflowReader().read(str(folder / "runs"), RunChoice(name=held["parent"]))
    trials = sorted(run.trials, key=lambda trial: trial.number)
    assert run.study == result.study
    assert (run.state, run.started, run.ended) == ("completed", 999.5, 1002.0)
    assert [*map(encode_json, trials)] == [*map(encode_json, result.trials)]


def test_without_mlflow_the_extra_is_named(
    result: StudyResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"cloudtune\[mlflow\]"):
        mlflow.export(result, ())
