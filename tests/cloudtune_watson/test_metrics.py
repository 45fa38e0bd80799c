"""Metrics files in all formats in use, and invalid ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.results.model import Measurement
from cloudtune_watson.wml import metrics as metric_files

ENTRIES = [{"steps": 1, "acc": 0.5}, {"steps": 2, "acc": 0.75, "loss": 1}]
ODD: list[Any] = [{"steps": 1}, 5, None, []]
READ = [Measurement(1, {"acc": 0.5}), Measurement(2, {"acc": 0.75, "loss": 1.0})]


@pytest.mark.parametrize("content", [ENTRIES, str(ENTRIES)])
def test_both_forms_of_the_list(content: Any) -> None:
    assert metric_files.read_list(json.dumps(content).encode()) == READ


PRINTED = """[{'steps': np.int64(1), 'acc': numpy.float32(0.5), 'loss': nan},
    {'steps': 2, 'acc': np.float64(0.75), 'loss': 1, 'worst': -inf, 'best': np.float64(nan)}]"""


def test_a_list_as_numpy_and_python_print_it() -> None:
    first, second = metric_files.read_list(json.dumps(PRINTED).encode())
    assert repr(dict(first.metrics)) == "{'acc': 0.5, 'loss': nan}"
    assert repr(dict(second.metrics)) == "{'acc': 0.75, 'loss': 1.0, 'worst': -inf, 'best': nan}"
    assert [first.step, second.step] == [1, 2]


@pytest.mark.parametrize(
    ("entries", "read"),
    [
        ([{"step": 3, "acc": 1}], [Measurement(3, {"acc": 1.0})]),
        ([{"steps": "3", "acc": "0.5"}], [Measurement(3, {"acc": 0.5})]),
        (
            [{"acc": 1}, {"acc": 2, "loss": 3}],
            [
                Measurement(1, {"acc": 1.0}),
                Measurement(2, {"acc": 2.0}),
                Measurement(1, {"loss": 3.0}),
            ],
        ),
        ([{"steps": 1, "acc": True, "note": "x", "loss": 2}], [Measurement(1, {"loss": 2.0})]),
        (ODD, []),
    ],
)
def test_entries_of_the_list(entries: Any, read: list[Measurement]) -> None:
    assert metric_files.read_list(json.dumps(entries).encode()) == read


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[",
        b"5",
        b"null",
        b'"[1"',
        b"\"__import__('os').system('true')\"",
        b"\"[{'acc': os.float64(1)}]\"",
        b"\"[{'acc': np.float64(1, 2)}]\"",
        b"\"[{'acc': np.load(1)}]\"",
        b'"[{[]: 1}]"',
        b"\"[-'x']\"",
        b"\xff",
        b"[" * 100_000,
        json.dumps("[" * 100_000).encode(),
        b'[{"steps": 1e999, "acc": 1}]',
    ],
)
def test_an_invalid_list_has_no_measurements(data: bytes) -> None:
    assert [m for m in metric_files.read_list(data) if m.metrics != {"acc": 1.0}] == []


def test_a_list_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps(str(ENTRIES)).encode()
    monkeypatch.setattr(metric_files, "MAX_LITERAL_LENGTH", len(str(ENTRIES)))
    assert metric_files.read_list(data) == READ
    monkeypatch.setattr(metric_files, "MAX_LITERAL_LENGTH", len(str(ENTRIES)) - 1)
    with pytest.raises(metric_files.TooLongError, match="has a list as text of 64 characters"):
        metric_files.read_list(data)
    monkeypatch.setattr(metric_files, "MAX_BYTES", len(data) - 1)
    with pytest.raises(metric_files.TooLongError, match="has 66 bytes, and at most 65 are read"):
        metric_files.read_list(data)


def line(**over: Any) -> bytes:
    content = {
        "meta": {"training_id": "t", "time": 1_700_000_000_500, "rindex": 1},
        "grouplabel": "test",
        "etimes": {"iteration": {"type": 2, "value": "3"}, "time_stamp": {"value": "now"}},
        "values": {"acc": {"type": 3, "value": "0.6"}, "note": {"value": "x"}},
    }
    return json.dumps({**content, **over}).encode() + b"\n"


def test_the_log_has_one_measurement_per_line() -> None:
    rest = b"no line of ours\n" + line(values={}) + line(etimes={}) + line(values=5) + b"{"
    assert metric_files.read_log(line() + rest) == [Measurement(3, {"acc": 0.6}, 1_700_000_000.5)]


def test_measurements_of_the_status() -> None:
    metrics: list[Any] = [
        {
            "timestamp": "2026-01-01T00:00:00Z",
            "iteration": 3,
            "ml_metrics": {"acc": 0.5, "loss": 1},
        },
        {"iteration": 4, "context": {}},
        {"ml_metrics": {"acc": 0.75}},
        5,
    ]
    assert metric_files.read_status({"metrics": metrics}) == [
        Measurement(3, {"acc": 0.5, "loss": 1.0}),
        Measurement(4, {"acc": 0.75}),
    ]
    assert metric_files.read_status({}) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["steps", "step", "acc", "etimes", "values", "meta"]), inner
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_arbitrary_content_is_read_without_an_error(content: Any) -> None:
    for data in (json.dumps(content).encode(), json.dumps(str(content)).encode()):
        metric_files.read_list(data)
        metric_files.read_log(data)
    metric_files.read_status({"metrics": content})
