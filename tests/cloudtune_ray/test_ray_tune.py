"""The format of Ray Tune and the provider have one name, and do not disturb each other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtune.conversion import exporter
from cloudtune.planning.planner import plan
from cloudtune.study.loader import load

TUNER = {
    "param_space": {"lr": {"loguniform": [0.0001, 0.1]}},
    "tune_config": {"metric": "acc", "mode": "max", "num_samples": 4, "trial_name_creator": "f"},
}


def cloudtune(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cloudtune", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tuner.json").write_text(json.dumps(TUNER))
    (tmp_path / "train.py").write_text("")
    assert cloudtune("import", "tuner.json", "-o", "study.yaml").returncode == 0
    return tmp_path / "study.yaml"


def test_an_imported_study_runs_on_ray_and_keeps_what_belongs_to_ray_tune(study: Path) -> None:
    overrides = [
        "trial={script: train.py}",
        "providers.ray.address=http://127.0.0.1:8265",
        "providers.ray.native.runtime_env={pip: [six]}",
    ]
    loaded = load(study, overrides=overrides)
    planned = plan(loaded, "ray", base=study.parent)
    assert not planned.refused
    assert planned.request["runtime_env"]["pip"] == ["six"]
    assert "tune_config" not in planned.request
    assert "providers.ray.native.tune_config" in {note.path for note in planned.notes}
    tuner = exporter.write(loaded, "ray").document
    assert tuner["tune_config"]["trial_name_creator"] == "f"
    assert "runtime_env" not in tuner


def test_runs_of_ray_tune_are_attached_although_there_is_a_provider(study: Path) -> None:
    done = cloudtune("attach", f"ray:{study.parent / 'nothing'}")
    assert "Ray Tune experiment" in done.stderr
