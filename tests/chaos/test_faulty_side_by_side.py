"""One service is throttled and loses answers, one ends for good, one is well: each by itself."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from cloudtune.emulation import process

if TYPE_CHECKING:
    from .conftest import Home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

FAULTS = """\
seed: 3
faults:
- {operation: "*", call: [2, 3, 9], effect: throttle}
- {operation: "*", call: [5, 12], effect: lose_response}
- {operation: "*", probability: 0.1, effect: throttle}
"""


def test_each_job_ends_in_its_own_way(home: Home) -> None:
    study = (home.path / "study.yaml").read_text("utf-8").replace("max_trials: 24", "max_trials: 3")
    (home.path / "study.yaml").write_text(study, "utf-8")
    (home.path / "faults.yaml").write_text(FAULTS, "utf-8")
    on = ("--on", "local", "--on", "sagemaker", "--on", "vertex")
    more = ("--emulate", "--speed", "20", "--faults", "faults.yaml")
    run = home.begin("run", "study.yaml", *on, *more)
    address = None
    while address is None:
        assert run.poll() is None
        time.sleep(0.1)
        folders = list(home.state.glob("runs/*/vertex/emulator"))
        address = process.running(folders[0]) if folders else None
    os.kill(address.pid, signal.SIGKILL)
    shown, said = run.communicate(timeout=300)
    assert run.returncode == 3, shown + said
    (state,) = json.loads(home.call("status", "--json").stdout)
    jobs = {job["provider"]: job for job in state["jobs"]}
    assert {name: job["state"] for name, job in jobs.items()} == {
        "local": "completed",
        "sagemaker": "completed",
        "vertex": "failed",
    }
    assert jobs["sagemaker"]["trials"] == {"completed": 3}
    assert "emulator" in jobs["vertex"]["reason"]
    assert " ".join(jobs["vertex"]["reason"].split()) in " ".join(said.split())
    overview = [line.split() for line in shown.splitlines()[-4:-1]]
    assert [(row[0], "failed" in row) for row in overview] == [
        *(("local", False), ("sagemaker", False)),
        ("vertex", True),
    ]
