"""The metrics of training jobs over their iterations, as BatchGetMetrics has them.

SageMaker counts the iterations of each metric for itself. Values that have the same iteration
become one measurement, and that is its step.

What is told of a running trial must not change when more is known, since it is counted: an
iteration is told once all metrics have it, or the objectives are beyond it. A value that comes
later than that is told again with the last ones, when the trial has ended.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterable, Mapping, Sequence

from cloudtune.provider.plan import Plan
from cloudtune.results.model import Measurement
from cloudtune.study.schema import Json
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.errors import AwsError

Series = Mapping[str, Mapping[int, float]]
"""The values of each metric by iteration."""
Final = Mapping[str, float]

QUERIES = 100
"""Of one call (botocore 1.44.8 model, MetricQueryList)."""
_EXACT = 2**24
"""Below it 32 bits hold each whole number."""


def names_of(plan: Plan) -> list[str]:
    """Return the metrics that SageMaker reads for a study."""
    request = plan.request
    definitions: list[Json] = [
        *(request.get("TrainingJobDefinitions") or []),
        request.get("TrainingJobDefinition") or request,
    ]
    told: list[str] = [
        metric["Name"]
        for definition in definitions
        for metric in definition.get("AlgorithmSpecification", {}).get("MetricDefinitions", ())
    ]
    return list(dict.fromkeys([*told, *objectives_of(plan)]))


def objectives_of(plan: Plan) -> list[str]:
    """Return the metrics that a study optimises."""
    return [objective.metric for objective in plan.fitted.study.objectives]


class MetricReader:
    """Reads the values that training jobs have reported so far."""

    def __init__(self, aws: Aws, plan: Plan) -> None:
        self._aws = aws
        self._names = names_of(plan)
        self._objectives = objectives_of(plan)
        study = plan.fitted.study
        self._needed = any(objective.select == "best" for objective in study.objectives) or (
            plan.mode == "driven"
            and bool(study.early_stopping or study.strategy.name == "hyperband")
        )
        self._denied = False

    def read(self, arns: Iterable[str]) -> dict[str, Series]:
        """Return the values of training jobs by their ARNs; those that have none are left out.

        Raises:
            AwsError: If the service cannot be reached, or may not be asked though the study needs
                the values between.
        """
        queries = [(arn, name) for arn in arns for name in self._names]
        found: dict[str, dict[str, Mapping[int, float]]] = {}
        for start in range(0, 0 if self._denied else len(queries), QUERIES):
            some = queries[start : start + QUERIES]
            for (arn, name), result in zip(some, self._asked(some), strict=False):
                points = zip(result["XAxisValues"], result["MetricValues"], strict=True)
                values = {step: shortest(value) for step, value in sorted(points)}
                if values:
                    found.setdefault(arn, {})[name] = values
        return dict(found)

    def told(
        self, job: Json, series: Series, *, ended: bool, time: float | None = None
    ) -> list[Measurement]:
        """Return what can be told of a training job; see `measurements`."""
        return measurements(
            series,
            final_of(job),
            ended=ended,
            names=self._names,
            objectives=self._objectives,
            time=time,
        )

    def _asked(self, queries: Sequence[tuple[str, str]]) -> list[Json]:
        asked = [
            {
                "MetricName": name,
                "ResourceArn": arn,
                "MetricStat": "Last",
                "Period": "IterationNumber",
                "XAxisType": "IterationNumber",
            }
            for arn, name in queries
        ]
        try:
            answer = self._aws.call("sagemaker-metrics", "batch_get_metrics", MetricQueries=asked)
        except AwsError as error:
            if self._needed or not error.denied:
                raise
            self._denied = True
            return []
        results: list[Json] = answer.get("MetricQueryResults", [])
        return results


def measurements(
    series: Series,
    final: Final,
    *,
    ended: bool,
    names: Sequence[str],
    objectives: Sequence[str],
    time: float | None = None,
) -> list[Measurement]:
    """Return what can be told of a trial, in an order that stays as it is.

    Args:
        series: The values that were read.
        final: The last values as the training job itself tells them.
        ended: Whether the trial has.
        names: All metrics that are read.
        objectives: Those that are optimised.
        time: When it ended.
    """
    steps: dict[int, dict[str, float]] = {}
    for name, values in series.items():
        for step, value in values.items():
            steps.setdefault(step, {})[name] = value
    last = {name: max(values) for name, values in series.items()}
    end = max(last.values(), default=0)
    if not ended:
        whole = min((last.get(name, 0) for name in names), default=0)
        judged = min((last.get(name, 0) for name in objectives), default=0) - 1
        end = max(whole, judged)
    told = [Measurement(step, steps[step], time) for step in sorted(steps) if step <= end]
    if ended:
        closing: dict[str, float] = {}
        for name in [*series, *(name for name in final if name not in series)]:
            if last.get(name, 0) < end or not _agrees(series, final, name):
                closing[name] = final[name] if name in final else series[name][last[name]]
        if closing:
            told.append(Measurement(max(end, 1), closing, time))
    return told


def settled(series: Series, final: Final) -> bool:
    """Tell whether what was read of a trial that has ended goes to its end."""
    return all(_agrees(series, final, name) for name in final)


def final_of(job: Json) -> dict[str, float]:
    """Return the last values of a training job as it tells them itself."""
    return {
        each["MetricName"]: shortest(each["Value"])
        for each in job.get("FinalMetricDataList") or ()
        if "MetricName" in each and "Value" in each
    }


def shortest(value: float) -> float:
    """Return the shortest number that is this one in 32 bits, as which the service keeps many.

    A script that printed 0.93 is told as 0.93, not as 0.9300000071525574.
    """
    value = float(value)
    if not math.isfinite(value) or abs(value) >= _EXACT or value != _in_32_bits(value):
        return value
    tries = (float(f"{value:.{digits}g}") for digits in itertools.count(1))
    return next(each for each in tries if _in_32_bits(each) == value)


def _in_32_bits(value: float) -> float:
    try:
        number: float = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return number


def _agrees(series: Series, final: Final, name: str) -> bool:
    """Tell whether the last value that was read of a metric is the final one."""
    if name not in final:
        return True
    values = series.get(name)
    if not values:
        return False
    told = values[max(values)]
    return told == final[name] or _in_32_bits(told) == _in_32_bits(final[name])
