"""Searches that were posted as IBM's notebooks do it: by requests, with a form."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from tests.attach_contract import AttachContract, Command, Told, hold
from tests.cloudtune_watson.emulator.conftest import WMLA, script, tarred
from tests.waiting import wait_until

CODE = """
    config = json.load(open("config.json"))
    loss = (float(config["rate"]) - 0.01) ** 2 + int(config["layers"]) / 100
    listed([{"steps": 1, "loss": loss, "acc": 1}])
"""
SPACE = [
    {
        "name": "rate",
        "type": "Range",
        "dataType": "DOUBLE",
        "power": "10",
        "minDbVal": -3,
        "maxDbVal": -1,
    },
    {
        "name": "layers",
        "type": "Range",
        "dataType": "INT",
        "step": "3",
        "minIntVal": 1,
        "maxIntVal": 7,
    },
    {"name": "kind", "type": "Discrete", "dataType": "STR", "discreateStrVal": ["007", "1e3"]},
]
_NAMES = itertools.count(1)


@pytest.mark.slow
class TestAttach(AttachContract):
    name: ClassVar[str] = "watson"
    sent_settings: ClassVar[str] = "{backend: wmla}"
    standalone: ClassVar[bool] = False
    operation: ClassVar[str] = "GetSearch"
    denial = ("hpo-1", "your user lacks the permission")
    running = frozenset({"SUBMITTED", "WAITING", "RUNNING"})
    stopped = frozenset({"STOPPED"})

    def call(self, method: str, path: str, **more: Any) -> Any:
        url, certificate = self.address.url, self.address.certificate
        if self.standalone:
            answer = requests.request(
                method,
                f"{url}{path}",
                auth=("someone", self.address.key),
                verify=certificate,
                timeout=200,
                **more,
            )
            answer.raise_for_status()
            return answer.json()
        signed = requests.post(
            f"{url}/icp4d-api/v1/authorize",
            json={"username": "someone", "api_key": self.address.key},
            verify=certificate,
            timeout=200,
        )
        headers = {"Authorization": f"Bearer {signed.json()['token']}"}
        answer = requests.request(
            method, f"{url}{path}", headers=headers, verify=certificate, timeout=200, **more
        )
        answer.raise_for_status()
        return answer.json()

    def begin(self, trials: int, gate: Path | None = None) -> str:
        data = {
            "hpoName": f"hpo-{next(_NAMES)}",
            "modelSpec": {
                "args": "--exec-start PyTorch --model-main main.py",
                **({"sigName": "team"} if self.standalone else {}),
            },
            "algoDef": {
                "algorithm": "Random",
                "maxJobNum": trials,
                "maxParalleJobNum": 2,
                "objectiveMetric": "loss",
                "objective": "minimize",
                "maxRunTime": 60,
                "additionalMetrics": {"acc": "latest"},
            },
            "hyperParams": SPACE,
        }
        code = hold(gate) + script(CODE)
        told = self.call(
            "POST",
            f"{WMLA}/hypersearch",
            files={"file": ("m.modelDir.tar", tarred({"model/main.py": code}))},
            data={"data": json.dumps(data)},
        )
        return str(told if self.standalone else told["uid"])

    def word(self, job: str) -> str:
        return str(self.call("GET", f"{WMLA}/hypersearch/{job}")["state"])

    def told(self, job: str) -> Mapping[int, Told]:
        told: dict[int, Told] = {}
        kinds: dict[str, Any] = {"rate": float, "layers": int, "kind": str}
        for each in self.call("GET", f"{WMLA}/hypersearch/{job}")["experiments"]:
            values = {p["name"]: kinds[p["name"]](p["fixedVal"]) for p in each["hyperParams"]}
            told[int(each["id"]) + 1] = Told(values, each["metricVal"])
        return told

    def missing(self) -> Mapping[str, tuple[int, str]]:
        return {"gone": (3, "no search named gone at https://127.0.0.1")}

    def test_a_training_is_no_search(self, command: Command) -> None:
        words = ("attach", "watson:some-training", "--set", "providers.watson.backend=wml")
        assert "is one trial, and not a search" in command(*words, code=1)

    def test_a_standalone_accelerator_returns_no_search_space(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CLOUDTUNE_WATSON_VERSION", "standalone")
        with Standalone.serve(tmp_path / "emulator"):
            there = Standalone()
            job = there.begin(2)
            wait_until(lambda: there.word(job) not in self.running)
            settings = {"backend": "wmla", "version": "standalone", "instance_group": "team"}
            study = {
                "objective": {"metric": "loss", "goal": "minimize"},
                "parameters": {
                    "rate": {"type": "float", "min": 0.001, "max": 0.1, "scale": "log"},
                    "layers": {"type": "int", "min": 1, "max": 7, "step": 3},
                    "kind": {"type": "categorical", "values": ["007", "1e3"]},
                },
                "limits": {"max_trials": 2},
                "providers": {"watson": settings},
            }
            command = Command(tmp_path / "here", Standalone.env)
            (command.folder / "study.yaml").write_text(json.dumps(study), "utf-8")
            words = [f"--set=providers.watson.{name}={value}" for name, value in settings.items()]
            output = command("attach", f"watson:{job}", *words, code=1)
            assert "no study can be rebuilt; add --study FILE" in output
            output = command("attach", f"watson:{job}", "--study", "study.yaml")
            assert "not checked: the service does not return the search space of the job" in output
            there.check(job, command.trials(), 2)


class Standalone(TestAttach):
    """A WML Accelerator without Cloud Pak for Data."""

    __test__ = False
    standalone = True
