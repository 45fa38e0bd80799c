"""What cloudtune adds: run by hand, prints ratios of pairs that were measured in turn.

    python tests/benchmarks/overhead.py            all of them
    python tests/benchmarks/overhead.py trials     one of: trials, help, check

Every figure is the median of the pairs' ratios, with the smallest and largest beside it: machines
are noisy, and a pair shares the noise. The ratio of the CPU that both used, with all processes that
they started, is steadier than that of the time that went by.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
"""Where this is set, each start compiles our modules again, which no user has to wait for."""
CLOUDTUNE = str(Path(sys.executable).with_name("cloudtune"))
SCRIPT = """\
import sys
print("score:", float(sys.argv[2]))
"""
STUDY = """\
objective: {{metric: score, goal: maximize}}
parameters:
  x: {{type: float, min: 0, max: 1}}
strategy: {{name: random, seed: 1}}
limits: {{max_trials: {trials}, parallel_trials: 2}}
trial: {{script: train.py, metrics: {{score: 'score: (\\S+)'}}, python: {python}}}
"""


class Seconds(NamedTuple):
    """What a command took."""

    wall: float
    cpu: float
    """Of its own and of its children's."""

    def less(self, other: Seconds) -> Seconds:
        """Return what it took more than another."""
        return Seconds(self.wall - other.wall, self.cpu - other.cpu)


def cpu_of_children() -> float:
    """Return the CPU seconds of all processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds(
    command: list[str], lines: Path | None = None, env: dict[str, str] | None = None
) -> Seconds:
    """Return what a command takes; it must succeed."""
    with (lines or Path(os.devnull)).open() as words:
        begin, used = time.perf_counter(), cpu_of_children()
        subprocess.run(
            command,
            stdin=words,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={k: v for k, v in (env or os.environ).items() if k != _NO_BYTECODE},
            check=True,
        )
        return Seconds(time.perf_counter() - begin, cpu_of_children() - used)


def paired(
    label: str, ours: Callable[[], Seconds], other: Callable[[], Seconds], runs: int
) -> None:
    """Measure two things in turn and print their medians and the ratio of the pairs."""
    ours()
    other()
    pairs = [(ours(), other()) for _ in range(runs)]
    print(
        f"{label}: {statistics.median(a.wall for a, _ in pairs):.3f} s against "
        f"{statistics.median(b.wall for _, b in pairs):.3f} s, "
        f"ratio {spread([a.wall / b.wall for a, b in pairs])} of {runs} pairs; "
        f"CPU {spread([a.cpu / b.cpu for a, b in pairs])}"
    )


def spread(ratios: list[float]) -> str:
    """Return the median with the smallest and the largest."""
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f} to {max(ratios):.2f}]"


def trials(folder: Path) -> None:
    """100 cold script trials on two workers against ``xargs -P2``, beyond the one-time start."""
    source = folder / "source"
    source.mkdir()
    (source / "train.py").write_text(SCRIPT)
    study = source / "study.yaml"
    study.write_text(STUDY.format(trials=102, python=sys.executable))
    words = "\n".join(f"{k / 100}" for k in range(100))
    (folder / "words").write_text(words)
    env = {**os.environ, "CLOUDTUNE_HOME": str(folder / "state"), "PYTHONUNBUFFERED": "1"}

    def ours() -> Seconds:
        command = [CLOUDTUNE, "run", str(study), "--set"]
        many, few = (
            seconds([*command, f"limits.max_trials={count}"], env=env) for count in (102, 2)
        )
        return many.less(few)

    def xargs() -> Seconds:
        command = ["xargs", "-P2", "-n1", sys.executable, str(source / "train.py"), "--x"]
        return seconds(command, folder / "words", env)

    paired("100 trivial trials on two workers", ours, xargs, runs=9)


def help_text(folder: Path) -> None:
    """``cloudtune --help`` against the imports of a small command line program."""
    base = [sys.executable, "-c", "import argparse, json"]
    paired("--help", lambda: seconds([CLOUDTUNE, "--help"]), lambda: seconds(base), runs=31)


def check(folder: Path) -> None:
    """``cloudtune check`` against importing pydantic."""
    study = folder / "study.yaml"
    study.write_text(STUDY.format(trials=10, python=sys.executable))
    base = [sys.executable, "-c", "from pydantic import BaseModel"]
    paired(
        "check", lambda: seconds([CLOUDTUNE, "check", str(study)]), lambda: seconds(base), runs=31
    )


def main() -> None:
    """Run what the command line names."""
    all_of_them = {"trials": trials, "help": help_text, "check": check}
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or all_of_them:
            all_of_them[name](Path(folder))


if __name__ == "__main__":
    main()
