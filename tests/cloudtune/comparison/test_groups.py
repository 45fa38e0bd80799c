"""Which jobs are repetitions of one another."""

from __future__ import annotations

from cloudtune.comparison.groups import group_jobs, study_differences
from cloudtune.diagnostics import Finding
from cloudtune.results.model import StudyResult
from tests.cloudtune.comparison.factories import job, make_study


def labels(*jobs: StudyResult) -> list[tuple[str, int]]:
    return [(group.label, len(group.jobs)) for group in group_jobs(jobs)]


def test_runs_of_one_study_with_other_seeds_are_repetitions() -> None:
    first = job("p", [0.1], run="a", seed=1, study=make_study(strategy={"seed": 1}))
    again = job("p", [0.2], run="b", seed=2, study=make_study(strategy={"seed": 2}, name="other"))
    assert labels(first, again, job("q", [0.1])) == [("p", 2), ("q", 1)]
    assert group_jobs([first, again])[0].independent


def test_different_modes_and_emulation_are_different_groups() -> None:
    jobs = [job("p", [0.1]), job("p", [0.1], mode="managed"), job("p", [0.1], emulated=True)]
    assert labels(*jobs) == [("p, driven", 1), ("p, managed", 1), ("p (emulated), driven", 1)]


def test_studies_are_told_apart_by_the_field_in_which_they_differ() -> None:
    jobs = [job("p", [0.1], study=make_study(strategy=name)) for name in ("random", "genetic")]
    assert labels(*jobs) == [("p, strategy.name=random", 1), ("p, strategy.name=genetic", 1)]
    unsaid = job("p", [0.1])
    said = job("p", [0.1], study=make_study(strategy="bayesian"))
    assert labels(unsaid, said) == [("p", 2)]


def test_studies_that_differ_in_much_are_counted() -> None:
    other = make_study(strategy="random", limits={"max_trials": 3})
    found = labels(job("p", [0.1]), job("p", [0.1], study=other))
    assert found == [("p, study 1", 1), ("p, study 2", 1)]
    assert study_differences(make_study(), other) == ("limits.max_trials", "strategy.name")


def test_runs_with_one_seed_repeat_nothing() -> None:
    same = [job("p", [0.1], run=run, seed=4) for run in "ab"]
    assert not group_jobs(same)[0].independent
    own = [Finding("dropped", "strategy.seed", "takes none")]
    drawn = [job("p", [0.1], run=run, seed=4, findings=own) for run in "ab"]
    assert group_jobs(drawn)[0].independent
