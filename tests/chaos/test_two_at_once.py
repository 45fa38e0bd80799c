"""Several cloudtune processes at one run, and at one ledger."""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Home

pytestmark = pytest.mark.slow


def test_a_second_process_learns_the_lock_holder(home: Home) -> None:
    (home.path / "train.py").write_text("import time; time.sleep(1000)", "utf-8")
    home.call("run", "study.yaml", "--detach")
    run, engine = home.run, home.engine()
    assert engine is not None
    message = f"run {run} is held by process {engine} on {socket.gethostname()}"
    assert message in home.call("resume", code=1).stderr
    assert message in home.call("resume", "--set", "limits.max_trials=30", code=1).stderr
    assert f"{run} is running" in home.call("clean", run, "--yes", code=1).stderr
    assert home.engine() == engine
    home.call("stop")
    home.call("watch", code=130)


def test_only_one_of_many_processes_resumes_a_run(home: Home) -> None:
    home.call("run", "study.yaml", "--detach")
    engine = home.engine()
    assert engine is not None
    os.kill(engine, signal.SIGKILL)
    others = [home.begin("resume") for _ in range(4)]
    errors = [other.communicate(timeout=100)[1] for other in others]
    for other, words in zip(others, errors, strict=True):
        assert other.returncode == 0 or "is held by process" in words
    assert any(other.returncode == 0 for other in others)
    trials = home.results()
    assert [trial["number"] for trial in trials] == list(range(1, len(trials) + 1))
    assert sum(trial["state"] == "completed" for trial in trials) == 24


def test_concurrent_runs_share_a_ledger(home: Home) -> None:
    processes = [home.begin("run", "study.yaml", "--json") for _ in range(3)]
    for process in processes:
        (result,) = json.loads(process.communicate(timeout=100)[0])
        assert [trial["number"] for trial in result["trials"]] == list(range(1, 25))
        assert {trial["state"] for trial in result["trials"]} == {"completed"}
