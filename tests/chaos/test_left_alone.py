"""A managed job continues at its service without cloudtune, and is found again."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from cloudtune.ledger.ledger import Ledger

if TYPE_CHECKING:
    from .conftest import Home

pytestmark = pytest.mark.slow

WAITS = """\
import os, time
from cloudtune.trial import params, report
while not os.path.exists({!r}):
    time.sleep(0.05)
report(score=params()["x"])
"""


@pytest.fixture
def unattended(home: Home) -> Home:
    """A run whose job was created and whose process was killed. Its trials wait for a file."""
    (home.path / "train.py").write_text(WAITS.format(str(home.path / "go")), "utf-8")
    study = (home.path / "study.yaml").read_text("utf-8").replace("max_trials: 24", "max_trials: 3")
    (home.path / "study.yaml").write_text(study, "utf-8")
    on = ("--on", "sagemaker", "--emulate", "--speed", "20", "--detach")
    home.call("run", "study.yaml", *on)
    while not job_of(home):
        time.sleep(0.05)
    engine = home.engine()
    assert engine
    os.kill(engine, signal.SIGKILL)
    while home.engine():
        time.sleep(0.05)
    return home


def job_of(home: Home) -> str | None:
    with Ledger(home.state) as ledger:
        return ledger.run().jobs[0].job


def state_of(home: Home) -> dict[str, Any]:
    (state,) = json.loads(home.call("status", "--json").stdout)
    job: dict[str, Any] = state["jobs"][0]
    return job


def test_watch_follows_an_unattended_job(unattended: Home) -> None:
    before = job_of(unattended)
    assert state_of(unattended)["state"] == "interrupted"
    (unattended.path / "go").touch()
    done = unattended.call("watch")
    assert "following the job at sagemaker again" in done.stderr
    assert state_of(unattended)["trials"] == {"completed": 3}
    assert job_of(unattended) == before


def test_stop_ends_an_unattended_job(unattended: Home) -> None:
    unattended.call("stop", "--on", "sagemaker")
    unattended.call("watch", code=130)
    assert state_of(unattended)["state"] == "cancelled"
