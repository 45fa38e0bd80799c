"""Sweeps that someone else started, by calls of the REST API."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from tests.attach_contract import AttachContract, Command, Told, hold
from tests.waiting import wait_until

SETTINGS = (
    "/subscriptions/emulated/resourceGroups/emulated/providers"
    "/Microsoft.MachineLearningServices/workspaces/emulated"
)
SCRIPT = """
import json, os, sys, time, urllib.request
rate, batch, choice = float(sys.argv[1]), int(float(sys.argv[2])), json.loads(sys.argv[3])
assert ("momentum" in choice) == (choice["name"] == "sgd")
assert os.environ["AZUREML_SWEEP_rate"] == sys.argv[1]
metric = {"key": "score", "value": 1 - rate - batch / 1000, "step": 1,
    "timestamp": int(time.time() * 1000)}
content = json.dumps({"run_id": os.environ["MLFLOW_RUN_ID"], "metrics": [metric]}).encode()
address = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/log-batch"
key = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"]}
urllib.request.urlopen(urllib.request.Request(address, content, key)).read()
"""
LOGGED = """
import json, os, urllib.request
for name, value in (("rate", "0.25"), ("batch", "32")):
    body = json.dumps({"run_id": os.environ["MLFLOW_RUN_ID"], "key": name, "value": value})
    address = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/log-parameter"
    key = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"]}
    urllib.request.urlopen(urllib.request.Request(address, body.encode(), key)).read()
"""
STUDY = """
name: by-hand
objective: {metric: score, goal: maximize}
parameters:
  rate: {type: float, min: 0.1, max: 1}
  batch: {type: categorical, values: [16, 32]}
limits: {max_trials: 1}
providers: {azure: {mode: managed}}
"""
SPACE = {
    "rate": ["loguniform", [-6.9, -2.3]],
    "batch": ["choice", [[16, 32, 64]]],
    "optimizer": [
        "choice",
        [[{"name": "sgd", "momentum": ["uniform", [0.1, 0.9]]}, {"name": "adam"}]],
    ],
}
_numbers = itertools.count(1)


@pytest.mark.slow
class TestAttach(AttachContract):
    name: ClassVar[str] = "azure"
    operation: ClassVar[str] = "GetJob"
    conditional: ClassVar[str] = "flag.depth"
    denial = ("sweep", "does not have authorization")
    running = frozenset({"Running"})
    stopped = frozenset({"Canceled"})

    def call(self, method: str, path: str, content: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.address.key}"}
        url = f"{self.address.url}{path}"
        answer = requests.request(method, url, json=content, headers=headers, timeout=200)
        answer.raise_for_status()
        return answer.json()

    def put(self, name: str, properties: dict[str, Any]) -> str:
        path = f"{SETTINGS}/jobs/{name}?api-version=2024-04-01"
        self.call("PUT", path, {"properties": properties})
        return name

    def begin(self, trials: int, gate: Path | None = None) -> str:
        values = [f"'${{{{search_space.{name}}}}}'" for name in SPACE]
        script = shlex.quote(hold(gate) + SCRIPT)
        properties = {
            "jobType": "Sweep",
            "displayName": "attached",
            "objective": {"goal": "maximize", "primaryMetric": "score"},
            "samplingAlgorithm": {"samplingAlgorithmType": "Random"},
            "searchSpace": SPACE,
            "limits": {
                "jobLimitsType": "Sweep",
                "maxTotalTrials": trials,
                "maxConcurrentTrials": 2,
                "timeout": "PT1H",
            },
            "trial": {
                "command": f"exec python -c {script} {' '.join(values)}",
                "environmentId": "azureml:e:1",
            },
        }
        return self.put(f"sweep-{next(_numbers)}", properties)

    def sweep(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"{SETTINGS}/jobs/{job}")
        return found

    def word(self, job: str) -> str:
        return str(self.sweep(job)["properties"]["status"])

    def told(self, job: str) -> Mapping[int, Told]:
        found: dict[int, Told] = {}
        tags: dict[str, str] = self.sweep(job)["properties"]["tags"]
        for number in range(1, 100):
            run = f"{job}_{number - 1}"
            if f"_aml_system_{run}" not in tags:
                return found
            values = json.loads(tags[f"_aml_system_{run}"])
            choice = values.pop("optimizer")
            values["optimizer"] = choice.pop("name")
            values |= {f"optimizer.{key}": value for key, value in choice.items()}
            path = f"/mlflow/v1.0{SETTINGS}/api/2.0/mlflow/runs/get?run_id={run}"
            (metric,) = self.call("GET", path)["run"]["data"]["metrics"]
            found[number] = Told(values, metric["value"])
        return found

    def missing(self) -> Mapping[str, tuple[int, str]]:
        name = self.put("command", {"jobType": "Command", "command": "true"})
        place = SETTINGS.replace("workspaces/emulated", "workspaces/team")
        return {
            "gone": (3, "the workspace has no job gone"),
            name: (1, "add --study FILE"),
            f"{place}/jobs/other": (3, "the workspace has no job other"),
        }

    def test_a_command_job_is_one_trial_of_the_given_study(self, command: Command) -> None:
        script = shlex.quote(LOGGED + SCRIPT)
        choice = shlex.quote('{"name": "adam"}')
        variables = {"AZUREML_SWEEP_rate": "0.25"}
        line = f"exec python -c {script} 0.25 32 {choice}"
        name = self.put(
            "by-hand",
            {"jobType": "Command", "command": line, "environmentVariables": variables},
        )
        wait_until(lambda: self.word(name) == "Completed")
        (command.folder / "study.yaml").write_text(STUDY, "utf-8")
        command("attach", f"azure:{name}", "--study", "study.yaml")
        (trial,) = command.trials()
        assert trial["state"] == "completed"
        assert trial["parameters"] == {"rate": 0.25, "batch": 32}
        assert trial["objective"] == [pytest.approx(1 - 0.25 - 0.032)]
