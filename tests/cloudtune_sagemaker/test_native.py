"""Requests of tuning jobs: read as studies, and written back with the same meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.diagnostics import Finding, Note
from cloudtune.errors import ConversionError, StudyError, UsageError
from cloudtune.study.loader import load
from cloudtune.study.study import Study
from tests.document_equality import Equalities, any_match, changes, differences

FOLDER = Path(__file__).parent / "native"
_DEFINITIONS = ("TrainingJobDefinition", "TrainingJobDefinitions.*")
_RANGES = (
    "HyperParameterTuningJobConfig.ParameterRanges",
    *(f"{each}.HyperParameterRanges" for each in _DEFINITIONS),
)
_SERVICE = (
    *("HyperParameterTuningJobArn", "HyperParameterTuningJobStatus", "CreationTime"),
    *("LastModifiedTime", "TrainingJobStatusCounters", "ObjectiveStatusCounters"),
    *("BestTrainingJob", "ConsumedResources", "ResponseMetadata"),
)
_SDK = (
    *("sagemaker_container_log_level", "sagemaker_region", "sagemaker_job_name"),
    "_tuning_objective_metric",
)
EQUAL = Equalities(
    identities={
        "Tags": "Key",
        "TrainingJobDefinitions": "DefinitionName",
        **{f"{each}.InputDataConfig": "ChannelName" for each in _DEFINITIONS},
        **{f"{each}.AlgorithmSpecification.MetricDefinitions": "Name" for each in _DEFINITIONS},
        **{f"{each}.*": "Name" for each in _RANGES},
    },
    unordered=tuple(f"{each}.CategoricalParameterRanges.*.Values" for each in _RANGES),
    numbers=(
        *(f"{each}.*.*.MinValue" for each in _RANGES),
        *(f"{each}.*.*.MaxValue" for each in _RANGES),
        *(f"{each}.StaticHyperParameters.*" for each in _DEFINITIONS),
        *(f"{each}.ResourceConfig.InstanceCount" for each in _DEFINITIONS),
        *(f"{each}.ResourceConfig.VolumeSizeInGB" for each in _DEFINITIONS),
        "HyperParameterTuningJobConfig.ResourceLimits.*",
        "HyperParameterTuningJobConfig.TuningJobCompletionCriteria.TargetObjectiveMetricValue",
    ),
    defaults={
        "HyperParameterTuningJobConfig.TrainingJobEarlyStoppingType": ["Off"],
        **{f"{each}.*.*.ScalingType": ["Auto"] for each in _RANGES},
        **{f"{each}.Enable*": [False] for each in _DEFINITIONS},
        **{
            f"{each}.InputDataConfig.*.{key}": ["None"]
            for each in _DEFINITIONS
            for key in ("CompressionType", "RecordWrapperType")
        },
        **{f"**.{key}": [""] for key in ("KmsKeyId", "VolumeKmsKeyId", "ContentType")},
    },
    ignored=(
        *(f"{each}**" for each in _SERVICE),
        *(f"{each}.StaticHyperParameters.{name}" for each in _DEFINITIONS for name in _SDK),
        *(
            f"{each}.AlgorithmSpecification.MetricDefinitions.ObjectiveMetric.*"
            for each in _DEFINITIONS
        ),
    ),
)
CASES = sorted(path.stem for path in FOLDER.glob("*.json"))


def document(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return data


def same_form(job: dict[str, Any]) -> dict[str, Any]:
    """Write each job in one form: of definitions, resources, decoded values and single values."""
    job = json.loads(json.dumps(job))
    one = job.get("TrainingJobDefinition")
    definitions = [one] if one else job.get("TrainingJobDefinitions", [])
    config = job.get("HyperParameterTuningJobConfig", {})
    for each in definitions:
        resources = each.get("HyperParameterTuningResourceConfig", {})
        if "InstanceConfigs" not in resources and resources:
            each["ResourceConfig"] = each.pop("HyperParameterTuningResourceConfig")
        both = (each.get("HyperParameterRanges"), config.get("ParameterRanges"))
        found: list[dict[str, Any]] = [ranges for ranges in both if ranges]
        static = each.get("StaticHyperParameters", {})
        if "sagemaker_program" in static and "sagemaker_submit_directory" in static:
            each["StaticHyperParameters"] = {k: decoded(v) for k, v in static.items()}
            for ranges in found:
                for entry in ranges.get("CategoricalParameterRanges", []):
                    entry["Values"] = [decoded(value) for value in entry["Values"]]
        for ranges in found:
            choices: list[dict[str, Any]] = ranges.get("CategoricalParameterRanges", [])
            for entry in [entry for entry in choices if len(entry.get("Values", ())) == 1]:
                choices.remove(entry)
                static = each.setdefault("StaticHyperParameters", {})
                static[str(entry.get("Name"))] = entry["Values"][0]
    if len(definitions) == 1:
        job.pop("TrainingJobDefinitions", None)
        job["TrainingJobDefinition"] = only = definitions[0]
        for inner, outer in (
            ("TuningObjective", "HyperParameterTuningJobObjective"),
            ("HyperParameterRanges", "ParameterRanges"),
        ):
            if inner in only:
                config[outer] = only.pop(inner)
    return job


def decoded(text: Any) -> Any:
    """Return what the toolkit passes to a script."""
    try:
        return f"argument {json.loads(text)}"
    except ValueError:
        return f"argument {text}"


def compare(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return differences(same_form(one), same_form(other), EQUAL)


def read(name: str) -> tuple[dict[str, Any], tuple[Finding | Note, ...]]:
    imported = importer.read(FOLDER / f"{name}.json")
    (found,) = imported.studies
    return found.data, imported.findings


@pytest.mark.parametrize("name", [name for name in CASES if name != "multi"])
def test_a_request_comes_back_with_the_same_meaning(name: str, tmp_path: Path) -> None:
    imported = importer.read(FOLDER / f"{name}.json")
    (found,) = imported.studies
    file = tmp_path / "study.yaml"
    file.write_text(found.to_yaml(imported.comment), "utf-8")
    assert compare(document(name), exporter.write(load(file), "sagemaker").document) == []


def test_definitions_of_their_own_come_back_one_by_one() -> None:
    original = document("multi")
    imported = importer.read(FOLDER / "multi.json")
    for found, definition in zip(imported.studies, original["TrainingJobDefinitions"], strict=True):
        exported = exporter.write(found.study, "sagemaker").document
        assert compare({**original, "TrainingJobDefinitions": [definition]}, exported) == []
    texts = {each.path: str(each) for each in imported.findings}
    assert "for each of the studies" in texts["HyperParameterTuningJobConfig.ResourceLimits"]


def test_definitions_of_their_own_come_back_together() -> None:
    studies = [found.study for found in importer.read(FOLDER / "multi.json").studies]
    exported = exporter.write_together(studies, "sagemaker")
    assert compare(document("multi"), exported.document) == []
    limits = studies[0].limits.model_copy(update={"max_trials": 3})
    other = studies[0].model_copy(update={"limits": limits})
    with pytest.raises(ConversionError, match="the studies differ in it") as caught:
        exporter.write_together([other, *studies], "sagemaker")
    assert {each.path for each in caught.value.findings} == {
        *("HyperParameterTuningJobConfig.ResourceLimits", "TrainingJobDefinitions")
    }
    with pytest.raises(UsageError, match="has one study: export 2 one by one"):
        exporter.write_together(studies, "katib")


def test_studies_with_one_definition_each_become_one_job() -> None:
    def study(image: str) -> Study:
        return load(
            {
                "name": "both",
                "objective": {"metric": "loss", "goal": "minimize"},
                "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
                "providers": {"sagemaker": {"image": image}},
            }
        )

    exported = exporter.write_together([study("a"), study("b")], "sagemaker")
    first, second = exported.document["TrainingJobDefinitions"]
    assert (first["DefinitionName"], second["DefinitionName"]) == ("definition-1", "definition-2")
    assert first["TuningObjective"] == {"Type": "Minimize", "MetricName": "loss"}
    assert first["HyperParameterRanges"] == second["HyperParameterRanges"]


@pytest.mark.parametrize("names", [("optimizer-adam", "optimizer-sgd"), ("first", "second")])
def test_definitions_that_differ_in_several_values_join(
    names: tuple[str, str], tmp_path: Path
) -> None:
    job = document("conditional")
    values = ({"kind": "a", "optimizer": "adam"}, {"kind": "b", "optimizer": "sgd"})
    for definition, name, value in zip(job["TrainingJobDefinitions"], names, values, strict=True):
        definition["DefinitionName"] = name
        definition["StaticHyperParameters"] = {"epochs": "5", **value}
    file = tmp_path / "job.json"
    file.write_text(json.dumps(job), "utf-8")
    (found,) = importer.read(file).studies
    assert next(iter(found.data["parameters"])) == ("kind" if "first" in names else "optimizer")
    assert compare(job, exporter.write(found.study, "sagemaker").document) == []


def test_definitions_with_other_code_are_no_branches(tmp_path: Path) -> None:
    job = document("conditional")
    for number, each in enumerate(job["TrainingJobDefinitions"]):
        each["StaticHyperParameters"] |= {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://bucket/code-{number}.tar.gz",
        }
    studies = change(job, tmp_path).studies
    assert len(studies) == len(job["TrainingJobDefinitions"])
    assert all("sagemaker_submit_directory" not in each.study.parameters for each in studies)


@pytest.mark.parametrize("name", CASES)
def test_the_comparison_notices_each_change(name: str) -> None:
    original = document(name)
    always = (
        *(f"{each}**" for each in _SERVICE),
        *(f"**.StaticHyperParameters.{name}" for name in _SDK),
        *(["**.MetricDefinitions.1.*"] if name == "sdk" else []),  # the SDK's ObjectiveMetric
    )
    if_deleted = (
        *("**.ScalingType", "**.TrainingJobEarlyStoppingType", "**.CompressionType"),
        *("**.RecordWrapperType", "**.Enable*", "**.KmsKeyId"),
        "FutureField.x.1.y",  # null
    )
    assert [
        (path, kind)
        for path, kind, changed in changes(original)
        if not compare(original, changed)
        and not any_match(path, always)
        and not (kind == "deleted" and any_match(path, if_deleted))
    ] == []


def test_the_types_of_values() -> None:
    data, _ = read("builtin")
    assert data["constants"]["num_round"] == 100
    assert data["constants"]["rate_drop"] == "0.30"
    assert data["parameters"]["eta"] == {"type": "float", "min": 0, "max": 1, "scale": "auto"}
    assert "early_stopping" not in data
    data, _ = read("grid")
    assert data["parameters"]["a"]["values"] == [1, 2, 3]
    assert data["parameters"]["b"]["values"] == [1, 2.0]
    assert data["parameters"]["c"]["values"] == ["yes", "no"]
    assert data["parameters"]["d"]["values"] == ["only"]


def test_values_of_a_script_are_those_that_it_gets() -> None:
    data, findings = read("sdk")
    assert data["constants"] == {
        "epochs": 6,
        "backend": "gloo",
        "version": "1e-5",
        "id": "007",
        "use_cuda": True,
        "layers": "[64, 32]",
        "decay": 0.1,
    }
    assert data["parameters"]["batch-size"]["values"] == [32, 64, 512]
    assert data["trial"]["script"] == "mnist.py"
    assert data["providers"]["sagemaker"]["region"] == "us-west-2"
    assert any("the code is at s3://my-bucket/code/sourcedir.tar.gz" in str(f) for f in findings)


def test_what_cloudtune_sends_for_conditions_is_one_study() -> None:
    data, _ = read("conditional")
    assert data["parameters"]["optimizer"]["values"] == ["adam", "sgd"]
    assert [each["when"] for each in data["parameters"]["lr"]] == [
        {"optimizer": ["adam"]},
        {"optimizer": ["sgd"]},
    ]
    assert "when" not in data["parameters"]["depth"]
    assert data["constants"] == {"epochs": 5}


def test_what_the_study_cannot_hold_is_listed() -> None:
    _, findings = read("auto")
    assert {"Autotune", "HyperParameterTuningJobConfig.ParameterRanges.AutoParameters"} <= {
        each.path for each in findings
    }
    _, findings = read("hyperband_open")
    (strategy,) = [str(each) for each in findings if each.path.endswith("Strategy")]
    assert "MaxResource" in strategy
    _, findings = read("described")
    assert any(
        "left out what the service adds: HyperParameterTuningJobArn" in str(f) for f in findings
    )


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (
            {"TrainingJobDefinitions": [{"DefinitionName": "x"}]},
            "TrainingJobDefinitions",
            "both set",
        ),
        (
            {"WarmStartConfig": {"WarmStartType": "TransferLearning"}},
            "WarmStartConfig.ParentHyperParameterTuningJobs",
            "needs parents",
        ),
        ({"TrainingJobDefinition": [1]}, "TrainingJobDefinition", "must be a map"),
    ],
)
def test_mistakes_of_the_author_are_named(
    change: dict[str, Any], path: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "job.json"
    file.write_text(json.dumps({**document("builtin"), **change}), "utf-8")
    with pytest.raises(StudyError, match=message) as caught:
        importer.read(file)
    assert caught.value.problems[0].path == path


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("MinValue", "ten", "must be a number"),
        ("MinValue", "20", "20"),
        ("MinValue", "1.5", "must be an integer"),
        ("ScalingType", "Log", "unknown scale"),
    ],
)
def test_a_bad_range_is_named(key: str, value: str, message: str, tmp_path: Path) -> None:
    job = document("builtin")
    ranges = job["HyperParameterTuningJobConfig"]["ParameterRanges"]
    ranges["IntegerParameterRanges"][0][key] = value
    file = tmp_path / "job.json"
    file.write_text(json.dumps(job), "utf-8")
    with pytest.raises(StudyError, match=message) as caught:
        importer.read(file)
    where = "HyperParameterTuningJobConfig.ParameterRanges.IntegerParameterRanges.0"
    assert caught.value.problems[0].path.startswith(where)


def test_secrets_are_dropped(tmp_path: Path) -> None:
    job = document("sdk")
    job["TrainingJobDefinition"]["Environment"] = {"WANDB_API_KEY": "abcdef012345", "A": "b"}
    job["TrainingJobDefinition"]["StaticHyperParameters"]["token"] = "hf_" + "a" * 30
    file = tmp_path / "job.json"
    file.write_text(json.dumps(job), "utf-8")
    imported = importer.read(file)
    assert imported.studies[0].data["trial"]["env"] == {"A": "b"}
    assert "token" not in imported.studies[0].data["constants"]
    dropped = [str(each) for each in imported.findings if "looks like a secret" in str(each)]
    assert len(dropped) == 2
    assert not any("abcdef012345" in each for each in dropped)


def change(job: dict[str, Any], tmp_path: Path) -> importer.Imported:
    file = tmp_path / "job.json"
    file.write_text(json.dumps(job), "utf-8")
    return importer.read(file)
