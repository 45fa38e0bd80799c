"""What to do about a module that a script does not find: install it, or reach it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import cloudtune
from cloudtune.bundle.missing_modules import explain_missing_module
from cloudtune.doctor.diagnosis import diagnose
from cloudtune.study.loader import load
from cloudtune.study.schema import TrialSpec

SCRIPT = """
import argparse
from mylib.parts import value
p = argparse.ArgumentParser()
p.add_argument("--x", type=float)
print("loss", value(p.parse_args().x))
"""
EXTENDS_PATH = """
import sys
sys.path.append(__file__.rsplit("/", 2)[0])
"""
STUDY = """
objective: {{metric: loss, goal: minimize}}
parameters: {{x: {{type: float, min: 0, max: 1}}}}
limits: {{max_trials: 2}}
trial:
  {lines}
  metrics: {{loss: 'loss (\\S+)'}}
"""


@pytest.mark.parametrize(
    "case",
    [
        ("scripts", "mylib", "", "script: train.py",
         ["source: ..", "script: scripts/train.py", "env: {PYTHONPATH: .}"]),
        ("scripts", "mylib", EXTENDS_PATH, "script: train.py",
         ["source: ..", "script: scripts/train.py"]),
        ("scripts", "src/mylib", "", "script: train.py",
         ["source: ..", "script: scripts/train.py", "env: {PYTHONPATH: src}"]),
        ("", "mylib", "", "script: scripts/train.py", ["env: {PYTHONPATH: .}"]),
        ("", "src/mylib", "", "script: scripts/train.py", ["env: {PYTHONPATH: src}"]),
        ("conf", "mylib", "", "source: ../scripts\n  script: train.py",
         ["source: ..", "script: scripts/train.py", "env: {PYTHONPATH: .}"]),
    ],
)  # fmt: skip
def test_a_module_of_the_project_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[str, str, str, str, list[str]]
) -> None:
    """The doctor and the failure of a trial say how, and with these lines it runs."""
    study, module, start, trial, lines = case
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    project = tmp_path / "project"
    for folder in ("scripts", "conf", module):
        (project / folder).mkdir(parents=True)
    (project / module / "parts.py").write_text("def value(x): return x")
    (project / "scripts" / "train.py").write_text(start + SCRIPT)
    file = project / study / "study.yaml"
    file.write_text(STUDY.format(lines=trial))
    monkeypatch.chdir(project)
    (check,) = [each for each in diagnose(load(file)).checks if each.id == "module-missing"]
    assert (check.path, check.command.splitlines()) == ("trial.source", lines)
    with pytest.raises(cloudtune.RunFailedError) as caught:
        cloudtune.run(file, show=False)
    assert f"set in trial: {', '.join(lines)}" in str(caught.value)
    file.write_text(STUDY.format(lines="\n  ".join(merged(trial.split("\n  "), lines))))
    assert cloudtune.run(file, show=False).results().best


def merged(trial: Sequence[str], lines: Sequence[str]) -> list[str]:
    keys = {line.partition(":")[0] for line in lines}
    return [*(line for line in trial if line.partition(":")[0] not in keys), *lines]


@pytest.mark.parametrize(
    "case",
    [
        (["requirements.txt"], None, "/p/python",
         "yaml is not installed where trials run: /p/python -m pip install -r requirements.txt"),
        (["needs.txt", "requirements.txt"], "needs.txt", "/p/python",
         "yaml is not installed where trials run: /p/python -m pip install -r needs.txt"),
        ([], None, "/p/python", "yaml is not installed where trials run: /p/python -m pip install "
         "PyYAML"),
        (["needs.txt"], "needs.txt", None, "list the package of yaml in needs.txt"),
        ([], None, None, "list the package of yaml in a requirements file, and name that in "
         "trial.requirements"),
    ],
)  # fmt: skip
def test_other_modules_are_installed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[list[str], str | None, str | None, str],
) -> None:
    files, requirements, python, text = case
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yaml").mkdir()  # a folder without modules
    for name in files:
        (tmp_path / name).touch()
    trial = TrialSpec(script="train.py", requirements=requirements)
    output = "Traceback\nModuleNotFoundError: No module named 'yaml'"
    fix = explain_missing_module(output, trial, tmp_path, tmp_path, python)
    assert str(fix).lower() == text.lower()


def test_modules_of_python_are_not_installed(tmp_path: Path) -> None:
    for name in ("distutils", "tomllib", "own.part"):
        output = f"ModuleNotFoundError: No module named '{name}'"
        assert explain_missing_module(output, TrialSpec(), tmp_path, tmp_path, "python") is None
