"""Reads the metrics of training jobs by iteration, from BatchGetMetrics.

SageMaker counts the iterations of each metric separately. Values of the same iteration become one
measurement with the iteration as its step.

Measurements of a running trial must not change later, since they are counted. So an iteration is
returned once all metrics have it, or the objectives are beyond it. A value that arrives after that
is returned with the last values when the trial has ended.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace

from cloudtune.provider import FailedPolls, Json, Plan
from cloudtune.provider.lookup import uses_launcher
from cloudtune.results import Measurement
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.console import read_warning
from cloudtune_sagemaker.errors import AwsError
from cloudtune_sagemaker.launcher_contract import CONTINUED
from cloudtune_sagemaker.request.metric_regex import MAX_METRICS

Series = Mapping[str, Mapping[int, float]]
"""The values of each metric by iteration."""
FinalValues = Mapping[str, float]

MAX_QUERIES = 100
"""Queries of one call (botocore 1.44.8 model, MetricQueryList)."""
OBJECTIVE = "ObjectiveMetric"
"""A second name of the objective, which the service adds to the metrics of built-in algorithms
(tests/recordings/sagemaker, 2020 and 2024). It is no metric unless a study optimizes it."""
_MAX_EXACT = 2**24
"""32-bit floats represent all integers below it."""


def metric_names(plan: Plan) -> list[str]:
    """Return the metrics that SageMaker reads for a study."""
    objectives = _objective_names(plan)
    attached: Sequence[str] = plan.facts.data.get("metrics", ())
    defined = [*defined_metrics(plan.request), *attached]
    names = [name for name in defined if name != OBJECTIVE]
    return list(dict.fromkeys([*names, *objectives]))


def defined_metrics(document: Json) -> list[str]:
    """Return the metrics that a request defines, or the description of a tuning job."""
    definitions: list[Json] = [
        *(document.get("TrainingJobDefinitions") or []),
        document.get("TrainingJobDefinition") or document,
    ]
    return [
        metric["Name"]
        for definition in definitions
        for metric in definition.get("AlgorithmSpecification", {}).get("MetricDefinitions", ())
    ]


def _objective_names(plan: Plan) -> list[str]:
    return [objective.metric for objective in plan.fitted.study.objectives]


class MetricReader:
    """Reads the values that training jobs have reported so far."""

    def __init__(self, aws: Aws, plan: Plan) -> None:
        self._aws = aws
        # Older versions defined this metric in the plan.
        self._names = [name for name in metric_names(plan) if name != CONTINUED]
        launched = uses_launcher(plan.fitted.study, plan.facts)
        self.reads_starts = launched and len(self._names) < MAX_METRICS
        """Whether later jobs of a trial define the metric `CONTINUED`."""
        self._objectives = _objective_names(plan)
        study = plan.fitted.study
        self._required = any(objective.select == "best" for objective in study.objectives) or (
            plan.mode == "driven"
            and bool(study.early_stopping or study.strategy.name == "hyperband")
        )
        self._is_attached = plan.facts.attached is not None
        self.is_refused = False
        """Whether only final values are read, because the caller may not read others."""
        self.remark = ""
        """Why only final values are read, or which values the service has cut."""
        self._warns = launched and bool(study.trial.metrics)
        """Whether the log of the first trial that succeeds is still to be read."""
        self._failed_polls = FailedPolls(
            "the host metrics.sagemaker, for which a private network needs an endpoint of its own"
        )

    def read(self, arns: Iterable[str], later: Set[str] = frozenset()) -> dict[str, Series]:
        """Return the values of training jobs by ARN. Jobs without values are omitted.

        Args:
            arns: The training jobs.
            later: Those that follow an earlier job of their trial.

        Raises:
            ProviderError: If the service cannot be reached or fails at a metric, or the caller may
                not read metrics and a study of cloudtune's own needs more than the final values. It
                is not retryable if all reads of about an hour failed.
        """
        with self._failed_polls.counted():
            return self._read(arns, later)

    def _read(self, arns: Iterable[str], later: Set[str]) -> dict[str, Series]:
        queries: list[tuple[str, str]] = []
        for arn in arns:
            names = [*self._names, CONTINUED] if self.reads_starts and arn in later else self._names
            queries += [(arn, name) for name in names]
        series: dict[str, dict[str, Mapping[int, float]]] = {}
        for start in range(0, len(queries), MAX_QUERIES):
            batch = queries[start : start + MAX_QUERIES]
            for (arn, name), result in zip(batch, self._query(batch), strict=False):
                steps: list[int] = result.get("XAxisValues") or []
                numbers: list[float] = result.get("MetricValues") or []
                if len(steps) != len(numbers):
                    text = f"{len(steps)} XAxisValues and {len(numbers)} MetricValues"
                    raise AwsError(f"BatchGetMetrics: the series of {name} has {text}")
                points = zip(steps, numbers, strict=True)
                if values := {step: shortest_float(value) for step, value in sorted(points)}:
                    series.setdefault(arn, {})[name] = values
        return dict(series)

    def measurements(
        self,
        job: Json,
        series: Series,
        *,
        ended: bool,
        time: float | None = None,
        after_step: int = 0,
    ) -> list[Measurement]:
        """Return the measurements of a training job; see `to_measurements`.

        Steps follow ``after_step``, unless the launcher reports that its script began anew. Without
        that report, a running job has no measurements yet.
        """
        starts = series.get(CONTINUED) or {}
        if after_step and self.reads_starts and not starts and not ended:
            return []
        if starts and not starts[min(starts)]:
            after_step = 0
        measurements = to_measurements(
            {name: values for name, values in series.items() if name != CONTINUED},
            self.final_values(job),
            ended=ended,
            names=self._names,
            objectives=self._objectives,
            time=time,
        )
        return [replace(each, step=after_step + each.step) for each in measurements]

    def final_values(self, job: Json) -> dict[str, float]:
        """Return the final values in a training job."""
        others = {CONTINUED, OBJECTIVE} - set(self._objectives)
        return {
            each["MetricName"]: shortest_float(each["Value"])
            for each in job.get("FinalMetricDataList") or ()
            if "Value" in each and each.get("MetricName", CONTINUED) not in others
        }

    def read_warning(self, job: str) -> str:
        """Return why the metrics of a job that succeeded may be wrong, by its log.

        Only one log is read, and none after a call that failed, which may have taken minutes.
        """
        if not self._warns:
            return ""
        try:
            warning = read_warning(self._aws, job)
        except AwsError as error:
            self._warns = error.not_found
            if not error.not_found:  # a private network may have no way to the host, either
                self.remark = f"no log is checked for misread metrics: {error}"
            return ""
        self._warns = warning is None
        return warning or ""

    def _query(self, batch: Sequence[tuple[str, str]]) -> list[Json]:
        """Return the results of queries, or none if the caller may not read metrics."""
        results = self._ask(batch)
        for (_, name), result in zip(batch, results, strict=False):
            if result.get("Status") == "InternalError":
                text = f"BatchGetMetrics: InternalError of {name}: {result.get('Message', '')}"
                raise AwsError(text, code="InternalError", retryable=True)
        cut = [n for n, result in enumerate(results) if result.get("Status") == "Truncated"]
        if cut and len(batch) == 1:
            self.remark = f"BatchGetMetrics does not return all values of {batch[0][1]}"
        elif cut:  # less at a time
            half = (len(cut) + 1) // 2
            for part in filter(None, (cut[:half], cut[half:])):
                for n, result in zip(part, self._query([batch[n] for n in part]), strict=True):
                    results[n] = result
        return results

    def _ask(self, batch: Sequence[tuple[str, str]]) -> list[Json]:
        if self.is_refused:
            return []
        queries = [
            {
                "MetricName": name,
                "ResourceArn": arn,
                "MetricStat": "Last",
                "Period": "IterationNumber",
                "XAxisType": "IterationNumber",
            }
            for arn, name in batch
        ]
        try:
            response = self._aws.call(
                "sagemaker-metrics", "batch_get_metrics", MetricQueries=queries
            )
        except AwsError as error:
            is_permanent = error.unavailable or error.not_found
            if not is_permanent or (self._required and not self._is_attached):
                raise
            self.is_refused = True
            self.remark = (
                f"measurements are only the final ones: BatchGetMetrics is refused ({error.code})"
            )
            return []
        results: list[Json] = response.get("MetricQueryResults", [])
        if len(results) != len(batch):
            raise AwsError(f"BatchGetMetrics: {len(results)} results for {len(batch)} queries")
        return results


def to_measurements(
    series: Series,
    final: FinalValues,
    *,
    ended: bool,
    names: Sequence[str],
    objectives: Sequence[str],
    time: float | None = None,
) -> list[Measurement]:
    """Return the measurements of a trial; later calls only append to them.

    ``names`` are all metrics that are read, and ``time`` is when the trial ended.
    """
    steps: dict[int, dict[str, float]] = {}
    for name, values in series.items():
        for step, value in values.items():
            steps.setdefault(step, {})[name] = value
    last_steps = {name: max(values) for name, values in series.items()}
    end = max(last_steps.values(), default=0)
    if not ended:
        complete = min((last_steps.get(name, 0) for name in names), default=0)
        before_objectives = min((last_steps.get(name, 0) for name in objectives), default=0) - 1
        end = max(complete, before_objectives)
    measurements = [Measurement(step, steps[step], time) for step in sorted(steps) if step <= end]
    if ended:
        closing: dict[str, float] = {}
        for name in [*series, *(name for name in final if name not in series)]:
            if last_steps.get(name, 0) < end or not _matches_final(series, final, name):
                closing[name] = final[name] if name in final else series[name][last_steps[name]]
        if closing:
            measurements.append(Measurement(max(end, 1), closing, time))
    return measurements


def is_complete(series: Series, final: FinalValues) -> bool:
    """Return whether the values of an ended trial include the final ones."""
    return all(_matches_final(series, final, name) for name in final)


def shortest_float(value: float) -> float:
    """Return the shortest number with the same 32-bit value, since the service stores 32 bits.

    Example:
        >>> shortest_float(0.9300000071525574)
        0.93
    """
    value = float(value)
    if not math.isfinite(value) or abs(value) >= _MAX_EXACT or value != _to_32_bits(value):
        return value
    candidates = (float(f"{value:.{digits}g}") for digits in itertools.count(1))
    return next(candidate for candidate in candidates if _to_32_bits(candidate) == value)


def _to_32_bits(value: float) -> float:
    try:
        number: float = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return number


def _matches_final(series: Series, final: FinalValues, name: str) -> bool:
    if name not in final:
        return True
    values = series.get(name)
    if not values:
        return False
    last = values[max(values)]
    if math.isnan(last) and math.isnan(final[name]):
        return True
    return last == final[name] or _to_32_bits(last) == _to_32_bits(final[name])
