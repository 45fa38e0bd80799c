from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudtune.results.events import Ended
from cloudtune.results.failure import (
    describe_output,
    error_line,
    explain_failure,
    explained_end,
    failing_frame,
    failure_cause,
    sample_lines,
)
from cloudtune.results.objective import explain_missing_objective
from cloudtune.study.loader import load
from cloudtune.study.study import Study
from tests.cloudtune.comparison.factories import make_study

TRACEBACK = """\
epoch 1
Traceback (most recent call last):
  File "/w/train.py", line 5, in <module>
    f()
  File "/w/train.py", line 4, in f
    raise ValueError("no data")
ValueError: no data
"""
SYNTAX = """\
  File "train.py", line 3
    def f(:
          ^
SyntaxError: invalid syntax
"""


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("", ""),
        (TRACEBACK, "ValueError: no data"),
        (TRACEBACK + "second line of the message\ngoodbye", "ValueError: no data"),
        (SYNTAX, "SyntaxError: invalid syntax"),
        ("usage: train.py\ntrain.py: error: unrecognized arguments\n\n", "train.py: error: "),
        ('  File "cut.py", line 3, in f', 'File "cut.py", line 3, in f'),
        ("╭─ Error ─────╮\n│ No such option: --lr │\n╰───────────────╯\n", "No such option: --lr"),
    ],
)
def test_the_line_that_says_why(output: str, line: str) -> None:
    assert error_line(output).startswith(line)
    assert bool(error_line(output)) == bool(line)


@pytest.mark.parametrize(
    ("reason", "output", "explained"),
    [
        ("exited with code 1", TRACEBACK, "exited with code 1: ValueError: no data"),
        ("exited with code 1", "", "exited with code 1"),
        ("", TRACEBACK, "ValueError: no data"),
        ("no data", "no data", "no data"),
        (f"non-zero status of 1. \n{TRACEBACK}", "", "non-zero status of 1: ValueError: no data"),
        (TRACEBACK, "", "ValueError: no data"),
    ],
)
def test_a_reason_has_the_line(reason: str, output: str, explained: str) -> None:
    assert explain_failure(reason, output) == explained
    assert explain_failure(explained, output) == explained


def test_the_traceback_in_a_reason_becomes_the_log() -> None:
    event = explained_end(Ended(1, 0.0, "failed", f"status 1\n{TRACEBACK}"))
    assert event.reason == "status 1: ValueError: no data"
    assert event.log_tail == f"status 1\n{TRACEBACK}"
    completed = Ended(1, 0.0, "completed", log_tail=TRACEBACK)
    assert explained_end(completed) is completed


def test_sample_lines_may_contain_the_metric() -> None:
    output = "hello\nval_Loss 1\nval_Loss 2\nval_Loss 3\nval_Loss 4\n7\nbye"
    assert sample_lines(output, ["loss"]) == ["val_Loss 2", "val_Loss 3", "val_Loss 4"]
    assert sample_lines(output, ["auc"])[-1] == "7"
    assert sample_lines("a\nb", ["auc"]) == ["a", "b"]


def test_a_cause_has_no_numbers() -> None:
    assert failure_cause("lr 0.1 at /tmp/3/x") == failure_cause("lr 2 at /tmp/44/x")
    assert failure_cause("one") != failure_cause("two")


def test_an_expression_that_matches_is_not_called_unmatched() -> None:
    study = make_study(
        objective={"metric": "loss", "goal": "minimize"},
        trial={"script": "train.py", "metrics": {"loss": r"loss (\S+)"}},
    )
    not_a_number = describe_output(study, "loss was nan at step 1", "loss nan")
    assert not_a_number == "; it printed: loss nan"
    unmatched = describe_output(study, "the service has no loss", "LOSS 3")
    assert unmatched == r"; no line matches loss (\S+); it printed: LOSS 3"


OWN = """Traceback (most recent call last):
  File "/trial/train.py", line 9, in <module>
    main()
  File "/trial/train.py", line 4, in main
    return read("a")
           ^^^^^^^^^
"""
LIBRARY = """  File "/usr/lib/python3.11/json/__init__.py", line 3, in loads
    return _decode(text)
  File "/venv/lib/python3.11/site-packages/fast/__init__.py", line 5, in decode
    raise ValueError(
"""


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        (f"epoch 1\n{OWN}{LIBRARY}ValueError: no\n", OWN.splitlines()[3:]),
        (f"{OWN}KeyError: 'a'\n\nDuring handling:\n\n{OWN}ValueError: no", OWN.splitlines()[3:]),
        (f"Traceback (most recent call last):\n{LIBRARY}ValueError: no", LIBRARY.splitlines()[2:]),
        ("Error: no file", []),
        ("", []),
    ],
)
def test_the_own_frame_of_a_failure(output: str, lines: list[str]) -> None:
    assert failing_frame(output) == lines


def test_the_doctor_is_named_for_an_expression_that_does_not_match(tmp_path: Path) -> None:
    content = make_study().to_json() | {
        "trial": {"script": "a.py", "metrics": {"loss": r"loss=(\S+)"}}
    }
    content["objective"] = {"metric": "loss", "goal": "minimize"}
    study = Study.model_validate(content)
    assert "doctor" not in explain_missing_objective(study, [], "")
    file = tmp_path / "my study.json"
    file.write_text(json.dumps(content))
    reason = explain_missing_objective(load(file), [], "")
    assert reason.endswith(f"; for one that does: cloudtune doctor '{file}')")
