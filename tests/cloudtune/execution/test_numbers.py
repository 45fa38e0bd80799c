"""The whole number or none: what the local reader and the launcher read in printed lines."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtune.execution.metric_reader import MetricError, MetricPatterns, StepCounter
from cloudtune.trial import CutNumberError, find_numbers

DIGITS = r"loss: ([0-9.]+)"
WHOLE = [
    (DIGITS, "loss: 12%", 12),
    (DIGITS, "loss: 1.5s", 1.5),
    (DIGITS, "loss: 0.98, acc: 1e-3", 0.98),
    (DIGITS, "the loss: 0.93.", 0.93),
    (r"loss: (\d+\.\d+)", "the loss: 0.93.", 0.93),
    (r"loss: (\d+)", "loss: 3.", 3),
    (r"loss: (\d\.\d)", "loss: 0.50", 0.5),
    (DIGITS, "loss: 3.4e", 3.4),
    (DIGITS, "loss: 3.4em", 3.4),
    (DIGITS, "loss: 5/10", 5),
    (r"loss-([0-9.]+)", "loss-0.93", 0.93),
    (r"loss \d+-([0-9.]+)", "loss 3-0.93", 0.93),
    (r"nll: -(\S+)", "nll: -0.5", 0.5),
    (r"loss: (\S+)", "loss: 1_000", 1000),
    (r"loss: (\S+)", "loss: -1.296e-06", -1.296e-06),
    (r"^(\d+),", "12,345,0.5", 12),
    (r"(?P<step>\d+),(?P<value>[\d.]+)", "3,120.5", 120.5),
    (r"epoch_(\d+)", "epoch_3_050", 3),
    (r"v([0-9.]+)", "v2.5", 2.5),
    (r"at (\d+)", "at 2024-01-05", 2024),
]
CUT = [
    (DIGITS, "loss: 1.296e-06", "1.296e-06"),
    (DIGITS, "loss: 1.296E+06 of 3", "1.296E+06"),
    (r"loss: ([0-9.e]+)", "loss: 1.296e-06", "1.296e-06"),
    (r"loss: ([0-9.]+).*", "loss: 1.296e-06 acc 3", "1.296e-06"),
    (r"loss.*?([0-9.]+)", "loss: -0.5", "-0.5"),
    (r"loss: .*([0-9.]+)", "loss: 0.125", "0.125"),
    (r"loss: (\d\.\d\d)", "loss: 0.129", "0.129"),
    (r"loss: (\d+)", "loss: 0.5", "0.5"),
    (r"loss: (\d+)", "loss: 1_000", "1_000"),
    (DIGITS, "loss: 1,234.5", "1,234.5"),
    (r"loss: (\S+)", "loss: 1,234.5,", "1,234.5,"),
    (DIGITS, "loss: 0x1.8p3", "0x1.8p3"),
    (DIGITS, "loss: 0x1p3", "0x1p3"),
]
NOT_FINITE = [
    (DIGITS, "loss: nan", math.nan),
    (DIGITS, "loss: -inf, done", -math.inf),
    (r"loss: (\d+\.\d{4}) ", "loss: NaN (best 0.5)", math.nan),
    (r"loss: (\S+)", "loss: inf", math.inf),
    (r"loss: (\d\.\d{3}e[-+]\d+)", "loss: nan", math.nan),
    (r"loss: ([1-9]\d*\.\d+)", "loss: inf", math.inf),
    (r"loss: (-\d+\.\d+)", "loss: nan", math.nan),
    (r"nll: -([0-9.]+)", "nll: -inf", -math.inf),
]


def read(pattern: str, line: str) -> list[float]:
    patterns = MetricPatterns({"loss": [pattern]}, StepCounter())
    return [values["loss"] for _, _, values in patterns.feed(line.encode() + b"\n")]


def read_by_launcher(pattern: str, line: str) -> list[float]:
    compiled = re.compile(pattern)
    numbers = find_numbers(compiled, line, compiled.finditer)
    return [value for _, value, _ in numbers if value is not None]


@pytest.mark.parametrize(("pattern", "line", "value"), WHOLE)
def test_what_follows_no_number_cuts_none(pattern: str, line: str, value: float) -> None:
    assert read(pattern, line) == read_by_launcher(pattern, line) == [value]


@pytest.mark.parametrize(("pattern", "line", "whole"), CUT)
def test_a_part_of_a_number_is_a_mistake(pattern: str, line: str, whole: str) -> None:
    with pytest.raises(MetricError, match="reads only") as error:
        read(pattern, line)
    assert f" of {whole} in: " in str(error.value)
    with pytest.raises(CutNumberError, match="reads only"):
        read_by_launcher(pattern, line)


@pytest.mark.parametrize(("pattern", "line", "value"), NOT_FINITE)
def test_a_number_that_is_not_finite_is_read_by_any_expression(
    pattern: str, line: str, value: float
) -> None:
    for numbers in (read(pattern, line), read_by_launcher(pattern, line)):
        assert json.dumps(numbers) == json.dumps([value])


def test_numbers_of_a_line_count_in_their_order() -> None:
    line = "loss: nan loss: 0.5"
    for numbers in (read(DIGITS, line), read_by_launcher(DIGITS, line)):
        assert json.dumps(numbers) == "[NaN, 0.5]"


@pytest.mark.parametrize("line", ["loss: 0.5 (grad: nan)", "info: loss: 0.5", "nan", "loss nan: 1"])
def test_other_words_are_no_measurements(line: str) -> None:
    values = [0.5] if "0.5" in line else []
    assert read(DIGITS, line) == read_by_launcher(DIGITS, line) == values


def test_a_service_that_searches_the_log_itself_reads_parts() -> None:
    patterns = MetricPatterns({"loss": [DIGITS]}, StepCounter(), as_service=True)
    (measured,) = patterns.feed(b"loss: 1.296e-06\nloss: nan\n")
    assert measured[2] == {"loss": 1.296}


def test_trials_with_a_cut_number_fail_and_keep_what_was_whole(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "from cloudtune.trial import params\n"
        'print("loss: 0.5")\n'
        'print("loss:", 1.296e-06 if params()["x"] == 2 else 0.25)\n'
    )
    (tmp_path / "study.yaml").write_text(
        "objective: {metric: loss, goal: minimize}\n"
        "parameters: {x: {type: int, min: 1, max: 2}}\n"
        "strategy: grid\n"
        "trial: {script: train.py, metrics: {loss: 'loss: ([0-9.]+)'}}\n"
    )

    def cloudtune(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cloudtune", *words]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
        )

    words = "reads only '1.296' of 1.296e-06 in: loss: 1.296e-06; capture the whole number"
    assert words in cloudtune("run", "study.yaml").stderr
    assert words in cloudtune("results").stdout
    assert words in cloudtune("report", "--json").stdout
    lines = cloudtune("results", "--format", "jsonl").stdout.splitlines()
    first, second = map(json.loads, lines)
    assert (first["state"], second["state"]) == ("completed", "failed")
    assert [m["metrics"] for m in second["measurements"]] == [{"loss": 0.5}]
