"""All recordings: their form, and that a file of any form gets a clear verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.study.yaml_reader import is_list, is_map
from tests import recorded, recorded_differences, recorded_numbers
from tests.recorded_names import Names

REPLAYED = {
    "azure": "tests/cloudtune_azure/test_recordings.py",
    "sagemaker": "tests/cloudtune_sagemaker/test_recordings.py",
    "vertex": "tests/cloudtune_vertex/test_recordings.py",
    "ibm": "tests/cloudtune_watson/emulator/test_recordings.py",
}


def test_there_are_recordings() -> None:
    assert recorded.all_files(), f"{recorded.FOLDER} has no recordings"


@pytest.mark.parametrize("file", recorded.all_files(), ids=lambda file: file.stem)
def test_each_file_is_a_recording_of_a_service_that_is_replayed(file: Path) -> None:
    recorded.fail_if(recorded.problems(file), file)
    assert recorded.read(file)["service"] in REPLAYED


@pytest.mark.parametrize(
    "file",
    [file for file in recorded.all_files() if not recorded.problems(file)],
    ids=lambda file: file.stem,
)
def test_the_numbers_and_times_of_a_recording_are_possible(
    file: Path, record_property: recorded.Record
) -> None:
    recording = recorded.read(file)
    try:
        found = recorded_numbers.impossible(recording)
        named = recorded_numbers.uncompared(recording) | recorded.skipped(recording)
    except recorded.MALFORMED as error:
        pytest.fail(f"{file.stem}: malformed: {error!r}")
    if calls := recorded.unanswered(file):
        named["their answers were not recorded"] = calls
    for reason, fields in named.items():
        record_property(recorded.NOT_COMPARED, f"{file.stem}: {', '.join(fields)}: {reason}")
    recorded.fail_if(found, file)


def numbers(value: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the path of each number and time in an answer, with its container and its key."""
    steps = value.items() if is_map(value) else enumerate(value)
    for key, each in steps:
        at = f"{path}.{key}" if is_map(value) else f"{path}[]"
        if is_map(each) or is_list(each):
            yield from numbers(each, at)
        elif recorded_numbers.is_number(each) and not at.endswith(".code"):
            yield at, value, key


@pytest.mark.parametrize("file", recorded.own_files(), ids=lambda file: file.stem)
def test_a_number_that_is_altered_fails_or_is_named(file: Path) -> None:
    recording = recorded.read(file)
    named = [name for many in recorded_numbers.uncompared(recording).values() for name in many]
    seen: set[str] = set()
    for item in recording["sequence"]:
        for path, container, key in numbers(item["answer"]):
            old, call = container[key], f"{item['operation']} {path}"
            if call in seen:
                continue
            seen.add(call)
            is_time = isinstance(old, str) and "T" in old
            for new in [f"1999{old[4:]}", f"2999{old[4:]}"] if is_time else [type(old)(777_777)]:
                container[key] = new
                is_named = any(call.endswith(name.partition(" .")[2]) for name in named)
                assert recorded_numbers.impossible(recording) or is_named, f"{call}: {new}"
            container[key] = old


A, B, C = ({"state": each} for each in "ABC")


DIFFERENCES: list[tuple[Any, Any, list[tuple[str, str]]]] = [
    ({"Code": "Foo"}, {"Code": "Bar"}, [(".Code", "'Foo', not 'Bar'")]),
    ({"code": 404}, {"code": 405}, [(".code", "404, not 405")]),
    ({"code": "E1"}, {"code": "E2"}, [(".code", "'E1', not 'E2'")]),
    ({"Time": "2024-05-01T10:00:00-07:00"}, {"Time": 1.7e9}, []),
    ({"Time": "2024-05-01T10:00:00.5+00:00"}, {"Time": "2024-05-01T10:00:00Z"}, []),
    ({"XArn": "arn:aws-cn:sagemaker:r:1:a"}, {"XArn": "arn:aws:sagemaker:r:1:a"}, []),
    ({"XArn": "arn:aws-us-gov:s3:::a"}, {"XArn": "arn:aws:s3:::a"}, []),
    ({"Message": "No 1."}, {"Message": "No 2."}, []),
    ({"Message": "No #."}, {"Message": "No cake."}, []),
    (
        {"Message": "No (#)."},
        {"Message": "No cake."},
        [(".Message", "'No (#).', not 'No cake.'")],
    ),
    (
        {"XArn": "arn:aws:sagemaker:r:1:training-job/a"},
        {"XArn": "arn:aws:sagemaker:r:1:a"},
        [
            (
                ".XArn",
                "the form 'arn:aws:sagemaker:*:*:training-job/*', not 'arn:aws:sagemaker:*:*:*'",
            )
        ],
    ),
    ({"Message": "a"}, {"Message": "b"}, [(".Message", "'a', not 'b'")]),
    ({"StatusMessage": "a"}, {"StatusMessage": "b"}, [(".StatusMessage", "'a', not 'b'")]),
    ({"x": [{"a": 1}, {}]}, {"x": [{"a": 1}]}, [(".x[].a", "added")]),
    ({"x": [{"a": 1}, {}]}, {"x": [{"a": 1}, {}]}, []),
    ({"x": [{"a": "1"}, {"a": 1}]}, {"x": [{"a": 1}]}, [(".x[].a", "text, not number")]),
    (
        {"x": ["a", {"a": 1}]},
        {"x": [{"a": 1}]},
        [(".x[]", "text, not dict"), (".x[]", "a is not there, or not in this order")],
    ),
    (
        {"x": [{"a": {"b": "1"}}, {"a": {"b": 1}}]},
        {"x": [{"a": {"b": 1}}]},
        [(".x[].a.b", "text, not number")],
    ),
    (
        {"x": [{"a": {"b": 1}}, {"a": {}}, {"a": {"b": 2}}]},
        {"x": [{"a": {"b": 1}}]},
        [(".x[].a.b", "added")],
    ),
    ({"x": [1, "1"]}, {"x": [1]}, [(".x[]", "text, not number")]),
    ({"x": [{"a": "1"}, {"a": 1}]}, {"x": [{"a": 1}, {"a": "1"}]}, []),
    ({"name": "p/operations/1"}, {"name": "p/operations/2"}, []),
    (
        {"name": "p/operations/a"},
        {"name": "p/operations/2"},
        [(".name", "'p/operations/a' ends with no number")],
    ),
    ({"x": [A]}, {"x": [B]}, [(".x[].state", "'A', not 'B'")]),
    ({"x": [A, A, B]}, {"x": [A, B]}, []),
    ({"x": [A, C]}, {"x": [A, B, C]}, []),
    ({"x": [A, B]}, {"x": [B]}, [(".x[]", f"{A} is not there, or not in this order")]),
    ({"x": [A, B]}, {"x": [B, A]}, [(".x[]", f"{B} is not there, or not in this order")]),
    ({"x": [A, B]}, {"x": [{}, B]}, [(".x[]", f"{A} is not there, or not in this order")]),
    (
        {"x": [{"y": [A]}, {"y": [B]}]},
        {"x": [{"y": [B]}]},
        [(".x[]", "{'y': [{'state': 'A'}]} is not there, or not in this order")],
    ),
    (
        {"x": [{"y": [{"a": 1}]}, {"y": [{"b": 1}]}]},
        {"x": [{"y": [{"b": 1}]}]},
        [(".x[].y[].b", "added"), (".x[].y[].a", "missing")],
    ),
]


@pytest.mark.parametrize(("known", "emulated", "found"), DIFFERENCES)
def test_states_and_errors_are_compared_in_order(
    known: Any, emulated: Any, found: list[tuple[str, str]]
) -> None:
    assert [*recorded_differences.differences(known, emulated)] == found


def test_equal_names_stay_equal_in_a_sequence() -> None:
    names = Names()
    assert not [
        *names.differences({"Name": "a", "XArn": "x:job/a"}, {"Name": "b", "XArn": "x:job/b"})
    ]
    assert not [*names.differences({"Name": "a"}, {"Name": "b"})]
    changed = [*names.differences({"Name": "a"}, {"Name": "c"})]
    assert changed == [(".Name", "'a' is 'c', and was 'b'")]
    ((path, how),) = names.differences({"YArn": "y:job/a"}, {"YArn": "y:job/c"})
    assert (path, how) == (".YArn", "'y:job/a' ends with a name, and 'y:job/c' not with 'b'")
    ((path, how),) = names.differences({"Name": "d"}, {"Name": "b"})
    assert (path, how) == (".Name", "'d' is 'b', and so was 'a'")
    assert not [*names.differences({"name": "p/jobs/1"}, {"name": "q/jobs/2"})]
    ((path, how),) = names.differences({"name": "p/operations/1"}, {"name": "q/operations/3"})
    assert how == "'p/operations/1' ends with a name, and 'q/operations/3' not with '2'"
