"""Reading of saved measurements: each complete line once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtune.results.model import Measurement
from cloudtune_vertex.errors import GoogleError
from cloudtune_vertex.metrics import Curve, CurveReader
from tests.cloudtune_vertex.played import Played
from tests.played_service import starting


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    with starting(Played, tmp_path, monkeypatch) as start:
        yield start()


def reader(service: Played, *, required: bool = True) -> CurveReader:
    return CurveReader(service.google, service.plan.facts, required=required)


def curve(*lines: str) -> Curve:
    created = Curve()
    created.add("".join(f"{line}\n" for line in lines).encode())
    return created


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


def test_an_incomplete_line_is_read_later(service: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[int] = []
    read = service.google.read

    def record(bucket: str, name: str, start: int) -> bytes:
        starts.append(start)
        return read(bucket, name, start)

    monkeypatch.setattr(service.google, "read", record)
    reading = reader(service)
    whole = b'{"metrics": {"a": 1}}\n{"metrics": {"a": 2}}\n'
    service.write("x", whole[:30])
    assert len(reading.read(["x"])["x"].lines) == 1
    service.write("x", whole)
    assert len(reading.read(["x"])["x"].lines) == 2
    assert starts == [0, 22]


def test_only_changed_and_requested_objects_are_read(service: Played) -> None:
    reading = reader(service)
    for name in ("x", "y", "z"):
        service.write(name, b'{"metrics": {"a": 1}}\n')
    service.write("", b"")  # as a mounted folder leaves it
    assert set(reading.read(["x", "y", "new"])) == {"x", "y", "new"}
    reading.read(["x", "y"])
    service.write("y", b'{"metrics": {"a": 1}}\n{"metrics": {"a": 2}}\n')
    assert [m.metrics["a"] for m in reading.read(["x", "y"])["y"].measurements()] == [1, 2]
    assert service.count("metrics") == 3
    assert service.faults.calls.count("storage.objects.list") == 3


def test_a_shorter_file_is_read_again(service: Played) -> None:
    reading = reader(service)
    service.write("x", b'{"metrics": {"a": 1, "b": 1}}\n')
    reading.read(["x"])
    service.write("x", b'{"metrics": {"a": 9}}\n')
    assert [m.metrics for m in reading.read(["x"])["x"].measurements()] == [{"a": 9.0}]


def test_no_calls_without_running_trials(service: Played) -> None:
    assert reader(service).read([]) == {}
    assert service.faults.calls == []


@pytest.mark.parametrize("is_gone", [False, True])
def test_optional_measurements_may_be_denied(service: Played, is_gone: bool) -> None:
    if is_gone:
        service.storage._store.wipe()
    else:
        service.faults.always["storage.objects.list"] = "deny"
    reading = reader(service, required=False)
    for _ in range(2):
        assert reading.read(["x"])["x"].lines == []
    assert service.faults.calls == ["storage.objects.list"]
    with pytest.raises(GoogleError):
        reader(service).read(["x"])


def test_after_a_transient_error_nothing_is_lost(service: Played) -> None:
    service.write("x", b'{"metrics": {"a": 1}}\n')
    service.faults.always["storage.objects.get"] = "error"
    reading = reader(service, required=False)
    with pytest.raises(GoogleError):
        reading.read(["x"])
    service.faults.always.clear()
    assert len(reading.read(["x"])["x"].lines) == 1
