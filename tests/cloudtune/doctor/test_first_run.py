"""The suggestion of the doctor: once, before the first run of a study on a real service."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cloudtune.doctor.first_run import first_run_services, remember
from cloudtune.planning.planner import plan
from cloudtune.provider.plan import Plan
from cloudtune.study.loader import load

STUDY = """objective: {metric: loss, goal: minimize}
parameters: {lr: {type: float, min: 0.25, max: 1}}
limits: {max_trials: 2}
trial: {script: train.py}
"""


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "train.py").write_text("")
    return [plan(load("study.yaml"), name) for name in ("local", "sagemaker", "vertex")]


def test_each_service_is_suggested_once(plans: list[Plan]) -> None:
    assert first_run_services(plans[:2]) == ["sagemaker"]
    assert first_run_services(plans) == ["vertex"]
    assert first_run_services(plans) == []


def test_the_doctor_itself_counts(plans: list[Plan]) -> None:
    remember("study.yaml", ["sagemaker"])
    assert first_run_services(plans) == ["vertex"]


def test_neither_this_machine_nor_an_emulator_is_meant(plans: list[Plan], tmp_path: Path) -> None:
    emulated = [replace(each, facts=replace(each.facts, emulated=True)) for each in plans]
    assert first_run_services([plans[0], *emulated]) == []
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("content", ["{", "[]", "3", '{"a": 1}', "[" * 60_000, "null"])
def test_a_damaged_record_is_replaced(plans: list[Plan], tmp_path: Path, content: str) -> None:
    remember("other.yaml", ["vertex"])
    (tmp_path / "state" / "doctor.json").write_text(content)
    assert first_run_services(plans) == ["sagemaker", "vertex"]
    assert first_run_services(plans) == []
