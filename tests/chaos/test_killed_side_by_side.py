"""kill -9 while jobs at several providers are created or running: resume loses no job."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from .conftest import Home

pytestmark = pytest.mark.slow

PROVIDERS = ("local", "azure", "sagemaker", "vertex")
TRIALS = 4
KILLS = 8


def wait_for(condition: Callable[[], object], seconds: float = 200) -> bool:
    due = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > due:
            return False
        time.sleep(0.02)
    return True


def is_made(home: Home) -> bool:
    """Tell whether there is a run."""
    with suppress(CloudtuneError):
        return bool(home.run)
    return False


def jobs_made(home: Home, provider: str) -> list[Path]:
    """Return the folder of each trial that an emulator has ever run."""
    jobs = home.state / "runs" / home.run / provider / "emulator" / "jobs"
    pattern = "*/*" if provider == "sagemaker" else "*"
    return [path for path in jobs.glob(pattern) if path.is_dir()]


@pytest.mark.parametrize("mode", ["managed", "driven"])
def test_random_kills_lose_and_duplicate_no_job_of_any_provider(
    home: Home, rng: random.Random, mode: str
) -> None:
    blocks = "".join(f"\n  {name}: {{mode: {mode}}}" for name in PROVIDERS[1:])
    study = (home.path / "study.yaml").read_text("utf-8")
    study = study.replace("max_trials: 24", f"max_trials: {TRIALS}")
    (home.path / "study.yaml").write_text(f"{study}providers:{blocks}\n", "utf-8")
    on = [word for name in PROVIDERS for word in ("--on", name)]
    process = home.begin("run", "study.yaml", *on, "--emulate", "--speed", "60")
    assert wait_for(lambda: is_made(home))
    for _ in range(KILLS):
        with suppress(subprocess.TimeoutExpired):
            process.wait(rng.choice([0.3, 1, 2, 4]) * rng.random())
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        process = home.begin("resume")
    process.communicate()
    home.call("resume")
    (state,) = json.loads(home.call("status", "--json").stdout)
    jobs: dict[str, Any] = {job["provider"]: job for job in state["jobs"]}
    assert {name: job["state"] for name, job in jobs.items()} == dict.fromkeys(
        PROVIDERS, "completed"
    )
    for name in PROVIDERS:
        assert jobs[name]["trials"].get("completed") == TRIALS, jobs[name]
    for name in PROVIDERS[1:]:
        assert len(jobs_made(home, name)) == TRIALS
        if mode == "managed":
            assert jobs[name]["trials"] == {"completed": TRIALS}
        else:  # killed before a job was made, its trial is asked again under a new number
            assert set(jobs[name]["trials"]) <= {"completed", "cancelled"}
    assert wait_for(home.is_quiet)
