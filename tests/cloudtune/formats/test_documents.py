"""Files of other tools: JSON and YAML, and what a broken or hostile one costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.errors import StudyError
from cloudtune.formats.documents import parse_documents, read_text
from cloudtune.formats.study_text import format_yaml
from cloudtune.formats.yaml_scalars import YamlVersion
from cloudtune.study.yaml_reader import parse

yaml: Any = pytest.importorskip("yaml")


def data(text: str, version: YamlVersion = "1.2") -> Any:
    (found,) = parse_documents(text, "file", version)
    return found.data


def test_json_and_yaml_give_the_same() -> None:
    assert data('{"a": [1, 2.5, "x", null, true]}') == data("a: [1, 2.5, x, null, true]")
    assert data("{a: [1, 'b'], c: {d: }}") == {"a": [1, "b"], "c": {"d": None}}


def test_aliases_and_merge_keys() -> None:
    text = "base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: *b\nthree: {<<: [*b, {z: 4}]}"
    assert data(text) == {
        "base": {"x": 1, "y": 2},
        "one": {"x": 1, "y": 3},
        "two": {"x": 1, "y": 2},
        "three": {"x": 1, "y": 2, "z": 4},
    }


@pytest.mark.parametrize(
    "text",
    [
        *("1e-5", "1.0e-5", "1e5", "yes", "on", "0o7", "010", "1_000", "0x1f", ".5", "-.inf", "3."),
        *(
            "~",
            "08",
            "0_8",
            "080125_38",
            "+.5",
            "-.5",
            "1:30",
            "-1:30:05",
            "1:30.5",
            "0:30",
            "1:60",
        ),
    ],
)
def test_yaml_1_1_is_what_pyyaml_reads(text: str) -> None:
    assert data(f"a: {text}", "1.1") == yaml.safe_load(f"a: {text}")


@settings(max_examples=200)
@given(st.text("01789_.:eE+-x", min_size=1, max_size=7))
def test_numbers_of_yaml_1_1_are_those_of_pyyaml(text: str) -> None:
    try:
        expected = yaml.safe_load(f"a: [{text}]")["a"]
    except (yaml.YAMLError, ValueError, TypeError):
        return
    if not isinstance(expected[0], int | float | str):
        return  # a date is text here
    found = data(f"a: [{text}]", "1.1")["a"]
    assert found == expected
    assert type(found[0]) is type(expected[0])


def test_yaml_1_2_reads_exponents() -> None:
    assert data("a: [1e-5, yes, 010]") == {"a": [1e-5, "yes", 10]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested deeper than 64 levels"),
        ('{"a":' * 5_000, "nested deeper than 64 levels"),
        ("a: " + "[" * 1000, "nested deeper"),
        ("a: &a [*a]", "recursive alias"),
        ("{}: 1\n? [a]\n: 2", "a key must be a string"),
        ("a: !Ref x", "tags such as !Ref"),
        ("a: !!python/object:os.system x", "tags such as"),
        ("a: 1\na: 2", r"a: duplicate key \(lines 1 and 2\)"),
        ('{"a": 1, "a": 2}', "duplicate key a"),
        ("!" * 500_000, "a tag has no end"),
        ("a: " + "b " * 300_000, "larger than the limit of 512 KiB"),
        ("a: [1", "neither JSON nor YAML"),
        ("\t- a", "neither JSON nor YAML"),
        ("", "is empty"),
        ("# nothing", "is empty"),
    ],
)
def test_broken_files_are_refused(text: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        parse_documents(text, "file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\tb: 1", "file:2: .*indented with a tab"),
        ("a:\n  b: 1\n c: 2", "file:3: .*wrong indentation"),
        ("name: x\nlr: {{ .Values.lr }}", "file:2: is a template, not YAML .*helm template"),
        ("name: x\n{% for p in ps %}\n{{ p }}: 1\n{% endfor %}", "file:2: is a template"),
        ("{{- if .Values.on }}\nkind: Experiment\n{{- end }}", "file:1: is a template"),
        ('{\n // rate\n "lr": 1\n}', "file:2: JSON has no comments"),
        ('{\n "lr": 1, /* rate */\n "n": 2\n}', "file:2: JSON has no comments"),
        ('{"url": "http://x" "n": 2}', "file:1: .*missing comma"),
    ],
)
def test_a_syntax_error_names_its_cause(text: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        parse_documents(text, "file")


def test_quoted_braces_are_no_template() -> None:
    assert data('a: "{{ x }}"\nb: |-\n  {{.Trial}}') == {"a": "{{ x }}", "b": "{{.Trial}}"}


def test_fields_of_json_have_lines() -> None:
    text = '{\n "a": [1,\n  {"b.c": "x, {y}",\n\t"d": []}],\n "e": {"f": null}\n}'
    (found,) = parse_documents(text, "file")
    places = {path: found.line(path) for path in ("a", "a.1.b.c", "a.1.d", "e.f", "e.absent", "z")}
    assert places == {"a": 2, "a.1.b.c": 3, "a.1.d": 4, "e.f": 5, "e.absent": 5, "z": None}


def test_exploding_aliases_are_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(StudyError, match="more than 100,000 values"):
        parse_documents("\n".join(lines), "file")


def test_large_and_binary_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    with file.open("wb") as out:
        out.truncate(5 * 1024**3)  # sparse
    for content, message in (
        (None, "larger than the limit of 2 MiB"),
        (b"\x00\x01", "binary file"),
        (b"\xff\xfea\x00", "UTF-16"),
        (b"\xe9", "not UTF-8"),
    ):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(StudyError, match=message):
            read_text(file)
    with pytest.raises(StudyError, match="is a folder"):
        read_text(tmp_path)
    with pytest.raises(StudyError, match="No such file"):
        read_text(tmp_path / "none")


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(
        ["yes", "1e-5", "007", "null", "a: b", "- a", "{{lr}}", "1:30", "...", "=", "~"]
    )
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)


@settings(max_examples=60)
@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
def test_a_study_is_written_so_that_each_reader_reads_the_same(value: dict[str, Any]) -> None:
    text = format_yaml(value)
    assert data(text) == value
    assert data(text, "1.1") == value
    assert yaml.safe_load(text) == value
    assert parse(text, "file").data == value
