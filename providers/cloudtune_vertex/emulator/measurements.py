"""Which of a trial's measurements counts, and whether there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cloudtune.study.schema import Json
from cloudtune_vertex.contract import Measurement

BEST = "BEST_MEASUREMENT"


def add(measured: list[Measurement], new: Measurement) -> None:
    """Add a measurement; metrics of one step that came one by one are one measurement."""
    last = measured[-1] if measured else None
    if last is None or last.step != new.step or last.metrics.keys() & new.metrics.keys():
        measured.append(new)
    else:
        measured[-1] = replace(last, metrics=last.metrics | new.metrics)


def final(measured: Sequence[Measurement], study: Json) -> Measurement | None:
    """Return the final measurement of a trial; None if no measurement has every metric.

    The last one counts unless the best is asked for ("MEASUREMENT_SELECTION_TYPE_UNSPECIFIED: Will
    be treated as LAST_MEASUREMENT", types of google-cloud-aiplatform 2.7.0). What is best of
    several metrics is documented nowhere; here the first one decides.
    """
    metrics: list[Json] = study["metrics"]
    whole = [m for m in measured if all(each["metricId"] in m.metrics for each in metrics)]
    if not whole:
        return None
    if study.get("measurementSelectionType") != BEST:
        return whole[-1]
    first = metrics[0]
    sign = 1 if first.get("goal") == "MINIMIZE" else -1
    return min(whole, key=lambda m: sign * m.metrics[first["metricId"]])
