from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import cloudtune
from cloudtune.engine.circuit_breaker import CircuitBreaker
from cloudtune.reporting.console.summary import format_summary
from cloudtune.results.events import Ended, Measured, Outcome, Started
from cloudtune.results.trials import Trials
from cloudtune.runs import lifecycle
from cloudtune.study.study import Study
from tests.cloudtune.engine import test_managed_job
from tests.cloudtune.engine.test_driver import crashing, drive, scored, states, study

FAILED = "3 trials failed alike, and none succeeded; set limits.max_failed_trials"
service = test_managed_job.service
slow_polls = test_managed_job.slow_polls


def failing(*reasons: str) -> Any:
    def script(started: Started) -> Iterable[Measured | Ended]:
        reason = reasons[(started.number - 1) % len(reasons)]
        yield Ended(started.number, 0.0, "failed", reason, 1)

    return script


def test_a_job_whose_first_trials_fail_alike_ends() -> None:
    of = study(limits={"max_trials": 20})
    outcome, events, _ = drive(of, crashing)
    assert outcome.state == "failed"
    assert outcome.reason.startswith(f"all {FAILED}")
    assert outcome.failure
    assert (outcome.failure.number, outcome.failure.reason) == (1, "exited with code 1")
    assert states(of, events) == ["failed"] * 3


def test_reasons_that_differ_in_numbers_are_alike() -> None:
    outcome, events, _ = drive(
        study(limits={"max_trials": 20}), failing("bad lr 0.1", "bad lr 0.2", "bad lr 3e-5")
    )
    assert outcome.reason.startswith(f"all {FAILED}")
    assert max(event.number for event in events) == 3


def test_different_failures_are_no_reason_to_stop() -> None:
    of = study(limits={"max_trials": 8})
    outcome, events, _ = drive(of, failing("one", "one", "two"))
    assert outcome == Outcome("completed", "")
    assert states(of, events) == ["failed"] * 8


def test_failures_after_a_success_are_no_reason_to_stop() -> None:
    of = study(limits={"max_trials": 8})
    _, events, _ = drive(of, lambda s: (scored(float) if s.number == 2 else crashing)(s))
    assert states(of, events).count("failed") == 7


def test_the_limit_of_the_study_replaces_the_default() -> None:
    of = study(limits={"max_trials": 6, "max_failed_trials": 9})
    outcome, events, _ = drive(of, crashing)
    assert outcome == Outcome("completed", "")
    assert states(of, events) == ["failed"] * 6
    outcome, events, _ = drive(study(limits={"max_trials": 6, "max_failed_trials": 0}), crashing)
    assert outcome.reason == "1 trial failed; max_failed_trials is 0"


def test_a_study_that_is_over_is_not_stopped() -> None:
    outcome, _, _ = drive(study(limits={"max_trials": 3}), crashing)
    assert outcome == Outcome("completed", "")


def test_no_trial_starts_while_the_others_of_the_first_still_run() -> None:
    of = study(limits={"max_trials": 50, "parallel_trials": 8})
    outcome, events, runner = drive(of, crashing)
    assert outcome.reason.startswith("all 10 trials failed alike")  # two start before the third end
    assert states(of, events) == ["failed"] * 10
    assert runner.stopped == []


@pytest.mark.parametrize(("measures", "trials"), [(False, 4), (True, 12)])
def test_a_running_trial_that_got_further_keeps_the_search_going(
    measures: bool, trials: int
) -> None:
    def script(started: Started) -> Iterable[Measured | Ended]:
        if started.number > 1:
            yield from crashing(started)
        elif measures:
            yield Measured(1, 0.0, 1, {"score": 1.0})

    of = study(limits={"max_trials": 12, "parallel_trials": 2, "timeout": "3s"})
    outcome, events, _ = drive(of, script)
    assert outcome.reason == "the study's timeout was reached"
    assert states(of, events) == ["cancelled", *["failed"] * (trials - 1)]


def test_a_success_of_the_first_trials_lets_the_search_go_on() -> None:
    of = study(limits={"max_trials": 9, "parallel_trials": 5})

    def script(started: Started) -> Iterable[Measured | Ended]:
        return (scored(float) if started.number == 5 else crashing)(started)

    outcome, events, _ = drive(of, script)
    assert outcome == Outcome("completed", "")
    assert states(of, events).count("failed") == 8


def test_a_resumed_job_stops_again_unless_its_limit_is_raised() -> None:
    _, before, _ = drive(study(limits={"max_trials": 20}), crashing)
    outcome, events, _ = drive(study(limits={"max_trials": 20}), scored(float), before=before)
    assert FAILED in outcome.reason
    assert len(events) == len(before)
    raised = study(limits={"max_trials": 20, "max_failed_trials": 19})
    outcome, events, _ = drive(raised, scored(float), before=before)
    assert outcome == Outcome("completed", "")
    assert states(raised, events) == ["failed"] * 3 + ["completed"] * 17


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("cancelled", "interrupted"),
        ("unknown", "the service does not report it"),
        ("failed", "the training job t-1 no longer exists"),
        ("failed", "the training job was stopped at SageMaker, not by cloudtune"),
    ],
)
def test_lost_trials_do_not_count(state: Any, reason: str) -> None:
    def script(started: Started) -> Iterable[Measured | Ended]:
        yield Ended(started.number, 0.0, state, reason)

    of = study(limits={"max_trials": 6})
    trials = Trials(of, "r")
    breaker = CircuitBreaker(of, trials)
    for number in range(1, 6):
        trials.tell(Started(number, 0.0, {"x": 1}))
        for event in script(Started(number, 0.0, {"x": 1})):
            trials.tell(event)
            assert isinstance(event, Ended)
            breaker.add(event)
    assert not breaker.is_open


@pytest.mark.usefixtures("slow_polls")
def test_a_managed_job_is_stopped(service: Any, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("raise ValueError('no data')\n", "utf-8")
    run = lifecycle.create([test_managed_job.planned(limits={"max_trials": 10})]).id
    outcome = lifecycle.execute(run)["odd"]
    assert outcome.state == "failed"
    assert "failed alike, and none succeeded; " in outcome.reason
    assert [dish.word for dish in service.dishes.values()] == ["BINNED"]
    assert 3 <= len(lifecycle.results(run)[0].trials) < 10


def test_a_managed_job_goes_on_until_as_many_fail_as_run_at_a_time() -> None:
    of = study(limits={"max_trials": 5, "parallel_trials": 4})
    trials = Trials(of, "r")
    breaker = CircuitBreaker(of, trials, managed=True)
    for number in range(1, 6):
        trials.tell(Started(number, 0.0, {"x": 1}))
    ends: list[bool] = []
    for number in range(1, 6):
        event = Ended(number, 0.0, "failed", f"exit code {number}")
        trials.tell(event)
        breaker.add(event)
        ends.append(breaker.managed_outcome() is not None)
    assert ends == [False, False, False, True, False]  # the last one ended the job itself


def test_an_expression_that_matches_nothing_is_shown_with_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("print('epoch 1: val_score = 0.5')\n", "utf-8")
    of = Study.model_validate(
        {
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"type": "int", "min": 0, "max": 1000}},
            "strategy": {"name": "random"},
            "limits": {"max_trials": 9},
            "trial": {"script": "train.py", "metrics": {"score": r"score:(\d+)"}},
        }
    )
    with pytest.raises(cloudtune.RunFailedError) as caught:
        cloudtune.run(of)
    assert str(caught.value).count("epoch 1: val_score = 0.5") == 1
    (result,) = cloudtune.Run(caught.value.run).results()
    assert [trial.reason for trial in result.trials] == [
        r"the script ended without reporting score (no printed line matches score:(\d+))"
    ] * 3
    assert result.state == "failed"
    summary = "\n".join(format_summary(result, "folder"))
    assert summary.count(r"score:(\d+)") == summary.count("  | epoch 1: val_score = 0.5") == 1
