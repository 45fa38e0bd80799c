"""Tuning jobs of AI Platform, which are read and not written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.diagnostics import Finding, Note
from cloudtune.errors import CloudtuneError, StudyError, UsageError
from cloudtune.formats.documents import parse_documents
from cloudtune.study.loader import load
from tests.document_equality import any_match, changes

FOLDER = Path(__file__).parent / "ai_platform"
CASES = sorted(path.name for path in FOLDER.iterdir())


def read(name: str) -> tuple[dict[str, Any], tuple[Finding | Note, ...]]:
    imported = importer.read(FOLDER / name)
    (found,) = imported.studies
    return found.data, imported.findings


def change(name: str, edit: tuple[str, str], tmp_path: Path) -> importer.Imported:
    text = (FOLDER / name).read_text("utf-8")
    assert edit[0] in text
    file = tmp_path / name
    file.write_text(text.replace(*edit), "utf-8")
    return importer.read(file)


@pytest.mark.parametrize("name", CASES)
def test_a_job_is_recognized_and_its_study_is_valid(name: str, tmp_path: Path) -> None:
    imported = importer.read(FOLDER / name)
    assert imported.format.name == "ai-platform"
    file = tmp_path / "study.yaml"
    file.write_text(imported.studies[0].to_yaml(imported.comment), "utf-8")
    assert load(file).to_json() == {
        "name": load(file).name,
        **imported.studies[0].study.to_json(),
    }


def _content(file: Path) -> str:
    try:
        imported = importer.read(file, "ai-platform")
    except CloudtuneError as error:
        return str(error)
    texts = [str(each) for each in imported.findings]
    return json.dumps([imported.studies[0].data, texts])


@pytest.mark.parametrize("name", CASES)
def test_each_value_of_a_job_counts(name: str, tmp_path: Path) -> None:
    (found,) = parse_documents((FOLDER / name).read_text("utf-8"), name)
    file = tmp_path / "job.json"
    file.write_text(json.dumps(found.data), "utf-8")
    before = _content(file)
    unnoticed: list[str] = []
    for path, kind, changed in changes(found.data):
        file.write_text(json.dumps(changed), "utf-8")
        if _content(file) == before:
            unnoticed.append(f"{path} {kind}")
    permitted = ("state changed", "createTime changed", "trainingOutput.completedTrialCount*")
    absent = ("**.scaleType deleted", "**.minValue deleted")  # NONE and 0 are the defaults
    assert [each for each in unnoticed if not any_match(each, (*permitted, *absent))] == []


def test_what_a_job_becomes() -> None:
    data, findings = read("reference.yaml")
    assert data["objective"] == {"metric": "metric1", "goal": "maximize"}
    assert data["strategy"] == {"name": "bayesian"}
    assert data["early_stopping"] == "auto"
    assert data["limits"] == {"max_trials": 30, "parallel_trials": 1}
    assert data["parameters"] == {
        "hidden1": {"type": "int", "min": 40, "max": 400},
        "numRnnCells": {"type": "discrete", "values": [1, 2, 3, 4], "scale": "auto"},
        "rnnCellType": {"type": "categorical", "values": ["BasicLSTMCell", "GRUCell", "64"]},
    }
    native = data["providers"]["ai-platform"]["native"]["trainingInput"]
    assert native["scaleTier"] == "CUSTOM"
    assert "hyperparameters" not in native
    text = " ".join(map(str, findings))
    assert 'cloudtune.trial.report({"metric1": value})' in text


def test_failures_and_scales() -> None:
    data, _ = read("census.yaml")
    assert data["limits"] == {"max_trials": 4, "parallel_trials": 2, "max_failed_trials": 2}
    assert [each.get("scale") for each in data["parameters"].values()] == [
        *(None, "log", "reverse_log")
    ]
    assert data["strategy"] == {"name": "random"}


def test_zeros_that_vanished_and_whole_floats() -> None:
    data, _ = read("job.json")
    assert data["name"] == "census_hptuning_7"
    assert data["parameters"]["dropout"] == {
        "type": "float",
        "min": 0,
        "max": 0.5,
        "scale": "auto",
    }
    assert data["parameters"]["batch"]["values"] == [16, 32, 64]
    assert data["trial"]["args"] == ["--train-files", "gs://bucket/data", "--verbose"]
    native = data["providers"]["ai-platform"]["native"]
    assert native["labels"] == {"my_team": "a_b"}
    assert "state" not in native


def test_defaults_are_written_and_named() -> None:
    data, findings = read("defaults.yaml")
    assert data["objective"] == {"metric": "training/hptuning/metric", "goal": "maximize"}
    assert data["limits"] == {"max_trials": 1}
    assert {each.path.rpartition(".")[2] for each in findings} >= {
        *("goal", "maxTrials", "hyperparameterMetricTag", "maxFailedTrials")
    }


def test_paths_are_in_the_spelling_of_the_document() -> None:
    data, findings = read("snake.yaml")
    assert data["parameters"]["max_depth"] == {"type": "int", "min": 2, "max": 10}
    assert "training_input.hyperparameters.hyperparameter_metric_tag" in {
        each.path for each in findings
    }


def test_a_job_to_resume_is_a_finding() -> None:
    _, findings = read("resume.yaml")
    assert any("earlier_job are not read" in str(each) for each in findings)


def test_a_study_of_the_optimizer_has_conditions() -> None:
    data, _ = read("optimizer.json")
    assert data["name"] == "conditional"
    assert data["early_stopping"] == "median"
    assert data["strategy"] == {"name": "bayesian", "method": "gp"}
    assert data["parameters"]["momentum"] == {
        "type": "float",
        "min": 0,
        "max": 0.9,
        "when": {"optimizer": ["sgd"]},
    }
    assert data["parameters"]["units"] == {"type": "int", "min": 4, "max": 64, "scale": "auto"}


def test_a_key_of_another_type_is_a_warning(tmp_path: Path) -> None:
    imported = change("grid.yaml", ("discreteValues: ", "minValue: 1, discreteValues: "), tmp_path)
    assert imported.studies[0].data["parameters"]["one"]["values"] == [0.5]
    assert any(each.path.endswith("params.1.minValue") for each in imported.findings)


def test_the_format_is_read_only() -> None:
    study = importer.read(FOLDER / "census.yaml").studies[0].study
    with pytest.raises(UsageError, match="read only"):
        exporter.write(study, "ai-platform")


_SEARCH = "trainingInput.hyperparameters"
MISTAKES = [
    ("resume.yaml", ("JobId: earlier", "JobId:earlier"), "", "put a space after the colon"),
    ("resume.yaml", ("goal: MAXIMIZE", "goal: max"), f"{_SEARCH}.goal", "MAXIMIZE or MINIMIZE"),
    ("resume.yaml", ("type: DOUBLE", "type: FLOAT"), f"{_SEARCH}.params.0.type", "must be DOUBLE"),
    ("resume.yaml", ("- {", "  {"), f"{_SEARCH}.params", "put - before it"),
    ("resume.yaml", ("maxTrials: 5", "maxTrials: many"), f"{_SEARCH}.maxTrials", "a number"),
    ("resume.yaml", ("minValue: 0.1", "minValue: 3"), f"{_SEARCH}.params.0", "swap"),
    ("resume.yaml", ("LINEAR_SCALE", "SCALE"), f"{_SEARCH}.params.0.scaleType", "unknown scale"),
    ("grid.yaml", ("GRID_SEARCH", "GRID"), f"{_SEARCH}.algorithm", "unknown algorithm"),
    ("grid.yaml", ("categoricalV", "discreteV"), f"{_SEARCH}.params.0.cat", "not discreteValues"),
    ("grid.yaml", ("type: DISCRETE", "type: DOUBLE"), f"{_SEARCH}.params.1.disc", "not belong"),
    ("grid.yaml", ("[0.5]", "[half]"), f"{_SEARCH}.params.1.discreteValues", "must be numbers"),
    ("resume.yaml", ("hyperparameters:", "hyperparameter:"), _SEARCH, "tunes nothing"),
    ("resume.yaml", (", maxValue: 1.0", ""), _SEARCH, "which means 0"),
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


def test_parameters_outside_the_search_are_to_be_indented(tmp_path: Path) -> None:
    text = (
        "trainingInput:\n  hyperparameters:\n    goal: MINIMIZE\n  params:\n  - {parameterName: a}"
    )
    file = tmp_path / "job.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(StudyError, match="indent them below hyperparameters"):
        importer.read(file)
