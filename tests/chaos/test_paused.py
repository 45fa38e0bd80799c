"""cloudtune, or all of a run, is paused: Ctrl-Z and ``fg``, or a container that is paused."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from .conftest import wait_for

if TYPE_CHECKING:
    from .conftest import Home

pytestmark = pytest.mark.slow

SCRIPT = """\
import time
from cloudtune.trial import params, report
report(score=params()["x"], step=1)
time.sleep(1.5)
report(score=params()["x"], step=2)
"""
LIMITS = ("limits.max_trials=2", "limits.trial_timeout=30s", "limits.timeout=40s")
PAUSE = 42.0


@pytest.mark.parametrize("pauses_trials", [False, True], ids=["Ctrl-Z", "paused container"])
def test_a_pause_uses_up_no_time(home: Home, pauses_trials: bool) -> None:
    (home.path / "train.py").write_text(SCRIPT, "utf-8")
    options = [word for limit in LIMITS for word in ("--set", limit)]
    engine = home.begin("run", "study.yaml", *options)
    reports = "runs/*/local/trials/*/reports.jsonl"
    assert wait_for(lambda: sum(path.stat().st_size > 0 for path in home.state.glob(reports)) == 2)
    trials = home.trials() if pauses_trials else []
    engine.send_signal(signal.SIGSTOP)
    for trial in trials:
        trial.suspend()
    time.sleep(PAUSE)
    for trial in trials:
        trial.resume()
    engine.send_signal(signal.SIGCONT)
    out, err = engine.communicate(timeout=200)
    assert engine.returncode == 0, out + err
    assert [trial["state"] for trial in home.results()] == ["completed"] * 2
