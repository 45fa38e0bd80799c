"""Several cloudtune processes at one run, and at one ledger."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from .conftest import LONGEST

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
    errors = [other.communicate(timeout=LONGEST)[1] for other in others]
    for other, words in zip(others, errors, strict=True):
        assert other.returncode == 0 or "is held by " in words
    assert any(other.returncode == 0 for other in others)
    trials = home.results()
    assert [trial["number"] for trial in trials] == list(range(1, len(trials) + 1))
    assert sum(trial["state"] == "completed" for trial in trials) == 24


def test_concurrent_runs_share_a_ledger(home: Home) -> None:
    processes = [home.begin("run", "study.yaml", "--json") for _ in range(3)]
    for process in processes:
        (result,) = json.loads(process.communicate(timeout=LONGEST)[0])
        assert [trial["number"] for trial in result["trials"]] == list(range(1, 25))
        assert {trial["state"] for trial in result["trials"]} == {"completed"}


def test_users_that_clean_and_resume_at_once_are_told_what_happened(home: Home) -> None:
    for _ in range(3):
        home.call("run", "study.yaml")
        run = home.run
        words = [("resume", run, "--set", "limits.max_trials=26"), ("clean", "--yes")] * 4
        errors = [each.communicate(timeout=LONGEST)[1] for each in [home.begin(*w) for w in words]]
        assert not any("damaged" in text or "Traceback" in text for text in errors), errors
        assert not any("folders of runs" in text for text in errors), errors
        home.call("clean", "--yes")
        assert [*(home.state / "runs").iterdir()] == []


def test_a_completed_run_is_resumed_without_a_change_and_with_few_descriptors(home: Home) -> None:
    home.call("run", "study.yaml", "--set", "limits.parallel_trials=16")
    before = home.call("results", "--json").stdout
    limited = "import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)); "
    limited += "runpy.run_module('cloudtune', run_name='__main__', alter_sys=True)"
    home.call("resume")
    process = home.begin("resume", main=(sys.executable, "-c", limited))
    assert process.wait(LONGEST) == 0
    assert home.call("results", "--json").stdout == before


def test_the_mark_of_a_process_that_was_killed_while_it_created_a_run_is_removed(
    home: Home,
) -> None:
    home.call("run", "study.yaml")
    mark = home.state / "runs" / home.run / "incomplete"
    mark.mkdir()
    (mark / "holder").touch()
    os.mkfifo(mark / "stop")
    home.call("resume")
    assert not mark.exists()


def test_a_script_that_replaces_the_lock_of_its_run_harms_nothing(home: Home) -> None:
    (home.path / "train.py").write_text(
        "import os, shutil\nfrom cloudtune.trial import report\nreport(score=1)\n"
        f"run = {str(home.state)!r} + '/runs/' + os.listdir({str(home.state)!r} + '/runs')[0]\n"
        "os.unlink(run + '/holder')\nos.mkfifo(run + '/holder')\n"
        "os.unlink(run + '/stop')\nos.mkdir(run + '/stop')\n"
    )
    home.call("run", "study.yaml", "--set", "limits.max_trials=1")
    home.call("status")
    home.call("resume", "--set", "limits.max_trials=1")
    home.call("clean", "--yes")
    assert [*(home.state / "runs").iterdir()] == []
