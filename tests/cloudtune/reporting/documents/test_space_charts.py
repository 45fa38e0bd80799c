"""Where trials cross the axes of the parallel coordinates."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.comparison.groups import group_jobs
from cloudtune.reporting.documents.html.downsample import downsample
from cloudtune.reporting.documents.html.space_charts import parallel_chart
from tests.cloudtune.comparison.factories import job, make_study, trial


@pytest.mark.parametrize(
    ("parameters", "crossings"),
    [
        ({"lr": 1.0, "kernel": "poly", "depth": 2}, [0.5, 1.0, 0.25]),
        ({"lr": 0.01, "kernel": "rbf", "depth": 2}, [0.0, 0.5, -0.18]),
        ({"lr": "auto", "kernel": 3}, [-0.18] * 3),
        ({"lr": -1.0, "kernel": "poly", "depth": 2.5}, [-0.18, 1.0, -0.18]),
    ],
)
def test_values_are_scaled_as_the_parameter_is(
    parameters: dict[str, Any], crossings: list[float]
) -> None:
    trials, _ = downsample(group_jobs([job("p", [trial(1, 0.5, parameters=parameters)])]), "max")
    chart = parallel_chart(make_study(), trials, ["p"])
    assert chart is not None
    assert [row["u"] for row in chart.spec["data"]["values"]] == [*crossings, 0.5]
