"""The best trial keeps the constraints on metrics, wherever it is shown."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest

from cloudtune import api
from cloudtune.cli import main
from cloudtune.errors import RunFailedError
from cloudtune.planning.warm_start import read_parents
from cloudtune.study.loader import load
from cloudtune.testing.provider_contract import stop_emulators

STUDY = """
objective: {metric: loss, goal: minimize}
parameters:
  size: {type: discrete, values: [1, 2, 4, 8]}
constraints: memory_gb <= 3
strategy: grid
trial: {script: train.py}
"""
SCRIPT = """
from cloudtune.trial import params, report
size = params()["size"]
report(loss=1 / size, **({} if size == 8 else {"memory_gb": size}))
"""


@pytest.fixture(name="cloudtune")
def cloudtune_fixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / ".cloudtune"))
    Path("study.yaml").write_text(STUDY, "utf-8")
    Path("train.py").write_text(SCRIPT, "utf-8")

    def call(*words: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main([*words])
        printed = "".join(capsys.readouterr())
        assert ended.value.code == code, printed
        return printed

    yield call
    stop_emulators(tmp_path / ".cloudtune")


def test_the_best_trial_keeps_the_constraints(cloudtune: Callable[..., str]) -> None:
    shown = cloudtune("run", "study.yaml")
    assert "best: loss 0.5 in trial 2" in shown
    assert "(breaks memory_gb <= 3 (memory_gb 4))" in shown
    assert "(breaks memory_gb <= 3 (memory_gb not measured))" in shown
    (result,) = json.loads(cloudtune("results", "--json"))
    assert [trial["broken"] for trial in result["trials"]] == [
        [],
        [],
        ["memory_gb <= 3"],
        ["memory_gb <= 3"],
    ]
    (best,) = json.loads(cloudtune("results", "--best", "--json"))
    assert [trial["number"] for trial in best["trials"]] == [2]
    (top,) = json.loads(cloudtune("results", "--top", "9", "--json"))
    assert [trial["number"] for trial in top["trials"]] == [2, 1]
    rows = list(csv.DictReader(cloudtune("results", "--format", "csv").splitlines()))
    assert [row["broken"] for row in rows] == ["", "", "memory_gb <= 3", "memory_gb <= 3"]
    (status,) = json.loads(cloudtune("status", "--json"))
    assert status["jobs"][0]["best"] == [0.5]
    report = cloudtune("report")
    assert "Best: loss 0.5 in trial 2 of 4." in report
    assert "trials that break a constraint do not count (memory_gb <= 3: 2)" in report


def test_the_best_trial_of_an_export_keeps_the_constraints(cloudtune: Callable[..., str]) -> None:
    cloudtune("run", "study.yaml")
    cloudtune("export", "--to", "optuna", "-o", "optuna.db")
    study = optuna.load_study(study_name=None, storage="sqlite:///optuna.db")
    assert study.best_trial.params == {"size": 2}


def test_of_an_objective_the_value_that_counts_keeps_a_constraint(
    cloudtune: Callable[..., str],
) -> None:
    script = "size = params()['size']\nreport(loss=1 / size)\nreport(loss=1 / size + 0.3)\n"
    Path("train.py").write_text(f"from cloudtune.trial import params, report\n{script}", "utf-8")
    sets = ["constraints=loss <= 0.6", "objective.select=best"]
    shown = cloudtune("run", "study.yaml", *(f"--set={each}" for each in sets))
    assert "loss 1 (breaks loss <= 0.6 (loss 1))" in shown
    (result,) = json.loads(cloudtune("results", "--json"))
    cloudtune("results", "-o", "table.csv")
    for source in (result["run"], "table.csv"):
        study = load("study.yaml", overrides=[*sets, f"warm_start.from={source}"])
        parents, *_ = read_parents(study, "local", Path())
        assert sorted(each.parameters["size"] for each in parents) == [2, 4, 8]
    cloudtune("export", "--to", "optuna", "-o", "optuna.db")
    exported = optuna.load_study(study_name=None, storage="sqlite:///optuna.db")
    margins = [trial.system_attrs["constraints"][0] for trial in exported.trials]
    assert margins == pytest.approx([0.4, -0.1, -0.35, -0.475])


def test_a_target_counts_only_where_the_constraints_hold(cloudtune: Callable[..., str]) -> None:
    shown = cloudtune("run", "study.yaml", "--set", "objective.target=0.3")
    assert "4 completed" in shown
    cloudtune("run", "study.yaml", "--set", "objective.target=0.6")
    (result,) = json.loads(cloudtune("results", "--json"))
    assert len(result["trials"]) == 2


def test_without_a_trial_that_keeps_them_the_nearest_is_named(
    cloudtune: Callable[..., str],
) -> None:
    limits = ["--set", "constraints=memory_gb < 1"]
    shown = cloudtune("run", "study.yaml", *limits, code=4)
    nearest = "the nearest is trial 1, which breaks memory_gb < 1 (memory_gb 1)"
    assert f"no trial keeps the constraints; {nearest}" in shown
    assert "kept the constraints" in cloudtune("results", "--best", code=1)
    assert "no completed trial measured loss and kept the constraints" in cloudtune("report")
    study = load("study.yaml", overrides=limits[1:])
    with pytest.raises(RunFailedError, match=re.escape(nearest)):
        api.run(study, show=False)


@pytest.mark.slow
def test_a_service_chooses_and_the_best_still_keeps_them(cloudtune: Callable[..., str]) -> None:
    options = ["--on", "sagemaker", "--emulate", "--set", "providers.sagemaker.mode=managed"]
    options += ["--set", "strategy=random", "--set", "limits.max_trials=6"]
    plan = cloudtune("plan", "study.yaml", *options)
    assert "SageMaker does not know it and may prefer trials that break it" in plan
    cloudtune("run", "study.yaml", *options)
    (result,) = json.loads(cloudtune("results", "--json"))
    kept = [t["objective"][0] for t in result["trials"] if t["parameters"]["size"] < 4]
    (best,) = json.loads(cloudtune("results", "--best", "--json"))
    assert [trial["objective"] for trial in best["trials"]] == [[min(kept)]]


@pytest.mark.slow
def test_the_search_learns_from_trials_that_run_out_of_memory(
    cloudtune: Callable[..., str],
) -> None:
    Path("train.py").write_text(
        "from cloudtune.trial import params, report\n"
        "total = params()['x'] + params()['y']\n"
        "if total > 0.7:\n    raise MemoryError\n"
        "report(loss=2 - total, memory_gb=20 * total)\n",
        "utf-8",
    )
    study = {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {name: {"type": "float", "min": 0, "max": 1} for name in "xy"},
        "strategy": {"name": "bayesian", "method": "tpe", "seed": 2},
        "limits": {"max_trials": 40, "max_failed_trials": 40},
        "trial": {"script": "train.py"},
    }

    def count(**blocks: str) -> int:
        Path("study.yaml").write_text(json.dumps(study | blocks), "utf-8")
        cloudtune("run", "study.yaml")
        (result,) = json.loads(cloudtune("results", "--json"))
        return sum("out of memory" in trial["reason"] for trial in result["trials"])

    assert count(constraints="memory_gb <= 16") < count() - 5


def test_the_run_time_is_a_metric_that_every_trial_has(cloudtune: Callable[..., str]) -> None:
    Path("train.py").write_text(
        "from cloudtune.trial import params, report\nreport(most=1000 * (params()['size'] == 0))\n",
        "utf-8",
    )
    words = ["--set", "objective.metric=seconds", "--set", "constraints="]
    words += ["--set", "parameters.size.values=[0, 4]"]
    cloudtune("run", "study.yaml", *words)
    (best,) = json.loads(cloudtune("results", "--best", "--json"))
    (trial,) = best["trials"]
    (result,) = json.loads(cloudtune("results", "--json"))
    assert trial["objective"] == [min(each["seconds"] for each in result["trials"])]
    assert trial["metrics"] == {"seconds": trial["seconds"], "most": trial["metrics"]["most"]}
    words[3] = "constraints=[seconds < most, cost <= 1]"
    cloudtune("run", "study.yaml", *words, "--set", "objective.goal=maximize")
    (best,) = json.loads(cloudtune("results", "--best", "--json"))
    assert [trial["parameters"] for trial in best["trials"]] == [{"size": 0}]
    (result,) = json.loads(cloudtune("results", "--json"))
    assert [trial["broken"] for trial in result["trials"]] == [[], ["seconds < most"]]


def test_a_metric_of_the_script_has_the_name_first(cloudtune: Callable[..., str]) -> None:
    Path("train.py").write_text(SCRIPT.replace("loss=", "seconds=100 + "), "utf-8")
    cloudtune("run", "study.yaml", "--set", "objective.metric=seconds", "--set", "constraints=")
    (best,) = json.loads(cloudtune("results", "--best", "--json"))
    assert best["trials"][0]["objective"] == [100.125]


def test_a_cost_needs_a_price_and_a_search_of_ours(cloudtune: Callable[..., str]) -> None:
    words = ["plan", "study.yaml", "--on", "sagemaker", "--set", "objective.metric=cost"]
    words += ["--set", "strategy=random", "--set", "limits.max_trials=2"]
    shown = cloudtune(*words, code=2)
    assert "refused objective.metric: the price of a trial is unknown: give" in shown
    managed = ["--set", "providers.sagemaker.mode=managed", "--emulate"]
    assert "SageMaker does not measure cost itself" in cloudtune(*words, *managed, code=2)
    assert "can run" in cloudtune(*words, "--emulate")
