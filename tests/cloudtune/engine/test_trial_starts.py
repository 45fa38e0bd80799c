"""Trials that their service loses are repeated, and continue from the checkpoints of the first."""

from __future__ import annotations

from collections.abc import Iterable

from cloudtune.engine.trial_starts import MAX_LOSSES
from cloudtune.results.events import Ended, Measured, Started
from tests.cloudtune.engine.test_driver import Counting, drive, folded, scored, states, study

TEN = {"max_trials": 10, "max_failed_trials": 0}


def lost(started: Started, *steps: int) -> Iterable[Measured | Ended]:
    yield from (Measured(started.number, 0.0, step, {"score": 0.0}) for step in steps)
    yield Ended(started.number, 1.0, "cancelled", "the node failed", lost=True)


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
    script = lambda s: lost(s, s.number) if s.number <= 3 else scored(float)(s)  # noqa: E731
    outcome, events, _ = drive(of, script)
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
    script = lambda s: lost(s, s.number) if s.number <= 20 else scored(float)(s)  # noqa: E731
    _, events, _ = drive(of, script)
    assert states(of, events) == ["cancelled"] * 20 + ["completed"]
