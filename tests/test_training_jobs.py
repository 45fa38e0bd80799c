"""The training jobs of each cloud: created once, followed to their one end, whatever it does."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cloudtune.provider.models import Interrupted
from cloudtune.results.events import Started
from tests.played_service import HYPERBAND, PlayedService, starting
from tests.providers import TUNERS

NOT_WATSON = pytest.mark.parametrize("provider", sorted({*TUNERS} - {"watson"}))
"""IBM has no such refusal or state, and keeps no checkpoints for a later job."""
Play = Callable[..., Any]


@pytest.fixture(params=TUNERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def play(provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    """Starts the emulator of a provider with a study."""
    kind: type[PlayedService] = import_module(f"tests.cloudtune_{provider}.played").Played
    with starting(kind, tmp_path, monkeypatch) as start:
        yield start


@pytest.fixture
def service(play: Play) -> Any:
    return play()


def test_a_trial_is_one_job(service: Any) -> None:
    service.start(7)
    service.wait_for("7")
    service.finish("7")
    end = service.ended()
    assert (end.number, end.state, end.word) == (7, "completed", service.WORDS["completed"])
    assert list(service.jobs()) == ["7"]


def test_measurements_are_emitted_once_and_in_order(service: Any) -> None:
    service.start(1)
    service.wait_for("1")
    for step in range(1, 4):
        service.report("1", accuracy=step / 10, loss=1.0)
        event = service.measured()
        assert (event.step, dict(event.metrics)) == (step, {"accuracy": step / 10, "loss": 1.0})
    service.end("1")
    assert service.ended().state == "completed"
    assert service.silent()


def test_the_last_measurement_is_emitted_before_the_end(service: Any) -> None:
    service.start(1)
    service.wait_for("1")
    service.finish("1", 0.75)
    assert service.measured().metrics["accuracy"] == 0.75
    assert service.ended().state == "completed"


@pytest.mark.parametrize("effect", ["throttle", "error", "late_error", "lose_response"])
def test_transient_errors_fail_no_trial(service: Any, effect: str) -> None:
    """Of each operation, the first two calls fail."""
    service.faults.next = {each: [effect, effect] for each in service.OPERATIONS.values()}
    service.hide("1")
    service.start(1, 2)
    service.wait_for("1", "2")
    service.finish("2")
    assert service.ended().state == "completed"
    service.report("1", accuracy=0.5, loss=1.0)
    service.runner.stop(1)
    service.until(lambda: service.is_stopping("1"))
    service.end("1", "failed")
    assert service.ended().state == "completed"
    if service.STOPS_AT_ONCE and effect in {"late_error", "lose_response"}:
        service.faults.next[service.OPERATIONS["stop"]].clear()
    assert not any(service.faults.next.values())
    assert len(service.jobs()) == 2


@pytest.mark.parametrize("provider", ["sagemaker", "vertex", "watson"])
def test_a_quota_that_other_jobs_use_is_not_waited_for(service: Any) -> None:
    service.faults.always[service.OPERATIONS["create"]] = "quota"
    service.start(1)
    lost = service.lost()
    assert not lost.recoverable
    assert "quota" in lost.reason


def test_without_permission_no_more_trials_start(service: Any) -> None:
    service.faults.always[service.OPERATIONS["create"]] = "deny"
    service.start(1)
    lost = service.lost()
    assert not lost.recoverable
    assert service.RIGHT in lost.reason
    service.start(2)
    service.runner.close()
    assert service.count("create") == 1


@NOT_WATSON
def test_jobs_are_read_individually_if_the_list_is_refused(service: Any) -> None:
    service.refuse_lists()
    service.start(1, 2)
    service.wait_for("1", "2")
    service.finish("1")
    service.finish("2")
    assert {service.ended().number, service.ended().number} == {1, 2}
    assert service.count("list") <= 2


def test_a_job_that_is_missing_in_the_list_is_read(service: Any) -> None:
    service.hide("1")
    service.start(1, 2)
    service.wait_for("1", "2")
    service.finish("1")
    assert (service.ended().number, service.count("create")) == (1, 2)


def test_a_poll_of_a_hundred_jobs_takes_few_calls(service: Any) -> None:
    """The numbers of docs/how-it-works.md and docs/services.md."""
    jobs = service.training_jobs()
    starts = [
        Started(number, time.time(), {"lr": 0.5, "kind": "true"}, id=jobs.job_name(number, 1))
        for number in range(1, 101)
    ]
    for started in starts:
        jobs.create(started)
        service.report(str(started.number), accuracy=0.5, loss=1.0)
    for unseen, expected in zip((False, False, True), service.CALLS, strict=True):
        if unseen:
            service.hide(*service.jobs())
        service.faults.calls.clear()
        assert len(jobs.poll(starts)) == 100
        assert Counter(service.faults.calls) == expected


def test_how_a_trial_ends(service: Any) -> None:
    service.start(1, 2, 3)
    service.wait_for("1", "2", "3")
    service.finish("1")
    service.end("2", "failed", "boom")
    service.stop_by_hand("3")
    ends = {end.number: end for end in (service.ended() for _ in range(3))}
    assert {number: (end.state, end.word) for number, end in ends.items()} == {
        1: ("completed", service.WORDS["completed"]),
        2: ("failed", service.WORDS["failed"]),
        3: ("failed", service.WORDS["cancelled"]),
    }
    assert ends[1].reason == ""
    assert "boom" in ends[2].reason
    assert "not by cloudtune" in ends[3].reason


def test_a_stopped_trial_has_not_failed(service: Any) -> None:
    service.start(1)
    service.wait_for("1")
    service.runner.stop(1)
    service.until(lambda: service.is_stopping("1"))
    service.runner.stop(1)
    service.end("1", "failed")
    assert service.ended().state == "completed"
    service.runner.stop(1)
    assert service.count("stop") == 1


def test_a_stop_after_the_end_has_no_effect(service: Any) -> None:
    service.start(1)
    service.wait_for("1")
    service.faults.before[service.OPERATIONS["stop"]] = lambda: service.finish("1")
    service.runner.stop(1)
    assert service.ended().state == "completed"
    assert service.count("stop") == 1
    assert service.silent()


@NOT_WATSON
@pytest.mark.parametrize("lost", [True, False])
def test_a_job_that_the_service_failed_to_run_is_lost(service: Any, lost: bool) -> None:
    service.start(1)
    service.wait_for("1")
    if lost:
        service.lose("1")
    else:
        service.end("1", "failed", "boom")
    end = service.ended()
    assert (end.state, end.lost) == (("cancelled", True) if lost else ("failed", False))


def test_a_later_start_has_its_own_job(play: Play) -> None:
    service = play(HYPERBAND)
    service.start(1, resource=3)
    service.wait_for("1")
    for value in (0.1, 0.2, 0.3):
        service.report("1", accuracy=value, loss=1.0)
    service.end("1")
    assert service.ended().state == "completed"
    service.runner.close()
    service.runner = service.another()
    service.start(1, resource=9, start=2, after_step=3)
    service.wait_for("1-2")
    first, second = service.requests()
    assert [service.values(each)["epochs"] for each in (first, second)] == ["3", "9"]
    service.report("1-2", accuracy=0.4, loss=1.0)
    service.end("1-2")
    assert service.measured().step == (1 if service.PROVIDER == "watson" else 4)


@NOT_WATSON
def test_a_repeat_has_the_checkpoints_of_the_lost_trial(service: Any) -> None:
    service.runner.start(service.started(1))
    service.wait_for("1")
    service.runner.start(replace(service.started(2, after_step=3), replaces=1, checkpoint=1))
    service.wait_for("2")
    first, second = service.requests()
    assert service.checkpoints(first) == service.checkpoints(second)


def test_running_trials_are_recovered(service: Any) -> None:
    service.start(1, 2, 3)
    service.wait_for("1", "2", "3")
    service.report("1", accuracy=0.1, loss=1.0)
    assert service.measured().metrics["accuracy"] == 0.1
    service.abandon()
    service.report("1", accuracy=0.2, loss=0.5)
    service.finish("2")
    recovered = service.runner.recover([service.left(1, 1), *map(service.left, (2, 3, 4))])
    assert recovered.running == {1, 2, 3}
    assert [(m.number, m.step, m.metrics["accuracy"]) for m in recovered.measured] == [
        (1, 2, 0.2),
        (2, 1, 0.5),
    ]
    end = service.ended()
    assert (end.number, end.state) == (2, "completed")
    service.report("1", accuracy=0.3, loss=0.5)
    assert (service.measured().step, service.silent()) == (3, True)
    service.end("1")
    service.end("3", "failed", "boom")
    assert {service.ended().number, service.ended().number} == {1, 3}
    assert len(service.jobs()) == 3


def test_only_the_first_start_uploads(service: Any) -> None:
    later = service.training_jobs()
    for number in (1, 2):
        service.start(number)
        service.wait_for(str(number))
    assert service.uploads == 1
    started = [Started(number, 0.0, {}, id=f"{service.job}-{number}") for number in (1, 2)]
    for each in started:  # as a clean-up does in a process of its own
        later.stop(each.id)
    assert len(later.poll(started)) == 2
    assert service.uploads == 1


@NOT_WATSON
def test_trials_being_stopped_are_not_recovered(service: Any) -> None:
    service.start(1, 2)
    service.wait_for("1", "2")
    service.abandon()
    service.stop_by_hand("1")
    service.stop_by_hand("2", ends=False)
    recovered = service.runner.recover([service.left(1), service.left(2)])
    assert recovered.running == set()


def test_the_latest_start_is_recovered_and_no_end_of_an_earlier_one(play: Play) -> None:
    service = play(HYPERBAND)
    service.start(1, 2, 3, resource=3)
    service.wait_for("1", "2", "3")
    for name in ("1", "2", "3"):
        service.finish(name, 0.1)
        service.ended()
    service.start(1, resource=9, start=2, after_step=3)
    service.wait_for("1-2")
    service.abandon()
    service.report("1-2", accuracy=0.2, loss=1.0)
    # The ledger has a next start of trial 2, which was never created, and no end of trial 3.
    recovered = service.runner.recover(
        [
            Interrupted(service.started(1, resource=9, start=2, after_step=1), 0, 1),
            Interrupted(service.started(2, resource=9, start=2, after_step=1), 0, 1),
            Interrupted(service.started(3, resource=3), 0, 0),
        ]
    )
    assert recovered.running == {1, 3}
    service.end("1-2")
    assert {service.ended().number, service.ended().number} == {1, 3}
