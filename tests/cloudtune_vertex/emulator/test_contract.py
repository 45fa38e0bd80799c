"""How a metric file is read, and how a script is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudtune.study.search_space import Value
from cloudtune_vertex.contract import (
    BadSpec,
    Container,
    Identity,
    MetricFile,
    append_args,
    build_start,
    format_flags,
    package_uris,
)


def line(step: object = 1, when: object = 5.5, **values: object) -> str:
    said = {"global_step": step, "timestamp": when, "trial": "1", "checkpoint_path": "", **values}
    return json.dumps(said) + "\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "output.metrics"


def seen(reader: MetricFile, *, last: bool = False) -> list[tuple[int, dict[str, float]]]:
    return [(found.step, dict(found.metrics)) for found in reader.read(last=last)]


def test_each_report_is_told_once_though_the_file_is_rewritten(file: Path) -> None:
    reader = MetricFile(file, ["loss"])
    assert seen(reader) == []  # there is none yet
    told: list[tuple[int, dict[str, float]]] = []
    lines = [line(str(step), when=float(step), loss=str(1 / step)) for step in range(1, 251)]
    for count in (1, 2, 99, 100, 101, 150, 151):
        file.write_text("".join(lines[max(0, count - 100) : count]))
        told += seen(reader)
        assert seen(reader) == []
    assert [step for step, _ in told] == list(range(1, 152))
    file.write_text("".join(lines[150:250]))  # too many at once: what was between is lost
    assert [step for step, _ in seen(reader)] == list(range(152, 251))


def test_the_same_report_twice_is_two(file: Path) -> None:
    reader = MetricFile(file, ["loss"])
    file.write_text(line(loss="1"))
    assert len(seen(reader)) == 1
    file.write_text(line(loss="1") * 2)
    assert len(seen(reader)) == 1


def test_only_the_last_hundred_lines_count(file: Path) -> None:
    file.write_text("".join(line(step, loss=step) for step in range(1, 121)))
    assert [step for step, _ in seen(MetricFile(file, ["loss"]))] == list(range(21, 121))


def test_a_file_that_is_just_being_written_is_left_for_later(file: Path) -> None:
    reader = MetricFile(file, ["loss"])
    whole = line(1, loss="1") + line(2, loss="2")
    file.write_text(whole[:-10])
    assert seen(reader) == [(1, {"loss": 1.0})]
    file.write_text("")
    assert seen(reader) == []
    file.write_text(whole)
    assert seen(reader) == [(2, {"loss": 2.0})]
    file.write_text(line(1, loss="1"))  # shorter than before
    assert seen(reader) == []
    file.write_text(whole + line(3, loss="3"))
    assert seen(reader) == [(3, {"loss": 3.0})]


def test_at_the_end_what_is_there_is_complete(file: Path) -> None:
    reader = MetricFile(file, ["loss"])
    file.write_text(line(1, loss="1") + line(2, loss="2"))
    assert len(seen(reader)) == 2
    file.write_text(line(9, loss="9").rstrip("\n"))  # by another reporter
    assert seen(reader, last=True) == [(9, {"loss": 9.0})]


def test_metrics_of_one_step_are_one_measurement(file: Path) -> None:
    file.write_text(
        line("1", a="1") + line("1", b="2") + line("1", a="3") + line("2", b="4") + line("2", c="5")
    )
    assert seen(MetricFile(file, ["a", "b"])) == [
        (1, {"a": 1.0, "b": 2.0}),
        (1, {"a": 3.0}),
        (2, {"b": 4.0}),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "not json\n",
        "[1]\n",
        "\n",
        line(loss="no number"),
        line(loss=None),
        line(loss="nan"),
        line(loss="inf"),
        line(step="x", loss="1"),
        line(Loss="1"),
        line(),
    ],
)
def test_what_is_no_report_of_a_metric_is_passed_over(file: Path, text: str) -> None:
    file.write_text(text + line(7, loss="0.5"))
    assert seen(MetricFile(file, ["loss"])) == [(7, {"loss": 0.5})]


def test_a_missing_step_is_0(file: Path) -> None:
    file.write_text(line(None, loss="1") + '{"loss": 2}\n')
    assert seen(MetricFile(file, ["loss"])) == [(0, {"loss": 1.0}), (0, {"loss": 2.0})]


def test_parameters_are_flags() -> None:
    given: dict[str, Value] = {
        "lr": 0.1,
        "n": 4,
        "size": 16.0,
        "half": 0.5,
        "kind": "a b",
        "tiny": 1e-07,
    }
    assert format_flags(given) == [
        "--lr=0.1",
        "--n=4",
        "--size=16",
        "--half=0.5",
        "--kind=a b",
        "--tiny=1e-07",
    ]


def test_flags_follow_the_arguments_of_the_chief_alone() -> None:
    spec: dict[str, Any] = {
        "workerPoolSpecs": [
            {"pythonPackageSpec": {"pythonModule": "m", "args": ["--a"]}},
            {"pythonPackageSpec": {"pythonModule": "m"}},
        ]
    }
    pools = append_args(spec, ["--lr=1"])["workerPoolSpecs"]
    assert pools[0]["pythonPackageSpec"] == {"pythonModule": "m", "args": ["--a", "--lr=1"]}
    assert pools[1] == spec["workerPoolSpecs"][1]
    assert spec["workerPoolSpecs"][0]["pythonPackageSpec"]["args"] == ["--a"]


def test_a_module_is_run_and_its_packages_are_named(tmp_path: Path) -> None:
    uris = ["gs://b/x/one.tar.gz", "gs://b/two.whl"]
    package = {"packageUris": uris, "pythonModule": "m", "args": ["--a"]}
    spec: dict[str, Any] = {"workerPoolSpecs": [{"pythonPackageSpec": package}]}
    assert package_uris(spec) == uris
    container = Container(tmp_path, tmp_path / "gcs")
    result = build_start(spec, Identity("7", "1"), container, "/image/bin/python")
    assert result.command == ["/image/bin/python", "-m", "m", "--a"]
    assert result.env["PATH"].startswith("/image/bin:")
    assert result.env["CLOUDTUNE_GCS"] == str(tmp_path / "gcs")


def test_credentials_of_this_machine_are_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "SECRET", "GOOGLE_API_KEY"):
        monkeypatch.setenv(name, "/real")
    spec: dict[str, Any] = {"workerPoolSpecs": [{"containerSpec": {"command": ["x"]}}]}
    result = build_start(
        spec, Identity("7", "1"), Container(tmp_path, tmp_path), "/image/bin/python"
    )
    assert "/real" not in result.env.values()


def test_an_image_alone_cannot_be_started(tmp_path: Path) -> None:
    spec: dict[str, Any] = {"workerPoolSpecs": [{"containerSpec": {"imageUri": "x"}}]}
    with pytest.raises(BadSpec, match="runs no images"):
        build_start(spec, Identity("7", "1"), Container(tmp_path, tmp_path), "/image/bin/python")
