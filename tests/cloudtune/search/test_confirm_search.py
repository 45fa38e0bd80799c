"""The strategy of `cloudtune confirm`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from statistics import fmean
from typing import Literal

import pytest

from cloudtune.confirmation.decision import find_leader
from cloudtune.results.events import Ended, Event, Measured, Started
from cloudtune.search.confirm_search import ConfirmSearch
from cloudtune.search.protocol import Suggestion
from cloudtune.study.confirmation import Candidate, Confirmation
from cloudtune.study.study import Study

STUDY = Study.model_validate(
    {
        "objective": {"metric": "m", "goal": "maximize"},
        "parameters": {"x": {"type": "float", "min": 0, "max": 9}},
        "strategy": "list",
        "initial_trials": [{"x": 1.0}],
    }
)
PLAN = Confirmation(
    run="first",
    provider="local",
    search_metric="m",
    search_goal="maximize",
    goal="maximize",
    candidates=tuple(Candidate(f"trial {n}", {"x": float(n)}) for n in range(4)),
    seeds=tuple(range(100, 112)),
)


def play(
    plan: Confirmation,
    measure: Callable[[float, int], float | None],
    kill_every: int = 0,
    other: Callable[[float, int], float] = lambda _x, _seed: 0.0,
) -> tuple[list[tuple[float, int]], list[Event]]:
    """Run a confirmation one trial at a time; return the pairs that ran and all events."""
    search, events, pairs = ConfirmSearch(STUDY, plan), list[Event](), list[tuple[float, int]]()
    while isinstance(suggestion := search.ask(len(pairs)), Suggestion):
        assert suggestion.seed is not None
        x = float(suggestion.parameters["x"])
        pairs.append((x, suggestion.seed))
        number = len(events) + 1
        start = Started(
            number, 0.0, suggestion.parameters, seed=suggestion.seed, memory=suggestion.memory
        )
        new: list[Event] = [start]
        if kill_every and len(pairs) % kill_every == 0:
            new += [
                Ended(number, 0.0, "cancelled"),
                replace(start, number=-number, replaces=number),
            ]
            number = -number
        value = measure(x, suggestion.seed)
        if value is not None:
            new.append(Measured(number, 0.0, 1, {"m": value, "o": other(x, suggestion.seed)}))
        new.append(Ended(number, 0.0, "failed" if value is None else "completed"))
        for event in new:
            search.tell(event)  # type: ignore[arg-type]
        events += new
        if kill_every and len(pairs) % kill_every == 0:
            search = ConfirmSearch(STUDY, plan)
            for event in events:
                search.tell(event)  # type: ignore[arg-type]
    assert suggestion == "done"
    return pairs, events


def noise(x: float, seed: int) -> float:
    return Random(f"{x} {seed}").gauss(0, 1)


def test_all_candidates_get_the_same_first_two_seeds() -> None:
    pairs, _ = play(PLAN, noise)
    assert pairs[:8] == [(x, seed) for seed in (100, 101) for x in (0.0, 1.0, 2.0, 3.0)]


def test_a_lead_that_is_clear_is_settled_before_the_last_seed() -> None:
    pairs, _ = play(PLAN, lambda x, seed: 50 * x + noise(x, seed))
    last = max(PLAN.seeds.index(seed) for _, seed in pairs)
    assert 2 < last < 8


def test_seeds_go_to_the_candidates_that_are_open() -> None:
    def value(x: float, seed: int) -> float:
        return {0.0: -200.0, 1.0: -200.0, 2.0: -4.0, 3.0: 0.0}[x] + noise(x, seed)

    pairs, _ = play(PLAN, value)
    counts = [sum(x == number for x, _ in pairs) for number in range(4)]
    assert counts[1] < counts[0] == counts[2] == counts[3]  # the first has won the search


def test_the_winner_of_the_search_gets_seeds_until_it_is_clear_whether_it_holds() -> None:
    def value(x: float, seed: int) -> float:  # the second is better, by less than seeds can show
        own = 1e-3 * (seed % 7 - 3 if x < 2 else -9) + (1e-3 * (seed % 3) if x == 1 else 0)
        return noise(0, seed) + own

    pairs, _ = play(PLAN, value)
    counts = [sum(x == number for x, _ in pairs) for number in range(4)]
    assert counts[:2] == [len(PLAN.seeds)] * 2


def test_no_seeds_are_spent_on_differences_that_they_cannot_show() -> None:
    pairs, _ = play(PLAN, lambda x, seed: noise(0, seed) + 0.001 * noise(x, seed) + 1e-6 * x)
    assert len(pairs) < 4 * len(PLAN.seeds)


@pytest.mark.parametrize("draw", [33, 36, 48, 129])
def test_candidates_that_beat_each_other_in_a_cycle_get_seeds_until_that_is_resolved(
    draw: int,
) -> None:
    means = [Random(f"{draw} {x}").gauss(0, 0.5) for x in range(4)]
    values: list[dict[int, float]] = [{} for _ in means]

    def measure(x: float, seed: int) -> float:
        values[int(x)][seed] = means[int(x)] + noise(x, 1000 * draw + seed)
        return values[int(x)][seed]

    play(PLAN, measure)
    leader = find_leader(PLAN, values)
    assert leader is not None
    for each in values:
        common = each.keys() & values[leader].keys()
        is_better = fmean(each[seed] - values[leader][seed] for seed in common) > 0
        assert not is_better or any(PLAN.seeds[-1] in by_seed for by_seed in values)


def test_fixed_gives_every_candidate_every_seed() -> None:
    pairs, _ = play(replace(PLAN, fixed=True), lambda x, seed: 50 * x + noise(x, seed))
    assert pairs == [(x, seed) for seed in PLAN.seeds for x in (0.0, 1.0, 2.0, 3.0)]


@pytest.mark.parametrize(("fixed", "trials"), [(False, 8), (True, 48)])
def test_bit_equal_repetitions_end_after_the_second_but_not_with_fixed(
    fixed: bool, trials: int
) -> None:
    pairs, _ = play(replace(PLAN, fixed=fixed), lambda x, _: x)
    assert len(pairs) == trials


def test_repetitions_are_not_bit_equal_if_another_metric_differs() -> None:
    pairs, _ = play(PLAN, lambda x, _: x, other=noise)
    assert len(pairs) == 48


def test_a_candidate_that_fails_is_out() -> None:
    pairs, _ = play(PLAN, lambda x, seed: None if x == 2 else 50 * x + noise(x, seed))
    assert sum(x == 2 for x, _ in pairs) == 2
    assert play(PLAN, lambda _x, _seed: None)[0] == pairs[:8]


@pytest.mark.parametrize("kill_every", [1, 3])
def test_a_resumed_confirmation_goes_on_as_if_it_was_not_killed(kill_every: int) -> None:
    def value(x: float, seed: int) -> float:
        return 2 * x + noise(x, seed)

    assert play(PLAN, value, kill_every)[0] == play(PLAN, value)[0]


def test_the_next_seed_waits_for_running_trials() -> None:
    search = ConfirmSearch(STUDY, PLAN)
    for number in range(1, 9):
        suggestion = search.ask(number - 1)
        assert isinstance(suggestion, Suggestion)
        search.tell(
            Started(
                number, 0.0, suggestion.parameters, seed=suggestion.seed, memory=suggestion.memory
            )
        )
    assert search.ask(8) == "wait"


@pytest.mark.parametrize("constraints", [[], ["o <= 1"]])
def test_the_baseline_gets_the_seeds_of_the_others(
    constraints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it breaks a constraint."""
    study = Study.model_validate({**STUDY.to_json(), "constraints": constraints})
    monkeypatch.setitem(globals(), "STUDY", study)
    baseline = replace(PLAN.candidates[0], role="baseline")
    plan = replace(PLAN, candidates=(*PLAN.candidates[2:], baseline))
    pairs, _ = play(
        plan,
        lambda x, seed: {0.0: -99.0, 2.0: -2.5, 3.0: 0.0}[x] + noise(x, seed),
        other=lambda x, _: 9 if x == 0 else 0,
    )
    assert len({sum(x == number for x, _ in pairs) for number in (0.0, 2.0, 3.0)}) == 1


@pytest.mark.parametrize("role", ["baseline", "candidate"])
def test_the_only_candidate_is_repeated_until_its_gain_is_clear(
    role: Literal["baseline", "candidate"],
) -> None:
    baseline = replace(PLAN.candidates[0], role=role, is_baseline=True)
    plan = replace(PLAN, candidates=(PLAN.candidates[1], baseline))
    pairs, _ = play(plan, lambda x, seed: noise(0, seed) + 0.1 * noise(x, seed))
    assert len(pairs) == 2 * len(PLAN.seeds)
    pairs, _ = play(plan, lambda x, seed: 9 * x + noise(x, seed))
    assert 2 * 4 <= len(pairs) < 2 * len(PLAN.seeds)


def test_an_ablation_compares_each_change_with_the_winner() -> None:
    changes = tuple(replace(each, role="change") for each in PLAN.candidates[1:])
    plan = replace(PLAN, candidates=(PLAN.candidates[0], *changes))
    pairs, _ = play(
        plan, lambda x, seed: {0.0: 0.0, 1.0: 3.0, 2.0: -99.0, 3.0: -2.0}[x] + noise(x, seed)
    )
    counts = [sum(x == number for x, _ in pairs) for number in range(4)]
    assert counts[0] == max(counts)
    assert counts[2] < counts[3]
