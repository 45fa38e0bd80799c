"""What `native` replaces of cloudtune's defaults is a note: nothing of the study is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.planning.planner import plan
from cloudtune.provider.plan import Plan
from cloudtune.study.study import Study

SETTINGS: dict[str, dict[str, Any]] = {
    "sagemaker": {
        "region": "us-east-1",
        "role_arn": "arn:aws:iam::123456789012:role/r",
        "instance_type": "ml.m5.large",
        "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/x:1",
    },
    "vertex": {
        "project": "p",
        "location": "us-central1",
        "machine_type": "n1-standard-4",
        "image": "us-docker.pkg.dev/a/b/c:1",
    },
    "watson": {"backend": "wmla"},
}
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "sagemaker",
        "managed",
        {"TrainingJobDefinition": {"StoppingCondition": {"MaxRuntimeInSeconds": 60}}},
        {"limits": {"trial_timeout": "1h"}},
    ),
    (
        "sagemaker",
        "driven",
        {"ResourceConfig": {"VolumeSizeInGB": 100}},
        {"providers": {"sagemaker": {"volume_size": 40}}},
    ),
    (
        "sagemaker",
        "managed",
        {"HyperParameterTuningJobConfig": {"ResourceLimits": {"MaxParallelTrainingJobs": 2}}},
        {"limits": {"parallel_trials": 3}},
    ),
    (
        "sagemaker",
        "managed",
        {"HyperParameterTuningJobConfig": {"RandomSeed": 5}},
        {"strategy": {"name": "bayesian", "seed": 3}},
    ),
    (
        "vertex",
        "managed",
        {"hyperparameterTuningJob": {"maxFailedTrialCount": 2}},
        {"limits": {"max_failed_trials": 3}},
    ),
    (
        "vertex",
        "managed",
        {"hyperparameterTuningJob": {"studySpec": {"algorithm": "RANDOM_SEARCH"}}},
        {"strategy": "bayesian"},
    ),
    (
        "watson",
        "managed",
        {"data": {"algoDef": {"maxParalleJobNum": 2}}},
        {"limits": {"parallel_trials": 3}},
    ),
    (
        "watson",
        "managed",
        {"data": {"algoDef": {"algoParams": [{"name": "RandomSeed", "value": "4"}]}}},
        {"strategy": {"name": "bayesian", "seed": 3}},
    ),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.py").write_text("print('score=1')")
    monkeypatch.chdir(tmp_path)


def planned(provider: str, mode: str, native: dict[str, Any], more: dict[str, Any]) -> Plan:
    settings = {**SETTINGS[provider], **({"mode": mode} if provider != "watson" else {})}
    settings |= {"native": native, **more.get("providers", {}).get(provider, {})}
    study = {
        "objective": {"metric": "score", "goal": "maximize"},
        "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
        "trial": {"script": "train.py", "metrics": {"score": r"score=(\S+)"}},
        **more,
        "limits": {"max_trials": 4, **more.get("limits", {})},
        "providers": {provider: settings},
    }
    return plan(Study.model_validate(study), provider, emulated=True)


def native_items(found: Plan) -> tuple[set[str], set[str]]:
    """Return the kinds of the findings about native, and the paths of the notes about it."""
    prefix = f"providers.{found.provider}.native"
    kinds: set[str] = {item.kind for item in found.findings if item.path.startswith(prefix)}
    notes = {item.path for item in found.notes if "cloudtune's default" in item.text}
    return kinds, notes


@pytest.mark.parametrize(("provider", "mode", "native", "more"), CASES)
def test_a_default_is_replaced_with_a_note_and_a_choice_of_the_study_with_a_finding(
    provider: str, mode: str, native: dict[str, Any], more: dict[str, Any]
) -> None:
    kinds, notes = native_items(planned(provider, mode, native, {}))
    assert not kinds
    assert len(notes) == 1
    kinds, notes = native_items(planned(provider, mode, native, more))
    assert kinds == {"approximated"}
    assert not notes


def test_the_parameters_and_the_metric_are_never_defaults() -> None:
    native = {
        "HyperParameterTuningJobConfig": {"HyperParameterTuningJobObjective": {"Type": "Minimize"}}
    }
    kinds, notes = native_items(planned("sagemaker", "managed", native, {}))
    assert "approximated" in kinds
    assert not notes
