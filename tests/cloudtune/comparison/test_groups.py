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
    assert labels(*jobs) == [("random", 1), ("genetic", 1)]
    apart = [job(name, [0.1], study=each.study) for name in "pq" for each in jobs]
    assert [label for label, _ in labels(*apart)] == [
        *("p, random", "p, genetic", "q, random", "q, genetic")
    ]
    unsaid = job("p", [0.1])
    said = job("p", [0.1], study=make_study(strategy="bayesian"))
    assert labels(unsaid, said) == [("p", 2)]


def test_studies_that_differ_in_much_have_the_name_of_what_distinguishes_them() -> None:
    other = make_study(strategy="random", limits={"max_trials": 3})
    found = labels(job("p", [0.1]), job("p", [0.1], study=other))
    assert found == [("bayesian", 1), ("random", 1)]
    assert study_differences(make_study(), other) == ("limits.max_trials", "strategy.name")
    filled = make_study(trial={"script": "train.py", "env": {"MODE": "fast"}})
    empty = make_study(trial={"script": "train.py"})
    assert study_differences(empty, filled) == ("trial.env.MODE",)
    found = labels(job("p", [0.1], study=empty), job("p", [0.1], study=filled))
    assert found == [("no env.MODE", 1), ("fast", 1)]
    data = make_study(trial={"script": "train.py", "inputs": {"data": "images"}})
    found = labels(job("p", [0.1], study=empty), job("p", [0.1], study=data))
    assert found == [("no inputs.data.*.uri", 1), ("images", 1)]


def test_several_fields_distinguish_studies_that_one_does_not() -> None:
    studies = [
        make_study(strategy=name, limits={"max_trials": limit})
        for name in ("random", "genetic")
        for limit in (3, 4)
    ]
    found = [label for label, _ in labels(*(job("p", [0.1], study=each) for each in studies))]
    assert found[0] == "max_trials=3, random"
    assert len(set(found)) == 4


def test_the_labels_of_studies_name_them_first() -> None:
    search = [make_study(name="search", strategy=strategy) for strategy in ("random", "genetic")]
    other = make_study(name="self-tuning", limits={"max_trials": 1})
    found = [label for label, _ in labels(*(job("p", [0.1], study=s) for s in (*search, other)))]
    assert found == [
        "search, random",
        "search, genetic",
        "self-tuning, bayesian",
    ]
    assert [
        label for label, _ in labels(job("p", [0.1], study=search[0]), job("p", [0.1], study=other))
    ] == ["search", "self-tuning"]


def test_labels_that_repetitions_do_not_share_name_nothing() -> None:
    jobs = [
        job("p", [0.1], run=name, study=make_study(name=name, strategy="random")) for name in "ab"
    ]
    other = job("p", [0.1], study=make_study(name="c", strategy="genetic"))
    assert labels(*jobs, other) == [("random", 2), ("genetic", 1)]


def test_studies_that_differ_only_in_long_texts_are_counted() -> None:
    studies = [make_study(constants={"prompt": letter * 50}) for letter in "ab"]
    found = labels(*(job("p", [0.1], study=each) for each in studies))
    assert found == [("study 1", 1), ("study 2", 1)]


def test_runs_with_one_seed_repeat_nothing() -> None:
    same = [job("p", [0.1], run=run, seed=4) for run in "ab"]
    assert not group_jobs(same)[0].independent
    own = [Finding("dropped", "strategy.seed", "takes none")]
    drawn = [job("p", [0.1], run=run, seed=4, findings=own) for run in "ab"]
    assert group_jobs(drawn)[0].independent
