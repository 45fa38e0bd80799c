"""The whole comparison."""

from __future__ import annotations

import json

import pytest

from cloudtune.comparison.comparison import compare
from cloudtune.errors import UsageError
from cloudtune.reporting.console.summary import format_summary
from cloudtune.reporting.documents.render import render_report
from tests.cloudtune.comparison.factories import job, make_study, trial

TWO = make_study(
    objective=[{"metric": "accuracy", "goal": "maximize"}, {"metric": "size", "goal": "minimize"}]
)


def test_emulated_groups_are_never_ranked_with_real_ones() -> None:
    jobs = [job("p", [0.5]), job("q", [0.9], emulated=True), job("r", [0.8], emulated=True)]
    real, emulated = compare(jobs, {}).verdicts
    assert real.best is not None
    assert real.best.leaders == ("p",)
    assert real.labels == ("p",)
    assert emulated.best is not None
    assert emulated.best.leaders == ("q (emulated)",)
    assert emulated.cheapest is None


def test_a_job_that_is_named_twice_counts_once() -> None:
    created = job("p", [0.5])
    (group,) = compare([created, created], {}).groups
    assert len(group.runs) == 1


def test_with_several_objectives_there_is_a_front_and_no_best() -> None:
    found = compare([job("p", [trial(1, (0.9, 5))], study=TWO)], {})
    (verdict,) = found.verdicts
    assert (verdict.best, verdict.first) == (None, None)
    assert [t.number for t in verdict.front] == [1]
    assert (found.best_trials, [c.metric for c in found.curves]) == ((), ["accuracy", "size"])


def test_other_objectives_are_not_compared() -> None:
    with pytest.raises(UsageError, match="different objectives"):
        compare([job("p", [0.5]), job("p", [trial(1, (0.9, 5))], run="b", study=TWO)], {})
    with pytest.raises(UsageError, match="no run"):
        compare([], {})


def test_the_json_of_a_comparison() -> None:
    asked = {"r1": ["study.yaml"]}
    jobs = [job("p", [trial(1, 0.5, cost=1.0), None]), job("q", [0.9])]
    found = json.loads(render_report(compare(jobs, asked), "json"))
    assert found["format"] == "cloudtune.report/v1"
    assert found["verdicts"][0]["best"]["leaders"] == ["q"]
    assert found["verdicts"][0]["repeat"].startswith("for seed in 2 3 4 5; do cloudtune run study")
    assert found["groups"][0]["runs"][0]["trials"] == {"completed": 1, "failed": 1}
    assert found["curves"][0]["points"][0]["value"] == 0.5


def test_the_json_keys_of_a_comparison_stay_the_same() -> None:
    document = json.loads(compare([job("p", [0.5])], {}).to_json())
    verdict = document["verdicts"][0]
    assert set(document) == {
        *("name", "description", "objectives", "groups", "verdicts", "curves", "efforts"),
        *("failures", "answers", "apart", "importances", "importance_method", "format"),
        *("confirmations", "explanation"),
    }
    assert set(verdict) == {
        *("emulated", "labels", "best", "first", "near", "cheapest", "front"),
        *("cautions", "repeat", "overview"),
    }
    assert set(verdict["best"]) == {
        *("question", "unit", "standings", "leaders", "certainty", "why", "method"),
    }
    assert set(verdict["cautions"][0]) == {"touches", "text"}
    assert set(document["curves"][0]) == {
        *("label", "run", "metric", "trials", "seconds", "cost", "pauses", "points"),
    }


@pytest.mark.parametrize(
    ("values", "differ", "is_said"),
    [
        ([0.002] * 12, True, True),
        ([0.002] * 2, True, False),
        ([0.002] * 12, False, False),
        ([0.002] * 11 + [0.003], True, False),
        ([0.002] * 3 + [None], True, True),
    ],
)
def test_trials_that_all_measure_the_same(
    values: list[float | None], differ: bool, is_said: bool
) -> None:
    """The summary of the run and the report say so."""
    trials = [
        trial(number, value, parameters={"lr": 1.0 + number * differ, "kernel": "rbf"})
        for number, value in enumerate(values, 1)
    ]
    one = job("p", trials)
    count = sum(value is not None for value in values)
    text = f"all {count} trials measured 0.002, with different parameters: check that the script"
    assert (text in "\n".join(format_summary(one, "folder"))) == is_said
    report = " ".join(render_report(compare([one], {}), "text", width=400).split())
    assert (text in report) == is_said
