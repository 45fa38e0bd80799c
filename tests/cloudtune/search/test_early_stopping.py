"""Each rule stops the trials that its definition names, and no others."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cloudtune.errors import StudyError
from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search import early_stopping
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Strategy
from cloudtune.study.study import Study


class Watch:
    """Reports learning curves to a strategy until it stops them."""

    def __init__(self, study: Study) -> None:
        self.strategy: Strategy = make_strategy(study, 0)
        self.number = 0
        self.reason = ""

    def start(self, replaces: int | None = None) -> int:
        self.number += 1
        self.strategy.tell(Started(self.number, 0.0, {}, replaces=replaces))
        return self.number

    def report(self, number: int, step: int, value: float, metric: str = "acc") -> bool:
        self.strategy.tell(Measured(number, 0.0, step, {metric: value}))
        reason = self.strategy.stop_reason(number)
        self.reason = reason or self.reason
        return reason is not None

    def end(self, number: int, state: Any = "completed") -> None:
        self.strategy.tell(Ended(number, 0.0, state))

    def trial(self, values: Sequence[float], state: Any = "completed") -> int | None:
        """Run a trial and return the step at which it was stopped."""
        number = self.start()
        for step, value in enumerate(values, start=1):
            if self.report(number, step, value):
                self.end(number, "stopped_early")
                return step
        self.end(number, state)
        return None


@pytest.fixture
def watch(study_of: Callable[..., Study]) -> Callable[..., Watch]:
    def watch(rule: str, goal: str = "maximize", select: str = "last", **options: Any) -> Watch:
        return Watch(
            study_of(
                objective={"metric": "acc", "goal": goal, "select": select},
                strategy="random",
                early_stopping={"rule": rule} | options,
            )
        )

    return watch


def rising(top: float, steps: int = 6) -> list[float]:
    return [top * step / steps for step in range(1, steps + 1)]


@pytest.mark.parametrize("rule", ["median", "auto"])
def test_median_stops_below_the_median_of_averages(rule: str, watch: Callable[..., Watch]) -> None:
    one = watch(rule)
    for top in (0.5, 0.6, 0.7, 0.8, 0.9):
        assert one.trial(rising(top)) is None
    # At step 2 the averages are tops / 4, their median 0.175.
    assert one.trial([0.05, 0.17, 0.9]) == 2
    assert "median" in one.reason
    assert "0.175" in one.reason
    # A tie is not worse; and the best so far counts, not the last.
    assert one.trial([0.05, 0.175]) is None
    assert one.trial([0.9, 0.01, 0.01]) is None


def test_median_follows_the_goal(watch: Callable[..., Watch]) -> None:
    one = watch("median", goal="minimize")
    for top in (1, 2, 3, 4, 5):
        assert one.trial([top, top]) is None
    assert one.trial([4, 3.1]) == 2
    assert one.trial([4, 2.9]) is None


def test_median_waits_for_enough_trials_at_the_step(watch: Callable[..., Watch]) -> None:
    one = watch("median")
    for _ in range(4):
        assert one.trial([0.9] * 3) is None
    assert one.trial([0.9]) is None
    assert one.trial([0.1] * 3) is None
    two = watch("median", min_trials=2)
    assert two.trial([0.9] * 2) is None
    assert two.trial([0.9] * 2) is None
    assert two.trial([0.1] * 2) == 2


def test_failed_and_cancelled_trials_are_not_compared(
    watch: Callable[..., Watch],
) -> None:
    one = watch("median", min_trials=3)
    for state in ("failed", "cancelled", "completed", "completed"):
        one.trial([0.9] * 3, state)
    assert one.trial([0.1] * 3) is None
    one.trial([0.9] * 3)
    assert one.trial([0.1] * 3) == 2


def test_no_trial_is_stopped_at_its_only_measurement(watch: Callable[..., Watch]) -> None:
    for rule in ("median", "bandit"):
        one = watch(rule, min_trials=1)
        assert one.trial([0.9]) is None
        assert one.trial([0.1]) is None
        first = watch(rule, min_trials=1, min_step=0)
        assert first.trial([0.9]) is None
        assert first.trial([0.1]) == 1


def test_min_step_and_interval_select_the_steps(watch: Callable[..., Watch]) -> None:
    one = watch("median", min_trials=1, min_step=4, interval=3)
    assert one.trial([0.9] * 12) is None
    assert one.trial([0.1] * 12) == 4
    assert one.trial([0.95] * 4 + [0.1] * 8) is None
    late = one.start()
    assert not one.report(late, 3, 0.1)
    # Steps may be left out: 7 is due at 8.
    other = watch("bandit", min_step=4, interval=3)
    assert other.trial([0.9] * 12) is None
    number = other.start()
    assert not other.report(number, 5, 0.9)
    assert not other.report(number, 6, 0.1)
    assert other.report(number, 8, 0.1)


def test_other_metrics_do_not_count(watch: Callable[..., Watch]) -> None:
    one = watch("median", min_trials=1)
    one.trial([0.9] * 3)
    number = one.start()
    for step in range(1, 4):
        assert not one.report(number, step, 0.0, metric="other")


@pytest.mark.parametrize("rule", ["median", "bandit", "halving"])
def test_a_measurement_that_is_not_finite_is_the_worst(
    rule: str, watch: Callable[..., Watch]
) -> None:
    one = watch(rule, min_trials=2)
    assert one.trial([0.9, 0.9, 0.9]) is None
    assert one.trial([0.9, 0.9, 0.9]) is None
    assert one.trial([math.nan] * 3) is not None
    assert "not finite" in one.reason


@pytest.mark.parametrize(
    ("goal", "best", "allowed", "stopped"),
    [
        ("maximize", 1.1, 1.0, 0.99),
        ("minimize", 1.0, 1.1, 1.11),
        ("maximize", -1.0, -1.1, -1.11),
        ("minimize", -1.1, -1.0, -0.99),
    ],
)
def test_bandit_allows_the_slack_relative_to_the_best(
    goal: str, best: float, allowed: float, stopped: float, watch: Callable[..., Watch]
) -> None:
    one = watch("bandit", goal=goal)
    assert one.trial([best, best]) is None
    assert one.trial([allowed, allowed + math.copysign(1e-9, best - allowed)]) is None
    assert one.trial([stopped, stopped]) == 2
    wide = watch("bandit", goal=goal, slack=0.2)
    assert wide.trial([best, best]) is None
    assert wide.trial([stopped, stopped]) is None


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
@pytest.mark.parametrize("rule", ["median", "bandit", "halving"])
def test_no_trial_of_a_plateau_is_stopped(
    rule: str, goal: str, watch: Callable[..., Watch]
) -> None:
    for percent in range(1, 100):
        one = watch(rule, goal=goal)
        assert [one.trial([percent / 100] * 12) for _ in range(7)] == [None] * 7


def test_a_trial_at_the_limit_of_bandit_continues(watch: Callable[..., Watch]) -> None:
    for thousandths in range(11, 4400, 11):
        better, worse = thousandths / 1000, thousandths / 1100
        for goal, first, second in (("maximize", better, worse), ("minimize", worse, better)):
            one = watch("bandit", goal=goal)
            assert one.trial([first] * 2) is None
            assert one.trial([second] * 2) is None


def test_the_luck_of_the_first_trial_does_not_make_median_stop_all_later_ones(
    watch: Callable[..., Watch],
) -> None:
    rng = random.Random(2)
    one = watch("median")
    assert one.trial([1.0] * 9) is None
    tops = [rng.uniform(0.3, 0.9) for _ in range(40)]
    stops = [one.trial([round(top * (1 - 0.7 / s), 2) for s in range(1, 10)]) for top in tops]
    assert stops.count(None) > 10


def test_bandit_compares_the_same_step(watch: Callable[..., Watch]) -> None:
    one = watch("bandit")
    assert one.trial([0.1, 0.2, 0.9]) is None
    assert one.trial([0.1, 0.2, 0.3]) == 3


def test_select_determines_which_value_counts(watch: Callable[..., Watch]) -> None:
    for select, step in (("last", 2), ("best", None)):
        one = watch("bandit", select=select)
        assert one.trial([0.9, 0.9]) is None
        assert one.trial([0.9, 0.2]) == step


def test_halving_keeps_the_best_third_at_each_rung(watch: Callable[..., Watch]) -> None:
    one = watch("halving")
    steps = [one.trial([top] * 10) for top in (0.5, 0.6, 0.7, 0.4, 0.65, 0.8, 0.75)]
    # The first two continue untested, then the best third so far; 0.75 until the rung at 3.
    assert steps == [None, None, None, 1, 1, None, 3]
    late = watch("halving", min_step=2)
    for top in (0.5, 0.6):
        assert late.trial([top] * 10) is None
    assert late.trial([0.1] * 10) == 2
    assert late.trial([0.9] * 2 + [0.1] * 10) == 6
    assert late.trial([0.95] * 2 + [0.05] * 10) == 6


def test_halving_evaluates_a_skipped_rung(watch: Callable[..., Watch]) -> None:
    one = watch("halving")
    for top in (0.5, 0.6):
        assert one.trial([top] * 10) is None
    number = one.start()
    assert one.report(number, 5, 0.1)


def test_running_trials_are_compared_too(watch: Callable[..., Watch]) -> None:
    one = watch("median", min_trials=2)
    numbers = [one.start() for _ in range(3)]
    for step in (1, 2):
        assert not one.report(numbers[0], step, 0.9)
        assert not one.report(numbers[1], step, 0.8)
    assert not one.report(numbers[2], 1, 0.1)
    assert one.report(numbers[2], 2, 0.1)
    assert one.strategy.stop_reason(numbers[0]) is None


def test_an_interrupted_trial_starts_over(watch: Callable[..., Watch]) -> None:
    one = watch("median", min_trials=1)
    assert one.trial([0.9] * 3) is None
    interrupted = one.start()
    assert one.report(interrupted, 1, 0.1) is False
    one.end(interrupted, "cancelled")
    repeat = one.start(replaces=interrupted)
    assert one.report(repeat, 1, 0.1) is False
    assert one.report(repeat, 2, 0.1) is True


def test_several_objectives_are_refused(study_of: Callable[..., Study]) -> None:
    study = study_of(
        objective=[{"metric": "a", "goal": "minimize"}, {"metric": "b", "goal": "minimize"}],
        strategy="random",
        early_stopping="median",
    )
    with pytest.raises(StudyError, match="early stopping supports exactly one objective"):
        make_strategy(study, 0)


@pytest.mark.parametrize("rule", ["median", "bandit", "halving"])
def test_cached_scores_match_recomputed_ones(
    study_of: Callable[..., Study], monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    study = study_of(
        objective={"metric": "acc", "goal": "maximize", "select": "best"},
        strategy="random",
        early_stopping={"rule": rule, "min_step": 1},
    )
    runs: list[list[str]] = []
    for limit in (500, 1):
        monkeypatch.setattr(early_stopping, "_MAX_CACHED_STEPS", limit)
        watch, rng = Watch(study), random.Random(1)
        running: dict[int, int] = {}
        reasons: list[str] = []
        for _ in range(1000):
            if len(running) < 4:
                running[watch.start()] = 0
            number = rng.choice([*running])
            running[number] += rng.choice([0, 1, 1, 2, 5])
            value = rng.choice([rng.gauss(0, 1), round(rng.gauss(0, 1)), math.nan])
            if watch.report(number, max(running[number], 1), value):
                reasons.append(watch.reason)
            if rng.random() < 0.2:
                del running[number]
                watch.end(number, rng.choice(["completed", "failed", "cancelled"]))
        runs.append(reasons)
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 20


@pytest.mark.parametrize(
    ("goal", "best", "allowed", "stopped"),
    [
        ("maximize", 0.9, 0.8, 0.79),
        ("minimize", 0.1, 0.2, 0.21),
        ("maximize", -0.1, -0.2, -0.21),
        ("minimize", 0.0, 0.1, 0.11),
    ],
)
def test_bandit_allows_an_absolute_slack(
    goal: str, best: float, allowed: float, stopped: float, watch: Callable[..., Watch]
) -> None:
    one = watch("bandit", goal=goal, slack_amount=0.1)
    assert one.trial([best, best]) is None
    assert one.trial([allowed, allowed + math.copysign(1e-9, best - allowed)]) is None
    assert one.trial([stopped, stopped]) == 2


def test_halving_promotes_one_in_eta_and_its_rungs_are_apart_by_eta(
    watch: Callable[..., Watch],
) -> None:
    one = watch("halving", eta=2)
    assert one.trial([0.9, 0.9]) is None
    assert one.trial([0.1, 0.1]) == 1  # the second of two: one of two continues
    rungs = watch("halving", eta=5, min_trials=1)
    assert rungs.trial([0.9] * 6) is None
    assert rungs.trial([1.0, 0.5, 0.5, 0.5, 0.5, 0.5]) == 5
