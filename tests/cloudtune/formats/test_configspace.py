"""Spaces of ConfigSpace: read as studies, and written back with the same meaning."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.errors import ConversionError, StudyError
from cloudtune.study.constraints import parameter_constraints
from cloudtune.study.loader import load
from cloudtune.study.search_space import Space
from tests.cloudtune.formats.foreign_files import ForeignFiles
from tests.document_equality import Equalities


def with_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Write out the default values that ConfigSpace chooses itself."""
    data: dict[str, Any] = copy.deepcopy(document)
    for each in data["hyperparameters"]:
        if "default" in each:
            each["default_value"] = each.pop("default")
        values = each.get("choices") or each.get("sequence")
        if each.get("type") in {"uniform_float", "uniform_int"}:
            low, high = float(each.get("lower", 0)), float(each.get("upper", 0))
            middle = (low * high) ** 0.5 if each.get("log") and low > 0 else (low + high) / 2
            each.setdefault("default_value", middle)
            each["default_value"] = float(f"{each['default_value']:.9g}")
        elif values and not each.get("weights"):
            each.setdefault("default_value", values[0])
        for bound in ("lower", "upper", "q"):
            if isinstance(each.get(bound), int):
                each[bound] = float(each[bound])
    return data


FILES = ForeignFiles(
    "configspace",
    Equalities(
        identities={"hyperparameters": "name", "conditions": "child"},
        defaults={"hyperparameters.*.log": [False], "format_version": [0.4]},
        ignored=("python_module_version",),
    ),
    with_defaults,
)


@pytest.mark.parametrize("name", FILES.names)
def test_a_space_comes_back_with_the_same_meaning(name: str, tmp_path: Path) -> None:
    assert FILES.round_trip(name, tmp_path) == []


@pytest.mark.parametrize("name", FILES.names)
def test_the_comparison_notices_each_change(name: str) -> None:
    missed = FILES.unnoticed(name, ["format_version"])
    by_default = ("log", "default_value", "default", "weights", "probabilities", "meta", "q")
    assert [
        (path, kind)
        for path, kind in missed
        if not (kind == "deleted" and path.endswith(by_default))
    ] == []


def test_ranges_choices_and_constants() -> None:
    data, _ = FILES.read("ranges.json")
    assert data["parameters"]["lr"] == {"type": "float", "min": 1e-4, "max": 1, "scale": "log"}
    assert data["parameters"]["svm:C"] == {"type": "int", "min": -5, "max": 5}
    assert data["constants"] == {"flag": True, "k": 7, "text": "v"}
    parameters = FILES.read("choices.json")[0]["parameters"]
    assert parameters["rising"] == {"type": "discrete", "values": [1, 2, 4]}
    assert parameters["falling"] == {"type": "categorical", "values": [4, 2, 1]}
    assert parameters["mixed"]["values"] == [1, "1", 2.5]
    assert parameters["bools"] == {"type": "bool"}
    assert "no weights" in " ".join(FILES.texts("choices.json").values())
    old = FILES.read("old.json")[0]["parameters"]
    assert old["n"] == {"type": "int", "min": 1, "max": 10, "step": 3}
    assert old["lq"] == {"type": "discrete", "values": [1.0, 3.0, 5.0, 7.0, 9.0], "scale": "log"}


def test_conditions_become_values_of_parents() -> None:
    data, _ = FILES.read("conditional.json")
    whens = {name: each.get("when") for name, each in data["parameters"].items()}
    assert whens == {
        "model": None,
        "kernel": {"model": ["svm"]},
        "gamma": {"kernel": ["rbf"]},
        "degree": {"kernel": ["poly"]},
        "depth": {"model": ["forest", "net"]},
        "coef": {"model": ["svm"], "kernel": ["rbf", "poly"]},
    }
    compared, _ = FILES.read("comparisons.json")
    whens = {name: each.get("when") for name, each in compared["parameters"].items()}
    assert whens["a0"] == {"model": ["svm", "forest"]}
    assert whens["a1"] == {"size": [4, 8]}
    assert whens["a2"] == {"level": ["low", "mid"]}
    assert whens["a3"] == {"layers": [3, 4]}
    assert whens["a5"] == {"layers": [1, 3, 4]}
    either = FILES.read("or.json")[0]["parameters"]
    assert [each["when"] for each in either["x"]] == [
        {"model": ["svm"]},
        {"model": ["forest"], "c": ["a"]},
    ]
    assert either["z"]["when"] == {"model": ["svm"], "c": ["b", "d"]}
    child = FILES.read("constant-child.json")[0]
    assert child["parameters"]["k"] == {
        "type": "categorical",
        "values": [3],
        "when": {"model": ["forest"]},
    }


def test_forbidden_values_are_left_out() -> None:
    data, _ = FILES.read("forbidden.json")
    space = Space.from_study(load({**data, "objective": {"metric": "m", "goal": "minimize"}}))
    penalty = data["parameters"]["penalty"]
    assert [(each["values"], each["when"]) for each in penalty] == [
        (["l2", "l1"], {"loss": ["squared"]}),
        (["l2"], {"loss": ["hinge"]}),
    ]
    assert data["parameters"]["c"]["values"] == ["a", "b"]
    assert len(space.nodes) == 6
    several = FILES.read("forbidden-in.json")[0]["parameters"]["b"]
    assert [each["values"] for each in several] == [[1, 2, 3], [1]]


X = {"type": "uniform_float", "name": "x", "lower": 0.0, "upper": 1.0}
C = {"type": "categorical", "name": "c", "choices": ["a", "b"]}


def space(*more: dict[str, Any], conditions: Any = (), forbiddens: Any = ()) -> dict[str, Any]:
    lists = {"conditions": list(conditions), "forbiddens": list(forbiddens)}
    return {"hyperparameters": [X, C, *more], **lists}


def clause(name: str, value: Any) -> dict[str, Any]:
    return {"type": "EQUALS", "name": name, "value": value}


def condition(kind: str, child: str, parent: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "child": child, "parent": parent, "value": value}


@pytest.mark.parametrize(
    ("document", "error", "message"),
    [
        (space({"type": "normal_float", "name": "n"}), ConversionError, "no normal"),
        (space({"type": "beta_int", "name": "n"}), ConversionError, "no beta"),
        (space({"type": "other", "name": "n"}), StudyError, "unknown type 'other'"),
        (space({**C, "name": "n", "choices": [None]}), ConversionError, "only strings"),
        (space({"type": "constant", "name": "n", "value": [1]}), ConversionError, "as constants"),
        (space({**X}), StudyError, "defined twice"),
        (space({**X, "name": "n", "lower": None}), StudyError, "lower and upper"),
        (space(conditions=[condition("GT", "c", "x", 0.5)]), ConversionError, "more than 100"),
        (space(conditions=[condition("EQ", "c", "y", 1)]), ConversionError, "not a parameter"),
        (space(conditions=[condition("EQ", "y", "c", "a")]), StudyError, "not a parameter"),
        (space(conditions=[condition("EQ", "x", "c", "z")]), ConversionError, "no value of c"),
        (space(conditions=[{"type": "AND", "child": "x"}]), ConversionError, "needs a list"),
        (
            space(forbiddens=[{"type": "RELATION_LT", "left": "x", "right": "c"}]),
            ConversionError,
            "compares parameters",
        ),
        (
            space(forbiddens=[{"type": "RELATION_LE", "left": "x", "right": "x"}]),
            ConversionError,
            "compares parameters",
        ),
        (space(forbiddens=[clause("x", "'\"")]), ConversionError, "only values of choices"),
        (
            space(forbiddens=[clause("c", "a"), clause("c", "b")]),
            ConversionError,
            "no value of c is left",
        ),
    ],
)
def test_what_a_study_cannot_hold(
    document: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        FILES.read_text(json.dumps(document), tmp_path, "space.json")


RELATION = {"left": "x", "right": "y"}


@pytest.mark.parametrize(
    ("forbidden", "constraint"),
    [
        (clause("x", 0.5), "x != 0.5"),
        ({"type": "IN", "name": "n", "values": [1, 2]}, "n != 1 and n != 2"),
        ({"type": "RELATION_LT", **RELATION}, "x >= y"),
        ({"type": "RELATION_EQ", **RELATION}, "x != y"),
        ({"type": "RELATION", "lambda": "GT", **RELATION}, "x <= y"),
        (
            {"type": "AND", "clauses": [clause(each, "a") for each in "cde"]},
            "c != 'a' or d != 'a' or e != 'a'",
        ),
        (
            {"type": "AND", "clauses": [clause("x", 1.0), {"type": "RELATION_GT", **RELATION}]},
            "x != 1.0 or x <= y",
        ),
    ],
)
def test_other_forbidden_clauses_are_constraints(
    forbidden: dict[str, Any], constraint: str, tmp_path: Path
) -> None:
    n = {"type": "uniform_int", "name": "n", "lower": 1, "upper": 4}
    more: list[dict[str, Any]] = [{**X, "name": "y"}, n, {**C, "name": "d"}, {**C, "name": "e"}]
    document = space(*more, forbiddens=[clause("c", "b"), forbidden])
    file = tmp_path / "space.json"
    file.write_text(json.dumps(document), "utf-8")
    data = importer.read(file).studies[0].study.to_json()
    assert data["constraints"] == [constraint]
    study = load({**data, "objective": {"metric": "m", "goal": "minimize"}})
    assert len(parameter_constraints(study)) == 1
    exported = exporter.write(study, "configspace")
    assert exported.document["forbiddens"] == [clause("c", "b"), forbidden]
    assert not [each for each in exported.findings if "constraints" in each.path]
    del data["constraints"]
    without = exporter.write(
        load({**data, "objective": study.to_json()["objective"]}), "configspace"
    )
    assert without.document["forbiddens"] == [clause("c", "b")]


def test_what_configspace_does_not_have() -> None:
    study = load(
        {
            "name": "demo",
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {
                "a": {"type": "float", "min": 0, "max": 1, "step": 0.5},
                "b": {"type": "discrete", "values": [1, 10], "scale": "log"},
                "c": {"type": "categorical", "values": [1, True]},
                "d": {"type": "float", "min": 0, "max": 1, "when": {"b": 10, "c": [1]}},
            },
            "strategy": "random",
            "limits": {"max_trials": 4},
        }
    )
    exported = exporter.write(study, "configspace")
    found = {each["name"]: each for each in exported.document["hyperparameters"]}
    assert found["a"] == {"name": "a", "type": "ordinal", "sequence": [0.0, 0.5, 1.0]}
    assert found["c"]["choices"] == ["1", "True"]
    (written,) = exported.document["conditions"]
    assert written["type"] == "AND"
    assert written["conditions"][1]["value"] == "1"  # as the parent has it
    assert {each.path for each in exported.findings} == {
        *("objective", "strategy", "limits", "parameters.a.step", "parameters.b.scale"),
        "parameters.c",
    }


def test_conditions_and_clauses_of_changed_parameters_are_not_kept() -> None:
    data, _ = FILES.read("comparisons.json")
    data["parameters"]["a1"]["when"] = {"size": [8]}
    found = exporter.write(load(data), "configspace").document["conditions"]
    conditions = {each["child"]: each for each in found}
    assert conditions["a1"] == condition("EQ", "a1", "size", 8)
    assert conditions["a0"] == condition("NEQ", "a0", "model", "net")
    forbidden, _ = FILES.read("forbidden.json")
    forbidden["parameters"]["penalty"] = {"type": "categorical", "values": ["l1", "l2", "l3"]}
    document = exporter.write(load(forbidden), "configspace").document
    assert document["forbiddens"] == [clause("c", "z")]
    (penalty,) = [each for each in document["hyperparameters"] if each["name"] == "penalty"]
    assert penalty["choices"] == ["l1", "l2", "l3"]


def test_configspace_reads_what_is_written(tmp_path: Path) -> None:
    module = pytest.importorskip("ConfigSpace.configuration_space")
    for name in FILES.names:
        exported = exporter.write(importer.read(FILES.folder / name).studies[0].study, FILES.name)
        file = tmp_path / name
        file.write_text(exported.to_text(file), "utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about default and q in the old one
            again = module.ConfigurationSpace.from_json(file)
            original = module.ConfigurationSpace.from_json(FILES.folder / name)
        assert again == original, name
