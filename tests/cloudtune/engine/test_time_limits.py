"""Deadlines count only time in which this process could run."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from cloudtune.engine import time_limits
from cloudtune.engine.time_limits import RunningClock, TimeLimits
from cloudtune.results.events import Ended
from cloudtune.study.schema import Limits


class FakeTime:
    """A monotonic clock that a test advances."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def fake_time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr(time_limits, "time", SimpleNamespace(monotonic=fake.monotonic))
    return fake


@pytest.fixture
def times(fake_time: FakeTime) -> Iterator[TimeLimits]:
    instance = TimeLimits(Limits.model_validate({"timeout": "1h", "trial_timeout": "60s"}))
    instance.start(600.0)
    yield instance
    instance.close()


def test_a_pause_stops_the_clock(fake_time: FakeTime) -> None:
    clock = RunningClock()
    clock.start()
    try:
        before = clock.now()
        fake_time.seconds += 0.5
        assert clock.now() == before + 0.5
        fake_time.seconds += 3600
        assert clock.now() == pytest.approx(before + 0.5, abs=1)
        assert clock.paused() == pytest.approx(3600, abs=1)
    finally:
        clock.close()


def test_a_pause_moves_all_deadlines(times: TimeLimits, fake_time: FakeTime) -> None:
    deadline = times.start_trial(1, 0)
    assert times.to_monotonic(deadline) == 160
    assert times.to_monotonic(times.job_deadline) == 100 + 3600 - 600
    fake_time.seconds += 100
    assert times.now() < deadline
    assert times.to_monotonic(deadline) == pytest.approx(260, abs=1)
    assert times.to_monotonic(times.job_deadline) == pytest.approx(3200, abs=1)


@pytest.mark.parametrize(("seconds", "in_time"), [(130.0, True), (170.0, False)])
def test_a_trial_ends_in_time_whatever_the_pause(
    times: TimeLimits, fake_time: FakeTime, seconds: float, in_time: bool
) -> None:
    fake_time.seconds += 500  # a pause before the trial does not count for it
    times.start_trial(1, 0)
    fake_time.seconds += 100
    assert times.is_in_time(Ended(1, 0.0, "completed", seconds=seconds)) is in_time


def test_without_a_limit_nothing_looks_at_the_clock(fake_time: FakeTime) -> None:
    times = TimeLimits(Limits())
    times.start(0.0)
    fake_time.seconds += 100
    assert times.now() == 200
    times.close()
