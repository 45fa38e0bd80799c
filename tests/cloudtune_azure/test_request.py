from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cloudtune_azure.request.training_job import quote
from tests.cloudtune_azure.support import plan_of, study_of

ID = (
    "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/group/providers/"
    "Microsoft.MachineLearningServices/workspaces/work"
)


def test_the_whole_request(tmp_path: Path) -> None:
    study = study_of({"trial": {"script": "train.py", "inputs": {"rows": "https://a.b/rows.csv"}}})
    plan = plan_of(study, tmp_path)
    (properties,) = plan.request.values()
    command = properties.pop("command")
    job, run = plan.facts.job_name, plan.facts.run_id
    assert properties == {
        "jobType": "Command",
        "displayName": "{{job}}",
        "experimentName": "plain",
        "tags": {f"cloudtune_{run}": "plain"},
        "codeId": f"{ID}/codes/{job}/versions/1",
        "computeId": f"{ID}/computes/cpu-cluster",
        "environmentId": "azureml:sklearn:5",
        "environmentVariables": {},
        "inputs": {
            "input_0": {
                "jobInputType": "uri_file",
                "uri": "https://a.b/rows.csv",
                "mode": "ReadOnlyMount",
            }
        },
        "outputs": {
            "trial": {
                "jobOutputType": "uri_folder",
                "mode": "ReadWriteMount",
                "uri": f"azureml://datastores/workspaceblobstore/paths/cloudtune/jobs/{job}/"
                "{{checkpoint}}",
            }
        },
        "resources": {"instanceCount": 1},
    }
    assert command.startswith(
        'CLOUDTUNE_AZURE_FOLDER="${{outputs.trial}}" CLOUDTUNE_AZURE_INPUT_0="${{inputs.input_0}}" '
        "exec python -c "
    )


def test_a_data_asset_has_its_id(tmp_path: Path) -> None:
    inputs = {"rows": {"azure": "azureml:rows.csv:3"}, "all": {"azure": "azureml:all:1"}}
    study = study_of({"trial": {"script": "train.py", "inputs": inputs}})
    sent = plan_of(study, tmp_path).request["properties"]["inputs"]
    assert [(each["jobInputType"], each["uri"]) for each in sent.values()] == [
        ("uri_file", f"{ID}/data/rows.csv/versions/3"),
        ("uri_folder", f"{ID}/data/all/versions/1"),
    ]


def test_an_environment_changes_with_its_conda_file(tmp_path: Path) -> None:
    study = study_of(environment=None, image="own:1", conda_file="conda.yml")
    ids: set[str] = set()
    for text in ("a", "b"):
        (tmp_path / "conda.yml").write_text(text, "utf-8")
        ids.add(plan_of(study, tmp_path).request["properties"]["environmentId"])
    assert len(ids) == 2


def test_serverless_spot_with_an_image_and_an_identity(tmp_path: Path) -> None:
    study = study_of(
        compute=None,
        environment=None,
        image="own:1",
        instance_type="Standard_DS3_v2",
        spot=True,
        identity="user",
        shm_size="4g",
    )
    properties = plan_of(study, tmp_path).request["properties"]
    assert "computeId" not in properties
    assert properties["queueSettings"] == {"jobTier": "Spot"}
    assert properties["identity"] == {"identityType": "UserIdentity"}
    assert properties["environmentId"].startswith(f"{ID}/environments/CliV2AnonymousEnvironment/")
    assert properties["resources"] == {
        "instanceCount": 1,
        "instanceType": "Standard_DS3_v2",
        "shmSize": "4g",
    }


@pytest.mark.parametrize("word", ["", "a b", "it's", "${{inputs.x}}", "'${{a}}'\n$HOME `x` \\"])
def test_a_word_reaches_the_program_and_has_no_expression(word: str) -> None:
    assert "${{" not in quote(word)
    words = ["/bin/bash", "-c", f"printf %s {quote(word)}"]
    assert subprocess.run(words, check=True, capture_output=True).stdout.decode() == word
