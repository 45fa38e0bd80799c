"""Requests as people keep them: half-filled, with unknown fields, in other spellings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.study.loader import load
from cloudtune_sagemaker.native.names import script_argument
from tests.cloudtune_sagemaker.test_native import FOLDER, change, compare, document


def test_numbers_may_be_text_and_keys_empty(tmp_path: Path) -> None:
    job = document("builtin")
    definition = job["TrainingJobDefinition"]
    definition["ResourceConfig"] |= {"InstanceCount": "2", "VolumeKmsKeyId": ""}
    job["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxParallelTrainingJobs"] = "3"
    definition["InputDataConfig"][0]["ContentType"] = ""
    (found,) = change(job, tmp_path).studies
    assert found.data["limits"]["parallel_trials"] == 3
    assert compare(job, exporter.write(found.study, "sagemaker").document) == []


def test_tags_as_step_functions_returns_them(tmp_path: Path) -> None:
    job = {**document("described"), "Tags": {"MANAGED_BY_AWS": "STARTED_BY_STEP_FUNCTIONS"}}
    (found,) = change(job, tmp_path).studies
    expected = [{"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"}]
    assert exporter.write(found.study, "sagemaker").document["Tags"] == expected


def test_a_channel_without_an_address_is_kept(tmp_path: Path) -> None:
    job = document("builtin")
    source = job["TrainingJobDefinition"]["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    source["S3Uri"] = "{{data}}/train"
    imported = change(job, tmp_path)
    (found,) = imported.studies
    assert any(each.path.endswith("InputDataConfig.0.DataSource") for each in imported.findings)
    assert compare(job, exporter.write(found.study, "sagemaker").document) == []


def test_a_field_that_sagemaker_does_not_have_is_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("botocore")
    job: dict[str, Any] = {**document("builtin"), "HyperParameterRanges": {}, "Note": "x"}
    job["TrainingJobDefinition"]["subnetIds"] = "subnet-1"
    imported = change(job, tmp_path)
    texts = {each.path: str(each) for each in imported.findings}
    assert "unknown field" in texts["Note"]
    assert "unknown field" in texts["TrainingJobDefinition.subnetIds"]
    several = document("multi")
    several["TrainingJobDefinitions"][1]["subnetIds"] = "subnet-1"
    imported = change(several, tmp_path)
    assert "TrainingJobDefinitions.1.subnetIds" in {each.path for each in imported.findings}


def test_a_job_without_ranges_or_objective_has_a_warning(tmp_path: Path) -> None:
    job = document("builtin")
    del job["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    job["HyperParameterTuningJobConfig"]["ParameterRanges"] = {"IntegerParameterRanges": []}
    texts = {each.path: str(each) for each in change(job, tmp_path).findings}
    assert (
        "add objective" in texts["HyperParameterTuningJobConfig.HyperParameterTuningJobObjective"]
    )
    assert "add parameters" in texts["HyperParameterTuningJobConfig.ParameterRanges"]


def test_the_config_alone_comes_back_without_a_definition(tmp_path: Path) -> None:
    config = document("builtin")["HyperParameterTuningJobConfig"]
    (found,) = change(config, tmp_path).studies
    exported = exporter.write(found.study, "sagemaker").document
    assert compare({"HyperParameterTuningJobConfig": config}, exported) == []


@pytest.mark.parametrize(
    "values",
    [
        ['"sgd"', '"adam"', '"true"'],
        ["true", "false"],
        ['"null"', '"1e-5"', '"NaN"'],
        ["0.10", '"x"', "true"],
        ["[1, 2]", '"[1]"', '{"a": 1}'],
        ["1e-5", "0.001"],
        ['"01"', '"1"', "plain"],
    ],
)
def test_a_script_gets_the_same_choices(values: list[str], tmp_path: Path) -> None:
    job = document("sdk")
    ranges = job["HyperParameterTuningJobConfig"]["ParameterRanges"]["CategoricalParameterRanges"]
    ranges[0]["Values"] = values
    (found,) = change(job, tmp_path).studies
    written = exporter.write(load(found.data), "sagemaker").document
    ranges = written["HyperParameterTuningJobConfig"]["ParameterRanges"]
    first = ranges["CategoricalParameterRanges"][0]["Values"]
    assert sorted(map(script_argument, first)) == sorted(map(script_argument, values))


def test_one_definition_has_only_its_own_findings() -> None:
    file = FOLDER / "multi.json"
    several = importer.read(file)
    names = [each.name for each in several.studies]
    for index, name in enumerate(names):
        found = {each.path for each in importer.read(file, definition=name).findings}
        assert any(path.startswith(f"TrainingJobDefinitions.{index}.") for path in found)
        others = [path for path in found if path.startswith("TrainingJobDefinitions.")]
        assert all(path.startswith(f"TrainingJobDefinitions.{index}.") for path in others)
        assert "HyperParameterTuningJobConfig.ResourceLimits" in found
