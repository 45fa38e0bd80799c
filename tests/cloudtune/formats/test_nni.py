"""Experiments and search spaces of NNI: read as studies, and written back with the same meaning."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.errors import StudyError
from cloudtune.formats.fields import Fields, Report
from cloudtune.formats.nni.search_space import SpaceReader
from cloudtune.study.loader import load
from tests.cloudtune.formats.foreign_files import ForeignFiles
from tests.document_equality import Equalities, is_list, is_map

FOLDER = Path(__file__).parent / "nni"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def with_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Read the second file, and write out durations in seconds."""
    data = copy.deepcopy(document)
    for key in ("searchSpaceFile", "searchSpacePath"):
        if isinstance(file := data.get(key), str) and (FOLDER / file).is_file():
            data["searchSpace"] = json.loads((FOLDER / file).read_text("utf-8"))
            del data[key]
    for key in ("maxExperimentDuration", "max_experiment_duration", "maxExecDuration"):
        _seconds(data, key)
    for key in ("maxTrialDuration", "max_trial_duration"):
        _seconds(data, key)
    _numbers(data)
    return data


def _seconds(data: dict[str, Any], key: str) -> None:
    value = data.get(key)
    if isinstance(value, str) and value[-1:] in SECONDS:
        data[key] = float(value[:-1]) * SECONDS[value[-1]]


def _numbers(value: Any) -> None:
    """Write the bounds of ranges as floats."""
    if is_map(value):
        kind = str(value.get("_type"))
        numbers = value.get("_value")
        if (kind.endswith("uniform") or kind == "randint") and is_list(numbers):
            with contextlib.suppress(ValueError):
                value["_value"] = [float(number) for number in numbers]
    for inner in value.values() if is_map(value) else value if is_list(value) else ():
        _numbers(inner)


FILES = ForeignFiles(
    "nni",
    Equalities(numbers=("max*",)),
    with_defaults,
)


@pytest.mark.parametrize("name", FILES.names)
def test_an_experiment_comes_back_with_the_same_meaning(name: str, tmp_path: Path) -> None:
    assert FILES.round_trip(name, tmp_path) == []


@pytest.mark.parametrize("name", FILES.names)
def test_the_comparison_notices_each_change(name: str) -> None:
    assert FILES.unnoticed(name, ()) == []


def test_the_search_space_is_a_second_file(tmp_path: Path) -> None:
    data, _ = FILES.read("reference.yaml")
    assert data["parameters"]["seed"] == {"type": "int", "min": 0, "max": 9}
    assert data["parameters"]["width"] == {"type": "discrete", "values": [2, 5, 10]}
    assert data["limits"] == {"max_trials": 100, "parallel_trials": 2, "timeout": "1d"}
    assert data["objective"] == {"metric": "default", "goal": "maximize"}
    assert data["strategy"] == {"name": "bayesian", "method": "tpe"}
    file = tmp_path / "config.yaml"
    file.write_bytes((FOLDER / "reference.yaml").read_bytes())
    with pytest.raises(StudyError, match=r"'search_space\.json' is not here") as caught:
        importer.read(file)
    assert caught.value.problems[0].path == "searchSpaceFile"
    (tmp_path / "search_space.json").write_text("{", "utf-8")
    with pytest.raises(StudyError, match=r"cannot be read: .*search_space\.json"):
        importer.read(file)


def test_an_older_configuration() -> None:
    data, _ = FILES.read("older.yaml")
    assert data["limits"] == {"max_trials": 10, "parallel_trials": 1, "timeout": "1h"}
    assert data["strategy"] == {"name": "bayesian"}
    assert data["description"] == "An older configuration"
    texts = FILES.texts("older.yaml")
    assert "instead of Anneal" in texts["tuner.builtinTunerName"]
    assert "no rule Curvefitting" in texts["assessor.builtinAssessorName"]


def test_snake_case() -> None:
    data, _ = FILES.read("snake.yaml")
    parameters = data["parameters"]
    assert parameters["units"] == {"type": "int", "min": 1, "max": 1000, "scale": "log"}
    assert parameters["depth"] == {"type": "int", "min": 2, "max": 12, "step": 2}
    assert parameters["flag"] == {"type": "bool"}
    assert data["strategy"] == {"name": "bayesian", "method": "tpe", "seed": 12345}
    assert data["limits"]["timeout"] == "1h"
    assert data["limits"]["trial_timeout"] == "1m30s"


def test_the_goal_and_the_rule_of_an_assessor() -> None:
    data, _ = FILES.read("inline.yaml")
    assert data["objective"] == {"metric": "default", "goal": "minimize"}
    assert data["early_stopping"] == {"rule": "median", "min_step": 5}
    assert data["limits"]["trial_timeout"] == "30m"
    assert "objective" not in FILES.read("grid.yaml")[0]
    assert "add the objective" in FILES.texts("grid.yaml")["tuner.classArgs.optimize_mode"]
    texts = FILES.texts("default-mode.json")
    assert "the default of TPE" in texts["tuner.classArgs.optimize_mode"]


def test_nested_choices_have_conditions() -> None:
    parameters = FILES.read("nested.json")[0]["parameters"]
    assert parameters["layer0"]["values"] == ["Empty", "Conv", "Max_pool", "Avg_pool"]
    assert parameters["layer0.kernel_size"]["when"] == {"layer0": ["Conv"]}
    assert parameters["layer0.pooling_size"]["when"] == {"layer0": ["Max_pool", "Avg_pool"]}
    assert parameters["head.body.units"]["values"][:3] == [1, 8, 16]
    assert parameters["head.body.units"]["when"] == {"head.body": ["wide"]}
    assert parameters["kind"]["values"] == ["a", "b"]


def test_hyperband_has_the_resource_of_nni() -> None:
    data, _ = FILES.read("hyperband.yaml")
    strategy = {"name": "hyperband", "resource": "TRIAL_BUDGET", "max": 27, "eta": 3}
    assert data["strategy"] == strategy
    assert FILES.read("bohb.yaml")[0]["strategy"] == {**strategy, "min": 1, "max": 81}


def test_the_batch_tuner_lists_its_trials() -> None:
    data, _ = FILES.read("batch.yaml")
    assert data["strategy"] == {"name": "list"}
    assert data["initial_trials"][1] == {"optimizer": "SGD", "learning_rate": 0.01}


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("GPTuner", {"name": "bayesian", "method": "gp"}),
        ("tpe", {"name": "bayesian", "method": "tpe"}),
        ("MetisTuner", {"name": "bayesian"}),
        ("gridsearch", {"name": "grid"}),
        ("Evolution", {"name": "genetic"}),
    ],
)
def test_names_of_tuners(name: str, strategy: dict[str, str], tmp_path: Path) -> None:
    text = BASE.replace("name: TPE", f"name: {name}").replace("uniform", "randint")
    (found,) = FILES.read_text(text, tmp_path).studies
    assert found.data["strategy"] == strategy
    assert exporter.write(found.study, "nni").document["tuner"]["name"] == name
    changed = load({**found.data, "strategy": "random"})
    assert exporter.write(changed, "nni").document["tuner"]["name"] == "Random"


def test_a_random_tuner_has_no_goal(tmp_path: Path) -> None:
    base = BASE.replace("TPE", "Random")
    (found,) = FILES.read_text(base, tmp_path).studies
    assert found.data["objective"]["goal"] == "minimize"
    tuner = exporter.write(found.study, "nni").document["tuner"]
    assert tuner == {"name": "Random", "classArgs": {"optimize_mode": "minimize"}}
    new = {key: value for key, value in found.data.items() if key != "providers"}
    exported = exporter.write(load(new), "nni")
    assert exported.document["tuner"] == {"name": "Random"}
    assert any(each.path == "objective.goal" for each in exported.findings)


def test_values_keep_their_types() -> None:
    parameters = FILES.read("grid.yaml")[0]["parameters"]
    assert parameters["a"]["values"] == [1, "2", 3.0]
    assert parameters["b"] == {"type": "float", "min": 0.5, "max": 1.0, "step": 0.25}
    assert parameters["old"] == {"type": "int", "min": 0, "max": 4}
    fine = {"type": "discrete", "values": [0.001, 0.25, 0.5, 0.75, 1.0], "scale": "log"}
    assert parameters["fine"] == fine
    assert (
        "1e-5 is text in NNI's YAML; write 1.0e-05"
        in FILES.texts("metis.yaml")["searchSpace.x._value"]
    )


@pytest.mark.parametrize(
    ("numbers", "values"),
    [  # as NNI 3.0 draws and clips them
        ([1, 10, 3], [1, 3, 6, 9]),
        ([2, 10, 3], [3, 6, 9]),
        ([2, 11, 3], [3, 6, 9, 11]),
        ([-5, 5, 2], [-4, -2, 0, 2, 4]),
    ],
)
def test_a_bound_is_a_value_if_numbers_are_clipped_to_it(
    numbers: list[int], values: list[int]
) -> None:
    space = {"x": {"_type": "quniform", "_value": numbers}}
    reader = SpaceReader(Report())
    reader.read(Fields(space, Report()))
    assert reader.parameters["x"]["values"] == values


def test_credentials_are_left_out(tmp_path: Path) -> None:
    text = (FOLDER / "older.yaml").read_text("utf-8").replace("bob}", "bob, passwd: hunter2}")
    (tmp_path / "search_space.json").write_bytes((FOLDER / "search_space.json").read_bytes())
    imported = FILES.read_text(text, tmp_path)
    assert "hunter2" not in imported.studies[0].to_yaml()
    (finding,) = [each for each in imported.findings if each.path == "machineList.0.passwd"]
    assert "add it to the file" in str(finding)
    text = text.replace("passwd: hunter2", "port: 22") + "paiConfig: {token: hunter2}\n"
    imported = FILES.read_text(text, tmp_path)
    assert "hunter2" not in imported.studies[0].to_yaml()


def test_case_and_underscores_of_keys_do_not_count(tmp_path: Path) -> None:
    text = (
        "SearchSpace:\n  x: {_type: uniform, _value: [1, 2]}\n"
        "trialcommand: python train.py\ntrial_concurrency: 3\nmaxTrialNumber: 9\n"
        "Tuner: {Name: TPE, class_args: {optimize_mode: maximize, constant_liar_type: mean}}\n"
    )
    imported = FILES.read_text(text, tmp_path)
    (found,) = imported.studies
    assert found.data["limits"] == {"max_trials": 9, "parallel_trials": 3}
    assert found.data["objective"]["goal"] == "maximize"
    texts = {each.path: str(each) for each in imported.findings}
    assert texts["Tuner"] == "Tuner: read as tuner"
    assert exporter.write(found.study, "nni").document == {
        "searchSpace": {"x": {"_type": "uniform", "_value": [1, 2]}},
        "trialConcurrency": 3,
        "maxTrialNumber": 9,
        "tuner": {
            "name": "TPE",
            "classArgs": {"optimize_mode": "maximize", "constant_liar_type": "mean"},
        },
        "trialCommand": "python train.py",
    }


def test_a_default_goal_is_written_only_after_a_change(tmp_path: Path) -> None:
    text = BASE.replace(", classArgs: {optimize_mode: minimize}", "")
    (found,) = FILES.read_text(text, tmp_path).studies
    assert found.data["objective"]["goal"] == "minimize"
    assert exporter.write(found.study, "nni").document["tuner"] == {"name": "TPE"}
    found.data["objective"]["goal"] = "maximize"
    tuner = exporter.write(load(found.data), "nni").document["tuner"]
    assert tuner == {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}}


def test_the_command_can_be_in_a_role(tmp_path: Path) -> None:
    text = (FOLDER / "older.yaml").read_text("utf-8")
    (tmp_path / "search_space.json").write_bytes((FOLDER / "search_space.json").read_bytes())
    before = text.index("trial:\n")
    roles = "trial:\n  codeDir: src\n  worker: {replicas: 2, command: python3 a.py}\n"
    imported = FILES.read_text(text[:before] + roles, tmp_path)
    assert any("the code is in src" in str(each) for each in imported.findings)


def test_a_space_elsewhere_says_how_to_bring_it(tmp_path: Path) -> None:
    text = BASE.replace(
        "searchSpace:\n  x: {_type: uniform, _value: [1, 2]}", "searchSpaceFile: PATH"
    )
    for path in ("/data/space.json", "C:\\data\\space.json", "~/space.json"):
        with pytest.raises(StudyError, match=r"set searchSpaceFile to space\.json"):
            FILES.read_text(text.replace("PATH", path), tmp_path)


def test_a_study_becomes_an_experiment() -> None:
    study = load(
        {
            "name": "digits",
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {
                "opt": {"type": "categorical", "values": ["sgd", "adam"]},
                "momentum": {"type": "float", "min": 0, "max": 1, "when": {"opt": "sgd"}},
            },
            "constants": {"epochs": 3},
            "limits": {"max_trials": 5, "timeout": "90m"},
            "trial": {"script": "train.py"},
        }
    )
    exported = exporter.write(study, "nni")
    assert exported.document == {
        "experimentName": "digits",
        "searchSpace": {
            "opt": {
                "_type": "choice",
                "_value": [
                    {"_name": "sgd", "momentum": {"_type": "uniform", "_value": [0, 1]}},
                    {"_name": "adam"},
                ],
            },
            "epochs": {"_type": "choice", "_value": [3]},
        },
        "trialConcurrency": 1,
        "maxTrialNumber": 5,
        "maxExperimentDuration": "90m",
        "tuner": {"name": "TPE", "classArgs": {"optimize_mode": "minimize"}},
        "trialCommand": "python3 train.py",
    }
    texts = [str(each) for each in exported.findings]
    assert any("report loss under this name" in text for text in texts)


BASE = """
searchSpace:
  x: {_type: uniform, _value: [1, 2]}
trialCommand: python train.py
trialConcurrency: 1
tuner: {name: TPE, classArgs: {optimize_mode: minimize}}
"""


@pytest.mark.parametrize(
    ("old", "new", "path", "reason"),
    [
        ("_type: uniform", "_type: normal", "searchSpace.x._type", "no normal distributions"),
        ("_type: uniform", "_type: layer_choice", "searchSpace.x._type", "architectures"),
        ("name: TPE", "name: PBTTuner", "tuner.name", "no algorithm PBTTuner"),
        ("name: TPE", "className: my.Tuner", "tuner.className", "code of its own"),
        ("uniform, _value: [1, 2]", "choice, _value: [1, null]", "searchSpace.x._value", "only"),
        (
            "searchSpace:\n  x: {_type: uniform, _value: [1, 2]}",
            "useAnnotation: true",
            "useAnnotation",
            "comments of the code",
        ),
        (
            "tuner: {name: TPE, classArgs: {optimize_mode: minimize}}",
            "tuner: {name: GridSearch}",
            "searchSpace.x",
            "lists values",
        ),
    ],
)
def test_refusals_name_the_field(
    old: str, new: str, path: str, reason: str, tmp_path: Path
) -> None:
    assert FILES.refusals(BASE.replace(old, new), reason, tmp_path) == [path]


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("searchSpace:\n  x: {_type: uniform, _value: [1, 2]}\n", "", "searchSpace", "needs a"),
        ("searchSpace:", "useAnnotation: true\nsearchSpace:", "useAnnotation", "NNI refuses"),
        ("searchSpace:", "searchSpaceFile: a.json\nsearchSpace:", "searchSpaceFile", "is set, too"),
        ("  x: {_type: uniform, _value: [1, 2]}", "  x: 0.1", "searchSpace.x", "_type and _value"),
        ("_type: uniform", "_type: gauss", "searchSpace.x._type", "unknown type"),
        ("_type: uniform, ", "", "searchSpace.x._type", "is missing"),
        ("[1, 2]", "[1]", "searchSpace.x._value", "needs 2 numbers"),
        ("[1, 2]", "[1, high]", "searchSpace.x._value", "needs numbers"),
        ("[1, 2]", "[3, 2]", "searchSpace.x", "greater than max"),
        ("uniform, _value: [1, 2]", "randint, _value: [2, 2]", "searchSpace.x._value", "rising"),
        (
            "uniform, _value: [1, 2]",
            "quniform, _value: [1, 2, 0]",
            "searchSpace.x._value",
            "greater than 0",
        ),
        (
            "uniform, _value: [1, 2]",
            "choice, _value: [{a: {_type: randint, _value: [0, 3]}}, b]",
            "searchSpace.x._value.0",
            "needs _name",
        ),
        ("tuner: {name: TPE, classArgs: {optimize_mode: minimize}}", "", "tuner", "needs a tuner"),
        ("name: TPE, ", "", "tuner.name", "needs a name"),
        ("minimize", "smallest", "tuner.classArgs.optimize_mode", "minimize or maximize"),
        ("tuner:", "maxExperimentDuration: soon\ntuner:", "maxExperimentDuration", "with a unit"),
    ],
)
def test_mistakes_name_the_field_and_the_line(
    old: str, new: str, path: str, message: str, tmp_path: Path
) -> None:
    problem, *_ = FILES.mistakes(BASE.replace(old, new), message, tmp_path)
    assert problem.path.startswith(path)
    assert problem.line or path in {"searchSpace", "tuner"}


def test_what_arrives_in_another_form_is_a_finding() -> None:
    study = load(
        {
            "objective": {"metric": "default", "goal": "minimize"},
            "parameters": {
                "units": {"type": "int", "min": 8, "max": 512, "scale": "log"},
                "layers": {"type": "int", "min": 1, "max": 5},
                "kind": {"type": "categorical", "values": ["a", "b"]},
                "width": {"type": "int", "min": 1, "max": 5, "when": {"kind": "a"}},
            },
            "strategy": "bayesian",
        }
    )
    found = {each.path: str(each) for each in exporter.write(study, "nni").findings}
    assert "floats such as 3.0" in found["parameters.units"]
    assert "a map with _name" in found["parameters.kind"]
    assert not {"parameters.layers", "parameters.width"} & found.keys()
