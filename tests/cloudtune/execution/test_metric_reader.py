from __future__ import annotations

import re
import warnings

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.execution import metric_reader
from cloudtune.execution.metric_reader import MetricError, MetricPatterns, StepCounter
from cloudtune.launcher.metrics import required_text
from cloudtune.launcher.printed_lines import MAX_LINE_BYTES, READ_BYTES

PARTS = st.sampled_from(
    [
        "loss",
        "acc",
        "=",
        ": ",
        "a",
        "b",
        "(",
        "(?:",
        "(?P<value>",
        ")",
        "|",
        "*",
        "+",
        "?",
        "{2}",
        "{1,}",
        "{0,1}",
        "{",
        "}",
        "[ab]",
        "[^]a]",
        "[",
        "]",
        ".",
        "^",
        "$",
        r"\.",
        r"\|",
        r"\d",
        r"\s",
        r"\x61",
        r"\b",
        r"\(",
        "(?i)",
        "(?=",
        "(?!",
        "(?<=a",
        "ü",
        "#",
        " ",
        "(\\S+)",
    ]
)
LINES = st.lists(
    st.sampled_from(["loss", "LOSS", "acc", "=", ": ", "a", "b", "1", ".", "|", "(", "ü", "]", " "])
)


@given(st.lists(PARTS, max_size=8), st.lists(LINES, min_size=5, max_size=5))
def test_each_match_contains_the_required_text(parts: list[str], lines: list[list[str]]) -> None:
    text = "".join(parts)
    required = required_text(text).decode()
    for library in (re, regex):
        try:
            with warnings.catch_warnings(action="ignore"):  # of nested sets
                pattern = library.compile(text)
        except (re.error, regex.error):
            continue
        for words in lines:
            if match := pattern.search("".join(words)):
                assert required in match.group() or required in "".join(words)


@pytest.mark.parametrize(
    ("pattern", "required"),
    [
        (r"score: (\S+)", "score: "),
        (r"^step \d+ val_loss=(\S+)$", " val_loss="),
        (r"acc\[(\d)\]", "acc["),
        (r"colou?r=(.)", "colo"),
        (r"x{2,3}yz(\d)", "yz"),
        (r"(?:foo){e<=1}: (\d+)", ""),
        (r"a|score=(\d)", ""),
        (r"(?i)score=(\d)", ""),
        (r"\x73core=(\d)", ""),
    ],
)
def test_the_required_text(pattern: str, required: str) -> None:
    assert required_text(pattern).decode() == required


def found(patterns: MetricPatterns, *pieces: bytes) -> list[dict[str, float]]:
    return [values for piece in pieces for _, _, values in patterns.feed(piece)] + [
        values for _, _, values in patterns.finish()
    ]


@pytest.mark.parametrize("pattern", [r"score: (\S+)", r"sc?ore\W (\S+)", r"(?i)SCORE: (\S+)"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_metrics_are_found_in_pieces_of_any_size(pattern: str, size: int) -> None:
    output = b"x\rscore: 1\nno\n\nscore: 2\r\nsco\x1b[1mre: 3\nscore: 4"
    pieces = [output[n : n + size] for n in range(0, len(output), size)]
    patterns = MetricPatterns({"score": [pattern]}, StepCounter())
    assert found(patterns, *pieces) == [{"score": value} for value in (1.0, 2.0, 3.0, 4.0)]


@pytest.mark.parametrize(
    ("pattern", "steps"),
    [
        (r"step (?P<step>\d+): loss (\S+)", [3, 9, 10]),
        (r"step (?P<step>\S+): loss (?P<value>\S+)", [3, 9, 10]),
        (r"step \S+: loss (\S+)", [1, 2, 3]),
    ],
)
def test_the_group_step_is_the_step(pattern: str, steps: list[int]) -> None:
    patterns = MetricPatterns({"loss": [pattern]}, StepCounter())
    output = b"step 3: loss 0.5\nstep 9: loss 0.25\nstep 10: loss 0.125\n"
    measured = [(step, values) for _, step, values in patterns.feed(output)]
    assert measured == [(steps[n], {"loss": 0.5 / 2**n}) for n in range(3)]


@pytest.mark.parametrize(
    ("pattern", "lines", "what"),
    [
        (r"loss: (\S+)", "loss: 1 val_loss: 2\nval_loss: 3", "loss and val_loss"),
        (r"loss: (\S+)", "train/loss: 1\nval/loss: 1", "train/loss and val/loss"),
        (r"loss=(\S+)", "best loss=1 last loss=2", "several numbers of a line"),
        (r"auc: (\S+)", "train's auc: 0.9\tvalid's auc: 0.8", "several numbers of a line"),
        (r"\bloss: (\S+)", "loss: 1 - val_loss: 2", None),
        (r"loss: (\S+)", "1/3 val_loss: 1\n2/3 val_loss: 2", None),
        (r"loss: (\S+)", "a1_loss: 1\na2_loss: 2\nloss: None", None),
        (r"(?:train|val)_loss: (\S+)", "train_loss: 1\nval_loss: 2", None),
        (r"e(?P<step>\d) loss (\S+)", "e1 loss 1, e2 loss 2", None),
        (r"loss=(\S+)", "loss=1 | loss=1", None),
    ],
)
def test_an_expression_of_several_metrics_is_reported(
    pattern: str, lines: str, what: str | None
) -> None:
    patterns = MetricPatterns({"loss": [pattern]}, StepCounter())
    found(patterns, f"{lines}\n".encode() * 2)
    expected = (
        f"the regular expression of loss, {pattern}, reads {what} as one metric; make it match "
        "only one (`cloudtune doctor` suggests how)"
    )
    assert patterns.warning == expected if what else "as one metric" not in patterns.warning


@pytest.mark.parametrize(
    ("lines", "is_reported"),
    [
        (("epoch 9 loss: 0.5", "epoch 10 loss:   train.py:8", "         0.4"), True),
        (("epoch 10 loss:  ", "0.4", "epoch 11 loss: 0.5"), True),
        (("  loss:", "    name: mse", "epoch 1 loss: 0.5", "Class loss:", "a 0.5"), False),
        (("loss:", "0.5"), False),  # no number is found, so the trial fails
        (("loss: 0.5", "loss: improved", "loss: None"), False),
    ],
)
def test_a_line_that_ends_before_its_number_is_reported(
    lines: tuple[str, ...], is_reported: bool
) -> None:
    patterns = MetricPatterns({"loss": [r"loss: (\S+)"]}, StepCounter())
    found(patterns, "\n".join([*lines, ""]).encode())
    expected = (
        "a line ends after 'loss:': if the number of loss is on the next one, it is not read; "
        "print both on one, with rich by trial.env: {COLUMNS: '200'}"
    )
    assert (patterns.warning == expected) == is_reported


@pytest.mark.parametrize(
    ("lines", "is_reported"),
    [
        (("loss: -9.5", "loss:  9.5"), True),
        (("loss:  9.5", "loss: 10.5"), True),
        (("loss: 9.5", "loss:            9.5"), False),  # a table
        (("loss: 9.5", "val:  9.5"), False),
    ],
)
def test_a_padded_number_that_is_not_read_is_reported(
    lines: tuple[str, ...], is_reported: bool
) -> None:
    patterns = MetricPatterns({"loss": [r"loss: (\S+)"]}, StepCounter())
    assert found(patterns, "\n".join([*lines, ""]).encode())
    expected = (
        r"the regular expression of loss, loss: (\S+), misses numbers after more spaces; allow any "
        r"number of them, for example with \s+"
    )
    assert (patterns.warning == expected) == is_reported


@pytest.mark.parametrize(
    ("line", "is_reported"),
    [
        ("loss=1 234.5", True),
        ("loss=-12 345,6 done", True),
        ("loss=1 234 samples", False),
        ("loss=0.5 234.5 s", False),
        ("loss=1 34.5", False),
    ],
)
def test_a_number_with_spaces_between_thousands_is_reported_alike_in_all_trials(
    line: str, *, is_reported: bool
) -> None:
    patterns = MetricPatterns({"loss": [r"loss=(\S+)"]}, StepCounter())
    assert found(patterns, line.encode() + b"\n")
    expected = (
        r"the regular expression of loss, loss=(\S+), reads only the first digits where three more "
        "follow a space, as in '1 234.5'; if that is one number, print it without spaces"
    )
    assert patterns.warning == expected * is_reported


@pytest.mark.parametrize("size", [3, 1000])
def test_source_in_a_traceback_is_no_metric(size: int) -> None:
    output = b"""\
    score: 1
Traceback (most recent call last):
  File "train.py", line 3, in <module>
    print("score: 2", fail())
                      ~~~~^^
  File "train.py", line 1, in fail
    raise ValueError(
        "score: 3")
ValueError: score: 4
    score: 5
"""
    pieces = [output[n : n + size] for n in range(0, len(output), size)]
    patterns = MetricPatterns({"score": [r"score: (\d)"]}, StepCounter())
    assert found(patterns, *pieces) == [{"score": value} for value in (1.0, 5.0)]
    patterns = MetricPatterns({"score": [r"score: (\d)"]}, StepCounter())
    pieces = [b'  File "train.py", line 3\n', b"other output\n", b"    score: 6\n"]
    assert found(patterns, *pieces) == [{"score": 6.0}]


def test_only_the_start_of_a_long_line_is_searched() -> None:
    patterns = MetricPatterns({"score": [r"score: (\d)"]}, StepCounter())
    long = b"x" * MAX_LINE_BYTES
    pieces = [b"score: 1 " + long, long, b"score: 2\n", b"score: 3\n" + long + b"score: 4\n"]
    assert found(patterns, *pieces) == [{"score": 1.0}, {"score": 3.0}]


@pytest.mark.parametrize(("limit", "value"), [("BYTES", 24), ("LINES", 3)])
def test_output_beyond_the_limit_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(metric_reader, f"MAX_SEARCHED_{limit}", value)
    patterns = MetricPatterns({"score": [r"score: (\d)"]}, StepCounter())
    measured = patterns.feed(b"other output\n" * 100 + b"score: 1\n" * 4)
    assert [next(measured)[1] for _ in range(3)] == [1, 2, 3]
    with pytest.raises(MetricError, match="printed more than 1,000,000 lines or 128 MiB that can"):
        next(measured)


@pytest.mark.parametrize("escape", [b"\x1b[31m", b"\x1b]0;title\x07"])
def test_colored_output_without_metrics_does_not_count_towards_the_limit(
    monkeypatch: pytest.MonkeyPatch, escape: bytes
) -> None:
    monkeypatch.setattr(metric_reader, "MAX_SEARCHED_LINES", 3)
    patterns = MetricPatterns({"score": [r"score: (\d)"]}, StepCounter())
    pieces = [(escape + b" 50 % |###   |\r") * 100, b"\nsc" + escape + b"ore: 1\n"]
    assert found(patterns, *pieces) == [{"score": 1.0}]


def test_what_has_no_metric_is_not_split_into_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = MetricPatterns({"score": [r"score: (\d)"]}, StepCounter())
    monkeypatch.setattr(patterns, "_search", None)
    assert found(patterns, b"other output\n" * 1000) == []


BAR = b"\r 10%|#| loss=9"


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([(1, BAR), (0, b"loss=1\n")], [9, 1]),
        ([(0, b"loss=1\n"), (1, BAR)], [1, 9]),
        ([(1, BAR), (0, b"loss=1\n"), (1, b"\r"), (1, b" 20%|#| loss=8")], [9, 1, 8]),
        ([(1, BAR), (0, b"loss=1\n"), (1, BAR)], [9, 1, 9]),
        ([(1, BAR), (0, b"loss=1\n"), (1, b"\x1b[0m \n"), (0, b"loss=2\n")], [9, 1, 2]),
        ([(1, BAR), (0, b"loss=1\n"), (1, b" loss=8\n")], [9, 1, 8]),
        ([(1, BAR), (0, b"loss=1\n"), (1, b"\b9"), (0, b"loss=2\n")], [9, 1, 9, 2]),
        ([(1, BAR), (0, b"no number\n"), (1, b".5\n"), (0, b"loss=1\n")], [9.5, 1]),
        ([(1, b"loss=n/a"), (0, b"loss=1\n")], [1]),
        ([(1, b"loss=n/a"), (0, b"loss=1\n"), (1, b"\r")], [1]),
        ([(1, b"loss=0.5%"), (0, b"loss=1\n"), (1, b"\b \n")], [1, 0.5]),
        ([(1, b"loss=9"), (0, b"loss=1")], [9, 1]),
        ([(0, b"loss=1"), (1, b"loss=9")], [1, 9]),
        ([(1, b"x" * READ_BYTES + b"loss=9"), (0, b"loss=1\n"), (1, b"8\n")], [1]),
        ([(1, b"\n" * READ_BYTES + b"loss=9"), (0, b"loss=1\n"), (1, b"8\n")], [1, 98]),
    ],
)
def test_a_line_without_end_counts_when_it_was_last_written(
    outputs: list[tuple[int, bytes]], expected: list[float]
) -> None:
    patterns = MetricPatterns({"loss": [r"loss=(\S+)"]}, StepCounter())
    measured = [values for n, data in outputs for _, _, values in patterns.feed(data, n)]
    measured += [values for _, _, values in patterns.finish(completed=True)]
    assert [values["loss"] for values in measured] == expected


def test_a_service_reads_a_line_when_it_ends() -> None:
    patterns = MetricPatterns({"loss": [r"loss=(\S+)"]}, StepCounter(), as_service=True)
    outputs = [(1, BAR), (0, b"loss=1\n"), (1, b"\n")]
    measured = [values for n, data in outputs for _, _, values in patterns.feed(data, n)]
    assert measured == [{"loss": 1}, {"loss": 9}]


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ("final loss=1\ntest loss=2", "final loss and test loss"),
        ("train loss=1\nloss=2", "train loss and loss"),
        ("[train] loss=1\n[val] loss=2", "train loss and val loss"),
        ("Train epoch 1: loss=1\nTest epoch 1: loss=2", "Train loss and Test loss"),
        ("final loss=2\ntest loss=2", ""),
        ("epoch 1 loss=0.2345\nfinal loss=0.234512", ""),
        ("loss=3\nloss=2\nlast loss=2\nbest loss=2\nworst loss=3", ""),
        ("epoch 1 loss=3\nepoch 2 loss=2\nloss=1", ""),
        ("Epoch: 1 [60/600 (10%)] loss=3\nEpoch: 1 [120/600 (20%)] loss=2", ""),
        ("2026-12-01 10:00:01,5 INFO loss=3\n2026-12-02 10:00:02,7 WARNING loss=2", ""),
        ("Mon Dec  7 10:00:01 loss=3\nTue Jan  8 10:00:01 loss=2", ""),
        ("12 ms loss=3\n1 s loss=2", ""),
        ("1/9 [00:00<?, ?it/s, loss=3]\n2/9 [00:01<00:09, 1.2s/it, loss=2]\nloss=1", ""),
        ("lr=0.1 loss=3\nacc 0.5 loss=2", ""),
        ("saved. loss=3\nloss=2", ""),
    ],
)
def test_numbers_after_different_words_are_reported(lines: str, names: str) -> None:
    patterns = MetricPatterns({"loss": [r"loss=([0-9.]+)"]}, StepCounter())
    found(patterns, f"{lines}\n".encode())
    what = f"reads {names} as one metric; make it match only one"
    assert what in patterns.warning if names else patterns.warning == ""
