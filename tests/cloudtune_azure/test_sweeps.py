"""Sweeps on the emulator: what is drawn, what the policies and limits end, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import importer
from cloudtune.emulator_kit import make_strategy
from cloudtune.planning.planner import plan
from cloudtune.results.events import Started
from cloudtune.runs import lifecycle
from cloudtune.search.protocol import Suggestion
from cloudtune.study.loader import load
from cloudtune.study.schema import Mode
from cloudtune.testing.emulated_runs import EmulatedRuns
from cloudtune_azure.emulator.errors import ServiceError
from cloudtune_azure.emulator.search_space import study_of, values_of

REQUEST: Mapping[str, Any] = {
    "samplingAlgorithm": {"samplingAlgorithmType": "Random"},
    "objective": {"goal": "maximize", "primaryMetric": "accuracy"},
    "limits": {"maxTotalTrials": 30, "maxConcurrentTrials": 3},
    "searchSpace": {"x": ["uniform", [0, 1]]},
}


def draw(space: dict[str, Any], count: int = 30, kind: str = "Random") -> list[dict[str, Any]]:
    algorithm = {"samplingAlgorithmType": kind}
    study = study_of({**REQUEST, "searchSpace": space, "samplingAlgorithm": algorithm})
    search = make_strategy(study, 1)
    found: list[dict[str, Any]] = []
    for number in range(count):
        asked = search.ask(number)
        if isinstance(asked, Suggestion):
            search.tell(Started(number + 1, 0, asked.parameters, memory=asked.memory))
            found.append(values_of(space, asked.parameters))
    return found


def test_values_are_those_of_their_expressions() -> None:
    drawn = draw(
        {
            "log": ["loguniform", [-7, -2]],
            "q": ["quniform", [0, 1, 0.25]],
            "n": ["qloguniform", [0, 5, 1]],
            "r": ["randint", [3]],
            "z": ["normal", [5, 0.1]],
            "y": ["lognormal", [0, 1]],
            "k": ["qnormal", [5, 1, 2]],
            "j": ["qlognormal", [1, 1, 3]],
            "c": ["choice", [[2, "2", "a"]]],
        }
    )
    for each in drawn:
        assert math.exp(-7) <= each["log"] <= math.exp(-2)
        assert each["q"] in {0, 0.25, 0.5, 0.75, 1}
        assert each["n"] == int(each["n"])
        assert each["r"] in {0, 1, 2}
        assert 4 < each["z"] < 6
        assert each["y"] > 0
        assert each["k"] % 2 == 0
        assert each["j"] % 3 == 0
    assert len({each["z"] for each in drawn}) == len(drawn)
    assert {repr(each["c"]) for each in drawn} == {"2", "'2'", "'a'"}


def test_a_choice_of_maps_has_the_values_of_its_option() -> None:
    deep = {"name": "max", "w": ["uniform", [0, 1]]}
    options = [{"name": "net", "head": ["choice", [[deep, {"name": "no"}]]], "k": 1}, {"name": "t"}]
    shapes = {
        (each["m"]["name"], tuple(each["m"]), tuple(each["m"].get("head", ())))
        for each in draw({"m": ["choice", [options]]})
    }
    assert shapes == {
        ("net", ("name", "head", "k"), ("name", "w")),
        ("net", ("name", "head", "k"), ("name",)),
        ("t", ("name",), ()),
    }


def test_a_grid_has_each_combination_once() -> None:
    drawn = draw({"a": ["choice", [[1, 2]]], "b": ["choice", [["x", "y"]]]}, 4, "Grid")
    assert len({(each["a"], each["b"]) for each in drawn}) == 4


NO_SWEEPS: list[dict[str, Any]] = [
    {"searchSpace": {}},
    {"searchSpace": {"x": ["uniform", 3]}},
    {"searchSpace": {"x": ["choice", [[]]]}},
    {"searchSpace": {"x": ["normal", [0, 0]]}},
    {"searchSpace": {"x": ["gamma", [0, 1]]}},
    {"searchSpace": {"x": ["uniform", []]}},
    {"searchSpace": {"x": ["loguniform", ["a", 1]]}},
    {"searchSpace": {"x": ["randint", ["a"]]}},
    {"searchSpace": {"x": ["quniform", [0, 1, 0]]}},
    {"objective": {"goal": "best", "primaryMetric": "a"}},
    {"objective": {"goal": "maximize"}},
    {"samplingAlgorithm": {"samplingAlgorithmType": "Other"}},
    {"samplingAlgorithm": {"samplingAlgorithmType": "Grid"}},
    {
        "samplingAlgorithm": {"samplingAlgorithmType": "Bayesian"},
        "searchSpace": {"x": ["loguniform", [-2, -1]]},
    },
]


@pytest.mark.parametrize("over", NO_SWEEPS)
def test_what_is_no_sweep_is_refused(over: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as refused:
        study_of({**REQUEST, **over})
    assert refused.value.response().status == 400


_CURVES = """
    import time
    from cloudtune.trial import params, report
    for step in range(1, 11):
        report(accuracy=params()["x"])
        time.sleep(0.4)
"""
"""The measurements say which trial is the best, and each trial takes some seconds."""
_LATE_IF_BAD = """
    import os, time
    from cloudtune.trial import params, report
    steps = 10 if params()["x"] == 1.0 else 250
    while steps > 10 and not os.path.exists(DONE):
        time.sleep(0.1)
    for step in range(steps):
        report(accuracy=params()["x"])
        time.sleep(0.4)
    open(DONE, "w").close()
"""
"""The best trial ends first. The others then report until the service stops them."""
_POLICIES: Mapping[str, Mapping[str, Any]] = {
    "bandit": {"early_stopping": {"rule": "bandit", "slack": 0.1, "min_step": 2}},
    "amount": {"early_stopping": {"rule": "bandit", "slack_amount": 0.1, "min_step": 2}},
    "median": {"early_stopping": {"rule": "median", "min_step": 2}},
    "truncation": {
        "settings": {
            "native": {
                "early_termination": {
                    "type": "truncation_selection",
                    "truncation_percentage": 60,
                    "delay_evaluation": 2,
                }
            }
        }
    },
}


_SWEEP = """\
$schema: https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json
type: sweep
trial:
  code: src
  command: >-
    python main.py --rate ${{search_space.rate}} --kernel ${{search_space.kernel}}
    --epochs ${{inputs.epochs}}
  environment: azureml:sklearn-1.0@latest
inputs: {epochs: 3}
compute: azureml:cpu-cluster
sampling_algorithm: random
search_space:
  rate: {type: loguniform, min_value: -6, max_value: -1}
  kernel: {type: choice, values: [rbf, poly]}
objective: {goal: minimize, primary_metric: f1}
limits: {max_total_trials: 4, max_concurrent_trials: 2, timeout: 3600}
"""
_OWN_SCRIPT = """\
import argparse, json, os, time, urllib.request
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
parser.add_argument("--kernel")
parser.add_argument("--epochs", type=int)
given = parser.parse_args()
metric = {"key": "f1", "value": given.rate + given.epochs, "timestamp": int(time.time() * 1000)}
body = json.dumps({"run_id": os.environ["MLFLOW_RUN_ID"], **metric}).encode()
address = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/log-metric"
key = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"]}
urllib.request.urlopen(urllib.request.Request(address, body, key)).read()
"""
"""Logs as MLflow's own client does, without knowing of cloudtune."""


@pytest.mark.slow
class TestSweepsOnEmulator(EmulatedRuns):
    name = "azure"
    create_operations: Mapping[Mode, str] = {"managed": "PutJob"}

    def list_jobs(self, folder: Path) -> Sequence[str]:
        return [path.name for path in folder.glob("jobs/*")]

    @pytest.mark.parametrize("policy", _POLICIES)
    def test_a_policy_stops_trials_early(self, policy: str) -> None:
        parameters = {"x": {"type": "categorical", "values": [0.1, 0.2, 0.3, 1.0]}}
        run = self.create_run(
            "managed",
            _LATE_IF_BAD.replace("DONE", repr(str(self.folder / "done"))),
            parameters=parameters,
            strategy={"name": "grid"},
            limits={"max_trials": 4, "parallel_trials": 4},
            **_POLICIES[policy],
        )
        result = self.finish(run)
        states = {trial.parameters["x"]: trial for trial in result.trials}
        assert result.state == "completed", result.reason
        assert states[1.0].state == "completed"
        stopped = [each for each in result.trials if each.state == "stopped_early"]
        assert stopped, result.trials
        for trial in stopped:
            assert trial.word == "Canceled"
            assert len(trial.measurements) >= 2

    def test_the_timeout_of_a_sweep_ends_it(self) -> None:
        limits = {"max_trials": 50, "parallel_trials": 1, "timeout": "8s"}
        result = self.finish(self.create_run("managed", _CURVES, limits=limits))
        assert (result.state, "timeout" in result.reason) == ("completed", True), result.reason
        assert {trial.state for trial in result.trials} <= {"completed", "cancelled"}
        assert len(result.trials) < 50

    def test_an_imported_sweep_runs_with_its_own_script(self) -> None:
        (self.folder / "src").mkdir()
        (self.folder / "src" / "main.py").write_text(_OWN_SCRIPT, "utf-8")
        file = self.folder / "sweep.yaml"
        file.write_text(_SWEEP, "utf-8")
        study = load(importer.read(file).studies[0].data)
        run = lifecycle.create([plan(study, "azure", base=self.folder, emulated=True)]).id
        result = self.finish(run)
        assert (result.mode, result.state) == ("managed", "completed"), result.reason
        assert len(result.trials) == 4
        for trial in result.trials:
            rate = trial.parameters["rate"]
            assert isinstance(rate, float)
            assert trial.objective == pytest.approx((rate + 3,)), trial.reason
            assert trial.parameters["kernel"] in {"rbf", "poly"}
