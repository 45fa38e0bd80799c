"""How the record of a job is read, and what it and Ray's status say of a trial."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune_ray import response
from cloudtune_ray.metrics import FIRST_LINES, Record


class File:
    """A record that grows."""

    def __init__(self) -> None:
        self.lines: list[str] = [json.dumps({"start": 5.0, "host": "n1"})]
        self.read = 0

    def add(self, count: int) -> None:
        first = len([line for line in self.lines if '"n"' in line]) + 1
        for n in range(first, first + count):
            row = {"n": n, "step": n, "metrics": {"a": float(n)}, "time": 1.0}
            self.lines.append(json.dumps(row))

    def tail(self, count: int) -> Sequence[str]:
        lines = self.lines[-count:]
        self.read += len(lines)
        return lines


@pytest.mark.slow
@settings(max_examples=40)
@given(st.lists(st.integers(0, 400), max_size=8))
def test_each_measurement_is_read_once(counts: list[int]) -> None:
    file, record = File(), Record()
    for count in counts:
        file.add(count)
        record.read(file.tail)
        steps = [each.step for each in record.measurements]
        assert steps == list(range(1, len(steps) + 1))
        assert len(steps) == len(file.lines) - 1


def test_a_poll_of_a_long_record_reads_its_end_only() -> None:
    file, record = File(), Record()
    file.add(5000)
    record.read(file.tail)
    file.read = 0
    file.add(3)
    record.read(file.tail)
    assert file.read == FIRST_LINES
    assert len(record.measurements) == 5003


def test_a_torn_line_is_read_later() -> None:
    file, record = File(), Record()
    file.add(2)
    whole = file.lines[-1]
    file.lines[-1] = whole[:10]
    record.read(file.tail)
    assert len(record.measurements) == 1
    file.lines[-1] = whole
    record.read(file.tail)
    assert len(record.measurements) == 2
    assert (record.started, record.host) == (5.0, "n1")


def test_an_unreadable_record_keeps_its_measurements() -> None:
    file, record = File(), Record()
    file.add(2)
    record.read(file.tail)
    record.read(lambda _: None)
    assert len(record.measurements) == 2


def job(status: str, error: str | None = None, message: str = "") -> dict[str, Any]:
    return {"status": status, "error_type": error, "message": message}


DOWNLOAD = "Failed to download runtime_env file package gcs://_ray_pkg_1.zip"
KILLED = "1 worker(s) were killed due to the node running low on memory. "
OLD = "Unexpected error occurred"
"""How Ray 2.9 and 2.40, which give no type, begin the message of a supervisor that died."""


@pytest.mark.parametrize(
    ("ray", "end", "state", "lost"),
    [
        (job("PENDING"), None, "waiting", False),
        (job("RUNNING"), None, "running", False),
        (job("RUNNING"), {"end": 0}, "completed", False),
        (job("RUNNING"), {"end": 1}, "failed", False),
        (job("RUNNING"), {"end": 0, "stopped": True}, "running", False),
        (job("FAILED", "JOB_SUPERVISOR_ACTOR_DIED"), {"end": 0, "stopped": True}, "failed", True),
        (job("STOPPED"), {"end": 0}, "cancelled", False),
        (job("SUCCEEDED"), None, "completed", True),
        (job("SUCCEEDED"), {"end": 0}, "completed", False),
        (job("FAILED", "JOB_ENTRYPOINT_COMMAND_ERROR"), None, "failed", False),
        (job("FAILED", "JOB_SUPERVISOR_ACTOR_DIED"), None, "failed", True),
        (job("FAILED", "JOB_SUPERVISOR_ACTOR_DIED"), {"end": 0}, "completed", False),
        (job("FAILED", "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"), None, "failed", True),
        (job("FAILED", "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE"), None, "failed", False),
        (job("FAILED", None, f"{OLD}: The actor died unexpectedly"), None, "failed", True),
        (job("FAILED", None, f"{OLD}: {KILLED}"), None, "failed", False),
        (job("FAILED", None, "Job entrypoint command failed"), None, "failed", False),
        (job("FAILED", "JOB_ENTRYPOINT_COMMAND_START_ERROR"), None, "failed", True),
        (job("FAILED", "JOB_ENTRYPOINT_COMMAND_START_ERROR"), {"end": 0}, "completed", False),
        (job("FAILED", "RUNTIME_ENV_SETUP_FAILURE", DOWNLOAD), None, "failed", True),
        (job("FAILED", "RUNTIME_ENV_SETUP_FAILURE", "pip failed"), None, "failed", False),
        (job("ODD"), None, "unknown", False),
    ],
)
def test_the_record_decides_before_the_status(
    ray: dict[str, Any], end: dict[str, Any] | None, state: str, lost: bool
) -> None:
    record = Record(end=end)
    assert response.trial_state(ray, record) == state
    assert response.is_lost(ray, record) is lost


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("JOB_SUPERVISOR_ACTOR_DIED", "Worker exit type: NODE_OUT_OF_MEMORY"),
        ("JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE", KILLED + "Refer to the documentation" * 99),
    ],
)
def test_a_job_that_the_memory_monitor_ended_is_no_loss(error: str, message: str) -> None:
    died = job("FAILED", error, message)
    assert not response.is_lost(died, Record())
    assert response.failure_reason(died, Record()).startswith(f"out of memory: {message[:40]}")


def test_words_of_the_script_are_no_lack_of_memory() -> None:
    failed = job("FAILED", "JOB_ENTRYPOINT_COMMAND_ERROR", f"failed with exit code 1:\n{KILLED}")
    assert response.failure_reason(failed, Record()) == failed["message"]


@pytest.mark.parametrize(
    "line",
    [
        '{"n": 2, "step": 2, "metrics": {"score": "text"}, "time": "x"}',
        '{"n": 2}',
        '{"n": "2", "step": 2, "metrics": {"a": 1}}',
        '{"n": 2, "step": true, "metrics": {"a": 1}}',
        '{"n": 2, "step": 2, "metrics": [1]}',
        '{"a": 1}',
        "[]",
        "[" * 60_000 + "]" * 60_000,
        '{"start": "early"}',
        '{"start": 1, "host": {}}',
        '{"failure": 7}',
        '{"end": "0"}',
        '{"end": 0, "time": Infinity}',
        '{"end": 0, "stopped": 1}',
    ],
)
def test_an_invalid_line_is_the_problem_of_its_job(line: str) -> None:
    file, record = File(), Record()
    file.add(1)
    file.lines.append(line)
    record.read(file.tail)
    assert record.problem.startswith("invalid re")
    record.read(file.tail)
    assert len(record.measurements) <= 1
