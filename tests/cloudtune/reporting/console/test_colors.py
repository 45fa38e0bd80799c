"""Colors: only on terminals, as NO_COLOR and FORCE_COLOR say, and never a change of the text."""

from __future__ import annotations

import io
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.cli import main
from cloudtune.reporting.console.colors import colorize, has_color

RED, YELLOW, GREEN = "\x1b[31m", "\x1b[33m", "\x1b[32m"


class _Stream(io.StringIO):
    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "", "FORCE_COLOR": ""}, None),
        ({"TERM": "dumb"}, False),
    ],
)
def test_terminals_have_colors_unless_a_variable_says_otherwise(
    is_terminal: bool,
    variables: dict[str, str],
    expected: bool | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert has_color(_Stream(is_terminal=is_terminal)) == (
        is_terminal if expected is None else expected
    )


@pytest.mark.parametrize(
    ("line", "word", "color"),
    [
        ("error: no image", "error", RED),
        ("  account  error: no key", "error", RED),
        ("Error: No such command", "Error", RED),
        ("warning: limits.max_cost: unknown", "warning", YELLOW),
        ("           unknown: whether it exists", "unknown", YELLOW),
        ("s.yaml:5: vertex: dropped strategy.seed: no seeds", "dropped", YELLOW),
        ("  refused trial: nothing to run", "refused", RED),
        ("refused on watson, emulated: providers.watson.url: wrong", "refused on watson", RED),
        ("local  [2/4] trial 2 failed in 0.1 s: as trial 1", "failed", RED),
        ("failed: 4 trials: exited with code 1", "failed", RED),
        ("best: loss 0.5 in trial 3", "best: loss 0.5 in trial 3", GREEN),
        ("2 mistakes.", "2 mistakes", RED),
        ("2 errors, 1 warning.", "2 errors", RED),
        ("Healthy.", "Healthy", GREEN),
        ("s.yaml: no mistakes. 2 parameters", "no mistakes", GREEN),
    ],
)
def test_the_word_that_says_what_a_line_is_has_a_color(line: str, word: str, color: str) -> None:
    before, _, after = colorize(line).partition(word)
    assert color in before
    assert "\x1b[0m" in after


@pytest.mark.parametrize("line", ["trial 3 completed in 2 s", "the errors are small", "loss: 0.5"])
def test_other_lines_have_none(line: str) -> None:
    assert colorize(line) == line


@given(st.text("errofailed: \t|[]0123456789.note", max_size=60))
def test_a_color_changes_no_text(line: str) -> None:
    assert click.unstyle(colorize(line)) == line


@pytest.mark.parametrize("forced", [False, True])
def test_commands_print_no_colors_into_pipes_unless_forced(
    forced: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1" if forced else "")
    Path("train.py").write_text("raise ValueError('no data')")
    Path("study.yaml").write_text(
        "objective: {metric: loss, goal: minimize}\n"
        "parameters: {x: {type: bool}}\n"
        "limits: {max_trials: 2}\n"
        "trial: {script: train.py}\n"
    )
    for words in (
        ["check", "study.yaml", "--set", "limits.max_trials=0"],
        ["run", "study.yaml"],
        ["results"],
        ["doctor"],
        ["nonsense"],
    ):
        with pytest.raises(SystemExit):
            main(words)
        printed = "".join(capfd.readouterr())
        assert ("\x1b[" in printed) == forced, words
    with pytest.raises(SystemExit):
        main(["results", "--json"])
    assert "\x1b" not in capfd.readouterr().out
