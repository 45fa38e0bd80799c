"""What cloudtune adds: run by hand, prints ratios of pairs that were measured in turn.

    python tests/benchmarks/overhead.py            all of them
    python tests/benchmarks/overhead.py trials     one of: trials, pace, warm, trivial, help, check

Every figure is the median of the pairs' ratios, with the smallest and largest beside it: machines
are noisy, and a pair shares the noise. The ratio of the CPU that both used, with all processes that
they started, is steadier than that of the time that went by.
"""

from __future__ import annotations

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from cloudtune.ledger.ledger import Ledger
from cloudtune.results.events import Ended

_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
"""Where this is set, each start compiles our modules again, which no user has to wait for."""
CLOUDTUNE = str(Path(sys.executable).with_name("cloudtune"))
SCRIPT = """\
import sys
print("score:", float(sys.argv[2]))
"""
HEAVY = """\
import sys
import pandas
import sklearn.ensemble
print("score:", float(sys.argv[2]))
"""
STUDY = """\
objective: {{metric: score, goal: maximize}}
parameters:
  x: {{type: float, min: 0, max: 1}}
strategy: {{name: random, seed: 1}}
limits: {{max_trials: {trials}, parallel_trials: 2}}
trial: {{script: train.py, metrics: {{score: 'score: (\\S+)'}}, python: {python}, warm: {warm}}}
"""


class Seconds(NamedTuple):
    """What a command took."""

    wall: float
    cpu: float
    """Of its own and of its children's."""

    def less(self, other: Seconds) -> Seconds:
        """Return what it took more than another."""
        return Seconds(self.wall - other.wall, self.cpu - other.cpu)

    def times(self, factor: int) -> Seconds:
        """Return what it takes so many times."""
        return Seconds(self.wall * factor, self.cpu * factor)


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
    label: str,
    ours: Callable[[], Seconds],
    other: Callable[[], Seconds],
    runs: int,
    digits: int = 2,
) -> None:
    """Measure two things in turn and print their medians and the ratio of the pairs."""
    ours()
    other()
    pairs = [(ours(), other()) for _ in range(runs)]
    print(
        f"{label}: {statistics.median(a.wall for a, _ in pairs):.3f} s against "
        f"{statistics.median(b.wall for _, b in pairs):.3f} s, "
        f"ratio {spread([a.wall / b.wall for a, b in pairs], digits)} of {runs} pairs; "
        f"CPU {spread([a.cpu / b.cpu for a, b in pairs], digits)}"
    )


def spread(ratios: list[float], digits: int) -> str:
    """Return the median with the smallest and the largest."""
    median, least, most = (
        f"{each:.{digits}f}" for each in (statistics.median(ratios), min(ratios), max(ratios))
    )
    return f"{median} [{least} to {most}]"


class Bench:
    """One script, run by a study and by xargs."""

    def __init__(self, folder: Path, script: str) -> None:
        folder.mkdir()
        self._folder = folder
        self._script = folder / "source" / "train.py"
        self._script.parent.mkdir()
        self._script.write_text(script)
        self._study = self._script.with_name("study.yaml")
        self._study.write_text(STUDY.format(trials=100, python=sys.executable, warm="true"))
        self.env = {**os.environ, "CLOUDTUNE_HOME": str(folder / "state"), "PYTHONUNBUFFERED": "1"}

    def ours(self, trials: int, *, warm: bool) -> list[str]:
        """Return the command that runs a study."""
        sets = [f"limits.max_trials={trials}", f"trial.warm={str(warm).lower()}"]
        return [CLOUDTUNE, "run", str(self._study), *(word for s in sets for word in ("--set", s))]

    def between_ends(self) -> float:
        """Return the seconds from the last run's second end of a trial to its last one."""
        with Ledger(Path(self.env["CLOUDTUNE_HOME"])) as ledger:
            events = [event for _, event in ledger.events(ledger.run(None).id, "local")]
        ends = sorted(event.time for event in events if isinstance(event, Ended))
        return ends[-1] - ends[1]

    def xargs(self, trials: int) -> Seconds:
        """Return what xargs takes for so many trials."""
        words = self._folder / "words"
        words.write_text("\n".join(f"{k / trials}" for k in range(trials)))
        command = ["xargs", "-P2", "-n1", sys.executable, str(self._script), "--x"]
        return seconds(command, words, self.env)


def trials(folder: Path) -> None:
    """100 cold script trials on two workers against ``xargs -P2``, beyond the one-time start."""
    bench = Bench(folder / "trials", SCRIPT)

    def ours() -> Seconds:
        many, few = (seconds(bench.ours(n, warm=False), env=bench.env) for n in (102, 2))
        return many.less(few)

    paired("100 trivial trials on two workers", ours, lambda: bench.xargs(100), runs=25)


def pace(folder: Path) -> None:
    """The same by the times in the ledger, without the start and the end of the run."""
    bench = Bench(folder / "pace", SCRIPT)
    ratios: list[float] = []
    for _ in range(25):
        xargs_first = random.random() < 0.5
        xargs = bench.xargs(100).wall if xargs_first else 0.0
        seconds(bench.ours(102, warm=False), env=bench.env)
        ratios.append(bench.between_ends() / (xargs or bench.xargs(100).wall))
    error = statistics.stdev(ratios) / len(ratios) ** 0.5
    print(f"100 trials from end to end: ratio {statistics.mean(ratios):.3f} ± {error:.3f}")


def warm(folder: Path) -> None:
    """100 warm trials with heavy imports, from start to end, against ten times 10 of xargs."""
    bench = Bench(folder / "warm", HEAVY)
    command = bench.ours(100, warm=True)
    paired(
        "100 trials that import scikit-learn and pandas, xargs measured with 10",
        lambda: seconds(command, env=bench.env),
        lambda: bench.xargs(10).times(10),
        runs=5,
        digits=3,
    )
    print(f"peak memory (PSS of all processes): {peak(command, bench.env):.0f} MB")
    cold = peak(bench.ours(6, warm=False), bench.env)
    print(f"the same with cold trials: {cold:.0f} MB")


def trivial(folder: Path) -> None:
    """100 trials without imports, warm against cold, from start to end."""
    bench = Bench(folder / "trivial", SCRIPT)
    paired(
        "100 trivial trials, warm against cold",
        lambda: seconds(bench.ours(100, warm=True), env=bench.env),
        lambda: seconds(bench.ours(100, warm=False), env=bench.env),
        runs=9,
    )


def peak(command: list[str], env: dict[str, str]) -> float:
    """Return the most memory, in MB, that a command and its processes had at one time.

    Pages that several of them share count once.
    """
    most = 0.0
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env
    ) as run:
        root = psutil.Process(run.pid)
        while run.poll() is None:
            now = 0.0
            with suppress(psutil.Error):
                for process in [root, *root.children(recursive=True)]:
                    with suppress(psutil.Error):
                        now += process.memory_full_info().pss / 1e6
            most = max(most, now)
            time.sleep(0.02)
    return most


def help_text(folder: Path) -> None:
    """``cloudtune --help`` against the imports of a small command line program."""
    base = [sys.executable, "-c", "import argparse, json"]
    paired("--help", lambda: seconds([CLOUDTUNE, "--help"]), lambda: seconds(base), runs=31)


def check(folder: Path) -> None:
    """``cloudtune check`` against importing pydantic."""
    study = folder / "study.yaml"
    study.write_text(STUDY.format(trials=10, python=sys.executable, warm="true"))
    base = [sys.executable, "-c", "from pydantic import BaseModel"]
    paired(
        "check", lambda: seconds([CLOUDTUNE, "check", str(study)]), lambda: seconds(base), runs=31
    )


def main() -> None:
    """Run what the command line names."""
    all_of_them = {
        "trials": trials,
        "pace": pace,
        "warm": warm,
        "trivial": trivial,
        "help": help_text,
        "check": check,
    }
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or all_of_them:
            all_of_them[name](Path(folder))


if __name__ == "__main__":
    main()
