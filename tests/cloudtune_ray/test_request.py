"""The requests of studies, compared with golden files.

A file in ``golden`` holds a study and what becomes of it. To renew all of them, run

    CLOUDTUNE_RENEW_GOLDEN=1 pytest tests/cloudtune_ray/test_request.py

and read the difference.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cloudtune.results.events import Started
from cloudtune.study.study import Study
from cloudtune_ray.request import (
    PROGRAM,
    adapt_resources,
    entrypoint,
    start_variables,
)
from cloudtune_ray.settings import RaySettings
from tests.cloudtune_ray import support

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the studies name."""
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "s3cr3t-value")
    (tmp_path / "train.py").write_text("print('acc=1')\n", "utf-8")
    (tmp_path / "requirements.txt").write_text("six>=1  # old\n\n# none\n-r more.txt\n", "utf-8")
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_request_and_findings_match_the_golden_file(file: Path, base: Path) -> None:
    golden = json.loads(file.read_text("utf-8"))
    plan = support.plan_of(Study.model_validate(golden["study"]), base)
    text = json.dumps([[str(item) for item in plan.found], plan.request], ensure_ascii=False)
    found, request = json.loads(text.replace(str(base), "BASE"))
    current = {"found": found, "request": request}
    if os.environ.get("CLOUDTUNE_RENEW_GOLDEN"):
        content = json.dumps({**golden, **current}, indent=1, ensure_ascii=False)
        file.write_text(content + "\n", "utf-8")
        pytest.skip("renewed")
    assert current == {key: golden[key] for key in current}


def test_there_are_golden_files() -> None:
    assert len(GOLDEN) >= 3


def test_planning_is_offline_and_the_token_is_not_in_the_plan(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise AssertionError("planning opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    plan = support.plan_of(support.study_of(), base)
    text = json.dumps([plan.request, dict(plan.facts.data), [str(f) for f in plan.found]])
    assert "s3cr3t-value" not in text


VALUES = ["a b", "it's", '"', "$HOME", "`x`", "a;b", "", "-1e-05", "ü", "\\", "*", "#", "a\nb", "!"]


def test_values_pass_through_the_shell_unchanged() -> None:
    given = {f"n{place}": value for place, value in enumerate(VALUES)}
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
