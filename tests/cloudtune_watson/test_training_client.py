"""What only IBM's trainings have; tests/test_training_jobs.py has what all clouds do."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune_watson.contract import Measurement
from cloudtune_watson.launcher_contract import FAILURE, METRIC_LIST, METRIC_LOG
from cloudtune_watson.wml import metrics as metric_files
from tests.cloudtune_watson.played import Played
from tests.played_service import starting

Play = Callable[..., Played]
SCRIPT = {"trial": {"script": "train.py"}}
"""A study that names no metric but its objective."""


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    with starting(Played, tmp_path, monkeypatch) as start:
        yield start


@pytest.fixture
def service(play: Play) -> Played:
    service = play(SCRIPT)
    service.start(1)
    service.wait_for("1")
    return service


def rows(*entries: Mapping[str, Any]) -> bytes:
    return json.dumps(entries).encode()


def told(step: int, **metrics: float) -> Measurement:
    return Measurement(step, 1_700_000_000.0, metrics)


def test_a_trial_is_a_training(service: Played) -> None:
    (request,) = service.requests()
    name = f"{service.job}-1"
    assert request["name"] == name
    assert request["tags"] == [
        "cloudtune",
        f"cloudtune-run:{service.plan.facts.run_id}",
        f"cloudtune-job:{name}",
    ]
    folder = request["results_reference"]["location"]["path"]
    assert folder.endswith(f"/cloudtune/{name}")
    definition = request["model_definition"]
    assert definition["id"] == service.definition
    assert shlex.split(definition["command"]) == [
        *("cloudtune_launch.py", "--lr=0.25", "--kind=it's $HOME"),
    ]
    service.finish("1")
    end = service.ended()
    assert (end.machine, end.artifacts) == ("M", folder)


def test_metrics_of_the_status_are_reported_once_and_in_order(play: Play) -> None:
    service = play()
    service.start(1)
    service.wait_for("1")
    measured: list[Measurement] = []
    for step in range(1, 4):
        service.tell("1", *measured, told(step, accuracy=step / 10))
        service.faults.calls.clear()
        service.until(lambda: service.count("get") > 1)
        assert service.silent()  # the rest of it comes
        measured.append(told(step, accuracy=step / 10, loss=1.0))
        service.tell("1", *measured)
        event = service.measured()
        assert (event.step, dict(event.metrics)) == (step, {"accuracy": step / 10, "loss": 1.0})
    service.write("1", METRIC_LIST, rows({"steps": 9, "accuracy": 9}))  # the same elsewhere
    service.tell("1", *measured, told(4, accuracy=0.4))
    service.end("1")
    event = service.measured()
    assert (event.step, dict(event.metrics)) == (4, {"accuracy": 0.4})
    assert service.ended().state == "completed"
    assert service.silent()


LOG = b'{"etimes": {"iteration": {"value": "4"}}, "values": {"accuracy": {"value": "0.75"}}}\n'
LOSS, BOTH = {"steps": 1, "loss": 0.25}, {"steps": 1, "accuracy": 0.1, "loss": 2}


@pytest.mark.parametrize(
    ("status", "files", "expected"),
    [
        ((told(1, loss=0.25),), {METRIC_LIST: rows({"steps": 4, "accuracy": 0.75})},
         [(4, {"accuracy": 0.75})]),
        ((told(1, loss=0.25),), {METRIC_LIST: rows(LOSS), METRIC_LOG: LOG},
         [(1, {"loss": 0.25}), (4, {"accuracy": 0.75})]),
        ((told(1, loss=0.25),), {}, [(1, {"loss": 0.25})]),
        ((), {METRIC_LOG: LOG}, [(4, {"accuracy": 0.75})]),
        ((told(1, accuracy=0.1, loss=2), told(2, accuracy=0.2)), {METRIC_LIST: rows(BOTH)},
         [(1, {"accuracy": 0.1, "loss": 2.0}), (2, {"accuracy": 0.2})]),
    ],
)  # fmt: skip
def test_which_source_of_metrics_counts(
    service: Played,
    status: tuple[Measurement, ...],
    files: Mapping[str, bytes],
    expected: list[tuple[int, dict[str, float]]],
) -> None:
    for file, content in files.items():
        service.write("1", file, content)
    service.tell("1", *status)
    service.end("1")
    events = [service.measured() for _ in expected]
    assert [(event.step, dict(event.metrics)) for event in events] == expected
    assert service.ended().state == "completed"
    assert service.silent()


def test_the_list_of_a_running_script_is_read(service: Played) -> None:
    service.write("1", METRIC_LIST, b'[{"steps": 1, "acc')  # being written
    service.write("1", METRIC_LIST, rows({"steps": 1, "accuracy": 0.1}))
    assert service.measured().step == 1
    service.write("1", METRIC_LIST, rows(*({"steps": n, "accuracy": n / 10} for n in (1, 2))))
    assert service.measured().metrics["accuracy"] == 0.2
    service.tell("1", told(1, accuracy=0.1))  # the same, late
    service.end("1")
    assert service.ended().state == "completed"
    assert service.silent()


def test_a_list_that_is_too_long_is_reported(
    service: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_files, "MAX_BYTES", 20)
    service.finish("1")
    assert "val_dict_list.json has" in service.ended().reason


def test_results_may_be_in_the_folder_without_the_training(service: Played) -> None:
    service.write("1", METRIC_LIST, rows({"steps": 1, "accuracy": 0.1}), own=False)
    assert service.measured().metrics["accuracy"] == 0.1
    service.end("1")
    assert str(service.ended().log).endswith("/logs/learner-1/training-log.txt")


@pytest.mark.parametrize(
    ("source", "reads"), [("status", 0), ("own", 3), ("above", 6), ("nothing", 6)]
)
def test_how_many_files_a_poll_reads(play: Play, source: str, reads: int) -> None:
    service = play(SCRIPT)
    jobs = service.training_jobs()
    starts = [service.started(number) for number in (1, 2, 3)]
    for started in starts:
        jobs.create(started)
        if source == "status":
            service.tell(str(started.number), told(1, accuracy=0.5))
        elif source != "nothing":
            content = rows({"steps": 1, "accuracy": 0.5})
            service.write(str(started.number), METRIC_LIST, content, own=source == "own")
    for _ in range(2):  # the second poll takes as many as the first
        service.faults.calls.clear()
        measured = sum(len(job.measurements) for job in jobs.poll(starts).values())
        assert measured == (0 if source == "nothing" else 3)
        assert service.faults.calls == ["ListTrainings", *["GetFile"] * reads]


def test_of_two_trainings_with_one_name_the_first_counts(play: Play) -> None:
    service = play(SCRIPT)
    jobs = service.training_jobs()
    jobs.create(service.started(1))
    (first,) = service.jobs().values()
    jobs.create(service.started(1))
    assert service.runner.recover([service.left(1)]).running == {1}
    service.scripts.end(first, "completed")
    assert service.ended().state == "completed"


def test_the_launchers_failure_reason_is_used(service: Played) -> None:
    service.write("1", FAILURE, "exit code 3\nValueError: bäd".encode())
    service.end("1", "failed", "it failed")
    assert service.ended().reason == "exit code 3\nValueError: bäd"


@pytest.mark.parametrize(
    ("word", "ends", "reason"),
    [("error", "failed", "out of memory"), ("cancelled", "failed", "not by cloudtune")],
)
def test_how_a_trial_ends(service: Played, word: str, ends: str, reason: str) -> None:
    """In words of other versions of the service."""
    service.jobs()["1"].reason = "The container ran out of memory"
    service.say("1", "failed", word)
    end = service.ended()
    assert (end.state, end.word) == (ends, word)
    assert reason in end.reason


def test_an_unknown_state_is_kept_and_polled(service: Played) -> None:
    for word in ("hibernating", "storing", "pending"):
        service.say("1", "running", word)
        service.faults.calls.clear()
        service.until(lambda: service.count("get") > 1)
    assert service.silent()
    service.say("1", "running", "running")
    service.finish("1")
    assert service.ended().state == "completed"


def test_a_later_start_has_its_own_folder(play: Play) -> None:
    service = play(SCRIPT)
    for start in (1, 2):
        service.start(1, start=start)
        service.wait_for("1" if start == 1 else "1-2")
        service.finish("1" if start == 1 else "1-2")
        service.ended()
    paths = {each["results_reference"]["location"]["path"] for each in service.requests()}
    assert len(paths) == 2


def test_trainings_of_another_run_are_ignored(play: Play) -> None:
    service = play(SCRIPT)
    service.training_jobs().create(service.started(1))
    service.requests()[0]["tags"][1] = "cloudtune-run:other"
    assert service.runner.recover([service.left(1)]).running == set()
