"""Time, failures, importance, caveats, fronts: each by a small example."""

from __future__ import annotations

import math
import shlex
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.comparison.best_trials import best_trials, common_front, parameter_distances
from cloudtune.comparison.caveats import find_caveats
from cloudtune.comparison.comparison import compare
from cloudtune.comparison.distance import gower_distance
from cloudtune.comparison.groups import group_jobs
from cloudtune.comparison.importance import parameter_importance
from cloudtune.comparison.rerun_command import rerun_command
from cloudtune.comparison.time_breakdown import time_breakdown
from cloudtune.diagnostics import Finding
from cloudtune.results.model import StudyResult, Trial
from cloudtune.study.search_space import Value
from tests.cloudtune.comparison.factories import job, make_study, measured, trial

SPACE = make_study()
REFUSED = Finding("refused", "parameters", "too many")
RBF = {"lr": 1.0, "kernel": "rbf"}


def test_the_time_of_a_trial_is_split_by_what_is_known() -> None:
    told = measured((1, 0.1, 120.0), (2, 0.2, 160.0))
    waited = trial(1, 0.2, began=105.0, ended=170.0, billed_seconds=60.0, measurements=told)
    silent = trial(2, 0.1, began=170.0, ended=180.0)
    found = time_breakdown(group_jobs([job("p", [waited, silent])])[0])
    assert found.phases == {
        "waiting": 5.0,
        "starting": 10.0,
        "training": 40.0,
        "ending": 10.0,
        "not told": 10.0,
    }
    assert (found.wall, found.before_first, found.trials) == (80.0, 5.0, 75.0)
    assert found.parallel_trials == pytest.approx(70 / 80)


@pytest.mark.parametrize(
    ("times", "phases"),
    [
        # paused between two rungs: from 120 to 170
        ({"created": 100.0, "began": 100.0, "seconds": 50.0}, (50.0, 10.0, 30.0, 10.0)),
        # on a spot machine, which is billed for 15 of its 50 seconds
        (
            {"created": 100.0, "began": 105.0, "seconds": 50.0, "waited": 50.0}
            | {"billed_seconds": 15.0},
            (50.0, 5.0, 35.0, 10.0),
        ),
    ],
)
def test_a_trial_runs_neither_between_rungs_nor_less_if_less_is_billed(
    times: dict[str, Any], phases: tuple[float, ...]
) -> None:
    steps = measured((1, 0.1, 110.0), (2, 0.2, 190.0))
    one = trial(1, 0.2, ended=200.0, measurements=steps, **times)
    found = time_breakdown(group_jobs([job("p", [one])])[0])
    assert tuple(found.phases[name] for name in ("waiting", "starting", "training", "ending")) == (
        pytest.approx(phases)
    )
    assert found.parallel_trials == pytest.approx(50 / 100)


def test_the_time_of_a_trial_whose_end_is_unknown_is_its_run_time() -> None:
    whole, *others = (replace(trial(n, 0.1, seconds=7.0), ended=None) for n in (1, 2, 3))
    found = time_breakdown(group_jobs([replace(job("p", [whole, *others]), ended=110.0)])[0])
    assert (found.trials, found.phases["not told"], found.parallel_trials) == (21.0, 21.0, 2.1)
    silent = replace(whole, seconds=None)
    found = time_breakdown(group_jobs([replace(job("p", [silent]), ended=110.0)])[0])
    assert (found.trials, found.parallel_trials) == (0.0, None)


@given(st.lists(st.floats(90, 260), max_size=4), st.none() | st.floats(0, 200))
def test_phases_add_up_to_the_duration_of_the_trial(
    times: list[float], billed: float | None
) -> None:
    steps = measured(*((n, 0.1, time) for n, time in enumerate(times)))
    one = trial(1, 0.1, began=110.0, ended=200.0, billed_seconds=billed, measurements=steps)
    found = time_breakdown(group_jobs([job("p", [one])])[0])
    assert min(found.phases.values()) >= 0
    assert sum(found.phases.values()) == pytest.approx(90.0)


def test_failures_that_differ_in_numbers_have_one_cause() -> None:
    lost = [
        trial(1, None, reason="exit code 1", log_tail="start\nValueError: loss 3.5e-2 at 7\n"),
        trial(2, None, reason="out of memory"),
        trial(3, None, reason="exit code 2", log_tail="ValueError: loss 1 at 12"),
    ]
    found = compare([job("p", lost)], {}).failures
    assert [(f.reason, f.trials, f.number) for f in found] == [
        ("exit code 1: ValueError: loss 3.5e-2 at 7", 2, 1),
        ("out of memory", 1, 2),
    ]


def test_failures_that_differ_in_the_name_of_a_job_have_one_cause() -> None:
    said = "exit code 1: at /jobs/r1-{0:03}-{0:x}f/train.py, with {{'x': {0}.5}}"
    found = compare(
        [job("p", [trial(n, None, reason=said.format(n)) for n in (7, 11)])], {}
    ).failures
    assert [(f.trials, f.number) for f in found] == [(2, 7)]


def test_the_best_trial_of_each_group() -> None:
    poly = {"lr": 0.01, "kernel": "poly", "depth": 1}
    jobs = [
        job("p", [trial(1, 0.5), trial(2, 0.7, parameters=poly)], run="a"),
        job("p", [0.6], run="b", seed=2),
        job("q", [0.4]),
        job("r", [None]),
    ]
    groups = group_jobs(jobs)
    found = best_trials(groups, "maximize")
    assert [(a.label, a.run, a.number, a.value) for a in found] == [
        ("p", "a", 2, 0.7),
        ("q", "r1", 1, 0.4),
    ]


def test_gowers_distance_by_hand() -> None:
    left: dict[str, Value] = {"lr": 0.01, "kernel": "poly", "depth": 1}
    other = gower_distance(SPACE, left, {"lr": 1.0, "kernel": "rbf"})
    assert other == pytest.approx((0.5 + 1 + 1) / 3)
    near = gower_distance(SPACE, left, {"lr": 0.01, "kernel": "poly", "depth": 2})
    assert near == pytest.approx(0.25 / 3)
    assert gower_distance(SPACE, {}, {}) is None
    assert gower_distance(SPACE, {"kernel": "no such"}, {}) is None


ASSIGNMENTS = st.fixed_dictionaries(
    {"lr": st.floats(0.01, 100), "kernel": st.sampled_from(["linear", "rbf"])}
) | st.fixed_dictionaries(
    {"lr": st.floats(0.01, 100), "kernel": st.just("poly"), "depth": st.integers(1, 5)}
)


@given(ASSIGNMENTS, ASSIGNMENTS)
def test_the_distance_is_symmetric_and_between_0_and_1(
    left: dict[str, float | str], right: dict[str, float | str]
) -> None:
    distance = gower_distance(SPACE, left, right)
    assert distance is not None
    assert 0 <= distance <= 1
    assert distance == pytest.approx(gower_distance(SPACE, right, left))
    assert gower_distance(SPACE, left, left) == 0


def test_distances_of_best_trials() -> None:
    poly = {"lr": 0.01, "kernel": "poly", "depth": 1}
    groups = group_jobs([job("p", [trial(1, 0.7, parameters=poly)]), job("q", [0.4])])
    (pair,) = parameter_distances(groups, best_trials(groups, "maximize"))
    assert (pair.left, pair.right) == ("p", "q")
    assert pair.distance == pytest.approx(2.5 / 3)


def test_studies_with_different_parameters_have_no_distance() -> None:
    other = make_study(parameters={"lr": {"type": "float", "min": 0, "max": 1}})
    groups = group_jobs(
        [job("p", [0.5]), job("q", [trial(1, 0.4, parameters={"lr": 1.0})], study=other)]
    )
    (pair,) = parameter_distances(groups, best_trials(groups, "maximize"))
    assert pair.distance is None


def planted(count: int, goal: str = "maximize") -> StudyResult:
    chance = Random(1)
    trials: list[Trial] = []
    for number in range(1, count + 1):
        kernel = chance.choice(["linear", "rbf", "poly"])
        lr = 10 ** chance.uniform(-2, 2)
        values: dict[str, Any] = {"lr": lr, "kernel": kernel}
        values |= {"depth": chance.randint(1, 5)} if kernel == "poly" else {}
        value = -(math.log10(lr) ** 2) + 0.01 * chance.random()
        sign = 1 if goal == "maximize" else -1
        trials.append(trial(number, sign * value, parameters=values))
    objective = {"metric": "accuracy", "goal": goal}
    return job("p", trials, study=make_study(objective=objective))


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_the_parameter_that_matters_is_found(goal: str) -> None:
    found = parameter_importance(group_jobs([planted(200, goal)])[0], 0)
    assert found.shares is not None
    assert found.shares.keys() == {"lr", "kernel", "depth"}
    assert found.shares["lr"] > 0.7
    assert sum(found.shares.values()) == pytest.approx(1)
    assert (found.trials, found.best) == (200, 1)


def test_importance_needs_20_trials() -> None:
    assert parameter_importance(group_jobs([planted(19)])[0], 0).shares is None
    assert parameter_importance(group_jobs([job("p", [None])])[0], 0).shares is None


def caveat_text(*jobs: StudyResult) -> str:
    return "\n".join(caveat.text for caveat in find_caveats(group_jobs(jobs)))


def test_equal_conditions_have_no_caveats_but_estimated_costs() -> None:
    priced = [trial(1, 0.5, cost=1.0)]
    assert caveat_text(job("p", priced), job("q", priced)).count("\n") == 1
    said = caveat_text(job("p", priced), job("q", priced))
    assert "p: costs are estimates from the trials' run time and the hourly price" in said
    assert "list price" not in said


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (job("q", [0.5, 0.5]), "different numbers of trials (p: 1; q: 2)"),
        (
            job("q", [0.5], mode="managed"),
            "different modes, so different tuners chose the trials (p: driven; q: managed)",
        ),
        (
            job("q", [0.5], source="def"),
            "files (p: abc; q: def)",
        ),
        (job("q", [0.5], source=None), "q: unknown"),
        (job("q", [trial(1, 0.5, machine="big")]), "different machines (p: unknown; q: big)"),
        (job("q", [None]), "q: 1 of 1 trial has no objective value"),
        (job("q", [0.5], state="failed"), "the job of run r1 is failed"),
        (job("q", [], state="failed", findings=[REFUSED]), "the job of run r1 is refused"),
        (replace(job("q", [0.5]), reason="too dear"), "the job of run r1 is completed (too dear)"),
        (job("q", [0.5], findings=[Finding("dropped", "strategy.seed", "")]), "(strategy.seed)"),
        (job("q", [0.5], study=make_study(strategy="random")), "differ in strategy.name"),
        (job("q", [0.5]), "q: the cost of every trial is unknown"),
        (job("q", [trial(1, 0.5, cost=1.0, currency="EUR")]), "q: costs are estimates"),
    ],
)
def test_a_difference_is_a_caveat(other: StudyResult, words: str) -> None:
    assert words in caveat_text(job("p", [0.5]), other)


def test_equal_seeds_and_emulators_are_caveats() -> None:
    copies = [job("p", [0.5], run=run, seed=7) for run in "ab"]
    assert "same seed are copies of each other (7, 7)" in caveat_text(*copies)
    assert "emulated: cloudtune's own engine" in caveat_text(job("p", [0.5], emulated=True))


def test_idle_time_is_a_caveat() -> None:
    words = "p: interrupted and resumed (r1); times include the time in between"
    assert words in caveat_text(replace(job("p", [0.5]), idle=3600.0))
    assert "interrupted" not in caveat_text(replace(job("p", [0.5]), idle=0.0))


def test_the_common_front() -> None:
    goals = ["maximize", "minimize"]
    both = [{"metric": "accuracy", "goal": "maximize"}, {"metric": "size", "goal": "minimize"}]
    said = make_study(objective=both)
    one = job("p", [trial(1, (0.9, 50)), trial(2, (0.5, 40))], study=said)
    two = job("q", [trial(1, (0.95, 50)), trial(2, (0.4, 10))], study=said)
    found = common_front(group_jobs([one, two]), goals)
    assert sorted((t.label, t.number) for t in found) == [("p", 2), ("q", 1), ("q", 2)]


def test_the_command_that_repeats_it_can_be_pasted() -> None:
    groups = group_jobs([job("p", [0.1], seed=2), job("q", [0.1], seed=2)])
    line = rerun_command(groups, ["my study.yaml", "--set", "limits.max_trials=3"])
    loop, call, _ = line.split("; ")
    assert loop == "for seed in 1 3 4 5"
    assert shlex.split(call) == [
        *("do", "cloudtune", "run", "my study.yaml", "--set", "limits.max_trials=3"),
        *("--on", "p", "--on", "q", "--set", "strategy.seed=$seed"),
    ]
    emulated = group_jobs([job("p", [0.1], emulated=True)])
    assert "--emulate" in rerun_command(emulated, ["s.yaml"])
