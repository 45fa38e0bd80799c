"""Findings, notes and errors in a terminal of 80 columns."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cloudtune.reporting.wrapping import wrap_message

FINDING = (
    "  refused providers.vertex.project: set a project or GOOGLE_CLOUD_PROJECT; gcloud's "
    "configuration has no project"
)


def test_lines_are_wrapped_between_words() -> None:
    assert wrap_message(f"short\n{FINDING}", 80).splitlines() == [
        "short",
        "  refused providers.vertex.project: set a project or GOOGLE_CLOUD_PROJECT;",
        "      gcloud's configuration has no project",
    ]
    path = f"{'x' * 100}: too long"
    assert wrap_message(path, 80).splitlines() == [path[:101], "    too long"]


def test_commands_and_other_lines_stay_as_they_are() -> None:
    command = f"{'word ' * 20}: pip install 'cloudtune[vertex]'"
    assert wrap_message(command, 40) == command
    assert wrap_message(FINDING, 200) == FINDING


STUDY = """
objective: {metric: loss, goal: minimize}
parameters: {x: {type: float, min: 0, max: 1}}
strategy: random
limits: {max_trials: 2}
trial: {script: train.py}
"""


def shown(folder: Path, *words: str) -> list[str]:
    """Return the lines of a command in a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cloudtune", *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80", "CLOUDTUNE_HOME": str(folder / "state")},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    output = b""
    while True:
        try:
            data = os.read(ours, 65_536)
        except OSError:  # the end, on Linux
            data = b""
        if not data:
            break
        output += data
    os.close(ours)
    process.wait()
    return click.unstyle(output.decode()).splitlines()


@pytest.mark.slow
def test_check_and_run_and_plan_fit_80_columns(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, "utf-8")
    (tmp_path / "train.py").write_text("print(1)\n", "utf-8")
    for command in ("check", "run", "plan"):
        lines = shown(tmp_path, command, "study.yaml", "--on", "vertex")
        assert any("refused providers.vertex.image" in line for line in lines)
        prose = [line for line in lines if not line.startswith("    ") or "://" not in line]
        assert max(map(len, prose)) <= 80, max(prose, key=len)


@pytest.mark.slow
def test_the_summary_of_failed_trials_is_wrapped_between_words(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.replace("max_trials: 2", "max_trials: 4"), "utf-8")
    message = " ".join(["a long explanation"] * 6)
    (tmp_path / "train.py").write_text(f"raise RuntimeError({message!r})\n", "utf-8")
    for words in (["run", "study.yaml"], ["watch"]):
        lines = shown(tmp_path, *words)
        assert not any("…" in line for line in lines)
        start = next(n for n, line in enumerate(lines) if line.startswith("ended: "))
        is_copied = ("cloudtune resume", "  | ", str(tmp_path))
        prose = [each for each in lines[start:] if not any(text in each for text in is_copied)]
        assert max(map(len, prose)) <= 80, max(prose, key=len)


@pytest.mark.slow
def test_a_pipe_gets_utf8_whatever_the_locale_is(tmp_path: Path) -> None:
    """Also where Python would write ASCII, which ended commands with a traceback."""
    (tmp_path / "train.py").write_text("from cloudtune.trial import report\nreport(loss=1)")
    (tmp_path / "study.yaml").write_text("name: größe\n" + STUDY, "utf-8")
    environment = {**os.environ, "CLOUDTUNE_HOME": str(tmp_path / "state")}
    environment["PYTHONIOENCODING"] = "ascii"

    def output(*words: str) -> str:
        command = [sys.executable, "-m", "cloudtune", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode("utf-8")

    output("run", "study.yaml")
    assert "größe" in output("report")
    assert "größe" in output("results", "--json")
