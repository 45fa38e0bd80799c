"""Lines of JSON: those that the parser of YAML has for the same text."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cloudtune.formats.documents import parse_documents
from cloudtune.formats.json_lines import JsonLines

_KEYS = st.text(st.sampled_from('abc {}[],:"\\é'), min_size=1, max_size=5)
_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text("a ,:{}[]\\\"'", max_size=5))
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_KEYS, inner, max_size=4)),
    max_leaves=12,
)


def test_lines() -> None:
    text = '{\n "a": [1, {"b":\n 2}],\n\n "c": {}\n}'
    lines = {"a": 2, "a.0": 2, "a.1": 2, "a.1.b": 2, "c": 5}
    assert dict(JsonLines(text)) == lines


@given(st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_lines_are_those_of_yaml(data: dict[str, Any]) -> None:
    text = json.dumps(data, indent=1)
    (document,) = parse_documents("# YAML\n" + text, "file")
    assert {path: line + 1 for path, line in JsonLines(text).items()} == document.lines


def test_a_problem_in_json_has_its_line() -> None:
    (document,) = parse_documents('{\n"a": {\n"b": 1}}', "file")
    assert document.lines["a.b"] == 3
