"""An axis shows most of the differences, and says what lies beyond it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.comparison.comparison import compare
from cloudtune.reporting.documents.html.axis_range import fit_axis_range
from cloudtune.reporting.documents.html.progress_charts import progress_charts
from cloudtune.results.model import StudyResult
from tests.cloudtune.comparison.factories import job, make_study

LOSS = make_study(objective={"metric": "loss", "goal": "minimize"})


def test_one_bad_value_does_not_stretch_the_axis() -> None:
    values = [1000.0, *(1 + n / 10 for n in range(11))]
    shown = fit_axis_range(values, "minimize", "trials")
    assert shown is not None
    assert [shown.low, shown.high] == pytest.approx([0.95, 2.05])
    assert shown.note == (
        "1 of 12 trials is above the axis, up to 1000, so that the others can be told apart"
    )
    up = fit_axis_range([-value for value in values], "maximize", "trials")
    assert up is not None
    assert (up.low, up.high) == (-shown.high, -shown.low)
    assert "1 of 12 trials is below the axis, down to -1000" in up.note


def test_many_outliers_do_not_squash_the_better_half() -> None:
    good = [0.9 + n / 1000 for n in range(40)]
    shown = fit_axis_range([*good, *(-1000.0 * n for n in range(1, 20))], "maximize", "trials")
    assert shown is not None
    assert shown.low == pytest.approx(0.9, abs=0.01)
    assert "19 of 59 trials are below the axis, down to -19000" in shown.note
    assert shown.clip(-5.0) == shown.low


def test_values_to_keep_are_visible() -> None:
    values = [1000.0, 90.0, *(1 + n / 10 for n in range(30))]
    assert fit_axis_range(values, "minimize", "trials", keep=[1000.0]) is None
    shown = fit_axis_range(values, "minimize", "trials", keep=[90.0])
    assert shown is not None
    assert shown.high >= 90


@pytest.mark.parametrize("values", [[], [1.0], [2.0] * 9, [1.0, 2.0, 3.0], [-1e308, 1e308] * 9])
def test_an_axis_that_nothing_stretches_is_left_as_it_is(values: list[float]) -> None:
    assert fit_axis_range(values, "maximize", "trials") is None


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40),
    st.sampled_from(["maximize", "minimize"]),
)
def test_the_best_is_always_seen_with_nine_in_ten_or_half(values: list[float], goal: str) -> None:
    shown = fit_axis_range(values, goal, "trials")
    if shown is not None:
        visible = [value for value in values if shown.low <= value <= shown.high]
        assert (max(values) if goal == "maximize" else min(values)) in visible
        beyond = len(values) - len(visible)
        squashed = shown.high - shown.low <= 0.11 * (max(values) - min(values)) * 1.0001
        assert 1 <= beyond <= len(values) / (2 if squashed else 10)
        assert re.match(rf"{beyond} of {len(values)} trials (is|are) ", shown.note)


def captions(*jobs: StudyResult) -> dict[str, str]:
    created = compare(jobs, {})
    labels = [group.label for group in created.groups]
    return {chart.id: chart.caption for chart in progress_charts(created, labels)}


def test_the_caption_of_best_so_far_mentions_values_beyond_the_axis() -> None:
    bad = job("p", [1e6, *(2 - n / 20 for n in range(20))], study=LOSS)
    said = captions(bad)["progress-trials-0"]
    assert "1 of 21 values is above the axis, up to 1e+06" in said
    assert (
        "above the axis" not in captions(job("p", [3.0, 2.0, 1.0], study=LOSS))["progress-trials-0"]
    )
