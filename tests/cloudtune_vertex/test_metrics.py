"""Reading of saved measurements: each complete line once."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from cloudtune.results.model import Measurement
from cloudtune_vertex.errors import GoogleError
from cloudtune_vertex.metrics import Curve, CurveReader
from tests.cloudtune_vertex import fake_vertex as fake

FOLDER = "tuning/fake-3f6k2m9qxt/measurements"


def reader(google: Any, *, required: bool = True) -> CurveReader:
    return CurveReader(google, fake.planned("driven").facts, required=required)


def curve(*lines: str) -> Curve:
    made = Curve()
    made.add("".join(f"{line}\n" for line in lines).encode())
    return made


def test_steps_are_counted_where_the_script_gives_none() -> None:
    told = curve(
        '{"metrics": {"a": 1, "b": 2}, "time": 5}',
        '{"metrics": {"a": 3}, "step": 7, "time": 6}',
        '{"metrics": {"a": 4, "b": 5}}',
    )
    assert told.measurements() == [
        Measurement(1, {"a": 1.0, "b": 2.0}, 5.0),
        Measurement(7, {"a": 3.0}, 6.0),
        Measurement(8, {"a": 4.0}, None),
        Measurement(2, {"b": 5.0}, None),
    ]
    assert [m.step for m in told.measurements(after_step=10)] == [11, 7, 12]


def test_steps_are_counted_anew_where_the_script_begins_anew() -> None:
    lines = curve(
        '{"metrics": {"a": 1}}',
        '{"metrics": {}, "begins_anew": true}',
        '{"metrics": {"a": 2}}',
        '{"metrics": {"a": 3}}',
    )
    assert [m.step for m in lines.measurements(after_step=10)] == [11, 1, 2]


def test_lines_of_other_programs_are_ignored() -> None:
    told = curve(
        "[1]",
        "no json",
        '{"metrics": 5}',
        '{"metrics": {"a": "x", "b": true, "c": NaN}, "step": "7", "time": "now"}',
        '{"failure": "exit code 1"}',
    )
    (only,) = told.measurements()
    assert (only.step, list(only.metrics), only.time) == (1, ["c"], None)
    assert math.isnan(only.metrics["c"])
    assert told.failure == "exit code 1"


def test_an_incomplete_line_is_read_later() -> None:
    google = fake.FakeGoogle()
    reading = reader(google)
    whole = b'{"metrics": {"a": 1}}\n{"metrics": {"a": 2}}\n'
    google.put(f"{FOLDER}/x.jsonl", whole[:30])
    assert len(reading.read(["x"])["x"].lines) == 1
    google.put(f"{FOLDER}/x.jsonl", whole)
    assert len(reading.read(["x"])["x"].lines) == 2
    assert [start for _, start in google.reads] == [0, 22]


def test_only_changed_and_requested_objects_are_read() -> None:
    google = fake.FakeGoogle()
    reading = reader(google)
    for name in ("x", "y", "z"):
        google.report(name, a=1)
    google.put(f"{FOLDER}/", b"")  # as a mounted folder leaves it
    assert set(reading.read(["x", "y", "new"])) == {"x", "y", "new"}
    reading.read(["x", "y"])
    google.report("y", a=2)
    assert [m.metrics["a"] for m in reading.read(["x", "y"])["y"].measurements()] == [1, 2]
    assert [Path(name).stem for name, _ in google.reads] == ["x", "y", "y"]
    assert google.calls.count("list_objects") == 3


def test_a_shorter_file_is_read_again() -> None:
    google = fake.FakeGoogle()
    reading = reader(google)
    google.report("x", a=1, b=1)
    reading.read(["x"])
    google.put(f"{FOLDER}/x.jsonl", b'{"metrics": {"a": 9}}\n')
    assert [m.metrics for m in reading.read(["x"])["x"].measurements()] == [{"a": 9.0}]


def test_no_calls_without_running_trials() -> None:
    google = fake.FakeGoogle()
    assert reader(google).read([]) == {}
    assert google.calls == []


@pytest.mark.parametrize("code", [403, 404])
def test_optional_measurements_may_be_denied(code: int) -> None:
    google = fake.FakeGoogle()
    google.always["list_objects"] = fake.error(code)
    reading = reader(google, required=False)
    for _ in range(2):
        assert reading.read(["x"])["x"].lines == []
    assert google.calls == ["list_objects"]
    with pytest.raises(GoogleError):
        reader(google).read(["x"])


def test_after_a_transient_error_nothing_is_lost() -> None:
    google = fake.FakeGoogle()
    google.report("x", a=1)
    google.faults["read"] = [fake.error(503)]
    reading = reader(google, required=False)
    with pytest.raises(GoogleError):
        reading.read(["x"])
    assert len(reading.read(["x"])["x"].lines) == 1
