"""Booleans of code that a service starts without the launcher, which writes switches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.planning.planner import plan
from cloudtune.provider.plan import Plan
from cloudtune.study.study import Study

SCRIPT = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--augment", action="store_true")
parser.add_argument("--cached", type=lambda text: text == "True")
parser.add_argument("--learning-rate", "-l", dest="rate", type=float)
"""
CODE = {"sagemaker": "s3://b/code.tar.gz", "vertex": "gs://b/code.tar.gz"}


def plan_on(provider: str, folder: Path, **trial: Any) -> Plan:
    study = {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {
            "augment": {"type": "bool"},
            "rate": {"type": "float", "min": 0, "max": 1},
        },
        "constants": {"cached": True},
        "limits": {"max_trials": 2},
        "trial": {"metrics": {"loss": r"loss (\S+)"}, **trial},
    }
    (folder / "train.py").write_text(SCRIPT, "utf-8")
    return plan(Study.model_validate(study), provider, base=folder)


def items(planned: Plan, word: str) -> dict[str, str]:
    findings = {each.path: str(each) for each in planned.findings if word in str(each)}
    return findings | {
        note.path: f"{note.severity} {note.text}" for note in planned.notes if word in note.text
    }


@pytest.mark.parametrize("provider", CODE)
def test_a_switch_in_the_copy_of_the_code_is_refused(provider: str, tmp_path: Path) -> None:
    planned = plan_on(provider, tmp_path, source={**CODE, "local": "."}, script="train.py")
    shown = items(planned, "without cloudtune's launcher, and passes")
    assert [*shown] == ["parameters.augment", "parameters.rate"]
    assert shown["parameters.rate"].startswith("refused")
    assert "--rate, which the code has only as --learning-rate" in shown["parameters.rate"]
    assert shown["parameters.augment"].startswith("refused")
    assert f"set a folder as trial.source.{provider}" in shown["parameters.augment"]
    with_launcher = plan_on(provider, tmp_path, source=".", script="train.py")
    assert items(with_launcher, "without cloudtune's launcher") == {}


@pytest.mark.parametrize("provider", CODE)
def test_switches_of_the_study_are_refused_and_unknown_ones_are_warned_of(
    provider: str, tmp_path: Path
) -> None:
    planned = plan_on(
        provider, tmp_path, source=CODE, module="train", switches={"augment": "--yes/--no"}
    )
    shown = items(planned, "without cloudtune's launcher, and passes")
    assert shown["trial.switches.augment"].startswith("refused")
    assert "the switch --yes/--no" in shown["trial.switches.augment"]
    assert shown["constants.cached"].startswith("warning")


def test_an_image_that_gets_flags_cannot_have_switches(tmp_path: Path) -> None:
    shown = items(plan_on("vertex", tmp_path, switches={"augment": "--yes"}), "=True")
    assert shown["trial.switches.augment"].startswith("refused")
    assert items(plan_on("vertex", tmp_path), "=True")["parameters.augment"].startswith("warning")


def test_inputs_without_the_launcher_have_no_variables(tmp_path: Path) -> None:
    inputs = {"train": "s3://b/train/"}
    without = plan_on("sagemaker", tmp_path, source=CODE, script="train.py", inputs=inputs)
    assert "/opt/ml/input/data/train" in items(without, "CLOUDTUNE_INPUT")["trial.inputs.train"]
    assert items(plan_on("sagemaker", tmp_path, script="train.py", inputs=inputs), "_INPUT") == {}
