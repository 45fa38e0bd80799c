"""The overhead of cloudtune, as ratios of pairs that are measured in turn. Run by hand.

    python benchmarks/overhead.py            all of them
    python benchmarks/overhead.py trials     one of: trials, pace, warm, trivial, help, check

Each figure is the median of the pairs' ratios, with the smallest and largest in brackets. A pair
shares the noise of the machine. The ratio of CPU times, which include all child processes, is more
stable than that of elapsed times.
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
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil

from cloudtune.ledger.ledger import Ledger
from cloudtune.results.events import Ended

_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
"""If set, each start compiles cloudtune's modules again, unlike for users."""
CLOUDTUNE = str(Path(sys.executable).with_name("cloudtune"))
QUICKSTART = Path(__file__).parents[1] / "templates" / "quickstart" / "study.yaml"
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
    """The elapsed and the CPU time of a command."""

    wall: float
    cpu: float
    """Includes child processes."""

    def minus(self, other: Seconds) -> Seconds:
        """Return the difference of two times."""
        return Seconds(self.wall - other.wall, self.cpu - other.cpu)

    def times(self, factor: int) -> Seconds:
        """Return a multiple of the time."""
        return Seconds(self.wall * factor, self.cpu * factor)


def children_cpu() -> float:
    """Return the CPU time of all child processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(
    command: list[str], stdin: Path | None = None, env: dict[str, str] | None = None
) -> Seconds:
    """Return the time of a command, which must succeed."""
    with (stdin or Path(os.devnull)).open() as file:
        begin, cpu = time.perf_counter(), children_cpu()
        subprocess.run(
            command,
            stdin=file,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={k: v for k, v in (env or os.environ).items() if k != _NO_BYTECODE},
            check=True,
        )
        return Seconds(time.perf_counter() - begin, children_cpu() - cpu)


def compare(
    label: str,
    own: Callable[[], Seconds],
    other: Callable[[], Seconds],
    runs: int,
    digits: int = 2,
) -> None:
    """Measure two commands in turn and print their medians and the ratio of the pairs."""
    own()
    other()
    pairs = [(own(), other()) for _ in range(runs)]
    print(
        f"{label}: {statistics.median(a.wall for a, _ in pairs):.3f} s against "
        f"{statistics.median(b.wall for _, b in pairs):.3f} s, "
        f"ratio {format_ratios([a.wall / b.wall for a, b in pairs], digits)} of {runs} pairs; "
        f"CPU {format_ratios([a.cpu / b.cpu for a, b in pairs], digits)}"
    )


def format_ratios(ratios: list[float], digits: int) -> str:
    """Return the median with the smallest and the largest in brackets."""
    median, low, high = (
        f"{each:.{digits}f}" for each in (statistics.median(ratios), min(ratios), max(ratios))
    )
    return f"{median} [{low} to {high}]"


class Bench:
    """One script, run by cloudtune and by xargs."""

    def __init__(self, folder: Path, script: str) -> None:
        folder.mkdir()
        self._folder = folder
        self._script = folder / "source" / "train.py"
        self._script.parent.mkdir()
        self._script.write_text(script)
        self._study = self._script.with_name("study.yaml")
        self._study.write_text(STUDY.format(trials=100, python=sys.executable, warm="true"))
        self.env = {**os.environ, "CLOUDTUNE_HOME": str(folder / "state"), "PYTHONUNBUFFERED": "1"}

    def command(self, trials: int, *, warm: bool) -> list[str]:
        """Return the command that runs the study."""
        settings = [f"limits.max_trials={trials}", f"trial.warm={str(warm).lower()}"]
        return [
            CLOUDTUNE,
            "run",
            str(self._study),
            *(word for s in settings for word in ("--set", s)),
        ]

    def seconds_between_ends(self) -> float:
        """Return the time from the second to the last end of a trial in the latest run."""
        with Ledger(Path(self.env["CLOUDTUNE_HOME"])) as ledger:
            events = [event for _, event in ledger.events(ledger.run(None).id, "local")]
        ends = sorted(event.time for event in events if isinstance(event, Ended))
        return ends[-1] - ends[1]

    def xargs(self, trials: int) -> Seconds:
        """Return the time of xargs for the same script."""
        values = self._folder / "values"
        values.write_text("\n".join(f"{k / trials}" for k in range(trials)))
        command = ["xargs", "-P2", "-n1", sys.executable, str(self._script), "--x"]
        return measure(command, values, self.env)


def trials(folder: Path) -> None:
    """Compare 100 cold trials on two workers with ``xargs -P2``, without the one-time start."""
    bench = Bench(folder / "trials", SCRIPT)

    def own() -> Seconds:
        many, few = (measure(bench.command(n, warm=False), env=bench.env) for n in (102, 2))
        return many.minus(few)

    compare("100 trivial trials on two workers", own, lambda: bench.xargs(100), runs=25)


def pace(folder: Path) -> None:
    """Compare them by the times in the ledger, without the start and the end of the run."""
    bench = Bench(folder / "pace", SCRIPT)
    ratios: list[float] = []
    for _ in range(25):
        xargs_first = random.random() < 0.5
        xargs = bench.xargs(100).wall if xargs_first else 0.0
        measure(bench.command(102, warm=False), env=bench.env)
        ratios.append(bench.seconds_between_ends() / (xargs or bench.xargs(100).wall))
    error = statistics.stdev(ratios) / len(ratios) ** 0.5
    print(f"100 trials from end to end: ratio {statistics.mean(ratios):.3f} ± {error:.3f}")


def warm(folder: Path) -> None:
    """Compare 100 warm trials with heavy imports, from start to end, with ten times 10 of xargs."""
    bench = Bench(folder / "warm", HEAVY)
    command = bench.command(100, warm=True)
    compare(
        "100 trials that import scikit-learn and pandas, xargs measured with 10",
        lambda: measure(command, env=bench.env),
        lambda: bench.xargs(10).times(10),
        runs=5,
        digits=3,
    )
    print(f"peak memory (PSS of all processes): {peak_memory(command, bench.env):.0f} MB")
    cold = peak_memory(bench.command(6, warm=False), bench.env)
    print(f"the same with cold trials: {cold:.0f} MB")


def trivial(folder: Path) -> None:
    """Compare 100 warm with 100 cold trials without imports, from start to end."""
    bench = Bench(folder / "trivial", SCRIPT)
    compare(
        "100 trivial trials, warm against cold",
        lambda: measure(bench.command(100, warm=True), env=bench.env),
        lambda: measure(bench.command(100, warm=False), env=bench.env),
        runs=9,
    )


def peak_memory(command: list[str], env: dict[str, str]) -> float:
    """Return the peak memory of a command and its child processes in MB.

    Shared pages count once.
    """
    peak = 0.0
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
            peak = max(peak, now)
            time.sleep(0.02)
    return peak


def help_text(folder: Path) -> None:
    """Compare ``cloudtune --help`` with the imports of a small command line program."""
    base = [sys.executable, "-c", "import argparse, json"]
    compare("--help", lambda: measure([CLOUDTUNE, "--help"]), lambda: measure(base), runs=31)


def check(folder: Path) -> None:
    """Compare ``cloudtune check`` and ``plan`` of the quickstart with importing pydantic."""
    base = [sys.executable, "-c", "from pydantic import BaseModel"]
    env = {**os.environ, "CLOUDTUNE_HOME": str(folder / "state")}
    for command in ("check", "plan"):
        own = partial(measure, [CLOUDTUNE, command, str(QUICKSTART)], env=env)
        compare(command, own, lambda: measure(base), runs=31)


def main() -> None:
    """Run the benchmarks that the command line names."""
    benchmarks = {
        "trials": trials,
        "pace": pace,
        "warm": warm,
        "trivial": trivial,
        "help": help_text,
        "check": check,
    }
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or benchmarks:
            benchmarks[name](Path(folder))


if __name__ == "__main__":
    main()
