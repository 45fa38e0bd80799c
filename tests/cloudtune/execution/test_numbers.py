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
from cloudtune.launcher.metrics import MetricReader, MisreadNumberError
from tests.cloudtune.doctor.test_captures import HEALTHY

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
    (r"took (\d+)ms", "took 12ms", 12),
    (r"took (\d+)", "took 12 s", 12),
    (r"loss \d+:([0-9.]+)", "loss 3:0.5", 0.5),
    (r"(\d+):", "10:05", 10),
    (DIGITS, "loss: 3, 4 or 5", 3),
    (DIGITS, "loss: 3,4,5", 3),
    (r"losses: \[([0-9.]+)", "losses: [3,4]", 3),
    (DIGITS, "loss: 12 kilo", 12),
    (DIGITS, "loss: 1 234", 1),
    (DIGITS, "loss: 3 x 10 images", 3),
    (r"loss.*?([0-9.]+)", "loss (nan ignored) 0.5", 0.5),
    (r"grad=\S+ loss=([0-9.]+)", "grad=nan loss=0.5", 0.5),
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
    (DIGITS, "loss: 0x1.8p3", "0x1.8p3"),
    (DIGITS, "loss: 0x1p3", "0x1p3"),
    (DIGITS, "loss: 1.2D-05", "1.2D-05"),
    (DIGITS, "loss: 1.296*10^-6", "1.296*10^-6"),
    (DIGITS, "loss: 1.296x10^-6", "1.296x10^-6"),
    (DIGITS, "loss: 1.296 \u00d7 10\u207b\u2076", "1.296 \u00d7 10\u207b\u2076"),
    (DIGITS, "loss: 1.5 * 10**3", "1.5 * 10**3"),
    (DIGITS, "loss: 1.234,56", "1.234,56"),
    (DIGITS, "loss: 0,125", "0,125"),
    (r"loss: ([0-9.]+).*", "loss: 0,125", "0,125"),
    (DIGITS, "loss: 1'234.5", "1'234.5"),
    (DIGITS, "loss: 1\u202f234", "1\u202f234"),
    (r"loss: (\S+)", "loss: 1\u202f234,5", "1\u202f234,5"),
    (DIGITS, "loss: 1.#INF", "1.#INF"),
    (r"loss: \D?([0-9.]+)", "loss: \u22120.5", "\u22120.5"),
    (r"loss: ([0-9.]+)", "loss: 1.2e\u22125", "1.2e\u22125"),
    (DIGITS, "loss: 1.2e\u20135", "1.2e\u20135"),
    (DIGITS, "loss: 0.9-101", "0.9-101"),
    (DIGITS, "loss: 1.5\u00b2", "1.5\u00b2"),
    (DIGITS, "loss: 1.5**2", "1.5**2"),
    (DIGITS, "loss: 1.5^2", "1.5^2"),
    (DIGITS, "loss: 1.5k", "1.5k"),
    (DIGITS, "loss: 900ms", "900ms"),
    (DIGITS, "loss: 1.5 \u00b5s", "1.5 \u00b5s"),
    (DIGITS, "loss: 12MB/s", "12MB"),
    (DIGITS, "loss: 1m30.5s", "1m30.5s"),
    (DIGITS, "loss: 1:30", "1:30"),
]
NO_NUMBER = ["0.98%", "1.5s", "tensor(0.01)", "np.float64(0.5)", "[0.5,0.6]", "1,234.5,", "1.2D-05"]
MISSED = [
    (DIGITS, ("loss: .5", "loss: .15", "loss: -.5"), "-.5"),
    (DIGITS, ("loss: -.5", "loss: .5"), "-.5"),
    (r"loss:  ([0-9.]+)", ("loss:  0.5", "loss: -0.5"), "-0.5"),
    (r"loss: (\d+\.\d+)", ("loss: 0.5", "loss: 0"), "0"),
    (r"loss: (\d\.\d+)", ("loss: 0.5", "loss: 10.5"), "10.5"),
    (r"loss: ([0-9.]+)$", ("loss: 0.5", "loss: 5e-1"), "5e-1"),
    (r"epoch \d+ loss ([0-9.]+)", ("epoch 9 loss 0.5", "epoch 10 loss -1"), "-1"),
    (DIGITS, ("loss: 0.5", "train loss: 0.5, val loss: -0.3"), "-0.3"),
    (r"(?i)LOSS: ([0-9.]+)", ("loss: 0.5", "loss: -1"), "-1"),
    (r"loss[:=]\s*([0-9.]+)", ("loss: 0.5", "loss=-1"), "-1"),
    (r"^([0-9.]+)$", ("0.5", "-1"), "-1"),
    (r"^\d+,([0-9.]+)$", ("1,0.5", "2,-1"), "-1"),
]
OTHERS = [
    (r"(?<!val_)loss: ([0-9.]+)", ("loss: 0.5", "val_loss: -0.5")),
    (r"^loss: ([0-9.]+)", ("loss: 0.5", "val loss: -0.5")),
    (r"^loss: ([0-9.]+)", ("loss: 0.5", "val  loss:  0.5")),
    (r"loss: ([0-9.]+) acc", ("loss: 0.5 acc", "loss:  0.5")),
    (r"val_loss.*?(\d+\.\d+)", ("val_loss: 0.5", "val_loss did not improve, patience 3")),
    (r"acc: (\d+\.\d+)%", ("acc: 0.5%", "acc: 0.5", "acc: 3 of 5")),
    (r"(\d+\.\d+)", ("loss 0.5", "epoch 3")),
    (r"loss: ([0-9.]+), done", ("loss: 0.5, done", "loss: -3")),
    (r"loss=(\S+)", ("Namespace(loss='l1', lr=0.1)", "loss=0.5")),
    (DIGITS, ("loss: None", "loss: mse", "loss: 0.5")),
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
    (r"loss.*?([0-9.]+)", "loss: nan acc: 0.5", math.nan),
]


def read(pattern: str, *lines: str) -> list[float]:
    patterns = MetricPatterns({"loss": [pattern]}, StepCounter())
    output = "".join(f"{line}\n" for line in lines).encode()
    measured = [*patterns.feed(output), *patterns.finish(completed=True)]
    return [values["loss"] for _, _, values in measured]


def read_by_launcher(pattern: str, *lines: str) -> list[float]:
    compiled = re.compile(pattern)
    reader = MetricReader("loss", compiled, compiled.finditer)
    return [value for line in lines for value, _ in reader.read(line)]


def misread(pattern: str, *lines: str) -> str:
    with pytest.raises(MetricError) as here:
        read(pattern, *lines)
    with pytest.raises(MisreadNumberError) as launcher:
        read_by_launcher(pattern, *lines)
    assert str(here.value) == str(launcher.value)
    return str(here.value)


@pytest.mark.parametrize(("pattern", "line", "value"), WHOLE)
def test_what_follows_no_number_cuts_none(pattern: str, line: str, value: float) -> None:
    assert read(pattern, line) == read_by_launcher(pattern, line) == [value]


@pytest.mark.parametrize(("pattern", "line", "whole"), CUT)
def test_a_part_of_a_number_is_a_mistake(pattern: str, line: str, whole: str) -> None:
    error = misread(pattern, line)
    assert "misreads its number: it reads only" in error
    assert f" of {whole} in: {line}; " in error


@pytest.mark.parametrize("text", NO_NUMBER)
def test_a_text_with_a_number_is_a_mistake(text: str) -> None:
    error = misread(r"loss: (\S+)", "loss: 0.5", f"loss: {text}")
    assert f"it reads {text!r}, which is not a number, in: loss: {text}; capture only" in error


@pytest.mark.parametrize(("pattern", "lines", "number"), MISSED)
def test_a_number_after_the_same_word_is_not_left_out(
    pattern: str, lines: tuple[str, ...], number: str
) -> None:
    assert f"it does not match {number} in: " in misread(pattern, *lines)


@pytest.mark.parametrize(("pattern", "lines"), OTHERS)
def test_other_numbers_are_left_out(pattern: str, lines: tuple[str, ...]) -> None:
    assert read(pattern, *lines) == read_by_launcher(pattern, *lines) == [0.5]


@pytest.mark.parametrize("name", HEALTHY)
def test_outputs_of_well_known_programs_are_read(name: str) -> None:
    output, pattern = HEALTHY[name]
    assert read(pattern, *output.splitlines())


@pytest.mark.parametrize(
    ("pattern", "text"), [(r"loss: (\S+)", "diverged"), (DIGITS, "None"), (DIGITS, "*****")]
)
def test_a_last_text_without_a_number_is_nan(pattern: str, text: str) -> None:
    lines = ("loss: 0.5", f"loss: {text}")
    assert json.dumps(read(pattern, *lines)) == "[0.5, NaN]"
    assert read(pattern, *lines, "loss: 0.25") == [0.5, 0.25]


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


@pytest.mark.slow
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

    def cloudtune(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cloudtune", *words]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == code, done.stderr
        return done

    words = "reads only '1.296' of 1.296e-06 in: loss: 1.296e-06; capture the whole number"
    output = cloudtune("run", "study.yaml", code=3)
    assert words in output.stderr
    assert "the best may be another: 1 trial with misread numbers failed" in output.stdout
    assert cloudtune("status").stdout.count(words) == 1
    assert words in cloudtune("results").stdout
    assert words in cloudtune("report", "--json").stdout
    lines = cloudtune("results", "--format", "jsonl").stdout.splitlines()
    first, second = map(json.loads, lines)
    assert (first["state"], second["state"]) == ("completed", "failed")
    assert [m["metrics"] for m in second["measurements"]] == [{"loss": 0.5}]
    cloudtune("run", "study.yaml", "--set", "limits.max_failed_trials=1")
