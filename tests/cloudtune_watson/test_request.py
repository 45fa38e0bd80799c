"""Properties of requests; tests/test_golden_requests.py has those of whole studies."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudtune.dialect.ranges import list_log_values, write_power
from cloudtune.study.schema import IntParameter
from cloudtune_watson.layout import COMMAND, DEFINITION, JOB, JOB_TAG, RUN_TAG
from cloudtune_watson.wml.request import training_command
from cloudtune_watson.wmla.study_part import to_minutes
from tests.cloudtune_watson import support


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the studies name."""
    monkeypatch.setenv("WATSONX_APIKEY", "s3cr3t-value")
    (tmp_path / "train.py").write_text("print('acc=1')\n", "utf-8")
    (tmp_path / "requirements.txt").write_text("", "utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("1,2\n", "utf-8")
    return tmp_path


def test_a_list_is_sent_as_it_is(base: Path) -> None:
    trials = [{"lr": 0.05, "more": 7}, {"word": "007", "flag": True}]
    over: dict[str, Any] = {"strategy": "list", "initial_trials": trials, "limits": {}}
    data = support.plan_of(support.study_of("wmla", over), base).request["data"]
    assert (data["algoDef"]["algorithm"], data["algoDef"]["maxJobNum"]) == (
        "ExperimentGridSearch",
        2,
    )
    assert "hyperParams" not in data
    sent = [
        {p["name"]: (p["dataType"], p["fixedVal"]) for p in each["hyperParams"]}
        for each in data["experiments"]
    ]
    assert sent == [
        {"lr": ("DOUBLE", 0.05), "more": ("INT", 7)},
        {"word": ("STR", "007"), "flag": ("STR", "True")},
    ]


def test_a_start_has_its_own_tags_and_folder(base: Path) -> None:
    request = support.plan_of(support.study_of("wml", tags=["team-a"]), base).request
    assert request["name"] == JOB
    assert request["tags"] == ["cloudtune", f"{RUN_TAG}3f6k2m9qxt", f"{JOB_TAG}{JOB}", "team-a"]
    assert request["results_reference"]["location"] == {
        "path": f"spaces/my-space/assets/cloudtune/{JOB}"
    }
    assert request["model_definition"]["id"] == DEFINITION
    other = support.study_of("wml", space_id=None, project_id="p", prefix="/a/")
    request = support.plan_of(other, base).request
    assert "space_id" not in request
    assert request["project_id"] == "p"
    assert request["results_reference"]["location"] == {"path": f"projects/p/assets/a/{JOB}"}


def test_fields_that_ibms_packages_require_are_always_present(base: Path) -> None:
    request = support.plan_of(support.study_of("wml"), base).request
    assert request["training_data_references"] == []
    assert request["description"]


VALUES = ["a b", "it's", '"', "$HOME", "`x`", "a;b", "", "-1e-05", "ü", "\\", "*", "#"]


def test_values_pass_through_a_shell_unchanged() -> None:
    given = {f"n{index}": value for index, value in enumerate(VALUES)}
    command = training_command(given)
    words = [COMMAND, *(f"--{name}={value}" for name, value in given.items())]
    assert shlex.split(command) == words
    show = "import json, sys; print(json.dumps(sys.argv[1:]))"
    shell = f"{shlex.join([sys.executable, '-c', show])} {command}"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == words


@pytest.mark.parametrize(
    ("seconds", "minutes"), [(60.0, 1), (61.0, 2), (0.5, 1), (7200.0, 120), (59.9, 1)]
)
def test_minutes_are_rounded_up(seconds: float, minutes: int) -> None:
    assert to_minutes(seconds) == minutes


@pytest.mark.parametrize("power", range(-30, 31))
def test_the_exponent_of_a_whole_power_is_whole(power: int) -> None:
    assert write_power(float(f"1e{power}"), 1e40) == (10, power, 40)


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (1, 1024, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]),
        (4, 16, [4, 5, 6, 8, 10, 13, 16]),
        (1, 2, [1, 2]),
        (7, 8, [7, 8]),
        (10, 13, [10, 11, 13]),
    ],
)
def test_log_spaced_integers(low: int, high: int, values: list[int]) -> None:
    assert list_log_values(IntParameter(type="int", min=low, max=high, scale="log")) == values


def hyper_params(base: Path, **parameters: Any) -> dict[str, dict[str, Any]]:
    plan = support.plan_of(support.study_of("wmla", {"parameters": parameters}), base)
    return {each["name"]: each for each in plan.request["data"]["hyperParams"]}


def test_ranges_by_type(base: Path) -> None:
    created = hyper_params(
        base,
        wide={"type": "float", "min": 1e-3, "max": 1e3, "scale": "log"},
        rough={"type": "float", "min": 0, "max": 0.5, "step": 0.1},
        layers={"type": "int", "min": 1, "max": 4},
        width={"type": "int", "min": 16, "max": 64, "step": 16},
        auto={"type": "float", "min": 1e-5, "max": 1e-1, "scale": "auto"},
    )
    assert {name: {k: v for k, v in m.items() if k != "name"} for name, m in created.items()} == {
        "wide": {
            "type": "Range",
            "dataType": "DOUBLE",
            "minDbVal": -3.0,
            "maxDbVal": 3.0,
            "power": "10",
        },
        "rough": {
            "type": "Range",
            "dataType": "DOUBLE",
            "minDbVal": 0.0,
            "maxDbVal": 0.5,
            "step": "0.1",
        },
        "layers": {"type": "Range", "dataType": "INT", "minIntVal": 1, "maxIntVal": 4},
        "width": {
            "type": "Range",
            "dataType": "INT",
            "minIntVal": 16,
            "maxIntVal": 64,
            "step": "16",
        },
        "auto": {
            "type": "Range",
            "dataType": "DOUBLE",
            "minDbVal": -5.0,
            "maxDbVal": -1.0,
            "power": "10",
        },
    }


def test_lists_by_type(base: Path) -> None:
    created = hyper_params(
        base,
        whole={"type": "discrete", "values": [16, 32]},
        real={"type": "discrete", "values": [0.5, 1]},
        words={"type": "categorical", "values": ["a", "1e3", 7, True]},
        flag={"type": "bool"},
        stepped={"type": "float", "min": 1, "max": 3, "step": 1, "scale": "log"},
    )
    assert created["whole"]["discreteIntVal"] == [16, 32]
    assert created["real"]["discreteDbVal"] == [0.5, 1.0]
    assert created["words"]["discreateStrVal"] == ["a", "1e3", "7", "True"]
    assert created["flag"]["discreateStrVal"] == ["False", "True"]
    assert created["stepped"]["discreteDbVal"] == [1.0, 2.0, 3.0]


def algorithm(base: Path, strategy: Any, **limits: Any) -> dict[str, Any]:
    over = {"strategy": strategy, "limits": {"max_trials": 5, **limits}}
    plan = support.plan_of(support.study_of("wmla", over), base)
    created: dict[str, Any] = plan.request["data"]["algoDef"]
    return created


def test_strategies_and_their_parameters(base: Path) -> None:
    def params(created: dict[str, Any]) -> dict[str, str]:
        return {each["name"]: each["value"] for each in created["algoParams"]}

    created = algorithm(base, {"name": "random", "seed": 7})
    assert (created["algorithm"], params(created)) == ("Random", {"RandomSeed": "7"})
    assert algorithm(base, "bayesian")["algorithm"] == "Bayesian"
    assert algorithm(base, {"name": "bayesian", "method": "tpe"})["algorithm"] == "Tpe"
    created = algorithm(base, {"name": "hyperband", "resource": "epochs", "max": 81, "eta": 4})
    assert created["algorithm"] == "Hyperband"
    assert params(created) == {
        "RandomSeed": "11",
        "eta": "4",
        "ResourceName": "epochs",
        "ResourceValue": "81",
    }


def test_missing_limits_are_omitted(base: Path) -> None:
    created = algorithm(base, "random")
    assert "maxRunTime" not in created
    assert created["maxParalleJobNum"] == 1
    created = algorithm(base, "random", max_trials=None, timeout="90s", parallel_trials=3)
    assert "maxJobNum" not in created
    assert (created["maxRunTime"], created["maxParalleJobNum"]) == (2, 3)


def test_other_metrics_are_requested(base: Path) -> None:
    metrics = {"accuracy": "a=(.*)", "loss": "l=(.*)"}
    over = {"trial": {"script": "train.py", "metrics": metrics}}
    plan = support.plan_of(support.study_of("wmla", over), base)
    assert plan.request["data"]["algoDef"]["additionalMetrics"] == {"loss": "latest"}


def test_a_grid_lists_its_trials_with_their_active_parameters(base: Path) -> None:
    over = {
        "strategy": "grid",
        "limits": {},
        "parameters": {
            "a": {"type": "categorical", "values": ["x", "y"]},
            "b": {"type": "float", "min": 0, "max": 1, "step": 0.5, "when": {"a": "x"}},
            "c": {"type": "int", "min": 1, "max": 2},
            "one": {"type": "int", "min": 3, "max": 3},
        },
    }
    plan = support.plan_of(support.study_of("wmla", over), base)
    data = plan.request["data"]
    assert "hyperParams" not in data
    assert data["algoDef"]["algorithm"] == "ExperimentGridSearch"
    assert data["algoDef"]["maxJobNum"] == 8
    assert "algoParams" not in data["algoDef"]
    values = [
        {p["name"]: p["fixedVal"] for p in each["hyperParams"]} for each in data["experiments"]
    ]
    assert values == [
        *({"a": "x", "b": b, "c": c, "one": 3} for b in (0.0, 0.5, 1.0) for c in (1, 2)),
        *({"a": "y", "c": c, "one": 3} for c in (1, 2)),
    ]
    assert [each["id"] for each in data["experiments"]] == list(range(1, 9))
    assert plan.findings == []


def test_a_refused_study_has_a_request(base: Path) -> None:
    for strategy in ("genetic", "list"):
        over = {"strategy": strategy, "initial_trials": [{"lr": 0.01}]}
        assert support.plan_of(support.study_of("wmla", over), base).request


def test_a_standalone_accelerator_gets_its_instance_group(base: Path) -> None:
    def spec(**settings: Any) -> Any:
        return support.plan_of(support.study_of("wmla", **settings), base).request["data"][
            "modelSpec"
        ]

    assert spec(version="standalone", instance_group="g")["sigName"] == "g"
    assert "sigName" not in spec(instance_group="g")
    words = shlex.split(spec(worker_devices=2, exec_start="a b")["args"])
    assert words[:4] == ["--exec-start", "a b", "--workerDeviceNum", "2"]


def test_an_input_is_a_folder_of_the_volume(base: Path) -> None:
    over = {"trial": {"script": "train.py", "inputs": {"x": {"watson": "my mnist"}}}}
    request = support.plan_of(support.study_of("wml", over), base).request
    assert request["training_data_references"] == [
        {"type": "fs", "name": "x", "connection": {}, "location": {"path": "my mnist"}}
    ]
    plan = support.plan_of(support.study_of("wmla", over), base)
    assert "type=fs,data_path=my mnist" in shlex.split(plan.request["data"]["modelSpec"]["args"])
    assert plan.facts.data["paths"] == {"x": "$DATA_DIR"}


def test_a_single_file_is_uploaded_to_the_emulator(base: Path) -> None:
    inputs = {"x": {"local": "data/rows.csv"}}
    study = support.study_of("wml", {"trial": {"script": "train.py", "inputs": inputs}})
    plan = support.plan_of(study, base, emulated=True)
    (reference,) = plan.request["training_data_references"]
    folder = "spaces/my-space/assets/cloudtune/plain-3f6k2m9qxt/inputs/x"
    assert reference["location"] == {"path": folder}
    assert plan.facts.lookup.inputs.uploads == {"x": str(base / "data" / "rows.csv")}
    assert plan.facts.data["paths"] == {"x": "$DATA_DIR/rows.csv"}
