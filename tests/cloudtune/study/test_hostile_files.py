"""Files that mean harm, or are no studies at all: refused plainly, in bounded time and memory."""

from __future__ import annotations

import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cloudtune.cli.main_group import cloudtune
from cloudtune.diagnostics import Problem
from cloudtune.errors import CloudtuneError, StudyError
from cloudtune.study.loader import load, loads
from cloudtune.study.yaml_reader import MAX_BYTES

posix = pytest.mark.skipif(os.name != "posix", reason="file not founds there")


def refusal(file: str | Path) -> Problem:
    with pytest.raises(StudyError) as caught:
        load(file)
    (problem,) = caught.value.problems
    assert problem.file == str(file)
    return problem


def refused(text: str) -> Problem:
    with pytest.raises(StudyError) as caught:
        loads(text)
    return caught.value.problems[-1]


def test_a_gigabyte_is_refused_without_reading_it(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    with file.open("wb") as out:
        out.write(b"name: a\n")
        out.truncate(2**30)
    tracemalloc.start()
    try:
        assert "larger than the limit" in refusal(file).message
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * MAX_BYTES


def test_the_largest_file_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    text = b"name: a\n#"
    file.write_bytes(text + b"x" * (MAX_BYTES - len(text)))
    assert load(file).name == "a"
    file.write_bytes(text + b"x" * (MAX_BYTES - len(text) + 1))
    assert "larger than the limit" in refusal(file).message


@posix
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/random"])
def test_devices_are_refused_without_reading_them(device: str) -> None:
    assert "not a regular file" in refusal(device).message


@posix
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    if sys.platform == "win32":
        return
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe").message


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "a folder" in refusal(tmp_path).message


@pytest.mark.parametrize("name", ["missing.yaml", "missing/missing.yaml", "a\0b", "x" * 5000])
def test_a_missing_file_is_reported(tmp_path: Path, name: str) -> None:
    message = refusal(tmp_path / name).message
    assert "file not found" in message or "cannot be read" in message


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("name: a")
    file.chmod(0)
    assert "cannot be read" in refusal(file).message


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"\x7fELF\x02\x01\x01\0\0\0", None, "binary"),
        (b"name: a\0b", None, "binary"),
        ("name: a".encode("utf-16"), None, "UTF-16"),
        (b"name: a\nb: \xff\xfe\n", 2, "not UTF-8"),
        (b"name: \xc3\n", 1, "not UTF-8"),
        (b"name: a\nb: \x1b[31m\n", 2, "control character"),
    ],
)
def test_binary_and_wrongly_encoded_files_are_refused(
    tmp_path: Path, data: bytes, line: int | None, words: str
) -> None:
    (tmp_path / "s.yaml").write_bytes(data)
    problem = refusal(tmp_path / "s.yaml")
    assert words in str(problem)
    assert problem.line == line


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10_000,
        "[" * 10_000 + "]" * 10_000,
        "{" * 10_000,
        "{a: " * 10_000,
        "- " * 10_000,
        "? " * 10_000,
        "\n".join(" " * level + "a:" for level in range(900)),
        "{? " * 10_000,
    ],
    ids=["open", "lists", "maps", "flow", "dashes", "questions", "block", "keys"],
)
def test_ten_thousand_levels_are_refused(text: str) -> None:
    assert "nested deeper than 64 levels" in refused(text).message


def test_sixty_levels_are_read() -> None:
    deep = "providers: {x: {native: " + "{a: " * 60 + "1" + "}" * 62
    assert loads(deep).providers["x"]["native"]["a"]["a"]


def test_an_alias_bomb_is_refused_and_not_expanded() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}]\n"
        for old, new in zip("abcdefghijklmno", "bcdefghijklmnop", strict=True)
    )
    with pytest.raises(StudyError, match="anchors and aliases"):
        loads(bomb)


def test_an_alias_of_itself_is_refused() -> None:
    with pytest.raises(StudyError, match="anchors and aliases"):
        loads("constants: &x {a: *x}")


@pytest.mark.slow
def test_more_values_than_a_study_can_have_are_refused() -> None:
    assert "more than 100,000 values" in refused("constants: [" + "1," * 120_000 + "]").message


def test_problems_beyond_the_limit_are_counted() -> None:
    with pytest.raises(StudyError) as caught:
        loads("".join(f"k{i}: 1\n" for i in range(2_000)))
    assert len(caught.value.problems) == 201
    assert caught.value.problems[-1].message == "and 1,800 more problems"


@pytest.mark.parametrize(
    "text",
    [
        "parameters: {a: {type: int, min: 1, max: 1000000000000}, b: {type: bool, when: {a: 7}}}\n"
        "strategy: grid\ninitial_trials: [{a: 999999999999}]",
        "parameters: {a: {type: float, min: 0, max: 1, step: 1e-12}}\n"
        "strategy: grid\ninitial_trials: [{a: 0.5}]",
        "parameters:\n" + "".join(f"  p{i}: {{type: bool}}\n" for i in range(5_000)),
        "parameters:\n  p0: {type: bool}\n"
        + "".join(f"  p{i}: {{type: bool, when: {{p{i - 1}: true}}}}\n" for i in range(1, 3_000)),
    ],
    ids=["wide int", "fine float", "many parameters", "deep chain"],
)
def test_large_spaces_are_checked_without_counting_through_them(text: str) -> None:
    assert loads(text).parameters


@pytest.mark.parametrize(
    "text",
    [
        "constants: {a: '" + "eyJ" * 100_000 + "'}",
        "trial: {args: ['{{" + " " * 300_000 + "']}",
        "trial: {args: ['" + "{{ " * 100_000 + "']}",
        "trial: {env: {" + "_" * 900 + ": '" + "a" * 300_000 + "'}}",
    ],
    ids=["token", "braces", "many braces", "name"],
)
def test_long_words_do_not_slow_the_checks_down(text: str) -> None:
    assert loads(text)


@pytest.mark.parametrize("expression", ["(" * 900 + ")" * 900, "(" * 2_000, "(a" + "?" * 5_000])
def test_hostile_expressions_are_refused(expression: str) -> None:
    with pytest.raises(StudyError):
        loads(f"trial: {{metrics: {{a: '{expression}'}}}}")


_pieces = [
    *"abc:-?[]{},&*!|>'\"%@`#~<=\\. \n\t01",
    *("\r\n", "\r", "\x85", "\u2028", "\ufeff", "- ", ": ", "? ", "---", "...", "<<", "!!", "!<"),
    *("parameters", "type: ", "min: ", "name", "trial", "limits", "%YAML 1.1\n", "%TAG ! x\n"),
    *('"\\x', '"\\u', '"\\U', "1e", "0x", ".inf", "\n  ", "|2-\n"),
]
_yaml_like = st.lists(st.sampled_from(_pieces), max_size=40).map("".join)


def _mistakes(load_it: Callable[[], object]) -> tuple[Problem, ...]:
    try:
        load_it()
    except StudyError as error:
        return error.problems
    return ()


@settings(max_examples=500)
@given(st.text(max_size=60) | _yaml_like)
@example("%YAML 1.")
@example("%TAG")
@example('"\\UFFFFFFFF"')
@example("!<%zz> a")
@example("a: |9")
@example("? ")
def test_no_text_raises_anything_but_a_study_error(text: str) -> None:
    assert all(problem.message for problem in _mistakes(lambda: loads(text)))


@settings(max_examples=100)
@given(data=st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_study_error(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.yaml"
    file.write_bytes(data)
    assert all(problem.file for problem in _mistakes(lambda: load(file)))


SOURCE = {
    "src/train.py": "import helper\nimport argparse\nargparse.ArgumentParser().parse_args()\n",
    "src/helper.py": "",
    "src/requirements.txt": "",
    "src/pyproject.toml": "",
    "src/.cloudtuneignore": "",
    "src/.gitignore": "",
    "src/data.bin": "",
    "data/a.csv": "",
    "other.yaml": "",
    "other.yml": "",
    "study.yaml": """
        objective: {metric: score, goal: maximize}
        parameters: {x: {type: int, min: 1, max: 3}, fast: {type: bool}}
        limits: {max_trials: 1}
        trial:
          source: src
          script: train.py
          requirements: requirements.txt
          inputs: {data: data}
        """,
}


@posix
@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", SOURCE)
def test_a_pipe_or_a_device_beside_the_study_ends_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for each, text in SOURCE.items():
        path = tmp_path / each
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / name).unlink()
    if kind == "pipe":
        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).symlink_to("/dev/zero")
    for words in (
        ["check", "study.yaml"],
        ["plan", "study.yaml", "--on", "local", "--on", "sagemaker", "--on", "ray", "--emulate"],
    ):
        done = CliRunner().invoke(cloudtune, words)
        assert not done.exception or isinstance(done.exception, SystemExit | CloudtuneError)
        if name == "study.yaml":
            assert "not a regular file" in str(done.exception or "") + done.output
