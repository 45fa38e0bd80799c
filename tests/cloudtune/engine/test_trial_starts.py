"""Trials that their service loses are repeated, and continue from the checkpoints of the first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from cloudtune.engine.driver import Driver
from cloudtune.engine.inbox import Inbox
from cloudtune.engine.trial_starts import MAX_LOSSES
from cloudtune.provider.models import Interrupted, Recovered
from cloudtune.results.events import Carryover, Ended, Event, Measured, Outcome, Started
from tests.cloudtune.engine.test_driver import (
    Counting,
    Runner,
    Script,
    drive,
    folded,
    hanging,
    scored,
    states,
    study,
)

TEN = {"max_trials": 10, "max_failed_trials": 0}


def lost(started: Started, *steps: int) -> Iterable[Measured | Ended]:
    yield from (Measured(started.number, 0.0, step, {"score": 0.0}) for step in steps)
    yield Ended(started.number, 1.0, "cancelled", "the node failed", lost=True)


def lose_first(count: int) -> Script:
    """Lose the first trials, each after a step of its own."""

    def script(started: Started) -> Iterable[Measured | Ended]:
        if started.number <= count:
            return lost(started, started.number)
        return scored(float)(started)

    return script


def test_a_lost_trial_is_repeated_and_counts_toward_no_limit() -> None:
    of = study(limits=TEN)

    def script(started: Started) -> Iterable[Measured | Ended]:
        return lost(started, 1, 2) if started.number == 3 else scored(float)(started)

    outcome, events, _ = drive(of, script, strategy=Counting())
    assert outcome.state == "completed"
    assert states(of, events).count("completed") == 10
    assert states(of, events).count("cancelled") == 1
    again = next(e for e in events if isinstance(e, Started) and e.replaces == 3)
    assert (again.number, again.parameters, again.id) == (4, {"x": 2}, "job-4-1")
    assert (again.checkpoint_number, again.after_step) == (3, 2)


def test_every_repeat_of_a_chain_has_the_checkpoints_of_the_first_trial() -> None:
    of = study(limits={"max_trials": 1})
    outcome, events, _ = drive(of, lose_first(3))
    assert outcome.state == "completed"
    starts = [event for event in events if isinstance(event, Started)]
    assert [start.replaces for start in starts] == [None, 1, 2, 3]
    assert [start.checkpoint_number for start in starts] == [1, 1, 1, 1]
    assert [start.after_step for start in starts] == [0, 1, 2, 3]


def test_a_trial_that_is_lost_again_and_again_fails() -> None:
    of = study(limits={"max_trials": 1})
    outcome, events, _ = drive(of, lambda s: lost(s, 1))
    assert outcome.state == "completed"
    assert states(of, events) == ["cancelled"] * (MAX_LOSSES - 1) + ["failed"]
    reason = folded(of, events).get(MAX_LOSSES).reason
    assert reason == "lost 5 times in a row without a new step: the node failed"


def test_losses_before_an_interruption_count() -> None:
    of = study(limits={"max_trials": 1})
    _, events, _ = drive(of, lambda s: lost(s, 1))
    fourth = next(i for i, e in enumerate(events) if isinstance(e, Started) and e.number == 4)
    _, events, _ = drive(of, lambda s: lost(s, 1), before=events[:fourth])
    assert states(of, events) == ["cancelled"] * (MAX_LOSSES - 1) + ["failed"]


def test_a_trial_with_progress_may_be_lost_any_number_of_times() -> None:
    of = study(limits={"max_trials": 1})
    _, events, _ = drive(of, lose_first(20))
    assert states(of, events) == ["cancelled"] * 20 + ["completed"]


def scores(started: Started, steps: Iterable[int]) -> Iterable[Measured]:
    return (Measured(started.number, 0.0, step, {"score": float(step)}) for step in steps)


@pytest.mark.parametrize(
    ("second", "steps"),
    [
        (range(4, 7), [1, 2, 3, 4, 5, 6]),
        (range(3, 7), [1, 2, 3, 4, 5, 6]),  # its last checkpoint is older than its last report
        (range(1, 7), [1, 2, 3, 4, 5, 6]),  # it begins anew
        ((), [1, 2, 3]),  # nothing was left to do
    ],
)
def test_a_trial_that_continues_has_all_measurements(
    second: Sequence[int], steps: list[int]
) -> None:
    of = study(limits={"max_trials": 1})

    def script(started: Started) -> Iterable[Measured | Ended]:
        if started.number == 1:
            return lost(started, 1, 2, 3)
        return [*scores(started, second), Ended(started.number, 2.0, "completed")]

    outcome, events, _ = drive(of, script)
    assert outcome.state == "completed"
    trial = folded(of, events).get(2)
    assert (trial.state, [m.step for m in trial.measurements]) == ("completed", steps)
    assert len(folded(of, events).get(1).measurements) == 3


@pytest.mark.parametrize("second", [(4, 5, 6), ()])
def test_a_repeat_that_is_lost_before_it_measures_passes_on_what_it_repeats(
    second: Sequence[int],
) -> None:
    of = study(limits={"max_trials": 1})

    def script(started: Started) -> Iterable[Measured | Ended]:
        if started.number < 4:
            return lost(started, *((1, 2, 3) if started.number == 1 else ()))
        return [*scores(started, second), Ended(started.number, 2.0, "completed")]

    _, events, _ = drive(of, script)
    last = folded(of, events).get(4)
    assert (last.state, [m.step for m in last.measurements]) == ("completed", [1, 2, 3, *second])


def test_measurements_from_a_lost_trial_are_not_those_of_the_runner() -> None:
    """A killed run asks the runner for what comes after the trial's own measurements."""
    of = study(limits={"max_trials": 1})
    second = Started(2, 2.0, {"x": 0}, replaces=1, checkpoint=1, after_step=2)
    before: list[Event] = [
        Started(1, 0.0, {"x": 0}),
        *scores(Started(1, 0.0, {}), (1, 2)),
        Ended(1, 1.0, "cancelled", "the node failed", lost=True),
        second,
    ]
    asked: list[Interrupted] = []

    class Recovering(Runner):
        def recover(self, interrupted: Sequence[Interrupted]) -> Recovered:
            asked.extend(interrupted)
            known = interrupted[0].measured
            return Recovered(list(scores(second, (3, 4)))[known:])

    for measured in (0, 1):
        inbox, events = Inbox(), [*before]
        if measured:
            events += [Carryover(2, 0.0, n, {"score": 0.0}) for n in (1, 2)]
            events += scores(second, (3,))
        driver = Driver(of, Counting(), run="r", inbox=inbox, record=events.extend)
        driver.replay([*events])
        driver.run(Recovering(inbox, scored(float)))
        assert (asked[-1].measured, asked[-1].measured_before) == (measured, 0)
        assert [m.step for m in folded(of, events).get(2).measurements] == [1, 2, 3, 4]


RETRY = {"trial": {"resources": {"memory": "8 GB"}, "retry": {"on": "memory", "times": 2}}}


def out_of_memory(started: Started, *steps: int) -> Iterable[Measured | Ended]:
    yield from scores(started, steps)
    yield Ended(started.number, 1.0, "failed", "out of memory", 1, out_of_memory=True)


def need_two_retries(started: Started) -> Iterable[Measured | Ended]:
    return out_of_memory(started) if started.memory_retries < 2 else scored(float)(started)


class Telling(Counting):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)


def test_a_trial_that_ran_out_of_memory_starts_again_and_counts_once() -> None:
    of = study(limits={"max_trials": 2, "max_failed_trials": 0}, **RETRY)

    def script(started: Started) -> Iterable[Measured | Ended]:
        if started.number == 1 and started.memory_retries < 2:
            return out_of_memory(started, 1)
        return scored(float)(started)

    strategy = Telling()
    outcome, events, _ = drive(of, script, strategy=strategy)
    assert outcome == Outcome("completed", "")
    assert states(of, events) == ["completed", "completed"]
    starts = [(e.number, e.memory_retries, e.id) for e in events if isinstance(e, Started)]
    assert starts == [(1, 0, "job-1-1"), (1, 1, "job-1-2"), (1, 2, "job-1-3"), (2, 0, "job-2-1")]
    reasons = [e.reason for e in events if isinstance(e, Ended) and e.out_of_memory]
    assert reasons == [f"ran out of memory; starts again with {n} GB" for n in (16, 32)]
    assert [folded(of, events).get(n).retries for n in (1, 2)] == [2, None]
    ends = [e for e in strategy.events if not isinstance(e, Measured)]
    assert [type(e).__name__ for e in ends] == ["Started", "Ended"] * 2


def test_a_trial_that_needs_more_memory_than_all_starts_have_fails() -> None:
    of = study(limits={"max_trials": 1}, **RETRY)
    _, events, _ = drive(of, out_of_memory)
    assert states(of, events) == ["failed"]
    assert len([e for e in events if isinstance(e, Started)]) == 3


def test_a_killed_run_starts_a_trial_again_with_more_memory() -> None:
    of = study(limits={"max_trials": 1}, **RETRY)
    _, events, _ = drive(of, lambda s: out_of_memory(s, 1))
    for kept in range(1, len(events)):
        _, resumed, _ = drive(of, need_two_retries, before=events[:kept])
        last = [e for e in resumed if isinstance(e, Started)][-1]
        end = events[kept - 1]
        finished = isinstance(end, Ended) and end.state == "failed"
        assert last.memory_retries == 2, kept
        assert states(of, resumed)[-1] == ("failed" if finished else "completed")
        assert sum(state != "cancelled" for state in states(of, resumed)) == 1


def test_a_job_that_ends_before_a_trial_starts_again_has_a_failed_trial() -> None:
    of = study(limits={"max_trials": 5, "timeout": "1s"}, **RETRY)
    start = Started(1, 0.0, {"x": 0})
    waiting = Ended(1, 1.0, "pending", "ran out of memory", out_of_memory=True)
    inbox = Inbox()
    events: list[Event] = [start, waiting]
    driver = Driver(of, Counting(), run="r", inbox=inbox, record=events.extend)
    driver.replay([*events])
    driver.run(Runner(inbox, hanging), spent=2.0)
    assert states(of, events)[0] == "failed"
