"""State machines of Step Functions: their requests of tuning jobs become studies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import importer
from cloudtune.errors import StudyError, UsageError

FILE = Path(__file__).parent / "state_machines" / "parallel.json"
FIRST = "States.Both.Branches.0.States.Tune model.Parameters"
SECOND = "States.Both.Branches.1.States.Tune other.Arguments"


def machine() -> Any:
    return json.loads(FILE.read_text("utf-8"))


def test_each_request_becomes_a_study() -> None:
    imported = importer.read(FILE)
    first, second = imported.studies
    assert (first.name, second.name) == ("Tune model", "Tune other")
    assert "name" not in first.data
    assert first.data["limits"]["max_trials"] == 4
    assert first.data["constants"] == {"objective": "binary:logistic", "num_round": 50}
    assert first.data["providers"]["sagemaker"]["tags"] == {"team": "scores"}
    assert second.data["name"] == "other"
    assert second.data["parameters"] == {"eta": {"type": "float", "min": 0.1, "max": 0.5}}
    assert "image" not in second.data["providers"]["sagemaker"]
    texts = {each.path: str(each) for each in imported.findings}
    dynamic = f"{FIRST}.TrainingJobDefinition.OutputDataConfig.S3OutputPath.$"
    assert texts[dynamic].startswith(f"dropped {dynamic}: the state machine sets it")
    assert "names each job" in texts[f"{FIRST}.HyperParameterTuningJobName.$"]
    image = f"{SECOND}.TrainingJobDefinition.AlgorithmSpecification.TrainingImage"
    assert texts[image].startswith("dropped")
    assert "without the state machine" in texts[FIRST]


def test_a_mistake_has_the_path_in_the_state_machine(tmp_path: Path) -> None:
    changed = machine()
    states = changed["States"]["Both"]["Branches"][0]["States"]
    config = states["Tune model"]["Parameters"]["HyperParameterTuningJobConfig"]
    config["Strategy"] = "Best"
    file = tmp_path / "machine.json"
    file.write_text(json.dumps(changed), "utf-8")
    with pytest.raises(StudyError, match="must be a strategy") as caught:
        importer.read(file)
    assert caught.value.problems[0].path == f"{FIRST}.HyperParameterTuningJobConfig.Strategy"


def test_a_state_machine_without_a_tuning_job_is_no_tuning_job(tmp_path: Path) -> None:
    changed = machine()
    del changed["States"]["Both"]
    file = tmp_path / "machine.json"
    file.write_text(json.dumps(changed), "utf-8")
    with pytest.raises(UsageError, match="unknown format"):
        importer.read(file)


@pytest.mark.parametrize("part", ["Parameters", ""])
def test_a_state_or_its_parameters_alone_are_the_same_request(part: str, tmp_path: Path) -> None:
    state = machine()["States"]["Both"]["Branches"][0]["States"]["Tune model"]
    file = tmp_path / "part.json"
    file.write_text(json.dumps(state[part] if part else state), "utf-8")
    imported = importer.read(file)
    (found,) = imported.studies
    data = {key: value for key, value in found.data.items() if key != "name"}
    assert data == importer.read(FILE).studies[0].data
    prefix = "" if part else "Parameters."
    paths = {each.path for each in imported.findings}
    assert f"{prefix}TrainingJobDefinition.OutputDataConfig.S3OutputPath.$" in paths
