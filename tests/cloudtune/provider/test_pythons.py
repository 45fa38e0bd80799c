"""Which Python runs the trials at a provider, as far as its settings name it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.diagnostics import Finding, Note
from cloudtune.planning.planner import plan
from cloudtune.provider.pythons import command_version, image_version
from cloudtune.study.study import Study

ECR = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
ROLE = "arn:aws:iam::111111111111:role/r"
PLACES: Mapping[str, Mapping[str, Any]] = {
    "sagemaker": {"region": "us-east-1", "role_arn": ROLE, "bucket": "b"},
    "vertex": {"project": "p", "location": "us-central1", "bucket": "b"},
    "slurm": {},
    "ray": {"address": "http://127.0.0.1:8265"},
    "azure": {"subscription": "x", "resource_group": "g", "workspace": "work", "compute": "c"},
}
OWN = "us-docker.pkg.dev/p/r/own"


@pytest.mark.parametrize(
    ("read", "name", "version"),
    [
        (command_version, "python3.11", "3.11"),
        (command_version, "/opt/my py/bin/python3.9", "3.9"),
        (command_version, "/opt/python3.9/bin/python3", ""),
        (command_version, "mypython3.9", ""),
        (image_version, "python:3.11-slim", "3.11"),
        (image_version, "docker.io/library/python:3.10.4", "3.10"),
        (image_version, "mypython:3.10", ""),
        (image_version, "python:3", ""),
        (image_version, "rayproject/ray:2.40.0-py39-gpu", "3.9"),
        (image_version, "x/tf.py310:latest", "3.10"),
        (image_version, "azureml:AzureML-sklearn-1.0-ubuntu20.04-py38-cpu:1", "3.8"),
        (image_version, "x/happy39:1", ""),
    ],
)
def test_names_have_a_version_or_none(read: Any, name: str, version: str) -> None:
    assert read(name) == version


@pytest.mark.parametrize(
    ("provider", "settings", "path", "has"),
    [
        ("slurm", {"python": "python3.9"}, "python", "3.9"),
        ("slurm", {"python": "python3.12"}, "python", "fits"),
        ("slurm", {"python": sys.executable}, "python", "fits"),
        ("slurm", {"host": "h", "folder": "/x", "python": "/x/python3.9"}, "python", "3.9"),
        ("slurm", {"setup": ["module load python"]}, "python", "unknown"),
        ("ray", {"python": "python3.9"}, "python", "3.9"),
        ("ray", {}, "python", "unknown"),
        (
            "ray",
            {"native": {"runtime_env": {"image_uri": "rayproject/ray:2.9.0-py39"}}},
            "native.runtime_env",
            "3.9",
        ),
        (
            "ray",
            {"native": {"runtime_env": {"conda": {"dependencies": ["python=3.9", "pip"]}}}},
            "native.runtime_env.conda",
            "3.9",
        ),
        (
            "ray",
            {"native": {"runtime_env": {"conda": "mine"}}},
            "native.runtime_env.conda",
            "unknown",
        ),
        ("azure", {"image": "python:3.9"}, "image", "3.9"),
        ("azure", {"image": "python:3.9", "python": "python3.12"}, "image", "fits"),
        ("azure", {"environment": "azureml:sklearn:5"}, "environment", "unknown"),
        ("sagemaker", {"image": f"{ECR}/own:1"}, "image", "unknown"),
        ("sagemaker", {"image": f"{ECR}/own:py39"}, "image", "3.9"),
        ("vertex", {"image": f"{OWN}:1"}, "image", "unknown"),
        ("vertex", {"image": f"{OWN}:py39"}, "image", "3.9"),
    ],
)
def test_the_python_of_the_trials_is_compared_or_said_to_be_unknown(
    provider: str, settings: Mapping[str, Any], path: str, has: str, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text("print('loss=1')\n", "utf-8")
    project = tmp_path / "pyproject.toml"
    study = Study.model_validate(
        {
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"x": {"type": "int", "min": 0, "max": 100}},
            "limits": {"max_trials": 2},
            "trial": {"script": "train.py", "metrics": {"loss": r"loss=(\d+)"}},
            "providers": {provider: {**PLACES[provider], **settings}},
        }
    )
    here = f"providers.{provider}.{path}"

    def about_python() -> list[Finding | Note]:
        made = plan(study, provider, base=tmp_path)
        every: list[Finding | Note] = [*made.findings, *made.notes]
        return [each for each in every if "requires-python" in str(each)]

    assert about_python() == []
    project.write_text('[project]\nrequires-python = ">=3.10"\n', "utf-8")
    needs = "requires-python in pyproject.toml, line 2 needs >=3.10"
    found = about_python()
    if has == "fits":
        assert found == []
    elif has == "unknown":
        (note,) = found
        assert isinstance(note, Note)
        assert note.path == here
        assert note.text.endswith(f"is unknown here, and {needs}")
    else:
        (finding,) = found
        assert isinstance(finding, Finding)
        assert (finding.kind, finding.path) == ("refused", here)
        assert f"Python {has}, and {needs}" in finding.reason
