from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

import pytest

from cloudtune.engine.budget import Budget, JobBudget
from cloudtune.engine.driver import Driver
from cloudtune.engine.inbox import Inbox, StopRequest
from cloudtune.planning.planner import plan
from cloudtune.provider.facts import Lookup, Price
from cloudtune.provider.models import Interrupted, Lost, Recovered
from cloudtune.results.event_checks import event_problem
from cloudtune.results.events import (
    Ended,
    Event,
    HostFailure,
    JobState,
    Measured,
    Observation,
    Outcome,
    Running,
    Started,
    Stopped,
    TrialState,
    Waiting,
)
from cloudtune.results.trials import Trials
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.study.quantities import Money
from cloudtune.study.study import Study

Script = Callable[[Started], Iterable[Observation]]


class Runner:
    """Plays each trial's events as soon as it is started, unless it hangs until it is stopped."""

    def __init__(
        self, inbox: Inbox, script: Script, hold: int = 1, stopped: Stopped | None = None
    ) -> None:
        self._inbox = inbox
        self._stopped = stopped or Stopped(0, 0.0, "failed", "killed by SIGTERM")
        self._script = script
        self._hold = hold
        self._held: list[Started] = []
        self.stopped: list[tuple[int, bool]] = []
        self.most_at_once = 0
        self._open: set[int] = set()

    def start(self, started: Started) -> None:
        self._open.add(started.number)
        self.most_at_once = max(self.most_at_once, len(self._open))
        self._held.append(started)
        if len(self._held) >= self._hold:
            self._play()

    def _play(self) -> None:
        for started in self._held:
            for event in self._script(started):
                if isinstance(event, Ended):
                    self._open.discard(event.number)
                self._inbox.put(event)
        self._held.clear()

    def stop(self, number: int, *, now: bool = False) -> None:
        self.stopped.append((number, now))
        if number in self._open:
            self._open.discard(number)
            self._inbox.put(replace(self._stopped, number=number))

    enforces_trial_timeout = False

    def job_name(self, number: int, start: int) -> str | None:
        return f"job-{number}-{start}"

    def recover(self, interrupted: Sequence[Interrupted]) -> Recovered:
        return Recovered()

    def close(self) -> None: ...


class Counting(Strategy):
    """Suggests x = index, so that a test sees which index a trial came from."""

    def __init__(self, most: int | None = None, early: int | None = None) -> None:
        self._most = most
        self._early = early

    def tell(self, event: Event) -> None: ...

    def ask(self, index: int) -> Suggestion | Literal["wait", "done"]:
        if self._most is not None and index >= self._most:
            return "done"
        return Suggestion({"x": index})

    def stop_reason(self, number: int) -> str | None:
        return "hopeless" if number == self._early else None


def scored(value: Callable[[int], float]) -> Callable[[Started], Iterable[Measured | Ended]]:
    def script(started: Started) -> Iterable[Measured | Ended]:
        x = started.parameters["x"]
        assert isinstance(x, int)
        yield Measured(started.number, 0.0, 1, {"score": value(x)})
        yield Ended(started.number, 0.0, "completed")

    return script


def hanging(started: Started) -> Iterable[Measured | Ended]:
    yield Measured(started.number, 0.0, 1, {"score": 1.0})


def crashing(started: Started) -> Iterable[Measured | Ended]:
    yield Ended(started.number, 0.0, "failed", "exited with code 1", 1)


def study(**over: Any) -> Study:
    return Study.model_validate(
        {
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"type": "int", "min": 0, "max": 1000}},
            "strategy": {"name": "random"},
            **over,
        }
    )


def drive(
    of: Study,
    script: Script,
    *,
    before: Sequence[Event] = (),
    strategy: Counting | None = None,
    hold: int = 1,
    stopped: Stopped | None = None,
) -> tuple[Outcome, list[Event], Runner]:
    inbox = Inbox()
    events: list[Event] = list(before)
    driver = Driver(of, strategy or Counting(), run="r", inbox=inbox, record=events.extend)
    driver.replay(list(before))
    runner = Runner(inbox, script, hold, stopped)
    return driver.run(runner), events, runner


def folded(of: Study, events: Sequence[Event]) -> Trials:
    trials = Trials(of, "r")
    for event in events:
        trials.tell(event)
    return trials


def states(of: Study, events: Sequence[Event]) -> list[str]:
    return [trial.state for trial in folded(of, events).all()]


def test_events_are_written_before_they_are_acted_on_and_shown() -> None:
    of = study(limits={"max_trials": 5, "parallel_trials": 2})
    inbox = Inbox()
    written: list[Event] = []
    shown: list[Event] = []

    class Checking(Runner):
        def start(self, started: Started) -> None:
            assert started in written
            super().start(started)

    def show(events: Sequence[Event]) -> None:
        assert all(event in written for event in events)
        shown.extend(events)

    driver = Driver(of, Counting(), run="r", inbox=inbox, record=written.extend, observe=show)
    driver.run(Checking(inbox, scored(float)))
    assert len(written) == 15
    assert shown == written


def test_a_strategy_learns_how_long_trials_ran_without_their_wait() -> None:
    class Listening(Counting):
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float | None] = []

        def tell(self, event: Event) -> None:
            if isinstance(event, Ended):
                self.seconds.append(event.seconds)

    before: list[Event] = []
    for number, seconds in ((1, None), (2, 7.5)):
        before += [
            Started(number, 10.0, {"x": number}),
            Waiting(number, 10.0, "a machine"),
            Running(number, 100.0),
            Measured(number, 120.0, 1, {"score": 1.0}),
            Ended(number, 130.0, "completed", seconds=seconds),
        ]
    strategy = Listening()
    drive(study(limits={"max_trials": 2}), scored(float), before=before, strategy=strategy)
    assert strategy.seconds == [30.0, 7.5]


def test_max_trials_counts_every_trial_started() -> None:
    of = study(limits={"max_trials": 5})
    outcome, events, _ = drive(of, lambda s: (crashing if s.number > 1 else scored(float))(s))
    assert outcome == Outcome("completed", "")
    assert states(of, events) == ["completed", *["failed"] * 4]


def test_parallel_trials_limits_running_trials() -> None:
    of = study(limits={"max_trials": 8, "parallel_trials": 4})
    _, events, runner = drive(of, scored(float), hold=4)
    assert runner.most_at_once == 4
    assert states(of, events) == ["completed"] * 8


def test_a_failure_of_this_machine_fails_the_job_and_costs_no_trial() -> None:
    of = study(limits={"max_trials": 6, "parallel_trials": 2, "max_failed_trials": 0})

    def script(started: Started) -> Iterable[Measured | Ended]:
        if started.number == 3:
            return [HostFailure(3, 1.0, "failed", "cannot be started: no space", seconds=0.0)]
        return scored(float)(started)

    strategy = Counting()
    outcome, events, _ = drive(of, script, strategy=strategy, hold=2)
    assert outcome.state == "failed"
    reason = "trial 3 cannot be started: no space; `cloudtune resume` tries it again"
    assert outcome.reason == reason
    assert states(of, events) == ["completed", "completed", "cancelled", "completed"]
    assert {type(event) for event in events} == {Started, Measured, Ended}
    outcome, events, _ = drive(of, scored(float), before=events)
    assert outcome.state == "completed"
    assert states(of, events).count("completed") == 6
    again = next(e for e in events if isinstance(e, Started) and e.replaces == 3)
    assert again.parameters == {"x": 2}


def test_failures_are_tolerated_up_to_the_limit() -> None:
    outcome, events, _ = drive(study(limits={"max_trials": 9, "max_failed_trials": 2}), crashing)
    assert outcome.state == "failed"
    assert sum(isinstance(event, Started) for event in events) == 3


@pytest.mark.parametrize(("goal", "last"), [("maximize", 7), ("minimize", 1)])
def test_target_ends_the_job(goal: str, last: int) -> None:
    objective = {"metric": "score", "goal": goal, "target": 6}
    outcome, events, _ = drive(study(objective=objective, limits={"max_trials": 20}), scored(float))
    assert outcome.state == "completed"
    assert "target" in outcome.reason
    assert max(event.number for event in events) == last


def test_patience_counts_finished_trials_without_a_better_one() -> None:
    of = study(limits={"patience": 3})
    outcome, events, _ = drive(of, scored(lambda x: float(-abs(x - 4))))
    assert outcome.state == "completed"
    assert max(event.number for event in events) == 5 + 3


ENDS_TRIALS = {"trial_timeout": "0.05s"}
"""The limits that end trials, with a value that a trial that hangs reaches."""


@pytest.mark.parametrize("name", ENDS_TRIALS)
def test_a_limit_of_trials_fails_the_trial(name: str) -> None:
    of = study(limits={"max_trials": 1, name: ENDS_TRIALS[name]})
    _, events, runner = drive(of, hanging)
    (trial,) = folded(of, events).all()
    assert (trial.state, trial.reason) == ("failed", f"its {name} was reached")
    assert runner.stopped == [(1, False)]


@pytest.mark.parametrize(("seconds", "state"), [(0.04, "completed"), (0.06, "failed")])
def test_an_end_in_time_that_is_reported_late_is_no_timeout(seconds: float, state: str) -> None:
    """Its end waits while the strategy takes long over the next trial."""

    class Slow(Counting):
        def ask(self, index: int) -> Suggestion | Literal["wait", "done"]:
            time.sleep(0.1 * (index == 1))
            return super().ask(index)

    def script(started: Started) -> Iterable[Measured | Ended]:
        yield Measured(started.number, 0.0, 1, {"score": 1.0})
        yield Ended(started.number, 0.0, "completed", seconds=seconds)

    of = study(limits={"max_trials": 2, "parallel_trials": 2, "trial_timeout": "0.05s"})
    _, events, _ = drive(of, script, strategy=Slow())
    assert states(of, events)[0] == state


@pytest.mark.parametrize("state", ["completed", "failed"])
def test_a_trial_that_the_stop_has_reached_was_not_in_time(state: TrialState) -> None:
    """A service may measure less than the limit, and a process may not have been started yet."""
    of = study(limits={"max_trials": 1, "trial_timeout": "0.05s"})
    stopped = Stopped(1, 0.0, state, "stopped before it was started", seconds=0.01)
    _, events, _ = drive(of, hanging, stopped=stopped)
    (trial,) = folded(of, events).all()
    assert (trial.state, trial.reason) == ("failed", "its trial_timeout was reached")


def test_timeout_stops_running_trials() -> None:
    of = study(limits={"timeout": "3s"})  # in which the first trial starts
    outcome, events, _ = drive(of, hanging)
    assert outcome == Outcome("completed", "the study's timeout was reached")
    assert states(of, events) == ["cancelled"]


def test_early_stopping_stops_one_trial() -> None:
    of = study(limits={"max_trials": 3})

    def script(started: Started) -> Iterable[Measured | Ended]:
        yield Measured(started.number, 0.0, 1, {"score": 1.0})
        if started.number != 2:
            yield Ended(started.number, 0.0, "completed")

    _, events, _ = drive(of, script, strategy=Counting(early=2))
    assert states(of, events) == ["completed", "stopped_early", "completed"]
    assert folded(of, events).get(2).reason == "hopeless"


@pytest.mark.parametrize(
    ("value", "reason"),
    [(float("nan"), "score was nan at step 1"), (float("inf"), "score was inf at step 1")],
)
def test_a_last_value_that_is_no_number_fails_the_trial(value: float, reason: str) -> None:
    of = study(limits={"max_trials": 1})
    _, events, _ = drive(of, scored(lambda _: value))
    assert folded(of, events).get(1).reason == reason


def test_a_trial_without_the_objective_fails_and_names_its_metrics() -> None:
    of = study(limits={"max_trials": 1})

    def script(started: Started) -> Iterable[Measured | Ended]:
        yield Measured(started.number, 0.0, 1, {"loss": 1.0})
        yield Ended(started.number, 0.0, "completed")

    _, events, _ = drive(of, script)
    trial = folded(of, events).get(1)
    assert trial.state == "failed"
    assert trial.reason == "the script ended without reporting score (it reported loss)"
    _, events, _ = drive(of, lambda started: [Ended(started.number, 0.0, "completed")])
    advice = "call report(), or give trial.metrics an expression that finds score"
    assert advice in folded(of, events).get(1).reason


def test_the_remark_of_a_process_is_kept_and_explains_a_missing_objective() -> None:
    of = study(limits={"max_trials": 2})
    odd = "the expression of score found '91%', which is no number"

    def script(started: Started) -> Iterable[Measured | Ended]:
        if started.number == 2:
            yield Measured(started.number, 0.0, 1, {"score": 1.0})
        yield Ended(started.number, 0.0, "completed", odd)

    _, events, _ = drive(of, script)
    first, second = folded(of, events).all()
    assert first.reason == f"the script ended without reporting score ({odd})"
    assert (second.state, second.reason) == ("completed", odd)


@pytest.mark.parametrize("now", [False, True])
def test_a_stop_request_cancels_gracefully_or_at_once(now: bool) -> None:
    of = study(limits={"max_trials": 4})
    inbox, events = Inbox(), list[Event]()

    class Stopping(Runner):
        def start(self, started: Started) -> None:
            super().start(started)
            inbox.put(StopRequest("interrupted", now=now))

    driver = Driver(of, Counting(), run="r", inbox=inbox, record=events.extend)
    runner = Stopping(inbox, hanging)
    assert driver.run(runner) == Outcome("cancelled", "interrupted")
    assert states(of, events) == ["cancelled"]
    assert runner.stopped == [(1, now)]


@pytest.mark.parametrize("state", ["cancelled", "completed"])
def test_no_trial_starts_after_a_stop_request(state: JobState) -> None:
    of = study(limits={"max_trials": 4, "parallel_trials": 2})
    inbox, events, texts = Inbox(), list[Event](), list[str]()
    driver = Driver(of, Counting(), run="r", inbox=inbox, record=events.extend, notify=texts.append)
    inbox.put(StopRequest("interrupted", state=state))
    assert driver.run(Runner(inbox, hanging)) == Outcome(state, "interrupted")
    assert (events, texts) == ([], [])


def test_failures_count_toward_patience() -> None:
    outcome, events, _ = drive(study(limits={"patience": 3}), crashing)
    assert outcome.state == "completed"
    assert len(states(of=study(), events=events)) == 3


def test_consecutive_failures_end_a_job_without_limits() -> None:
    def script(started: Started) -> Iterable[Measured | Ended]:
        yield Ended(started.number, 0.0, "failed", "odd" if started.number % 2 else "even", 1)

    outcome, events, _ = drive(study(limits={"timeout": "9h"}), script)
    assert outcome == Outcome("failed", "25 trials in a row failed")
    assert sum(isinstance(event, Started) for event in events) == 25


def test_timeout_is_enforced_while_messages_queue_up() -> None:
    of = study(limits={"timeout": "0.05s", "parallel_trials": 2})
    outcome, _, _ = drive(of, scored(float))
    assert outcome == Outcome("completed", "the study's timeout was reached")


def test_events_are_shown_while_messages_queue_up() -> None:
    of = study(limits={"max_failed_trials": 0, "parallel_trials": 2})
    inbox = Inbox()
    shown: list[Event] = []

    def script(started: Started) -> Iterable[Measured | Ended]:
        return crashing(started) if shown else scored(float)(started)

    driver = Driver(
        of, Counting(), run="r", inbox=inbox, record=lambda _: None, observe=shown.extend
    )
    assert driver.run(Runner(inbox, script)).state == "failed"


def test_a_strategy_is_not_asked_again_when_nothing_has_happened() -> None:
    asked: list[int] = []

    class Waiting(Counting):
        def ask(self, index: int) -> Suggestion | Literal["wait", "done"]:
            asked.append(index)
            return super().ask(index) if index < 1 else "wait"

    of = study(limits={"parallel_trials": 4, "trial_timeout": "0.3s"})
    drive(of, hanging, strategy=Waiting())
    assert asked == [0, 1, 1, 1]  # after a start, a measurement and an end


def test_a_slow_ledger_does_not_shorten_a_trial() -> None:
    of = study(limits={"max_trials": 1, "trial_timeout": "2s"})
    inbox = Inbox()
    events: list[Event] = []

    def record(new: Sequence[Event]) -> None:
        if not events:
            time.sleep(2.2)
        events.extend(new)

    class Later(Runner):
        def start(self, started: Started) -> None:
            threading.Timer(0.05, super().start, [started]).start()

    runner = Later(inbox, scored(float))
    Driver(of, Counting(), run="r", inbox=inbox, record=record).run(runner)
    assert (states(of, events), runner.stopped) == (["completed"], [])


def test_an_expired_timeout_starts_no_trial() -> None:
    inbox = Inbox()
    events: list[Event] = []
    of = study(limits={"timeout": "60s"})
    driver = Driver(of, Counting(), run="r", inbox=inbox, record=events.extend)
    outcome = driver.run(Runner(inbox, hanging), spent=61.0)
    assert outcome == Outcome("completed", "the study's timeout was reached")
    assert not events


def test_idle_time_does_not_count_for_a_trial() -> None:
    of = study(limits={"max_trials": 1})
    before: list[Event] = [Started(1, 100.0, {"x": 0}), Measured(1, 103.0, 1, {"score": 1.0})]
    _, events, _ = drive(of, scored(float), before=before)
    assert folded(of, events).get(1).ended == 103.0


def test_a_killed_job_resumes_where_it_was() -> None:
    of = study(limits={"max_trials": 6})
    _, whole, _ = drive(of, scored(float))
    rng = random.Random(1)
    for cut in (rng.randrange(1, len(whole)) for _ in range(12)):
        outcome, events, _ = drive(of, scored(float), before=whole[:cut])
        trials = folded(of, events).all()
        assert outcome == Outcome("completed", "")
        counted = [trial for trial in trials if trial.state != "cancelled"]
        assert [trial.parameters["x"] for trial in counted] == [0, 1, 2, 3, 4, 5]
        assert len({trial.number for trial in trials}) == len(trials)
        for trial in trials:
            if trial.replaces:
                assert folded(of, events).get(trial.replaces).state == "cancelled"


def test_an_ended_job_stays_ended() -> None:
    of = study(limits={"max_trials": 3})
    _, events, _ = drive(of, scored(float))
    _, again, _ = drive(of, scored(float), before=events)
    assert again == events


def test_a_job_with_raised_max_trials_continues_to_the_new_total() -> None:
    _, events, _ = drive(study(limits={"max_trials": 3}), scored(float))
    of = study(limits={"max_trials": 5})
    _, more, _ = drive(of, scored(float), before=events)
    assert [trial.parameters["x"] for trial in folded(of, more).all()] == [0, 1, 2, 3, 4]


def test_a_job_with_lowered_max_trials_tries_no_interrupted_trial_again_beyond_it() -> None:
    begun: list[Event] = []
    for number in range(1, 4):
        begun.append(Started(number, 0.0, {"x": number}))
        begun += scored(float)(Started(number, 0.0, {"x": number}))
    begun += [Started(number, 0.0, {"x": number}) for number in range(4, 7)]
    lower = study(limits={"max_trials": 4, "parallel_trials": 3})
    outcome, events, _ = drive(lower, scored(float), before=begun)
    assert outcome == Outcome("completed", "")
    assert states(lower, events) == ["completed"] * 3 + ["cancelled"] * 3 + ["completed"]


def test_a_strategy_that_is_done_ends_the_job() -> None:
    outcome, events, _ = drive(study(limits={"max_trials": 9}), scored(float), strategy=Counting(2))
    assert outcome == Outcome("completed", "")
    assert sum(isinstance(event, Started) for event in events) == 2


def test_the_budget_ends_the_job() -> None:
    inbox = Inbox()
    of = study(limits={"max_cost": "3 USD"})

    def script(started: Started) -> Iterable[Measured | Ended]:
        yield Measured(started.number, started.time, 1, {"score": 1.0})
        yield Ended(started.number, started.time + 1, "completed")

    events: list[Event] = []
    created = plan(of)
    created = replace(
        created, facts=replace(created.facts, lookup=Lookup(price=Price(1.0, "USD", "")))
    )
    with Budget(Money(3, "USD"), {"far": created}, notify=print, stop=print) as budget:
        job_budget = JobBudget("far", [budget])
        driver = Driver(
            of, Counting(), run="r", inbox=inbox, record=events.extend, budget=job_budget
        )
        outcome = driver.run(Runner(inbox, script))
    assert outcome == Outcome("completed", "the cost reached 3 USD")
    assert sum(isinstance(event, Started) for event in events) == 3


@pytest.mark.parametrize(("recoverable", "state"), [(True, "unknown"), (False, "failed")])
def test_trials_of_a_lost_runner_are_left_or_tried_again(*, recoverable: bool, state: str) -> None:
    of = study(limits={"max_trials": 4, "parallel_trials": 2})
    inbox = Inbox()
    events: list[Event] = []

    class Losing(Runner):
        def start(self, started: Started) -> None:
            super().start(started)
            if started.number == 2:
                inbox.put(Lost("the line is dead", recoverable))

    def driver() -> Driver:
        return Driver(of, Counting(), run="r", inbox=inbox, record=events.extend)

    outcome = driver().run(Losing(inbox, hanging))
    assert outcome == Outcome(cast("Any", state), "the line is dead")
    assert states(of, events) == (["running"] * 2 if recoverable else ["cancelled"] * 2)
    ends = [event for event in events if isinstance(event, Ended)]
    assert not any(end.reason == outcome.reason for end in ends)  # it is reported once

    class Unnamed(Runner):
        def job_name(self, number: int, start: int) -> None:
            return None

    later = driver()
    later.replay(list(events))
    later.run(Unnamed(inbox, scored(float)))
    assert states(of, events) == ["cancelled"] * 2 + ["completed"] * 4
    starts = [event for event in events if isinstance(event, Started)]
    assert [start.replaces for start in starts] == [None, None, 1, 2, None, None]
    assert [start.id for start in starts] == ["job-1-1", "job-2-1", None, None, None, None]


def test_each_start_is_recorded_with_its_name_at_the_service() -> None:
    strategy = {"name": "hyperband", "resource": "epochs", "min": 1, "max": 3, "eta": 3}
    of = study(strategy=strategy, limits={"max_trials": 3})
    _, events, _ = drive(of, scored(float), strategy=Rungs())
    started = [event for event in events if isinstance(event, Started)]
    assert [(e.id, e.after_step) for e in started] == [("job-1-1", 0), ("job-1-2", 1)]


class Rungs(Counting):
    """One trial, taken up again once."""

    def __init__(self) -> None:
        super().__init__()
        self._starts = 0

    def tell(self, event: Event) -> None:
        self._starts += isinstance(event, Started)

    def ask(self, index: int) -> Suggestion | Literal["wait", "done"]:
        match self._starts:
            case 0:
                return Suggestion({"x": 1}, resource=1)
            case 1:
                return Suggestion({"x": 1}, resource=3, resumes=1)
            case _:
                return "done"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (Measured(2, 0.0, 1, {"score": cast("float", "high")}), "metrics is a wrong dict"),
        (Measured(2, 0.0, 1, cast("dict[str, float]", [1.0])), "metrics is a wrong list"),
        (Measured(2, 0.0, cast("int", 1.5), {"score": 1.0}), "step is 1.5"),
        (Measured(2, math.nan, 1, {"score": 1.0}), "time is nan"),
        (Measured(2, cast("float", "x"), 1, {"score": 1.0}), "time is a wrong str"),
        (Measured(2, 1e18, 1, {"score": 1.0}), "time is 1e+18"),
        (Measured(2, 0.0, 2**63, {"score": 1.0}), f"step is {2**63}"),
        (Ended(2, 0.0, cast("TrialState", "fine")), "state is a wrong str"),
        (Ended(2, 0.0, "completed", cast("str", None)), "reason is None"),
        (Ended(2, 0.0, "failed", "x" * 2**21), "reason is a wrong str"),
        (Ended(2, 0.0, "failed", exit_code=cast("int", "1")), "exit_code is a wrong str"),
        (Ended(2, 0.0, "failed", lost=cast("bool", "no")), "lost is a wrong str"),
    ],
)
def test_an_invalid_event_fails_its_trial_and_is_not_recorded(
    event: Measured | Ended, reason: str
) -> None:
    def script(started: Started) -> Iterable[Measured | Ended]:
        if started.number == 2:
            yield event
        yield from scored(float)(started)

    of = study(limits={"max_trials": 3})
    _, events, _ = drive(of, script)
    assert states(of, events) == ["completed", "failed", "completed"]
    assert reason in folded(of, events).get(2).reason
    assert not any(event_problem(each) for each in events)


def ends_of(events: Sequence[Event]) -> list[Ended]:
    return [event for event in events if isinstance(event, Ended)]


def test_the_time_limit_of_a_trial_counts_only_while_it_runs() -> None:
    def waits(started: Started) -> Iterable[Observation]:
        yield Waiting(started.number, started.time, "no node is free")
        time.sleep(2.2)
        yield Running(started.number, time.time())
        yield Measured(started.number, 0.0, 1, {"score": 1.0})
        yield Ended(started.number, time.time(), "completed")

    of = study(limits={"max_trials": 1, "trial_timeout": "2s"})
    _, events, runner = drive(of, waits)
    assert not runner.stopped
    assert [type(event) for event in events] == [Started, Waiting, Running, Measured, Ended]


def test_a_trial_that_runs_too_long_after_its_wait_is_stopped() -> None:
    def hangs(started: Started) -> Iterable[Observation]:
        yield Waiting(started.number, started.time, "no node is free")
        yield Running(started.number, time.time())

    _, events, runner = drive(study(limits={"max_trials": 1, "trial_timeout": "0.2s"}), hangs)
    assert runner.stopped == [(1, False)]
    assert ends_of(events)[0].reason == "its trial_timeout was reached"


def test_a_trial_that_got_no_machine_starts_again_and_has_not_failed() -> None:
    def third_time(started: Started) -> Iterable[Observation]:
        if started.id != "job-1-3":
            yield Waiting(started.number, started.time, "no capacity")
            yield Ended(started.number, started.time, "pending", "no capacity", lost=True)
        else:
            yield from scored(lambda _: 1.0)(started)

    of = study(limits={"max_trials": 1, "max_failed_trials": 0})
    outcome, events, _ = drive(of, third_time)
    assert outcome == Outcome("completed", "")
    assert {event.number for event in events} == {1}
    assert [end.state for end in ends_of(events)] == ["pending", "pending", "completed"]


@pytest.mark.parametrize("state", ["completed", "failed"])
def test_a_trial_that_ended_by_itself_is_not_stopped_early(state: TrialState) -> None:
    """Its last measurements are read together with its end, so no stop can reach it."""

    def script(started: Started) -> Iterable[Measured | Ended]:
        for step in range(1, 11):
            yield Measured(started.number, 0.0, step, {"score": float(step)})
        yield Ended(started.number, 0.0, state)

    of = study(limits={"max_trials": 1, "max_failed_trials": 1})
    _, events, runner = drive(of, script, strategy=Counting(early=1))
    assert len(runner.stopped) == 1
    assert states(of, events) == [state]
    assert sum(isinstance(event, Measured) for event in events) == 10


@pytest.mark.parametrize("select", ["last", "best"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_trial_whose_last_value_is_not_finite_has_failed(select: str, value: float) -> None:
    def script(started: Started) -> Iterable[Measured | Ended]:
        values = [2.0, value, 1.0] if started.number == 1 else [3.0, value]
        for step, score in enumerate(values, 1):
            yield Measured(started.number, 0.0, step, {"score": score})
        yield Ended(started.number, 0.0, "completed")

    objective = {"metric": "score", "goal": "maximize", "select": select}
    of = study(objective=objective, limits={"max_trials": 2})
    _, events, _ = drive(of, script)
    assert states(of, events) == ["completed", "failed"]
    assert isinstance(events[-1], Ended)
    assert events[-1].reason == f"score was {value} at step 2"
