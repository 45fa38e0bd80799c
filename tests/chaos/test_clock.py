"""A clock that jumps back or forth during a run, and before the next one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Home

pytestmark = pytest.mark.slow

JUMPS = """\
import sys, time
from itertools import count
real, asked, first, then = time.time, count(), float(sys.argv[1]), float(sys.argv[2])
time.time = lambda: real() + (first if next(asked) < 60 else then)
from cloudtune.cli import main
main(sys.argv[3:])
"""
"""cloudtune with a clock that is wrong by so many seconds, after a while by so many others."""
DAY = 86_400.0


def jumping(first: float, then: float) -> tuple[str, ...]:
    return (sys.executable, "-c", JUMPS, str(first), str(then))


@pytest.mark.parametrize("jump", [-DAY, DAY], ids=["back", "forth"])
def test_a_clock_that_jumps_changes_no_duration_and_no_limit(home: Home, jump: float) -> None:
    limits = ["--set", "limits.timeout=1h", "--set", "limits.trial_timeout=10m"]
    home.call("run", "study.yaml", *limits, main=jumping(0, jump))
    trials = home.results()
    assert [trial["number"] for trial in trials] == list(range(1, 25))
    assert {trial["state"] for trial in trials} == {"completed"}
    for trial in trials:
        assert 0 < trial["seconds"] < 100
        assert trial["ended"] >= trial["started"]
        assert [m["step"] for m in trial["measurements"]] == [1, 2, 3]
    starts = [trial["started"] for trial in trials]
    assert abs(starts[-1] - starts[0]) > DAY / 2, "the clock did not jump"
    more = home.call(
        "resume", "--set", "limits.max_trials=30", "--set", "limits.timeout=1h", main=jumping(0, 0)
    )
    assert "timeout" not in more.stdout
    assert len(home.results()) == 30


def test_the_latest_run_is_the_one_created_last(home: Home) -> None:
    few = ["--set", "limits.max_trials=1", "--detach"]
    home.call("run", "study.yaml", *few)
    first = home.run
    home.call("run", "study.yaml", *few, main=jumping(-DAY, -DAY))
    assert home.run != first
