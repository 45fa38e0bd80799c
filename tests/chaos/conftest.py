"""A folder with a study in which cloudtune runs as users run it, and is disturbed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.execution import reaper
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import lock_holder
from tests.read_here import read_here

SCRIPT = """\
import time
from cloudtune.trial import params, report
p = params()
for step in range(1, 4):
    report(score=p["x"] * step, step=step)
    time.sleep(0.03)
"""
STUDY = """\
objective: {metric: score, goal: maximize}
parameters:
  x: {type: float, min: 0, max: 1}
  k: {type: categorical, values: [a, b, c]}
strategy: {name: random, seed: 3}
limits: {max_trials: 24, parallel_trials: 2}
trial: {script: train.py}
"""
MAIN = (sys.executable, "-m", "cloudtune")
LONGEST = 600
"""Seconds of a command that runs a whole study on a busy machine."""


class Home:
    """A folder with a study and a state folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / ".cloudtune"
        self.env = {**os.environ, "CLOUDTUNE_HOME": str(self.state)}
        self._begun: list[subprocess.Popen[str]] = []
        path.mkdir(parents=True, exist_ok=True)
        (path / "train.py").write_text(SCRIPT, "utf-8")
        (path / "study.yaml").write_text(STUDY, "utf-8")

    def begin(self, *words: str, main: Sequence[str] = MAIN) -> subprocess.Popen[str]:
        """Start a command; `communicate` returns its output."""
        process = subprocess.Popen(
            [*main, *words],
            cwd=self.path,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._begun.append(process)
        return process

    def call(
        self, *words: str, code: int = 0, main: Sequence[str] = MAIN
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, which must end with this code."""
        process = self.begin(*words, main=main)
        out, err = process.communicate(timeout=LONGEST)
        assert process.returncode == code, out + err
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def results(self) -> list[dict[str, Any]]:
        """Return the trials of the latest run."""
        code, output = read_here(self.path, self.state, "results", "--format", "jsonl")
        assert code == 0, output
        return [json.loads(line) for line in output.splitlines()]

    @property
    def run(self) -> str:
        """The latest run."""
        with Ledger(self.state) as ledger:
            return ledger.find_run_id()

    def engine(self) -> int | None:
        """Return the process that runs the latest run."""
        holder = lock_holder(self.state / "runs" / self.run)
        words = holder.split() if holder else []
        return int(words[1]) if words[:1] == ["process"] else None

    def trials(self) -> list[psutil.Process]:
        """Return the processes of the run's trials."""
        return [p for p in everyone() if environment(p).startswith(f"{self.run}.")]

    def reapers(self) -> list[psutil.Process]:
        """Return the run's reapers."""
        file = reaper.__file__
        return [
            p
            for p in everyone()
            if file in words(p) and any(word.startswith(f"{self.run}.") for word in words(p))
        ]

    def is_quiet(self) -> bool:
        """Return whether no process of the run is left."""
        return not (self.trials() or self.reapers())

    def close(self) -> None:
        """End what was started."""
        for process in self._begun:
            process.kill()
            process.communicate()


def everyone() -> list[psutil.Process]:
    return list(psutil.process_iter())


def environment(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return process.environ().get(reaper.MARK_VARIABLE, "")
    return ""


def words(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def wait_for(condition: Callable[[], object], seconds: float = 200) -> bool:
    """Wait until something holds; return whether it came to that."""
    due = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > due:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def home(tmp_path: Path) -> Any:
    instance = Home(tmp_path / "home")
    yield instance
    instance.close()


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Return a random generator, the same in each run; CLOUDTUNE_CHAOS=SEED draws others."""
    return random.Random(f"{os.environ.get('CLOUDTUNE_CHAOS')} {request.node.name}")
