"""What stands in for images in emulated runs: how the study names it, and what plans note of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from cloudtune.cli import main
from cloudtune.planning import planner
from cloudtune.provider import registry
from cloudtune.provider.plan import Plan
from cloudtune.provider.rehearsal import Rehearsal
from cloudtune.study.study import Study
from tests import fake_docker
from tests.providers import DRIVEN_SETTINGS, TUNERS

PATH = "providers.sagemaker.rehearse"
IMAGES = {"sagemaker": {"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1"}}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker is on the PATH, or what looks like it."""
    (tmp_path / "bin").mkdir()
    fake_docker.install(tmp_path / "bin" / "docker")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def plan_of(
    folder: Path,
    rehearse: Any,
    on: str = "sagemaker",
    trial: Any = None,
    *,
    emulated: bool = True,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Plan:
    (folder / "train.py").write_text("")
    study = {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"a": {"type": "float", "min": 0, "max": 1}},
        "limits": {"max_trials": 2},
        "trial": {"script": "train.py"} if trial is None else trial,
        "providers": {on: {"rehearse": rehearse, **IMAGES.get(on, {}), **settings}},
    }
    return planner.plan(Study.model_validate(study), on, base=folder, emulated=emulated)


def notes(plan: Plan) -> list[str]:
    return [note.text for note in plan.notes if note.path == PATH]


@pytest.mark.usefixtures("engine")
def test_the_plan_notes_what_stands_in(tmp_path: Path) -> None:
    machine = "trials run with this machine's Python in place of their images"
    assert notes(plan_of(tmp_path, {})) == [machine]
    program = tmp_path / "py" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    other = {"python": "py/bin/python"}
    assert notes(plan_of(tmp_path, other)) == [
        "trials run with py/bin/python in place of their images"
    ]
    assert notes(plan_of(tmp_path, {"images": True})) == ["trials run in their images"]
    assert notes(plan_of(tmp_path, {"images": True}, emulated=False)) == []


@pytest.mark.usefixtures("engine")
def test_an_image_is_the_trial_where_images_run(tmp_path: Path) -> None:
    metrics = {"metrics": {"loss": "loss=(.+)"}}
    assert plan_of(tmp_path, {}, trial=metrics).refused
    assert not plan_of(tmp_path, {"images": True}, trial=metrics).refused


def test_images_need_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (finding,) = plan_of(tmp_path, {"images": True}).refused
    assert finding.path == f"{PATH}.images"
    assert "Docker or Podman" in finding.reason


@pytest.mark.usefixtures("engine")
def test_ibm_has_no_images(tmp_path: Path) -> None:
    refused = plan_of(tmp_path, {"images": True}, "watson").refused
    reasons = [finding.reason for finding in refused]
    assert any("the emulator of watson runs no images" in reason for reason in reasons), reasons


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("on", ["sagemaker", "vertex"])
def test_a_study_without_an_image_runs_in_none(tmp_path: Path, on: str) -> None:
    (finding,) = plan_of(tmp_path, {"images": True}, on, settings={"image": None}).refused
    assert finding.path == f"providers.{on}.image"
    assert "the study names none" in finding.reason


@pytest.mark.parametrize("on", TUNERS)
@pytest.mark.parametrize("python", ["no-such-python", "envs/no/bin/python", "train.py"])
def test_a_python_that_does_not_exist_is_refused(tmp_path: Path, on: str, python: str) -> None:
    (finding,) = plan_of(tmp_path, {"python": python}, on, settings=DRIVEN_SETTINGS[on]).refused
    assert finding.path == f"providers.{on}.rehearse.python"
    assert finding.reason.startswith(f"{python} is not a program")
    assert not plan_of(tmp_path, {"python": "python3"}, on, settings=DRIVEN_SETTINGS[on]).refused


@pytest.mark.parametrize("on", TUNERS)
def test_a_python_that_the_script_does_not_support_does_not_stand_in(
    tmp_path: Path, on: str
) -> None:
    (tmp_path / "train.py").write_text('# /// script\n# requires-python = ">=3.99"\n# ///\n')
    study = {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"a": {"type": "float", "min": 0, "max": 1}},
        "limits": {"max_trials": 2},
        "trial": {"script": "train.py"},
        "providers": {on: DRIVEN_SETTINGS[on]},
    }
    planned = planner.plan(Study.model_validate(study), on, base=tmp_path, emulated=True)
    (reason,) = [
        each.reason for each in planned.refused if each.path == f"providers.{on}.rehearse.python"
    ]
    assert reason.startswith(f"{sys.executable} is Python 3.")
    assert "requires-python" in reason
    assert ">=3.99" in reason


def test_one_of_both() -> None:
    with pytest.raises(ValueError, match="set either images or python"):
        Rehearsal(images=True, python="python")


@pytest.mark.parametrize(
    ("python", "option"),
    [("python3.9", "python3.9"), ("env/bin/python", "/base/env/bin/python"), ("/p", "/p")],
)
def test_a_path_is_relative_to_the_study(python: str, option: str) -> None:
    assert Rehearsal(python=python).options(Path("/base")) == ["--python", option]
    assert Rehearsal(images=True).options(Path("/base")) == ["--with-images"]
    assert Rehearsal().options(Path("/base")) == []


@pytest.mark.parametrize("words", [[], ["--emulate"], ["--on", "sagemaker"]])
def test_images_are_for_emulated_services(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.yaml").write_text("{}")
    with pytest.raises(SystemExit):
        main(["run", str(tmp_path / "study.yaml"), "--with-images", *words])
    assert "--with-images requires an emulated service" in capsys.readouterr().err


@pytest.mark.parametrize(
    "on", [name for name in registry.names() if registry.get(name).emulator is not None]
)
def test_an_emulated_run_needs_no_settings(on: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("1")
    study = {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"a": {"type": "float", "min": 0, "max": 1}},
        "limits": {"max_trials": 2},
        "trial": {"script": "train.py", "inputs": {"data": "data"}},
    }
    plan = planner.plan(Study.model_validate(study), on, base=tmp_path, emulated=True)
    assert plan.refused == ()
