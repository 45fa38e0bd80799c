"""What the live service answered about jobs that waited for a machine and were cancelled.

The answers are those of 2026-07-08, recorded by cloud-custodian (Apache-2.0). The time limit is
added: the shortest that Google accepts would have passed, counted from ``startTime``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudtune_vertex import response

CREATED: dict[str, Any] = {
    "state": "JOB_STATE_PENDING",
    "createTime": "2026-07-08T18:43:36.654698Z",
    "updateTime": "2026-07-08T18:43:36.654698Z",
    "jobSpec": {"scheduling": {"timeout": "3s"}},
}
QUEUED = CREATED | {
    "state": "JOB_STATE_QUEUED",
    "startTime": "2026-07-08T18:43:36.811116Z",
    "updateTime": "2026-07-08T18:43:37.012060Z",
}
CANCELLED = QUEUED | {
    "state": "JOB_STATE_CANCELLED",
    "updateTime": "2026-07-08T18:43:40.449827Z",
    "endTime": "2026-07-08T18:43:40.449827Z",
    "error": {"code": 1, "message": "CANCELED"},
}


@pytest.mark.parametrize("polls", [[], [CREATED], [CREATED, QUEUED], [QUEUED, CREATED]])
def test_a_job_that_waited_was_not_running(polls: list[dict[str, Any]]) -> None:
    machine = response.Machine()
    for job in [*polls, CANCELLED]:
        machine.see(job)
    assert machine.runs_since is None
    assert not machine.is_timed_out(CANCELLED)
    assert response.is_stopped(CANCELLED)


def at(seconds: float) -> str:
    return (datetime(2026, 7, 8, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize(
    ("polls", "end", "timed_out"),
    [
        ([("QUEUED", 15), ("RUNNING", 600)], 660, False),
        ([("QUEUED", 15), ("RUNNING", 600)], 899.5, True),
        ([("RUNNING", 600)], 899.5, True),
        ([("QUEUED", 15)], 3560, False),
        ([], 660, False),
        ([("RUNNING", 600), ("PENDING", 700), ("RUNNING", 1300)], 1360, False),
        ([("RUNNING", 600), ("PENDING", 700), ("RUNNING", 1300)], 1599.5, True),
        ([("RUNNING", 600), ("PENDING", 700)], 1360, False),
    ],
)
def test_a_time_limit_was_reached_only_if_polls_have_shown_it(
    polls: list[tuple[str, float]], end: float, *, timed_out: bool
) -> None:
    """Neither a wait counts, nor what nobody saw, nor what was before a restart."""
    job = {"startTime": at(0.15), "jobSpec": {"scheduling": {"timeout": "300s"}}}
    machine = response.Machine()
    ended = {**job, "state": "JOB_STATE_CANCELLED", "endTime": at(end)}
    for state, seconds in polls:
        machine.see({**job, "state": f"JOB_STATE_{state}", "updateTime": at(seconds)})
    machine.see(ended)
    assert machine.is_timed_out(ended) is timed_out


QUOTA = "The following quota metrics exceed quota limits:"


@pytest.mark.parametrize(
    ("state", "strategy", "message", "lost"),
    [
        ("FAILED", "STANDARD", "Resources are insufficient in region: us-central1", True),
        (
            "FAILED",
            "STANDARD",
            f"{QUOTA} aiplatform.googleapis.com/custom_model_training_cpus",
            True,
        ),
        ("FAILED", "STANDARD", "The replica workerpool0-0 exited with a non-zero status", False),
        ("EXPIRED", "FLEX_START", "", True),
        ("EXPIRED", "STANDARD", "", False),
        ("QUEUED", "STANDARD", "Resources are insufficient in region: us-central1", False),
    ],
)
def test_a_job_that_got_no_machine(state: str, strategy: str, message: str, *, lost: bool) -> None:
    job = {
        "state": f"JOB_STATE_{state}",
        "jobSpec": {"scheduling": {"strategy": strategy}},
        "error": {"code": 14, "message": message},
    }
    assert response.got_no_machine(job) is lost


def test_a_job_runs_since_the_last_update_of_the_first_answer_that_says_so() -> None:
    running = QUEUED | {"state": "JOB_STATE_RUNNING", "updateTime": "2026-07-08T18:50:00Z"}
    machine = response.Machine()
    machine.see(QUEUED)
    machine.see(running)
    machine.see(running | {"updateTime": "2026-07-08T18:55:00Z"})
    assert machine.runs_since == response.to_seconds("2026-07-08T18:50:00Z")
