"""Measurements that are counted while they come, and are whole in the end."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.errors import ProviderError
from cloudtune.planning.planner import plan
from cloudtune.results.model import Measurement
from cloudtune_sagemaker.errors import AwsError
from cloudtune_sagemaker.metrics import (
    MetricReader,
    is_complete,
    shortest_float,
    to_measurements,
)
from tests.cloudtune_sagemaker.support import study_of

NAMES = ("acc", "loss", "time")


def told(
    series: Mapping[str, Mapping[int, float]],
    *,
    ended: bool = False,
    final: Mapping[str, float] | None = None,
    names: Sequence[str] = ("acc", "loss"),
) -> list[tuple[int, dict[str, float]]]:
    if final is None:
        final = {name: values[max(values)] for name, values in series.items()}
    found = to_measurements(series, final, ended=ended, names=names, objectives=["acc"])
    return [(m.step, dict(m.metrics)) for m in found]


def test_complete_iterations_are_returned_immediately() -> None:
    assert told({"acc": {1: 0.1}, "loss": {1: 9.0}}) == [(1, {"acc": 0.1, "loss": 9.0})]


def test_incomplete_iterations_wait_for_the_next_objective() -> None:
    assert told({"acc": {1: 0.1}}) == []
    assert told({"acc": {1: 0.1, 2: 0.2}}) == [(1, {"acc": 0.1})]
    assert told({"loss": {1: 9.0, 2: 8.0}}) == []


def test_late_values_are_returned_at_the_end() -> None:
    series = {"acc": {1: 0.1, 2: 0.2}, "loss": {1: 9.0}}
    assert told(series, ended=True) == [
        (1, {"acc": 0.1, "loss": 9.0}),
        (2, {"acc": 0.2}),
        (2, {"loss": 9.0}),
    ]


def test_without_values_only_the_final_ones_are_returned() -> None:
    assert told({}, ended=True, final={"acc": 0.5}) == [(1, {"acc": 0.5})]
    assert told({}, ended=True, final={}) == []
    assert told({"acc": {1: 0.1}}, ended=True, final={"acc": 0.5}) == [
        (1, {"acc": 0.1}),
        (1, {"acc": 0.5}),
    ]


def test_values_are_complete_with_the_final_one() -> None:
    assert is_complete({"acc": {1: 0.1, 2: 0.93}}, {"acc": 0.9300000071525574})
    assert is_complete({}, {})
    assert not is_complete({"acc": {1: 0.1}}, {"acc": 0.2})
    assert not is_complete({}, {"acc": 0.2})
    assert is_complete({"acc": {1: shortest_float(float("NaN"))}}, {"acc": float("nan")})
    assert not is_complete({"acc": {1: 0.1}}, {"acc": float("nan")})


@given(
    st.lists(st.sets(st.sampled_from(NAMES), min_size=1), max_size=12),
    st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_reading_by_position_misses_no_last_value(
    reports: list[set[str]], looks: list[bool]
) -> None:
    """Whoever counts what was told, at any moments, has the last value of each metric in the end.

    So has a client that begins in the middle; the objective has each of its values, in order.
    """
    series: dict[str, dict[int, float]] = {}
    seen: list[Measurement] = []

    def look(*, ended: bool = False) -> None:
        final = {name: values[max(values)] for name, values in series.items()}
        found = to_measurements(series, final, ended=ended, names=NAMES, objectives=["acc"])
        assert len(found) >= len(seen)
        for before, now in zip(seen, found, strict=False):
            assert before.step == now.step
            assert before.metrics.items() <= now.metrics.items()
        seen.extend(found[len(seen) :])

    for index, report in enumerate(reports):
        for name in report:
            values = series.setdefault(name, {})
            values[len(values) + 1] = float(index)
        if looks[index]:
            look()
    look(ended=True)
    last: dict[str, float] = {}
    for measurement in seen:
        last |= measurement.metrics
    assert last == {name: values[max(values)] for name, values in series.items()}
    objective = [m.metrics["acc"] for m in seen if "acc" in m.metrics]
    expected = list(series.get("acc", {}).values())
    assert list(dict.fromkeys(objective)) == expected


def test_shortest_float() -> None:
    assert shortest_float(0.9300000071525574) == 0.93
    assert shortest_float(0.1) == 0.1
    assert shortest_float(1e-05) == 1e-05
    assert shortest_float(9.999999747378752e-06) == 1e-05
    assert shortest_float(float("inf")) == float("inf")
    assert shortest_float(123456789.0) == 123456789.0


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_shortened_number_is_the_same_in_32_bits(value: float) -> None:
    found = shortest_float(value)
    assert struct.pack("f", found) == struct.pack("f", value)
    assert len(repr(found)) <= len(repr(value))


@given(
    st.floats(-1e6, 1e6, width=32, allow_subnormal=False).map(lambda value: float(f"{value:.6g}"))
)
def test_six_digits_come_back(value: float) -> None:
    (in_32,) = struct.unpack("f", struct.pack("f", value))
    assert shortest_float(in_32) == value


class _Aws:
    """Has one value of each metric, and cuts the answers to more than a number of queries."""

    def __init__(self, most: int, broken: str = "") -> None:
        self.most = most
        self.broken = broken

    def call(self, _service: str, _operation: str, **request: Any) -> dict[str, Any]:
        queries = request["MetricQueries"]
        return {"MetricQueryResults": [self._answer(n, query) for n, query in enumerate(queries)]}

    def _answer(self, n: int, query: dict[str, str]) -> dict[str, Any]:
        nothing: dict[str, list[float]] = {"XAxisValues": [], "MetricValues": []}
        if query["ResourceArn"] == self.broken:
            return {"Status": "InternalError", "Message": "try again", **nothing}
        if n >= self.most:
            return {"Status": "Truncated", **nothing}
        value = float(query["ResourceArn"])
        return {"Status": "Complete", "XAxisValues": [1], "MetricValues": [value]}


def _reader(tmp_path: Path, aws: _Aws) -> MetricReader:
    study = study_of(
        {
            "objective": {"metric": "loss", "goal": "minimize"},
            "trial": {"script": "train.py", "metrics": {"loss": r"loss=(\S+)"}},
        }
    )
    (tmp_path / "train.py").touch()
    return MetricReader(cast("Any", aws), plan(study, "sagemaker", base=tmp_path, emulated=True))


@pytest.mark.parametrize("most", [100, 3, 1])
def test_values_that_the_service_cuts_are_asked_for_again(tmp_path: Path, most: int) -> None:
    reader = _reader(tmp_path, _Aws(most))
    arns = [str(number) for number in range(1, 151)]
    assert reader.read(arns) == {arn: {"loss": {1: float(arn)}} for arn in arns}
    assert reader.remark == ""


def test_values_that_the_service_always_cuts_are_remarked(tmp_path: Path) -> None:
    reader = _reader(tmp_path, _Aws(0))
    assert reader.read(["1", "2"]) == {}
    assert reader.remark == "BatchGetMetrics does not return all values of loss"
    assert not reader.is_refused


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (AwsError("no connection to logs", retryable=True), 1),
        (AwsError("not authorized", code="AccessDeniedException"), 1),
        (AwsError("no log group yet", code="ResourceNotFoundException"), 2),
    ],
)
def test_after_a_call_for_a_log_that_fails_no_log_is_checked(
    tmp_path: Path, error: AwsError, calls: int
) -> None:
    names: list[str] = []

    class Aws(_Aws):
        def call(self, _service: str, _operation: str, **request: Any) -> dict[str, Any]:
            names.append(request["logStreamNamePrefix"])
            raise error

    reader = _reader(tmp_path, Aws(100))
    assert [reader.read_warning(job) for job in ("first", "second")] == ["", ""]
    assert len(names) == calls
    assert ("no log is checked" in reader.remark) == (calls == 1)


def test_an_internal_error_of_a_metric_is_no_missing_value(tmp_path: Path) -> None:
    reader = _reader(tmp_path, _Aws(100, broken="2"))
    with pytest.raises(AwsError, match="InternalError of loss: try again") as caught:
        reader.read(["1", "2"])
    assert caught.value.retryable


def test_a_lasting_error_of_the_metrics_ends_the_run(tmp_path: Path) -> None:
    aws = _Aws(100, broken="2")
    reader = _reader(tmp_path, aws)
    for broken, reads in (("2", 14), ("", 1), ("2", 14)):  # a success begins a new count
        aws.broken = broken
        for _ in range(reads):
            with nullcontext() if not broken else pytest.raises(AwsError, match=r"again$"):
                reader.read(["1", "2"])
    with pytest.raises(ProviderError, match=r"of loss: .* 15 polls .*host metrics\.sage") as last:
        reader.read(["1", "2"])
    assert not last.value.retryable
