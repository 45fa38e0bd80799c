"""The request of a sweep: whole, for each golden study, and what a shell makes of its command."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cloudtune.study.study import Study
from cloudtune_azure.launcher_contract import flatten
from cloudtune_azure.request.rest import from_rest, to_rest
from tests.cloudtune_azure.support import plan_of, study_of

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_the_whole_request(file: Path, tmp_path: Path) -> None:
    data = json.loads(file.read_text("utf-8"))
    (tmp_path / "train.py").touch()
    plan = plan_of(Study.model_validate(data["study"]), tmp_path, "managed")
    del plan.request["properties"]["trial"]["command"]
    assert plan.request == data["managed"]["request"]


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_a_request_is_read_back_as_the_same_job(file: Path) -> None:
    properties = json.loads(file.read_text("utf-8"))["managed"]["request"]["properties"]
    again = to_rest(from_rest(properties))
    assert again == {key: value for key, value in properties.items() if key in again}
    assert {"searchSpace", "samplingAlgorithm", "objective", "limits"} <= again.keys()


def test_only_plain_values_are_in_the_command(tmp_path: Path) -> None:
    parameters: dict[str, Any] = {
        "lr": {"type": "float", "min": 0.1, "max": 1},
        "lambda.x": {"type": "float", "min": 0.1, "max": 1},
        "plain": {"type": "categorical", "values": ["a", "b-1"]},
        "quoted": {"type": "categorical", "values": ["it's", "$HOME"]},
        "kind": {"type": "categorical", "values": ["a", "b"]},
        "deep": {"type": "int", "min": 1, "max": 2, "when": {"kind": "a"}},
    }
    plan = plan_of(study_of({"parameters": parameters}), tmp_path, "managed")
    command = plan.request["properties"]["trial"]["command"]
    passed = [word for word in command.split() if "search_space" in word]
    assert passed == [f'"--{name}=${{{{search_space.{name}}}}}"' for name in ("lr", "plain")]
    assert "CLOUDTUNE_AZURE_TRIALS=1" in command


@pytest.mark.parametrize("put_in", ["1e-05", "$AZUREML_SWEEP_lr"])
def test_the_shell_passes_a_value_whether_azure_puts_it_in_or_a_variable(
    put_in: str, tmp_path: Path
) -> None:
    plan = plan_of(study_of(), tmp_path, "managed")
    command = plan.request["properties"]["trial"]["command"]
    word = command[command.rindex(" ") :].replace("${{search_space.lr}}", put_in)
    words = ["/bin/sh", "-c", f"printf %s {word}"]
    shell = subprocess.run(
        words, check=True, capture_output=True, env={"AZUREML_SWEEP_lr": "1e-05"}
    )
    assert shell.stdout == b"--lr=1e-05"


@pytest.mark.parametrize(
    ("values", "names", "found"),
    [
        ({"lr": 0.5}, ["lr"], {"lr": 0.5}),
        ({"m": {"name": "net", "size": 3}}, ["m", "m.size"], {"m": "net", "m.size": 3}),
        ({"m": {"size": 3, "name": "net"}}, ["m", "size"], {"m": "net", "size": 3}),
        (
            {"m": {"name": "net", "head": {"name": "max", "width": 2}}},
            ["m", "m.head", "m.head.width"],
            {"m": "net", "m.head": "max", "m.head.width": 2},
        ),
    ],
)
def test_a_choice_of_maps_has_the_values_of_its_parameters(
    values: Any, names: list[str], found: dict[str, Any]
) -> None:
    assert flatten(values, names) == found


def test_a_log_scale_of_a_bayesian_search_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    plan = plan_of(study_of({"strategy": {"name": "bayesian"}}), tmp_path, "managed")
    refused = {each.path for each in plan.found if getattr(each, "kind", "") == "refused"}
    assert refused == {"parameters.lr.scale"}
    assert plan_of(study_of(), tmp_path, "managed").found == []


def test_the_bounds_of_a_log_scale_are_exponents_of_e(tmp_path: Path) -> None:
    plan = plan_of(study_of(), tmp_path, "managed")
    kind, bounds = plan.request["properties"]["searchSpace"]["lr"]
    assert kind == "loguniform"
    assert [math.exp(each) for each in bounds] == pytest.approx([0.001, 0.1], rel=1e-12)
