"""Searches of WML Accelerator: read as studies, and written back with the same meaning."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.diagnostics import Finding, Note
from cloudtune.errors import ConversionError, StudyError
from cloudtune.study.loader import load
from tests.document_equality import Equalities, any_match, changes, differences

FOLDER = Path(__file__).parent / "native"
EQUAL = Equalities(
    identities={
        "hyperParams": "name",
        "algoDef.algoParams": "name",
        "experiments.*.hyperParams": "name",
    },
    unordered=("hyperParams.*.values",),
    numbers=(
        *("hyperParams.*.min", "hyperParams.*.max", "hyperParams.*.step", "hyperParams.*.values.*"),
        *("algoDef.algoParams.*.value", "algoDef.max*", "experiments.*.hyperParams.*.fixedVal"),
    ),
    defaults={
        "algoDef.maxRunTime": [-1],
        "algoDef.maxJobNum": [-1],
        "algoDef.maxParalleJobNum": [-1],
    },
    ignored=(
        # What the service adds.
        *("state", "progress", "running", "complete", "failed", "duration", "creator"),
        *("createtime", "best", "best.**"),
    ),
)
UNUSED = {
    "bayesian": ("**.hyperbandEta", "data.algoDef.algoParams.2.*", "**.a.1"),
    "finished": ("experiments**", "algoDef.hyperbandEta"),
    "hyperband": ("hyperParams.*.minIntVal", "hyperParams.*.maxIntVal"),
}
"""What has no meaning: settings of Hyperband, results, and bounds of the other type."""
CASES = sorted(path.stem for path in FOLDER.glob("*.json"))
_BOUNDS = {"INT": ("minIntVal", "maxIntVal"), "DOUBLE": ("minDbVal", "maxDbVal")}
_LISTS = {"INT": "discreteIntVal", "DOUBLE": "discreteDbVal", "STR": "discreateStrVal"}


def document(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return data


def same_form(data: dict[str, Any]) -> dict[str, Any]:
    """Write a search without what has no meaning, with values instead of exponents."""
    if "data" in data and "algoDef" not in data:
        inner = data["data"]
        data = json.loads(inner) if isinstance(inner, str) else inner
    data = dict(data)
    if data.get("algoDef", {}).get("algorithm") != "ExperimentGridSearch":
        data.pop("experiments", None)
    algorithm = data.get("algoDef", {})
    if algorithm.get("algorithm") != "Hyperband":  # without it, they have no meaning
        params = algorithm.get("algoParams", [])
        kept = [each for each in params if not str(each.get("name")).startswith("Resource")]
        data["algoDef"] = {**algorithm, "hyperbandEta": None, "algoParams": kept}
    if "hyperParams" in data:
        data["hyperParams"] = [parameter(each) for each in data["hyperParams"]]
    if "experiments" in data:
        data["experiments"] = [
            {
                **trial,
                "hyperParams": [
                    {**each, "dataType": kind(each)} for each in trial.get("hyperParams", [])
                ],
            }
            for trial in data["experiments"]
        ]
    return data


def kind(entry: dict[str, Any]) -> str:
    return str(entry.get("dataType")).upper().replace("STRING", "STR")


def parameter(entry: dict[str, Any]) -> dict[str, Any]:
    name, type_ = entry.get("name"), kind(entry)
    known = {"name", "type", "dataType", "power", "step", *_LISTS.values()}
    known |= {*_BOUNDS["INT"], *_BOUNDS["DOUBLE"]}
    other = {key: value for key, value in entry.items() if key not in known}
    form = str(entry.get("type")).lower()
    low_key, high_key = _BOUNDS.get(type_, ("", ""))
    if form == "range" and not is_range(entry, low_key, high_key):
        return entry
    if form != "range":
        values = [
            rounded(each) if isinstance(each, float) else each
            for each in entry.get(_LISTS.get(type_, ""), [])
        ]
        return {**other, "name": name, "type": form, "dataType": type_, "values": values}
    low, high = float(entry[low_key]), float(entry[high_key])
    step = float(entry["step"]) if "step" in entry else None
    if "power" in entry:
        base = math.e if entry["power"] == "e" else float(entry["power"])
        if type_ == "INT" or step:
            count = round((high - low) / (step or 1)) + 1
            listed = [rounded(base ** (low + index * (step or 1))) for index in range(count)]
            whole = all(value == int(value) for value in listed)
            type_ = "INT" if whole else "DOUBLE"
            return {"name": name, "type": "discrete", "dataType": type_, "values": listed, **other}
        bounds = {"min": rounded(base**low), "max": rounded(base**high), "log": True}
        return {"name": name, "type": "range", "dataType": type_, **bounds, **other}
    steps = {} if step is None or (type_ == "INT" and step == 1) else {"step": step}
    return {
        "name": name,
        "type": form,
        "dataType": type_,
        "min": low,
        "max": high,
        **steps,
        **other,
    }


def is_range(entry: dict[str, Any], *keys: str) -> bool:
    """Return whether the bounds, the step and the power are numbers."""
    power = [] if entry.get("power", "e") == "e" else ["power"]
    values = [entry.get(key) for key in (*keys, *power, *(["step"] if "step" in entry else []))]
    try:
        list(map(float, map(str, values)))
    except ValueError:
        return False
    return True


def rounded(value: float) -> float:
    return float(f"{value:.9g}")


def compare(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return differences(same_form(one), same_form(other), EQUAL)


def read(name: str) -> tuple[dict[str, Any], tuple[Finding | Note, ...]]:
    imported = importer.read(FOLDER / f"{name}.json")
    (found,) = imported.studies
    return found.data, imported.findings


@pytest.mark.parametrize("name", CASES)
def test_a_search_comes_back_with_the_same_meaning(name: str, tmp_path: Path) -> None:
    imported = importer.read(FOLDER / f"{name}.json")
    file = tmp_path / "study.yaml"
    file.write_text(imported.studies[0].to_yaml(imported.comment), "utf-8")
    written = exporter.write(load(file), "watson").document
    assert compare(document(name), written) == []


@pytest.mark.parametrize("name", [name for name in CASES if name != "text"])
def test_the_comparison_notices_each_change(name: str) -> None:
    original = document(name)
    permitted = (
        *EQUAL.ignored,
        *("**.max*Num", "**.maxRunTime", "file", "unknownKey"),
        *UNUSED.get(name, ()),
        "**hyperParams.*.step",
    )
    unnoticed = [
        path
        for path, _, changed in changes(original)
        if not compare(original, changed) and not any_match(path, permitted)
    ]
    assert unnoticed == []


def test_what_a_search_becomes() -> None:
    data, findings = read("random")
    assert data["objective"] == {"metric": "loss", "goal": "minimize"}
    assert data["strategy"] == {"name": "random", "seed": 2}
    assert data["limits"] == {"max_trials": 4, "parallel_trials": 2, "timeout": "1h"}
    assert data["parameters"] == {
        "learning_rate": {"type": "float", "min": 0.001, "max": 0.1},
        "num_hidden_layers": {"type": "int", "min": 0, "max": 5},
    }
    assert data["providers"]["watson"]["backend"] == "wmla"
    assert data["providers"]["watson"]["instance_group"] == "dlipy3"
    texts = {each.path: str(each) for each in findings}
    assert "pytorch_mnist_hpo.py is uploaded with the search" in texts["modelSpec.args"]
    assert 'cloudtune.trial.report({"loss": value})' in texts["algoDef.objectiveMetric"]


def test_exponents_become_values() -> None:
    data, _ = read("xgboost")
    found = data["parameters"]
    assert "limits" not in data or data["limits"] == {"parallel_trials": 4}
    assert found["learning_rate"] == {"type": "float", "min": 0.01, "max": 1.0, "scale": "log"}
    assert found["n.bins"]["values"] == [32, 64, 128, 256, 512, 1024]
    assert found["lambda"]["values"] == [0.01, 0.1, 1, 10, 100, 1000, 10000, 100000]
    assert found["gamma"] == {"type": "float", "min": 0.125, "max": 4.0, "scale": "log"}
    assert found["alpha"]["min"] == pytest.approx(math.exp(-5))
    assert found["drop"]["values"] == pytest.approx([0.01, 0.0316227766, 0.1])
    assert found["colsample_bytree"] == {"type": "float", "min": 0.01, "max": 1.0, "step": 0.01}


def test_values_keep_their_type() -> None:
    data, findings = read("tpe")
    found = {name: each.get("values") for name, each in data["parameters"].items()}
    assert found["optimizer"] == ["sgd", "no", "007", "64"]
    assert found["activation"] == ["relu", "true"]
    assert found["batch"] == [32, 64, 128]
    assert list(map(type, found["whole"])) == [float, float]
    assert data["strategy"] == {"name": "bayesian", "method": "tpe", "seed": 0}
    assert data["trial"]["select"] == {"loss": "min", "auc": "max", "step": "last"}
    assert any("WarmUp" in str(each) for each in findings)


def test_hyperband() -> None:
    assert read("hyperband")[0]["strategy"] == {
        "name": "hyperband",
        "eta": 3,
        "resource": "epochs",
        "max": 81,
    }
    data, findings = read("fraction")
    assert "eta" not in data["strategy"]
    assert any(each.path == "algoDef.hyperbandEta" for each in findings)


def test_listed_trials() -> None:
    data, _ = read("grid")
    assert data["strategy"] == {"name": "list"}
    assert data["initial_trials"] == [
        {"learning_rate": 0.1, "optimizer": "Adam", "layers": 4},
        {"learning_rate": 0.2, "optimizer": "64", "layers": 2},
    ]


def test_code_next_to_the_file_is_the_script(tmp_path: Path) -> None:
    file = tmp_path / "search.json"
    file.write_text(json.dumps(document("random")), "utf-8")
    (tmp_path / "pytorch_mnist_hpo.py").write_text("", "utf-8")
    (found,) = importer.read(file).studies
    assert found.data["trial"]["script"] == "pytorch_mnist_hpo.py"
    assert found.data["trial"]["args"] == ["--epochs", "2"]
    assert found.data["trial"]["inputs"] == {"data": {"watson": "mnist"}}
    written = exporter.write(found.study, "watson").document["modelSpec"]
    assert written["sigName"] == "dlipy3"
    assert sorted(written["args"].split()) == sorted(
        document("random")["modelSpec"]["args"].split()
    )


MISTAKES = [
    ("random", ('"minDbVal": 0.001, ', ""), "hyperParams.0.minDbVal", "needs minDbVal and"),
    ("random", ('"minDbVal": 0.001', '"minDbVal": 5'), "hyperParams.0", "greater than max"),
    ("random", ('"minimize"', '"smallest"'), "algoDef.objective", "minimize or maximize"),
    ("random", ('"objectiveMetric"', '"metric"'), "algoDef.objectiveMetric", "needs a metric"),
    ("random", ('"Range", "dataType": "INT"', '"Range", "dataType": "STR"'), "hyperParams.1", "no"),
    ("random", ('"INT"', '"LONG"'), "hyperParams.1.dataType", "INT, DOUBLE"),
    ("random", ('"maxJobNum": 4', '"maxJobNum": 0'), "algoDef.maxJobNum", "-1 for no limit"),
    ("tpe", ("discreateStrVal", "discreteStrVal"), "hyperParams.0.discreateStrVal", "spelling"),
    ("grid", ('"0.1"', '"fast"'), "experiments.0.hyperParams.0.fixedVal", "of this type"),
    ("grid", ('"experiments"', '"trials"'), "experiments", "needs the trials"),
    ("hyperband", ('"ResourceValue"', '"Value"'), "algoDef.algoParams", "needs ResourceName"),
    ("xgboost", ('"power": 2', '"power": 1'), "hyperParams.4.power", "a base above 1"),
    ("xgboost", ('"maxDbVal": 2', '"maxDbVal": 9999'), "hyperParams.4.power", "not those of"),
    ("text", ('\\"algoDef\\": {', '\\"algoDef\\": '), "data", "not JSON"),
]
REFUSALS = [
    ("random", ('"Random"', '"PluginOptimizer"'), "algoDef.algorithm", "no algorithm Plugin"),
    ("xgboost", ('"step": "0.5"', '"step": "0.0001"'), "hyperParams.6.power", "1,000 values"),
]


def change(name: str, edit: tuple[str, str], tmp_path: Path) -> importer.Imported:
    text = json.dumps(document(name))
    assert edit[0] in text
    file = tmp_path / "search.json"
    file.write_text(text.replace(*edit), "utf-8")
    return importer.read(file)


@pytest.mark.parametrize(("name", "edit", "path", "message"), MISTAKES)
def test_mistakes_name_the_field(
    name: str, edit: tuple[str, str], path: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        change(name, edit, tmp_path)
    assert caught.value.problems[0].path.startswith(path)


@pytest.mark.parametrize(("name", "edit", "path", "reason"), REFUSALS)
def test_refusals_name_the_field(
    name: str, edit: tuple[str, str], path: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ConversionError, match=reason) as caught:
        change(name, edit, tmp_path)
    assert [each.path for each in caught.value.findings] == [path]


def test_the_correct_spelling_of_a_misspelled_key_is_a_warning(tmp_path: Path) -> None:
    imported = change("random", ("maxParalleJobNum", "maxParallelJobNum"), tmp_path)
    assert "parallel_trials" not in imported.studies[0].data["limits"]
    assert any("spells it maxParalleJobNum" in str(each) for each in imported.findings)


def test_a_refusal_of_the_only_parameter_is_the_only_message(tmp_path: Path) -> None:
    edit = ('"maxDbVal": "0.1"', '"maxDbVal": "9", "power": "2", "step": 1e-6')
    with pytest.raises(ConversionError, match="1,000 values"):
        change("bayesian", edit, tmp_path)


def test_a_power_of_zero_is_none(tmp_path: Path) -> None:
    imported = change("random", ('"maxDbVal": 0.1', '"maxDbVal": 0.1, "power": "0"'), tmp_path)
    found = imported.studies[0].data["parameters"]["learning_rate"]
    assert found == {"type": "float", "min": 0.001, "max": 0.1}


def test_an_export_tells_what_a_search_cannot_express() -> None:
    study = load(
        {
            "objective": {"metric": "loss", "goal": "minimize", "target": 0.1},
            "parameters": {
                "n": {"type": "int", "min": 4, "max": 4000, "scale": "log"},
                "b": {"type": "bool"},
                "r": {"type": "float", "min": 0.1, "max": 0.9, "scale": "reverse_log"},
            },
            "limits": {"timeout": "90s", "max_failed_trials": 2},
            "strategy": {"name": "bayesian", "method": "cmaes"},
            "constants": {"epochs": 2},
            "trial": {"script": "train.py"},
            "providers": {"watson": {"exec_start": "PyTorch"}},
        }
    )
    exported = exporter.write(study, "watson")
    assert {each.path for each in exported.findings} >= {
        *("objective.target", "parameters.n.scale", "parameters.r.scale", "limits.timeout"),
        *("limits.max_failed_trials", "strategy.method", "parameters.b"),
    }
    search = exported.document
    assert search["algoDef"]["maxRunTime"] == 2
    assert search["hyperParams"][1]["discreateStrVal"] == ["False", "True"]
    values = search["hyperParams"][0]["discreteIntVal"]
    assert (values[0], values[-1], len(values)) == (4, 4000, 20)
    assert search["modelSpec"]["args"].endswith("--model-main train.py --epochs=2")


def test_a_grid_is_listed() -> None:
    study = load(
        {
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {
                "n": {"type": "int", "min": 1, "max": 3},
                "c": {"type": "categorical", "values": ["a", "b"]},
            },
            "strategy": "grid",
            "trial": {"script": "train.py"},
        }
    )
    search = exporter.write(study, "watson").document
    assert len(search["experiments"]) == 6
    assert search["experiments"][1]["hyperParams"] == [
        {"name": "n", "dataType": "INT", "fixedVal": 1},
        {"name": "c", "dataType": "STR", "fixedVal": "b"},
    ]


def test_another_word_for_a_metric_means_the_latest_value(tmp_path: Path) -> None:
    search = {
        "algoDef": {
            "algorithm": "Random",
            "objectiveMetric": "loss",
            "objective": "minimize",
            "additionalMetrics": {"time": "newest"},
        },
        "hyperParams": [
            {"name": "k", "type": "Discrete", "dataType": "INT", "discreteIntVal": [1]}
        ],
    }
    file = tmp_path / "search.json"
    file.write_text(json.dumps(search), "utf-8")
    imported = importer.read(file)
    assert imported.studies[0].data["trial"]["select"] == {"time": "last"}
    assert any("'newest' of time is latest" in str(each) for each in imported.findings)
