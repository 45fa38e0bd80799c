"""Study configurations of Vizier: read as studies, and written back with the same meaning."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.diagnostics import Finding, Note
from cloudtune.errors import ConversionError, StudyError
from cloudtune.formats.documents import parse_documents
from cloudtune.study.loader import load
from tests.document_equality import Equalities, any_match, changes, differences, is_list

FOLDER = Path(__file__).parent / "vizier"
_OUTPUT = ("name", "state", "createTime", "inactiveReason")
EQUAL = Equalities(
    identities={"studySpec.parameters": "parameterId", "studySpec.metrics": "metricId"},
    unordered=(
        *("**.categoricalValueSpec.values", "**.discreteValueSpec.values", "**.parent*.values"),
    ),
    numbers=(
        *("**.minValue", "**.maxValue", "**.defaultValue", "**.discreteValueSpec.values.*"),
        *("**.parentIntValues.values.*", "**.parentDiscreteValues.values.*", "**.maxNum*"),
    ),
    defaults={
        "**.minValue": [0, 0.0, "0"],
        "**.maxValue": [0, 0.0, "0"],
        "**.scaleType": ["SCALE_TYPE_UNSPECIFIED"],
        "**.externalType": ["AS_INTERNAL"],
        "studySpec.algorithm": ["ALGORITHM_UNSPECIFIED"],
        "studySpec.metrics.*.goal": ["MAXIMIZE"],
        "studySpec.measurementSelectionType": ["LAST_MEASUREMENT"],
    },
    ignored=_OUTPUT,
    markers=("studySpec.defaultStoppingSpec", "studySpec.medianAutomatedStoppingSpec"),
)
_ENUMS = {
    "goal": ["GOAL_TYPE_UNSPECIFIED", "MAXIMIZE", "MINIMIZE"],
    "scaleType": [
        *("SCALE_TYPE_UNSPECIFIED", "UNIT_LINEAR_SCALE", "UNIT_LOG_SCALE"),
        "UNIT_REVERSE_LOG_SCALE",
    ],
    "algorithm": ["ALGORITHM_UNSPECIFIED", "GAUSSIAN_PROCESS_BANDIT", "GRID_SEARCH"],
    "externalType": ["AS_INTERNAL", "AS_BOOLEAN", "AS_INTEGER", "AS_FLOAT"],
}
CASES = sorted(path.name for path in FOLDER.iterdir())


def document(name: str) -> dict[str, Any]:
    (found,) = parse_documents((FOLDER / name).read_text("utf-8"), name)
    data: dict[str, Any] = found.data
    return data


def camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def one_spelling(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        return {camel(name): one_spelling(inner, camel(name)) for name, inner in items.items()}
    if is_list(value):
        entries = [one_spelling(item) for item in value]
        if key == "conditionalParameterSpecs":
            return sorted(entries, key=lambda each: str(each["parameterSpec"].get("parameterId")))
        return entries
    if key in _ENUMS and isinstance(value, int):
        return dict(enumerate(_ENUMS[key])).get(value, value)
    return value


def same_form(data: dict[str, Any]) -> dict[str, Any]:
    """Write a Study in camelCase, with names of enum values and without an envelope."""
    found: dict[str, Any] = one_spelling(data)
    found = found.get("study", found)
    return found if "studySpec" in found else {"studySpec": found}


def compare(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return differences(same_form(one), same_form(other), EQUAL)


def read(name: str) -> tuple[dict[str, Any], tuple[Finding | Note, ...]]:
    imported = importer.read(FOLDER / name)
    assert imported.format.name == "vizier"
    (found,) = imported.studies
    return found.data, imported.findings


@pytest.mark.parametrize("name", CASES)
def test_a_study_comes_back_with_the_same_meaning(name: str, tmp_path: Path) -> None:
    imported = importer.read(FOLDER / name)
    file = tmp_path / "study.yaml"
    file.write_text(imported.studies[0].to_yaml(imported.comment), "utf-8")
    written = exporter.write(load(file), "vizier").document
    assert compare(document(name), written) == []
    original = one_spelling(document(name))
    assert ("studySpec" in written) == ("displayName" in original.get("study", original))


@pytest.mark.parametrize("name", CASES)
def test_the_comparison_notices_each_change(name: str) -> None:
    original = document(name)
    permitted = (*_OUTPUT, "parent", "**.goal", "**.externalType", "**.scaleType", "**_value")
    unnoticed = [
        path
        for path, kind, changed in changes(original)
        if not compare(original, changed)
        and not (any_match(path, permitted) and (kind == "deleted" or path in {*_OUTPUT, "parent"}))
    ]
    assert unnoticed == []


def test_what_a_study_becomes() -> None:
    data, findings = read("plain.json")
    assert data["name"] == "benchmark"
    assert data["objective"] == {"metric": "accuracy", "goal": "maximize"}
    assert data["strategy"] == {"name": "bayesian"}
    assert data["parameters"] == {
        "lr": {"type": "float", "min": 0.0001, "max": 0.1, "scale": "log"},
        "layers": {"type": "int", "min": 1, "max": 5, "scale": "auto"},
        "w0": {"type": "float", "min": 0, "max": 5.0},
    }
    assert list(data["providers"]) == ["vizier"]
    texts = " ".join(map(str, findings))
    assert "name it in initial_trials" in texts
    assert "name limits.max_trials" in texts


def test_external_types() -> None:
    found = read("external.json")[0]["parameters"]
    assert found["flag"] == {"type": "bool"}
    assert found["lower"] == {"type": "categorical", "values": ["false", "true"]}
    assert list(map(type, found["batch"]["values"])) == [int, int, int]
    assert list(map(type, found["rate"]["values"])) == [float, float]


def test_conditions_name_the_direct_parent() -> None:
    data, _ = read("conditional.json")
    found = data["parameters"]
    assert found["units"]["when"] == {"layers": [2, 3]}
    assert found["l2"] == {
        "type": "float",
        "min": 0.001,
        "max": 1.0,
        "scale": "reverse_log",
        "when": {"model": ["linear"]},
    }
    assert found["bias"]["when"] == {"use_bias": [True]}
    assert data["early_stopping"] == "auto"
    assert data["strategy"] == {"name": "bayesian", "method": "gp"}


def test_a_safety_metric_is_a_constraint() -> None:
    data, _ = read("safety.json")
    assert data["objective"] == {"metric": "revenue", "goal": "maximize"}
    assert data["constraints"] == ["latency <= 0.2"]


def test_limits_of_metrics_become_safety_metrics() -> None:
    data, _ = read("safety.json")
    limits = ["latency <= 0.2", "3 < `memory gb`", "latency < memory", "x < 1", "revenue > 1"]
    exported = exporter.write(load({**data, "constraints": limits}), "vizier")
    metrics = exported.document["metrics"]
    assert {m["metricId"]: m["goal"] for m in metrics if "safetyConfig" in m} == {
        "latency": "MINIMIZE",
        "memory gb": "MAXIMIZE",
    }
    findings = [f for f in exported.findings if isinstance(f, Finding)]
    dropped = {f.path for f in findings if f.kind == "dropped"}
    assert {path for path in dropped if "constraints" in path} == {
        f"constraints.{index}" for index in (2, 3, 4)
    }
    without = exporter.write(load({**data, "constraints": []}), "vizier").document
    assert [metric["metricId"] for metric in without["metrics"]] == ["revenue"]


def test_several_objectives_and_an_absent_goal() -> None:
    data, findings = read("two-metrics.yaml")
    assert data["objective"] == [
        {"metric": "f1", "goal": "minimize"},
        {"metric": "f2", "goal": "maximize"},
    ]
    assert data["strategy"] == {"name": "genetic", "method": "nsga2"}
    assert "study_spec.metrics.1.goal" in {each.path for each in findings}


def test_limits_of_vertex_ai_vizier() -> None:
    data, _ = read("vertex-vizier.json")
    assert data["limits"] == {"max_trials": 20, "timeout": "1h", "patience": 5}
    assert data["objective"]["select"] == "best"


def test_a_changed_strategy_replaces_the_algorithm_of_the_document() -> None:
    data, _ = read("shuffled.json")
    written = exporter.write(load({**data, "strategy": "random"}), "vizier").document
    assert written["algorithm"] == "RANDOM_SEARCH"


def change(name: str, edit: tuple[str, str], tmp_path: Path) -> importer.Imported:
    text = json.dumps(document(name))
    assert edit[0] in text
    file = tmp_path / "study.json"
    file.write_text(text.replace(*edit), "utf-8")
    return importer.read(file, "vizier")


_FIRST = "parameters.0"
MISTAKES = [
    ("shuffled.json", ("MINIMIZE", "LEAST"), "metrics.0.goal", "MAXIMIZE or MINIMIZE"),
    ("shuffled.json", ("SCALE_TYPE_UNSPECIFIED", "LOG"), f"{_FIRST}.scaleType", "unknown scale"),
    ("shuffled.json", ("[1, 2, 4]", '["a"]'), f"{_FIRST}.discreteValueSpec", "needs numbers"),
    ("shuffled.json", ("discreteValueSpec", "listSpec"), f"{_FIRST}.parameterId", "one value spec"),
    ("shuffled.json", ('"metrics"', '"measures"'), "metrics", "needs a metric"),
    ("external.json", ("AS_FLOAT", "AS_TEXT"), "parameters.3.externalType", "unknown type"),
    ("quasi.json", ('"minValue": 3', '"minValue": 3.5'), f"{_FIRST}.integerValueSpec", "integer"),
    ("decay.json", ('"minValue": 1', '"minValue": 9'), _FIRST, "swap"),
]


@pytest.mark.parametrize(("name", "edit", "path", "message"), MISTAKES)
def test_mistakes_name_the_field(
    name: str, edit: tuple[str, str], path: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        change(name, edit, tmp_path)
    assert caught.value.problems[0].path.startswith(path)


@pytest.mark.parametrize("algorithm", ["BOCS", "EAGLE_STRATEGY", "my_own"])
def test_other_algorithms_are_refused(algorithm: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=f"no algorithm {algorithm}") as caught:
        change("shuffled.json", ("SHUFFLED_GRID_SEARCH", algorithm), tmp_path)
    assert [each.path for each in caught.value.findings] == ["algorithm"]


def test_an_export_tells_what_vizier_cannot_express() -> None:
    study = load(
        {
            "name": "demo",
            "objective": {"metric": "loss", "goal": "minimize", "target": 0.1},
            "parameters": {
                "b": {"type": "bool"},
                "s": {"type": "float", "min": 0, "max": 1, "step": 0.25},
                "batch": {"type": "discrete", "values": [16, 32]},
            },
            "strategy": {"name": "bayesian", "method": "tpe", "seed": 3},
            "limits": {"max_trials": 9, "timeout": "1h"},
            "trial": {"script": "train.py"},
        }
    )
    exported = exporter.write(study, "vizier")
    assert {each.path for each in exported.findings} >= {
        *("objective.target", "strategy.method", "strategy.seed", "limits.max_trials", "trial"),
        "limits.timeout",
    }
    flag, step, batch = exported.document["studySpec"]["parameters"]
    assert flag["externalType"] == "AS_BOOLEAN"
    assert "externalType" not in step
    # Without it, google-vizier 0.1.24 shows 16.0 (StudyConfig.trial_parameters).
    assert batch["externalType"] == "AS_INTEGER"
    assert step["discreteValueSpec"]["values"] == [0, 0.25, 0.5, 0.75, 1]
