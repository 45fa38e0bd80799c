"""Plans for Vertex AI, from the study file to the printed text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtune.planning import planner
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider import registry
from cloudtune.provider.plan import Plan
from cloudtune.reporting.console.plan_page import format_plan
from cloudtune.study.loader import load
from cloudtune_vertex import VertexProvider

STUDY = """\
name: digits
objective: {metric: accuracy, goal: maximize}
parameters:
  kernel: {type: categorical, values: [linear, rbf]}
  layers: {type: int, min: 1, max: 3}
limits: {max_trials: 4, max_failed_trials: 1}
trial: {script: train.py}
providers:
  vertex:
    project: my-project
    location: us-central1
    bucket: my-bucket
    machine_type: n1-standard-4
    image: us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest
"""


def plan_of(folder: Path, more: str = "") -> Plan:
    (folder / "train.py").touch()
    (folder / "study.yaml").write_text(STUDY + more, "utf-8")
    return planner.plan(load(folder / "study.yaml"), "vertex", run_id="3f6k2m9qxt", seed=5)


def said(plan: Plan) -> str:
    return "\n".join(format_plan(plan, brief=False))


def test_a_managed_plan_shows_no_seed_since_none_is_sent(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert plan.mode == "managed"
    assert plan.seed is None
    assert "seed" not in said(plan)
    assert plan.unattended


def test_a_driven_plan_shows_the_seed_that_is_used(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "strategy: genetic\n")
    assert plan.mode == "driven"
    assert plan.seed == 5
    assert "genetic, seed 5" in said(plan)
    assert "Vertex AI has bayesian, random and grid search" in said(plan)


def test_a_partial_grid_is_noted(tmp_path: Path) -> None:
    managed = plan_of(tmp_path, "strategy: grid\n")
    assert "Vertex AI chooses which 4 of the grid's 6" in said(managed)
    assert "the first 4" not in said(managed)
    driven = plan_of(tmp_path, "    mode: driven\nstrategy: grid\n")
    assert "the first 4 of the grid's 6 trials will run" in said(driven)


def test_a_stored_plan_is_restored(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    again = restore_plan(json.loads(json.dumps(plan.to_json())))
    assert again.request == plan.request
    assert again.findings == plan.findings


def test_a_changed_job_name_is_noted(tmp_path: Path) -> None:
    assert "jobs are named" not in said(plan_of(tmp_path))
    (tmp_path / "other.yaml").write_text(STUDY.replace("name: digits", "name: My digits"), "utf-8")
    plan = planner.plan(load(tmp_path / "other.yaml"), "vertex", run_id="3f6k2m9qxt", seed=5)
    assert "jobs are named my-digits-3f6k2m9qxt" in said(plan)


def test_the_maximum_cost_is_estimated(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert plan.estimate is not None
    assert plan.estimate.hour == pytest.approx(0.21849885)
    assert plan.estimate.most == pytest.approx(4 * 7 * 24 * 0.21849885)  # trials of seven days


def test_the_cost_of_a_timeout_includes_running_trials(tmp_path: Path) -> None:
    limits = "    limits: {max_trials: 900, parallel_trials: 5, timeout: 1h, trial_timeout: 2h}\n"
    plan = plan_of(tmp_path, limits)
    assert plan.estimate is not None
    assert plan.estimate.most == pytest.approx(5 * 3 * 0.21849885)


def test_an_extra_without_its_parent_package_is_missing() -> None:
    without = VertexProvider()
    without.packages = {"vertex": ("no_such_package.of_google.aiplatform_v1",)}
    assert registry.missing_extra(without) == "vertex"


@pytest.mark.parametrize("mode", ["managed", "driven"])
def test_a_plan_needs_no_package_of_google(mode: str, tmp_path: Path) -> None:
    plan_of(tmp_path)
    code = (
        "import sys\n"
        "for name in ('google.cloud.aiplatform_v1', 'google.cloud.storage', 'google.auth'):\n"
        "    sys.modules[name] = None\n"
        "from cloudtune.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    words = ["plan", str(tmp_path / "study.yaml"), "--on", "vertex", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--set", f"providers.vertex.mode={mode}"],
        env={**os.environ, "CLOUDTUNE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f'"mode": "{mode}"' in done.stdout
