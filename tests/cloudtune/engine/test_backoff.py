"""Services are asked politely: less often with many jobs, later after trouble, never in step."""

from __future__ import annotations

import pytest

from cloudtune.engine import backoff


@pytest.mark.parametrize(("jobs", "seconds"), [(0, 15), (1, 15), (100, 15), (200, 30), (1000, 150)])
def test_many_jobs_are_polled_less_often(jobs: int, seconds: float) -> None:
    assert backoff.poll_interval(15, jobs) == seconds


def test_calls_a_minute_are_bounded_for_any_number_of_jobs() -> None:
    for jobs in (100, 150, 1_000, 10_000):
        assert jobs * 60 / backoff.poll_interval(15, jobs) == pytest.approx(400)


def test_backoff_grows_up_to_a_bound() -> None:
    wait, waits = 0.0, list[float]()
    for _ in range(7):
        wait = backoff.next_backoff(15, wait)
        waits.append(wait)
    assert waits == [15, 30, 60, 120, 240, 300, 300]
    assert backoff.next_backoff(600, 300) == 600


def test_jitter_varies_the_interval() -> None:
    waits = [backoff.add_jitter(15) for _ in range(200)]
    assert len(set(waits)) == 200
    assert 13.5 <= min(waits) < 14.5
    assert 15.5 < max(waits) <= 16.5
