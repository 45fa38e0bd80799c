"""Experiments of IBM's API v3: read as studies, and written back with the same meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.diagnostics import Finding, Note
from cloudtune.errors import ConversionError, StudyError
from cloudtune.formats.documents import parse_documents
from cloudtune.study.loader import load
from tests.document_equality import Equalities, any_match, changes, differences

FOLDER = Path(__file__).parent / "ibm_experiments"
_SEARCH = "training_references.*.hyper_parameters_optimization"
_PARAMETERS = f"{_SEARCH}.hyper_parameters"
EQUAL = Equalities(
    identities={
        "training_references": "name",
        f"{_SEARCH}.method.parameters": "name",
        _PARAMETERS: "name",
    },
    unordered=(f"{_PARAMETERS}.*.*_values",),
    numbers=(
        *(f"{_PARAMETERS}.*.{key}.*" for key in ("int_range", "double_range", "log_range")),
        *(f"{_PARAMETERS}.*.{key}.*" for key in ("int_values", "double_values")),
        f"{_SEARCH}.method.parameters.*.int_value",
    ),
    defaults={f"{_PARAMETERS}.*.int_range.step": [1, "1"]},
)
CASES = sorted(path.name for path in FOLDER.iterdir() if path.stem != "several")


def document(name: str) -> dict[str, Any]:
    (found,) = parse_documents((FOLDER / name).read_text("utf-8"), name)
    data: dict[str, Any] = found.data
    return data


def same_form(data: dict[str, Any]) -> dict[str, Any]:
    """Write values instead of exponents, and an experiment without its envelope."""
    data = dict(data.get("entity", data))
    references: list[dict[str, Any]] = []
    for each in data.get("training_references", []):
        reference = dict(each)
        if "hyper_parameters_optimization" in each:
            search = dict(each["hyper_parameters_optimization"])
            search["hyper_parameters"] = list(map(parameter, search.get("hyper_parameters", [])))
            reference["hyper_parameters_optimization"] = search
        references.append(reference)
    return {**data, "training_references": references}


def parameter(entry: dict[str, Any]) -> dict[str, Any]:
    for key in ("int_range", "double_range"):
        space = entry.get(key, {})
        try:
            numbers = {name: float(space[name]) for name in space if name != "min"}
        except (ValueError, TypeError):
            continue
        if not {"power", "min_value", "max_value"} <= numbers.keys():
            continue
        low, high, base = numbers["min_value"], numbers["max_value"], numbers["power"]
        rest = {name: value for name, value in entry.items() if name != key}
        step = numbers.get("step", 1 if key == "int_range" else 0)
        if not step:
            bounds = {"min": rounded(base**low), "max": rounded(base**high)}
            return {**rest, "log_range": bounds}
        count = round((high - low) / step) + 1
        values = [rounded(base ** (low + index * step)) for index in range(count)]
        whole = all(value == int(value) for value in values)
        return {**rest, "int_values" if whole else "double_values": values}
    if "double_values" in entry:
        values = [rounded(v) if isinstance(v, float) else v for v in entry["double_values"]]
        return {**entry, "double_values": values}
    return entry


def rounded(value: float) -> float:
    return float(f"{value:.9g}")


def compare(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return differences(same_form(one), same_form(other), EQUAL)


def read(name: str) -> tuple[dict[str, Any], tuple[Finding | Note, ...]]:
    imported = importer.read(FOLDER / name)
    (found,) = imported.studies
    return found.data, imported.findings


@pytest.mark.parametrize("name", CASES)
def test_an_experiment_comes_back_with_the_same_meaning(name: str, tmp_path: Path) -> None:
    imported = importer.read(FOLDER / name)
    file = tmp_path / "study.yaml"
    file.write_text(imported.studies[0].to_yaml(imported.comment), "utf-8")
    assert compare(document(name), exporter.write(load(file), "ibm-experiments").document) == []


@pytest.mark.parametrize("name", CASES)
def test_the_comparison_notices_each_change(name: str) -> None:
    original = document(name)
    permitted = ("metadata.*", "**int_range.step")
    unnoticed = [
        path
        for path, _, changed in changes(original)
        if not compare(original, changed) and not any_match(path, permitted)
    ]
    assert unnoticed == []


def test_what_an_experiment_becomes() -> None:
    data, findings = read("digits.yaml")
    assert data["name"] == "digit recognition"
    assert data["objective"] == {"metric": "accuracy", "goal": "maximize"}
    assert data["strategy"] == {"name": "random"}
    assert data["limits"] == {"max_trials": 4}
    assert data["parameters"] == {
        "learning_rate": {"type": "float", "min": 0.005, "max": 0.01, "step": 0.001},
        "conv_filter_size1": {"type": "int", "min": 5, "max": 6},
        "fc": {"type": "discrete", "values": [512, 1024], "scale": "log"},
    }
    assert list(data["providers"]) == ["ibm-experiments"]
    assert list(data["providers"]["ibm-experiments"]) == ["native"]
    texts = " ".join(map(str, findings))
    assert "no service runs it any more" in texts
    assert 'cloudtune.trial.report({"accuracy": value})' in texts


def test_exponents_and_types_of_values() -> None:
    found = read("exponents.yaml")[0]["parameters"]
    assert found["fc"]["values"] == [32, 64, 128, 256, 512, 1024]
    assert found["lr"] == {"type": "float", "min": 1e-05, "max": 0.1, "scale": "log"}
    assert found["alpha"] == {"type": "float", "min": 0.125, "max": 4.0, "scale": "log"}
    assert found["beta"]["values"] == pytest.approx([0.01, 0.0316227766, 0.1, 0.316227766, 1])
    assert found["gamma"]["values"] == [0.01, 0.1, 1.0, 10.0]
    found = read("lists.yaml")[0]["parameters"]
    assert found["optimizer"] == {"type": "categorical", "values": ["adam", "no", "007", "64"]}
    assert found["batch"] == {"type": "discrete", "values": [32, 64, 128]}
    assert list(map(type, found["whole"]["values"])) == [float, float]


def test_several_searches_are_several_studies() -> None:
    imported = importer.read(FOLDER / "several.yaml")
    assert [each.name for each in imported.studies] == ["one", "two"]
    (two,) = importer.read(FOLDER / "several.yaml", definition="two").studies
    assert two.data["parameters"]["lr"]["min"] == 0.2
    written = exporter.write(two.study, "ibm-experiments").document
    assert written["settings"] == {"name": "study"}
    assert [each["name"] for each in written["training_references"]] == ["two"]


def test_an_unknown_key_of_a_range_is_a_warning() -> None:
    data, findings = read("typo.yaml")
    assert "step" not in data["parameters"]["lr"]
    (text,) = [str(each) for each in findings if 'step"' in each.path]
    assert "without meaning" in text


def test_keys_of_a_storage_are_dropped(tmp_path: Path) -> None:
    text = (FOLDER / "digits.yaml").read_text("utf-8")
    secret = "endpoint_url: https://s3.example.com, secret_access_key: ab12ab12"
    file = tmp_path / "experiment.yaml"
    file.write_text(text.replace("endpoint_url: https://s3.example.com", secret), "utf-8")
    imported = importer.read(file)
    assert "ab12ab12" not in imported.studies[0].to_yaml()
    assert any(each.path.endswith("secret_access_key") for each in imported.findings)


def change(name: str, edit: tuple[str, str], tmp_path: Path) -> importer.Imported:
    text = (FOLDER / name).read_text("utf-8")
    assert edit[0] in text
    file = tmp_path / name
    file.write_text(text.replace(*edit), "utf-8")
    return importer.read(file)


_ONE = "training_references.0.hyper_parameters_optimization"
MISTAKES = [
    ("steps.yaml", ("name: random", "name: annealing"), f"{_ONE}.method.name", "random or rbfopt"),
    ("steps.yaml", ("name: objective", "name: goal"), f"{_ONE}.method.param", "objective is miss"),
    ("steps.yaml", ("maximize}", "most}"), f"{_ONE}.method.param", "must be maximize or"),
    ("steps.yaml", ("int_value: 6", "int_value: 1.5"), f"{_ONE}.method.param", "whole number"),
    ("steps.yaml", ("min_value: 100, ", ""), f"{_ONE}.hyper_parameters.0.int_range", "needs min"),
    ("steps.yaml", ("min_value: 100", "min_value: 9999"), f"{_ONE}.hyper_parameters.0", "swap"),
    ("steps.yaml", ("min_value: 100", "min_value: a"), f"{_ONE}.hyper_parameters.0", "a number"),
    (
        "steps.yaml",
        ("max_value: 5", "max_value: 0.5"),
        f"{_ONE}.hyper_parameters.2",
        "step 1",
    ),
    ("lists.yaml", ("int_values: [128", "int_values: [1.5"), f"{_ONE}.hyper_parameters.1", "whole"),
    ("lists.yaml", ("double_values: [0, 0.5, 1]", "x: 1"), f"{_ONE}.hyper_parameters.2", "one of"),
    ("exponents.yaml", ("power: 2}", "power: 0}"), f"{_ONE}.hyper_parameters.0", "a base above 1"),
]


@pytest.mark.parametrize(("name", "edit", "path", "message"), MISTAKES)
def test_mistakes_name_the_field_and_the_line(
    name: str, edit: tuple[str, str], path: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        change(name, edit, tmp_path)
    problem = caught.value.problems[0]
    assert problem.path.startswith(path)
    assert problem.line


def test_a_method_that_never_worked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="hyperband did not work"):
        change("steps.yaml", ("name: random", "name: hyperband"), tmp_path)


def test_an_export_tells_what_an_experiment_cannot_express() -> None:
    study = load(
        {
            "name": "demo",
            "objective": {"metric": "loss", "goal": "minimize", "target": 0.1, "select": "best"},
            "parameters": {
                "n": {"type": "int", "min": 4, "max": 4000, "scale": "log"},
                "b": {"type": "bool"},
            },
            "limits": {"max_trials": 9, "parallel_trials": 2},
            "trial": {"script": "train.py"},
        }
    )
    exported = exporter.write(study, "ibm-experiments")
    assert {each.path for each in exported.findings} >= {
        *("objective.target", "objective.select", "parameters.n.scale", "limits.parallel_trials"),
        *("trial.script", "parameters.b"),
    }
    (reference,) = exported.document["training_references"]
    found = reference["hyper_parameters_optimization"]["hyper_parameters"]
    assert found[1] == {"name": "b", "string_values": ["False", "True"]}
    assert (found[0]["int_values"][0], found[0]["int_values"][-1]) == (4, 4000)


def test_a_search_alone(tmp_path: Path) -> None:
    method = [
        {"name": "objective", "string_value": "accuracy"},
        {"name": "maximize_or_minimize", "string_value": "maximize"},
        {"name": "num_optimizer_steps", "int_value": 10},
        {"name": "time_interval", "string_value": "epoch"},
    ]
    search = {
        "method": {"name": "rbfopt", "parameters": method},
        "hyper_parameters": [{"name": "width", "int_range": {"min_value": 1, "max_value": 20}}],
    }
    file = tmp_path / "hpo_params.json"
    file.write_text(json.dumps({"hyper_parameters_optimization": search}), "utf-8")
    (found,) = importer.read(file).studies
    assert found.data["limits"] == {"max_trials": 10}
    exported = exporter.write(found.study, "ibm-experiments").document
    original = {"training_references": [{"hyper_parameters_optimization": search}]}
    assert compare(original, exported) == []


def test_an_experiment_without_a_search_tunes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps({"training_references": [{"name": "mnist"}]}), "utf-8")
    with pytest.raises(StudyError, match="nothing is tuned"):
        importer.read(file)
