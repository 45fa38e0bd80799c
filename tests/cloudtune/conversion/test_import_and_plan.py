"""What `plan` changes in a request that was imported, and where imported code runs.

The permitted differences are the list in docs/formats.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import importer
from cloudtune.formats import registry as formats
from cloudtune.planning.planner import plan
from cloudtune.provider import registry as providers
from cloudtune.study.loader import load
from tests.cloudtune_sagemaker import test_native as sagemaker
from tests.cloudtune_vertex import test_native as vertex
from tests.document_equality import any_match

PERMITTED = {
    "sagemaker": (
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobConfig.RandomSeed",
        "Tags.cloudtune:run.*",
        "**.OutputDataConfig.S3OutputPath",
        "**.AlgorithmSpecification.MetricDefinitions.*",
    ),
    "vertex": (
        "displayName",
        "labels.cloudtune-run",
        "maxFailedTrialCount",
        "parallelTrialCount",
        "**.baseOutputDirectory.outputUriPrefix",
        "studySpec.medianAutomatedStoppingSpec**",
        "studySpec.studyStoppingConfig.shouldStopAsap",
    ),
}
SETTINGS = {
    "sagemaker": ["providers.sagemaker.region=us-east-1"],
    "vertex": [
        *("providers.vertex.project=p", "providers.vertex.location=us-central1"),
        "providers.vertex.bucket=bucket",
    ],
}


def study_of(file: Path, tmp_path: Path, on: str) -> Any:
    imported = importer.read(file)
    path = tmp_path / "study.yaml"
    path.write_text(imported.studies[0].to_yaml(), "utf-8")
    return load(path, overrides=SETTINGS.get(on, []))


@pytest.mark.parametrize("name", ["builtin", "described", "plural_one", "conditional"])
def test_a_plan_for_sagemaker_adds_only_what_is_documented(name: str, tmp_path: Path) -> None:
    study = study_of(sagemaker.FOLDER / f"{name}.json", tmp_path, "sagemaker")
    request = plan(study, "sagemaker").request
    differences = sagemaker.compare(sagemaker.document(name), request)
    wrong = [
        each
        for each in differences
        if not any_match(each.partition(": ")[0], PERMITTED["sagemaker"])
    ]
    assert wrong == []
    assert differences


@pytest.mark.parametrize("name", ["rest", "snake", "wrapped", "stopping"])
def test_a_plan_for_vertex_adds_only_what_is_documented(name: str, tmp_path: Path) -> None:
    study = study_of(vertex.FOLDER / f"{name}.json", tmp_path, "vertex")
    request = plan(study, "vertex").request
    differences = vertex.compare(vertex.document(f"{name}.json"), request)
    wrong = [
        each for each in differences if not any_match(each.partition(": ")[0], PERMITTED["vertex"])
    ]
    assert wrong == []
    assert differences


@pytest.mark.parametrize(
    ("file", "on", "path"),
    [
        (sagemaker.FOLDER / "sdk.json", "vertex", "trial.source"),
        (sagemaker.FOLDER / "sdk.json", "local", "trial.source"),
        (vertex.FOLDER / "package.json", "sagemaker", "trial.source"),
        (vertex.FOLDER / "rest.json", "local", "trial"),
        (vertex.FOLDER / "rest.json", "sagemaker", "providers.sagemaker"),
        (sagemaker.FOLDER / "builtin.json", "vertex", "providers.vertex"),
        (Path(__file__).parents[1] / "formats" / "katib" / "random.yaml", "local", "trial"),
    ],
)
def test_imported_code_runs_elsewhere_only_if_it_is_named(
    file: Path, on: str, path: str, tmp_path: Path
) -> None:
    planned = plan(study_of(file, tmp_path, on), on)
    assert planned.refused
    assert any(each.path.startswith(path) for each in planned.findings if each.kind == "refused"), (
        planned.findings
    )


def names_of_both() -> list[str]:
    """Return the formats of the core whose name is a provider's."""
    own = {each.name for name in providers.names() for each in providers.get(name).formats}
    return sorted({*formats.names()} & {*providers.names()} - own)


@pytest.mark.parametrize("name", names_of_both())
def test_what_a_file_keeps_reaches_no_provider_of_the_same_name(name: str) -> None:
    kept = 0
    for file in sorted((Path(__file__).parents[1] / "formats" / name).glob("*.*")):
        if file.suffix not in {".json", ".yaml"}:
            continue
        for each in importer.read(file, name).studies:
            block = each.data["providers"].get(name, {})
            assert providers.get(name).settings.model_validate(block).model_dump()["native"] == {}
            kept += "native" in block
    assert kept
