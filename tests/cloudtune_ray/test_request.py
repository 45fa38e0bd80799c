"""Properties of requests; tests/test_golden_requests.py has those of whole studies."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cloudtune.results.events import Started
from cloudtune_ray.request import (
    PROGRAM,
    adapt_resources,
    entrypoint,
    start_variables,
)
from cloudtune_ray.settings import RaySettings
from tests.cloudtune_ray import support


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the studies name."""
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "s3cr3t-value")
    (tmp_path / "train.py").write_text("print('acc=1')\n", "utf-8")
    (tmp_path / "requirements.txt").write_text("six>=1  # old\n\n# none\n-r more.txt\n", "utf-8")
    (tmp_path / "data").mkdir()
    return tmp_path


VALUES = ["a b", "it's", '"', "$HOME", "`x`", "a;b", "", "-1e-05", "ü", "\\", "*", "#", "a\nb", "!"]


def test_values_pass_through_the_shell_unchanged() -> None:
    given = {f"n{index}": value for index, value in enumerate(VALUES)}
    command = entrypoint("python", "job-1", given)
    words = ["python", PROGRAM, "job-1", *(f"--{name}={value}" for name, value in given.items())]
    assert shlex.split(command) == ["exec", *words]
    show = shlex.join([sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"])
    shell = command.replace(f"python {PROGRAM}", show)
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == words[2:]


def test_each_start_after_a_lack_of_memory_reserves_more() -> None:
    retry = {"on": "memory", "times": 2}
    trial = {"script": "train.py", "resources": {"memory": "8 GB"}, "retry": retry}
    study, settings = support.study_of({"trial": trial}), RaySettings.model_validate({})
    for retries, gigabytes in enumerate((8, 16, 32)):
        body = {"entrypoint_num_cpus": 1, "entrypoint_memory": 32 * 10**9}  # as planned
        adapt_resources(body, study, settings, Started(1, 1.0, {}, memory_retries=retries))
        assert body["entrypoint_memory"] == gigabytes * 10**9


def test_native_resources_stay_for_each_start(base: Path) -> None:
    study = support.study_of({"trial": {"script": "train.py", "resources": {"cpus": 2}}})
    request: dict[str, Any] = {"entrypoint_num_cpus": 8}
    settings = RaySettings.model_validate({})
    adapt_resources(request, study, settings, Started(1, time.time(), {}))
    assert request == {"entrypoint_num_cpus": 8}
    request = {"entrypoint_num_cpus": 2}
    adapt_resources(request, study, settings, Started(1, time.time(), {}))
    assert request == {"entrypoint_num_cpus": 2}


def test_secrets_are_only_resolved_for_a_start(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "hidden")
    trial = {"script": "train.py", "env": {"TOKEN": {"from_env": "MINE"}, "A": "b"}}
    study = support.study_of({"trial": trial}, visible_secrets=True)
    plan = support.plan_of(study, base)
    variables = plan.request["runtime_env"]["env_vars"]
    assert variables == {"RAY_JOB_STOP_WAIT_TIME_S": "30", "TOKEN": "${MINE}"}
    started = Started(1, time.time(), {}, after_step=3)
    assert start_variables(variables, study, started) == {
        "RAY_JOB_STOP_WAIT_TIME_S": "30",
        "TOKEN": "hidden",
        "CLOUDTUNE_RAY_AFTER_STEP": "3",
    }
