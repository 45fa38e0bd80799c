"""What ``cloudtune doctor --policy`` prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloudtune.cli.main_group import cloudtune

STUDY = {
    "objective": {"metric": "loss", "goal": "minimize"},
    "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
    "trial": {"script": "train.py"},
    "limits": {"max_trials": 2},
    "providers": {"sagemaker": {"region": "eu-west-1", "mode": "driven"}},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(json.dumps(STUDY))
    (tmp_path / "train.py").touch()


def doctor(*words: str) -> Result:
    return CliRunner().invoke(cloudtune, ["doctor", *words, "--policy"])


def test_documents_and_commands_for_each_provider() -> None:
    result = doctor("study.yaml", "--on", "sagemaker", "--on", "vertex")
    assert result.exit_code == 0
    assert "# sagemaker: policy of the caller, for driven runs\n{\n" in result.stdout
    assert "sagemaker:eu-west-1:{{account}}:training-job/" in result.stdout
    assert "aws iam create-policy --policy-name cloudtune-caller" in result.stdout
    assert "# vertex: permissions of the caller on the project {{project}}" in result.stdout


def test_json_without_a_study() -> None:
    result = doctor("--on", "watson", "--json")
    rows = json.loads(result.stdout)
    assert [row["provider"] for row in rows] == ["watson", "watson", "watson"]
    assert rows[0].keys() == {"provider", "title", "text", "commands"}


@pytest.mark.parametrize(
    ("words", "message"),
    [(["study.yaml"], "--policy needs a provider"), (["--on", "local"], "needs no rights")],
)
def test_usage(words: list[str], message: str) -> None:
    assert message in str(doctor(*words).exception)
