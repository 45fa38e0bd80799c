"""Tuning jobs of Vertex AI: read as studies, and written back with the same meaning."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.diagnostics import Finding, Note
from cloudtune.errors import StudyError
from cloudtune.formats.documents import parse_documents
from cloudtune.study.loader import load
from cloudtune_vertex.google_sdk import import_google
from cloudtune_vertex.native.names import FIELDS, NUMBERS
from tests.document_equality import Equalities, any_match, changes, differences, is_list

FOLDER = Path(__file__).parent / "native"
_PARAMETERS = "studySpec.parameters"
_CHILDREN = "**.conditionalParameterSpecs"
_OUTPUT = ("name", "state", "createTime", "startTime", "endTime", "updateTime", "trials")
EQUAL = Equalities(
    identities={
        _PARAMETERS: "parameterId",
        "studySpec.metrics": "metricId",
        "**.env": "name",
    },
    unordered=(
        "**.categoricalValueSpec.values",
        "**.discreteValueSpec.values",
        "**.parent*.values",
    ),
    numbers=(
        *("**.minValue", "**.maxValue", "**.discreteValueSpec.values.*"),
        *("**.parentIntValues.values.*", "**.parentDiscreteValues.values.*"),
        *("*Count", "**.*Count", "**.bootDiskSizeGb", "**.maxNumTrialsNoProgress"),
    ),
    defaults={
        "**.minValue": [0, 0.0, "0"],
        "**.maxValue": [0, 0.0, "0"],
        "maxFailedTrialCount": [0],
        "studySpec.algorithm": ["ALGORITHM_UNSPECIFIED"],
        "studySpec.measurementSelectionType": ["LAST_MEASUREMENT"],
        "studySpec.metrics.*.goal": ["MAXIMIZE"],
        "**.replicaCount": [1, "1"],
        "**.scaleType": ["SCALE_TYPE_UNSPECIFIED"],
    },
    ignored=("name", *(f"{each}**" for each in _OUTPUT if each != "name")),
    markers=("studySpec.medianAutomatedStoppingSpec",),
)
_ENUMS = {
    "goal": ["GOAL_TYPE_UNSPECIFIED", "MAXIMIZE", "MINIMIZE"],
    "scaleType": [
        *("SCALE_TYPE_UNSPECIFIED", "UNIT_LINEAR_SCALE", "UNIT_LOG_SCALE"),
        "UNIT_REVERSE_LOG_SCALE",
    ],
    "algorithm": ["ALGORITHM_UNSPECIFIED", "", "GRID_SEARCH", "RANDOM_SEARCH"],
    "measurementSelectionType": ["UNSPECIFIED", "LAST_MEASUREMENT", "BEST_MEASUREMENT"],
}
CASES = sorted(path.name for path in FOLDER.iterdir())


def document(name: str) -> dict[str, Any]:
    (found,) = parse_documents((FOLDER / name).read_text("utf-8"), name)
    data: dict[str, Any] = found.data
    return data


def same_form(value: Any, key: str = "") -> Any:
    """Write each job in one spelling: camelCase, names of enum values, children by their id."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        job = items.get("hyperparameterTuningJob")
        if job is not None:
            return same_form(job)
        if camel(key) == "medianAutomatedStoppingSpec":
            return {name: inner for name, inner in items.items() if inner is not False}
        return {
            camel(name): inner if key == "labels" else same_form(inner, camel(name))
            for name, inner in items.items()
        }
    if is_list(value):
        entries = [same_form(item) for item in value]
        if key == "conditionalParameterSpecs":
            return sorted(entries, key=lambda each: str(each["parameterSpec"].get("parameterId")))
        return entries
    if key in _ENUMS and isinstance(value, int):
        return dict(enumerate(_ENUMS[key])).get(value, value)
    if key in {"timeout", "maxDuration", "maxWaitDuration"}:
        seconds = str(value).removesuffix("s")
        return f"{float(seconds)}s" if seconds.isdigit() else value
    return value


def camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def compare(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return differences(same_form(one), same_form(other), EQUAL)


def read(name: str) -> tuple[dict[str, Any], tuple[Finding | Note, ...]]:
    imported = importer.read(FOLDER / name)
    (found,) = imported.studies
    return found.data, imported.findings


@pytest.mark.parametrize("name", CASES)
def test_a_job_comes_back_with_the_same_meaning(name: str, tmp_path: Path) -> None:
    imported = importer.read(FOLDER / name)
    (found,) = imported.studies
    file = tmp_path / "study.yaml"
    file.write_text(found.to_yaml(imported.comment), "utf-8")
    assert compare(document(name), exporter.write(load(file), "vertex").document) == []


@pytest.mark.parametrize("name", CASES)
def test_the_comparison_notices_each_change(name: str) -> None:
    original = document(name)
    always = (*(f"{each}**" for each in _OUTPUT), "parent", "hyperparameterTuningJob.name")
    if_deleted = (
        *("**.minValue", "**.maxValue", "maxFailedTrialCount", "studySpec.algorithm"),
        *("**.measurementSelectionType", "**.goal", "**.replicaCount", "**.scaleType"),
        *("**.replica_count", "studySpec.metrics.*.goal"),
    )
    assert [
        (path, kind)
        for path, kind, changed in changes(original)
        if not compare(original, changed)
        and not any_match(path, always)
        and not (kind == "deleted" and any_match(path, if_deleted))
    ] == []


def test_what_a_job_becomes() -> None:
    data, findings = read("rest.json")
    assert data["parameters"]["units"] == {"type": "int", "min": 4, "max": 64}
    assert data["parameters"]["batch"] == {
        "type": "discrete",
        "values": [16, 32, 64],
        "scale": "auto",
    }
    assert data["parameters"]["decay"] == {"type": "float", "min": 0, "max": 1, "scale": "auto"}
    assert data["parameters"]["opt"]["values"] == ["adam", "sgd", "1", "True"]
    assert data["limits"]["max_failed_trials"] == 2
    assert data["trial"]["args"] == ["--epochs", "10", "--verbose", "--data=gs://b/d"]
    assert data["trial"]["env"] == {"MODE": "fast", "ESC": "a$(b)"}
    assert "command" not in data["trial"]
    assert data["providers"]["vertex"]["bucket"] == "bucket"
    assert any("the code is in the image gcr.io/p/train:1" in str(each) for each in findings)


def test_conditions_name_their_direct_parent() -> None:
    data, _ = read("conditional.json")
    parameters = data["parameters"]
    assert list(parameters) == ["model", "layers", "dropout", "lr", "size", "extra"]
    assert parameters["dropout"]["when"] == {"layers": [2, 3]}
    assert [each["when"] for each in parameters["lr"]] == [
        {"model": ["linear"]},
        {"model": ["deep"]},
    ]
    assert parameters["extra"]["when"] == {"size": [2]}


def test_defaults_are_said() -> None:
    data, findings = read("two_metrics.json")
    assert [each["goal"] for each in data["objective"]] == ["maximize", "minimize"]
    paths = {each.path: str(each) for each in findings}
    assert "default MAXIMIZE" in paths["studySpec.metrics.0.goal"]
    assert "safety" in paths["studySpec.metrics.2.safetyConfig"]
    data, findings = read("numbers.json")
    assert "max_failed_trials" not in data["limits"]
    assert "maxFailedTrialCount" in {each.path for each in findings}
    data, findings = read("gcloud.yaml")
    assert data["parameters"]["learning_rate"]["min"] == 1e-5
    assert "max_trials" in {each.path: str(each) for each in findings}["maxTrialCount"]


def test_paths_are_those_of_the_document() -> None:
    _, findings = read("snake.json")
    assert "trial_job_spec.worker_pool_specs.0.container_spec.image_uri" in {
        each.path for each in findings
    }


@pytest.mark.parametrize(
    ("keys", "value", "path", "message"),
    [
        (
            ["trialJobSpec", "workerPoolSpecs"],
            {"replicaCount": 1},
            "trialJobSpec.workerPoolSpecs",
            "must be a list of pools",
        ),
        (["studySpec", "metrics", 0, "goal"], "SMALLEST", "studySpec.metrics.0.goal", "MINIMIZE"),
        (["studySpec", "metrics"], [], "studySpec.metrics", "needs a metric"),
        (["studySpec", "parameters"], [], "studySpec.parameters", "needs parameters"),
        (["studySpec", "algorithm"], "BEST", "studySpec.algorithm", "unknown value"),
        (
            ["studySpec", "parameters", 0, "scaleType"],
            "LOG",
            "studySpec.parameters.0.scaleType",
            "unknown scale",
        ),
        (
            ["studySpec", "parameters", 0, "integerValueSpec"],
            {"minValue": 1},
            "studySpec.parameters.0.parameterId",
            "one value spec",
        ),
        (
            ["studySpec", "parameters", 0, "doubleValueSpec", "minValue"],
            "low",
            "studySpec.parameters.0.doubleValueSpec.minValue",
            "must be a number",
        ),
        (
            ["studySpec", "parameters", 0, "doubleValueSpec", "minValue"],
            5,
            "studySpec.parameters.0",
            "5",
        ),
    ],
)
def test_mistakes_of_the_author_are_named(
    keys: list[str | int], value: Any, path: str, message: str, tmp_path: Path
) -> None:
    job = document("stopping.json")
    inner: Any = job
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    file = tmp_path / "job.json"
    file.write_text(json.dumps(job), "utf-8")
    with pytest.raises(StudyError, match=message) as caught:
        importer.read(file)
    assert caught.value.problems[0].path.startswith(path)


def change(job: dict[str, Any], tmp_path: Path) -> importer.Imported:
    file = tmp_path / "job.json"
    file.write_text(json.dumps(job), "utf-8")
    return importer.read(file)


def pool(job: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = job["trialJobSpec"]["workerPoolSpecs"][0]
    return first


def test_enum_values_may_be_numbers(tmp_path: Path) -> None:
    types = import_google("google.cloud.aiplatform_v1.types")
    assert NUMBERS["acceleratorType"] == {e.value: e.name for e in types.AcceleratorType if e}
    strategies = types.Scheduling.Strategy
    assert NUMBERS["strategy"] == {e.value: e.name for e in strategies if e}
    job = document("stopping.json")
    pool(job)["machineSpec"] = {"acceleratorType": 5, "acceleratorCount": 1, "machineType": "n1"}
    job["trialJobSpec"]["scheduling"] = {"strategy": 4}
    (found,) = change(job, tmp_path).studies
    settings = found.data["providers"]["vertex"]
    assert (settings["accelerator_type"], settings["spot"]) == ("NVIDIA_TESLA_T4", True)
    exported = exporter.write(found.study, "vertex").document
    assert pool(exported)["machineSpec"]["acceleratorType"] == "NVIDIA_TESLA_T4"


@pytest.mark.parametrize("name", CASES)
def test_what_the_client_prints_is_the_same_job(name: str, tmp_path: Path) -> None:
    json_format = pytest.importorskip("google.protobuf.json_format")
    message = import_google("google.cloud.aiplatform_v1.types").HyperparameterTuningJob
    original = same_form(document(name))

    def parsed(job: dict[str, Any]) -> Any:
        return json_format.ParseDict(job, message.pb(message()), ignore_unknown_fields=True)

    def exported(job: dict[str, Any]) -> Any:
        (found,) = change(job, tmp_path).studies
        return parsed(exporter.write(found.study, "vertex").document)

    job = message.wrap(parsed(original))
    for printed in (message.to_dict(job), json.loads(message.to_json(job))):
        assert exported(printed) == exported(original)


def test_the_fields_of_a_job_are_those_of_the_service() -> None:
    types = import_google("google.cloud.aiplatform_v1.types")
    message = types.HyperparameterTuningJob
    fields = message.pb(message()).DESCRIPTOR.fields
    assert set(FIELDS) == {each.json_name for each in fields}


def test_a_job_without_a_study_spec_names_what_is_there(tmp_path: Path) -> None:
    job = document("stopping.json")
    job["parameterSpec"] = job.pop("studySpec")["parameters"]
    with pytest.raises(StudyError) as caught:
        change(job, tmp_path)
    (problem,) = caught.value.problems
    assert (problem.path, problem.hint) == ("studySpec", "it is not read from parameterSpec")


def test_a_field_that_a_job_does_not_have_is_a_warning(tmp_path: Path) -> None:
    imported = change({**document("stopping.json"), "maxTrials": 3}, tmp_path)
    assert "maxTrials" in {each.path for each in imported.findings}
    exported = exporter.write(imported.studies[0].study, "vertex").document
    assert exported["maxTrials"] == 3


def test_a_package_as_text_is_a_mistake(tmp_path: Path) -> None:
    job = document("stopping.json")
    pool(job).pop("containerSpec", None)
    pool(job)["pythonPackageSpec"] = {"packageUris": "gs://b/t.tar.gz", "pythonModule": "t"}
    with pytest.raises(StudyError, match="must be a list of strings"):
        change(job, tmp_path)


def test_a_forgotten_bound_is_named(tmp_path: Path) -> None:
    job = document("stopping.json")
    for each in job["studySpec"]["parameters"]:
        each.get("doubleValueSpec", {}).pop("maxValue", None)
    with pytest.raises(StudyError, match="absent, which means 0: below minValue") as caught:
        change(job, tmp_path)
    assert caught.value.problems[0].path.endswith("doubleValueSpec.maxValue")


def test_a_variable_with_a_secret_is_left_out(tmp_path: Path) -> None:
    job = document("stopping.json")
    env = [{"name": "API_TOKEN", "value": "ab12" * 10}, {"name": "EMPTY"}]
    pool(job).pop("pythonPackageSpec", None)
    pool(job)["containerSpec"] = {"imageUri": "gcr.io/p/i", "env": env}
    imported = change(job, tmp_path)
    assert imported.studies[0].data["trial"]["env"] == {"EMPTY": ""}
    assert any(each.path.endswith("env.0.value") for each in imported.findings)
    exported = exporter.write(imported.studies[0].study, "vertex").document
    assert [each["name"] for each in pool(exported)["containerSpec"]["env"]] == ["EMPTY"]


def test_what_reads_the_metric_is_a_finding() -> None:
    _, findings = read("stopping.json")
    (found,) = [each for each in findings if each.path.endswith(".metricId")]
    assert 'add cloudtune.trial.report({"' in str(found)
