"""Search spaces of Ray Tune: read as studies, and written back with the same meaning."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.diagnostics import Note
from cloudtune.errors import ConversionError, StudyError, UsageError
from cloudtune.formats.ray.module import read_module
from cloudtune.formats.ray.names import OBJECT, short_name
from cloudtune.study.loader import load
from tests.cloudtune.formats.foreign_files import ForeignFiles
from tests.document_equality import Equalities, is_list, is_map


def with_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Write out defaults, algorithms with their short names, and bounds as floats."""
    data: dict[str, Any] = copy.deepcopy(document)
    if "param_space" not in data:
        plain: dict[str, Any] = {"param_space": data}
        data = plain
    _bounds(data["param_space"])
    tune: dict[str, Any] = data.setdefault("tune_config", {})
    for key, default in (("search_alg", "random"), ("scheduler", "fifo")):
        value = tune.get(key, default)
        named: dict[str, Any] = value if is_map(value) else {value: {}}
        tune[key] = {short_name(name): {"is": key, **inner} for name, inner in named.items()}
    defaults = {"max_t": 100, "grace_period": 1, "reduction_factor": 4}
    for name, inner in tune["scheduler"].items():
        for key, value in defaults.items() if name == "async_hyperband" else ():
            inner.setdefault(key, value)
    return data


def _bounds(space: Any) -> None:
    for name, inner in list(space.items()) if is_map(space) else ():
        if name in {"qrandint", "qlograndint"} and is_list(inner) and inner[2:] == [1]:
            space[name[1:]] = [float(each) for each in inner[:2]]
            del space[name]
        elif name.endswith(("uniform", "randint")) and is_list(inner):
            space[name] = [float(each) for each in inner]
        _bounds(inner)


FILES = ForeignFiles(
    "ray",
    Equalities(
        defaults={
            "tune_config.num_samples": [1],
            "tune_config.max_concurrent_trials": [0],
        },
        numbers=("tune_config.time_budget_s", "tune_config.scheduler.**"),
    ),
    with_defaults,
)


@pytest.mark.parametrize("name", FILES.names)
def test_a_tuner_comes_back_with_the_same_meaning(name: str, tmp_path: Path) -> None:
    assert FILES.round_trip(name, tmp_path) == []


@pytest.mark.parametrize("name", FILES.names)
def test_the_comparison_notices_each_change(name: str) -> None:
    assert FILES.unnoticed(name, ["tune_config.num_samples"]) == []


def test_what_a_tuner_becomes() -> None:
    data, _ = FILES.read("asha.json")
    assert data["name"] == "mnist"
    assert data["objective"] == {"metric": "mean_accuracy", "goal": "maximize"}
    assert data["parameters"] == {
        "lr": {"type": "float", "min": 1e-4, "max": 0.1, "scale": "log"},
        "momentum": {"type": "float", "min": 0.1, "max": 0.9},
        "layers": {"type": "int", "min": 1, "max": 9},
        "units": {"type": "int", "min": 8, "max": 512, "scale": "log"},
        "activation": {"type": "categorical", "values": ["relu", "tanh"]},
        "amsgrad": {"type": "bool"},
    }
    assert data["constants"] == {"epochs": 10}
    assert data["strategy"] == {"name": "random"}
    assert data["early_stopping"] == {"rule": "halving", "min_step": 2, "eta": 3}
    assert data["limits"] == {"max_trials": 20, "parallel_trials": 4, "timeout": "1h"}
    texts = FILES.texts("asha.json")
    assert 'cloudtune.trial.report({"mean_accuracy": value})' in texts["tune_config.metric"]
    assert "no trial ends at 50" in texts["tune_config.scheduler.AsyncHyperBandScheduler.max_t"]


def test_upper_bounds_of_integers_and_steps() -> None:
    parameters = FILES.read("quantized.json")[0]["parameters"]
    assert parameters["qrandint"] == {"type": "int", "min": 4, "max": 16, "step": 4}
    assert parameters["inner"] == {"type": "int", "min": 4, "max": 16, "step": 4}
    assert parameters["one"] == {"type": "int", "min": 0, "max": 4}
    assert parameters["quniform"] == {"type": "float", "min": 0, "max": 1, "step": 0.1}
    assert parameters["whole"] == {"type": "float", "min": 2.0, "max": 8.0, "step": 2.0}
    assert parameters["qlograndint"]["values"] == [8, 16, 24, 32, 40, 48, 56, 64]
    assert parameters["qlog1"] == {"type": "int", "min": 1, "max": 64, "scale": "log"}


def test_grids_and_nested_maps() -> None:
    data, _ = FILES.read("grid.json")
    assert data["strategy"] == {"name": "grid"}
    assert list(data["parameters"]) == ["a", "b.c"]
    assert "limits" not in data
    assert (
        "repeats the grid 3 times" in FILES.texts("grid-repeated.json")["tune_config.num_samples"]
    )
    mixed, _ = FILES.read("grid-mixed.json")
    assert mixed["strategy"] == {"name": "random"}
    assert mixed["limits"]["max_trials"] == 24
    assert mixed["parameters"]["deep.er.b"] == {"type": "bool"}
    mixed["limits"]["max_trials"] = 30
    assert exporter.write(load(mixed), "ray").document["tune_config"]["num_samples"] == 5
    nested, _ = FILES.read("nested.json")
    assert nested["parameters"]["batch"]["values"] == [16, 32.0, "64"]
    assert nested["constants"] == {"optimizer.args.nesterov": True, "data.path": "s3://bucket/data"}


def test_algorithms() -> None:
    data, _ = FILES.read("optuna.json")
    assert data["strategy"] == {"name": "bayesian", "method": "tpe", "seed": 3}
    assert data["objective"] == {"metric": "loss", "goal": "minimize"}
    assert data["initial_trials"] == [{"x": 0.5, "n": 3}]
    assert data["early_stopping"] == {"rule": "median", "min_trials": 4, "min_step": 5}
    assert FILES.read("hyperband.json")[0]["strategy"] == {"name": "hyperband", "max": 27, "eta": 3}
    assert "max_trials" not in FILES.read("hyperband.json")[0]["limits"]
    texts = FILES.texts("median.json")
    assert "not time_total_s" in texts["tune_config.scheduler.MedianStoppingRule.time_attr"]
    assert "bayesian instead of hebo" in texts["tune_config.search_alg"]
    assert FILES.read("seeded.json")[0]["strategy"] == {"name": "random", "seed": 7}
    assert [each["goal"] for each in FILES.read("several.json")[0]["objective"]] == [
        *("minimize", "maximize")
    ]


def test_a_choice_of_maps_is_read_and_written() -> None:
    data, _ = FILES.read("maps.json")
    sgd = {"name": "sgd", "momentum": 0.9, "nesterov": True}
    assert data["parameters"]["optimizer"]["values"] == [sgd, {"name": "adam"}]
    assert data["initial_trials"] == [{"optimizer": {"name": "adam"}, "lr": 0.01}]
    data["parameters"]["optimizer"]["values"].append({"name": "rmsprop", "alpha": 0.99})
    for name in ("lr", "optimizer"):
        data["providers"]["ray"]["native"]["param_space"].pop(name, None)
    document = exporter.write(load(data), "ray").document
    choice = document["param_space"]["optimizer"]["choice"]
    assert choice == [sgd, {"name": "adam"}, {"name": "rmsprop", "alpha": 0.99}]
    with pytest.raises(ConversionError, match="no values that are maps"):
        exporter.write(load(data), "katib")


@pytest.mark.parametrize(
    ("domain", "error", "message"),
    [
        ({"randn": [0, 1]}, ConversionError, "no normal distributions"),
        ({"qrandn": [0, 1, 0.1]}, ConversionError, "no normal distributions"),
        ({"sample_from": "<lambda>"}, ConversionError, "code computes"),
        ({"choice": [[1], [2]]}, ConversionError, "only strings, numbers and booleans"),
        ({"choice": [None, 1]}, ConversionError, "only strings, numbers and booleans"),
        ({"choice": []}, StudyError, "at least one value"),
        ({"randint": [3, 3]}, StudyError, "no value itself"),
        ({"randint": [1, 2.5]}, StudyError, "needs integers"),
        ({"uniform": [1]}, StudyError, "needs 2 numbers"),
        ({"loguniform": [0, 1]}, StudyError, "above 0"),
        ({"quniform": [0, 1, 0]}, StudyError, "greater than 0"),
        ({"quniform": [0, 1, 0.3]}, StudyError, "multiples of 0.3"),
        ([{"uniform": [0, 1]}], ConversionError, "no list of parameters"),
    ],
)
def test_what_a_study_cannot_hold(
    domain: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    text = json.dumps({"param_space": {"x": domain, "y": {"uniform": [0, 1]}}})
    with pytest.raises(error, match=message):
        FILES.read_text(text, tmp_path, "tuner.json")


def test_constraints_of_ax_are_named(tmp_path: Path) -> None:
    arguments = {"parameter_constraints": ["x + y <= 1"], "outcome_constraints": ["memory <= 3"]}
    config = {"search_alg": {"AxSearch": arguments}, "metric": "loss", "mode": "min"}
    text = json.dumps({"param_space": {"x": {"uniform": [0, 1]}}, "tune_config": config})
    imported = FILES.read_text(text, tmp_path, "tuner.json")
    named = {
        each.path.rpartition(".")[2] for each in imported.findings if "write them" in str(each)
    }
    assert named == arguments.keys()


@pytest.mark.parametrize("name", ["pbt", "PopulationBasedTraining", "pb2"])
def test_population_based_training_is_refused(name: str, tmp_path: Path) -> None:
    config = {"scheduler": {name: {"time_attr": "training_iteration"}}}
    text = json.dumps({"param_space": {"x": {"uniform": [0, 1]}}, "tune_config": config})
    with pytest.raises(ConversionError, match="no population-based training"):
        FILES.read_text(text, tmp_path, "tuner.json")


def test_what_ray_does_not_have() -> None:
    study = load(
        {
            "objective": {"metric": "loss", "goal": "minimize", "target": 1},
            "parameters": {
                "a": {"type": "float", "min": 0, "max": 1, "scale": "reverse_log"},
                "b": {"type": "float", "min": 0.5, "max": 2, "step": 0.4},
                "c": {"type": "int", "min": 1, "max": 9},
                "d": {"type": "int", "min": 1, "max": 9, "scale": "log"},
            },
            "strategy": {"name": "bayesian", "method": "cmaes", "seed": 1},
            "early_stopping": {"rule": "bandit"},
        }
    )
    exported = exporter.write(study, "ray")
    space = exported.document["param_space"]
    assert space["b"] == {"choice": [0.5, 0.9, 1.3, 1.7]}
    assert space["c"] == {"randint": [1, 10]}
    assert space["d"] == {"lograndint": [1, 10]}
    assert exported.document["tune_config"]["search_alg"] == {"optuna": {"seed": 1}}
    assert {each.path for each in exported.findings} == {
        *("objective.target", "parameters.a.scale", "parameters.b.step", "strategy.method"),
        "parameters.b",
        "early_stopping",
    }


MODULE = """
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler

print("a line of the module")
ray.init()
space = {"lr": tune.loguniform(1e-4, 0.1), "net": {"n": tune.qrandint(2, 8, 2)}, "path": "x"}
{REST}
"""
TUNER = """
config = tune.TuneConfig(metric="loss", mode="min", num_samples=4, max_concurrent_trials=2,
                         scheduler=ASHAScheduler(max_t=9, grace_period=3))
tune.Tuner(lambda config: None, param_space=space, tune_config=config).fit()
raise SystemExit("this must not be reached")
"""


def test_a_module_runs_only_if_the_format_is_named(tmp_path: Path) -> None:
    file = tmp_path / "tuning.py"
    file.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", "utf-8")
    with pytest.raises(UsageError, match="runs only if you name a format"):
        importer.read(file)
    with pytest.raises(UsageError, match=r"runs only if you name a format"):
        importer.read(f"{file}:space")
    assert importer.foreign_format(file) is None
    assert not (tmp_path / "ran").exists()
    with pytest.raises(UsageError, match="no such file"):
        importer.read(tmp_path / "absent.py", "ray")


def test_a_module_of_ray(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray.tune")
    file = tmp_path / "tuning.py"
    file.write_text(MODULE.replace("{REST}", TUNER), "utf-8")
    imported = importer.read(file, "ray")
    data = imported.studies[0].data
    assert capfd.readouterr().out == ""
    assert data["parameters"]["net.n"] == {"type": "int", "min": 2, "max": 8, "step": 2}
    assert data["early_stopping"] == {"rule": "halving", "min_step": 3, "eta": 4}
    assert f"executed {file} with {sys.executable}" in str(imported.findings[0])
    space = """
import numpy
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.searcher import Searcher
space |= {"array": numpy.array([1, 2]), "number": numpy.float32(0.5), "code": len}
config = tune.TuneConfig(search_alg=ConcurrencyLimiter(Searcher("loss", "min"), max_concurrent=3))
tuner = tune.Tuner(lambda config: None, param_space=space, tune_config=config)
"""
    file.write_text(MODULE.replace("{REST}", space), "utf-8")
    found = read_module(file, "")
    assert found["param_space"]["array"] == [1, 2]
    assert found["param_space"]["number"] == 0.5
    assert found["param_space"]["code"] == {OBJECT: "builtins.builtin_function_or_method"}
    assert found["tune_config"]["max_concurrent_trials"] == 3
    file.write_text(MODULE.replace("{REST}", "other = {'x': tune.uniform(0, 1)}"), "utf-8")
    assert list(importer.read(f"{file}:other", "ray").studies[0].data["parameters"]) == ["x"]
    with pytest.raises(UsageError, match=r"has space, other; name one of them, such as .*:space"):
        importer.read(file, "ray")


def test_an_object_of_a_module_is_no_constant(tmp_path: Path) -> None:
    file = tmp_path / "space.json"
    space = {"lr": {"uniform": [0, 1]}, "net": {"code": {OBJECT: "builtins.function"}}}
    file.write_text(json.dumps({"param_space": space}))
    imported = importer.read(file)
    assert imported.studies[0].data.get("constants", {}) == {}
    assert "param_space.net.code" in [each.path for each in imported.findings]


def test_a_module_without_ray_is_a_clear_message(tmp_path: Path) -> None:
    file, output = tmp_path / "tuning.py", tmp_path / "output"
    (tmp_path / "ray.py").write_text("raise ImportError('no Ray here')", "utf-8")
    command = [sys.executable, "-m", "cloudtune.formats.ray.child", str(file), "", str(output)]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    subprocess.run(command, check=True, env=environment)
    assert "install ray[tune]" in json.loads(output.read_text("utf-8"))["error"]


def test_a_space_alone_warns_that_it_runs_one_trial(tmp_path: Path) -> None:
    file = tmp_path / "space.json"
    file.write_text(json.dumps({"param_space": {"lr": {"loguniform": [1e-4, 0.1]}}}))
    imported = importer.read(file)
    assert imported.studies[0].data["limits"] == {"max_trials": 1}
    assert "warning tune_config.num_samples: absent, so Ray's default 1: set limits.max_trials" in [
        f"{each.severity} {each.path}: {each.text}"
        for each in imported.findings
        if isinstance(each, Note)
    ]
