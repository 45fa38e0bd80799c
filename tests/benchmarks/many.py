"""Many trials: what one costs in a study of 10,000, and what reading 100,000 takes. Run by hand.

    python tests/benchmarks/many.py               all of them
    python tests/benchmarks/many.py trials        the cost of a trial in studies of three sizes
    python tests/benchmarks/many.py strategies    the same with strategies that learn, once
    python tests/benchmarks/many.py results       reading, filtering and exporting 100,000 trials

The trials of the first two are none: a runner in this process ends each at once. All else is real:
strategy, driver, limits, ledger, progress, and the results and the summary at the end. The third
runs each command in a process of its own and shows its time and its peak of memory.
"""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from cloudtune.ledger.ledger import Ledger
from cloudtune.planning.planner import plan_run
from cloudtune.provider.models import Interrupted, JobContext, Recovered
from cloudtune.provider.protocols import Emit, TrialRunner
from cloudtune.reporting.console.live import LiveProgress
from cloudtune.reporting.console.plain import PlainProgress
from cloudtune.reporting.console.summary import format_summary
from cloudtune.results.events import Ended, Event, Measured, Started, TrialState
from cloudtune.runs import lifecycle
from cloudtune.study.study import Study
from cloudtune_local import LocalProvider

SIZES = (100, 1_000, 10_000)
ROUNDS = 3
MANY = 100_000
AT_ONCE = 1_000
PARAMETERS = {
    **{f"x{n}": {"type": "float", "min": 0, "max": 1} for n in range(8)},
    "depth": {"type": "int", "min": 1, "max": 100},
    "kind": {"type": "categorical", "values": ["small", "medium", "large"]},
}


class Instant:
    """A runner whose trials report twice and end in the moment in which they start."""

    enforces_trial_timeout = False

    def job_name(self, number: int, start: int) -> str | None:
        """Return no name."""
        return None

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def start(self, started: Started) -> None:
        """Run a trial."""
        score = float(started.parameters["x0"])
        for step in (1, 2):
            self._emit(Measured(started.number, time.time(), step, {"score": score * step}))
        self._emit(Ended(started.number, time.time(), "completed", seconds=0.0))

    def stop(self, number: int, *, now: bool = False) -> None:
        """Do nothing: it has ended."""

    def recover(self, interrupted: Sequence[Interrupted]) -> Recovered:
        """Find nothing."""
        return Recovered([])

    def close(self) -> None:
        """Do nothing."""


def instant(
    self: Any, plan: Any, context: JobContext, emit: Emit, say: Callable[[str], None]
) -> TrialRunner:
    """Return the runner in place of the local provider's."""
    return Instant(emit)


def study_of(trials: int, **more: Any) -> Study:
    """Return a study of so many trials, with every limit that looks at each of them."""
    return Study.model_validate(
        {
            "name": "many",
            "objective": {"metric": "score", "goal": "maximize", "target": 10},
            "parameters": PARAMETERS,
            "strategy": {"name": "random", "seed": 1},
            "limits": {
                "max_trials": trials,
                "parallel_trials": 4,
                "patience": trials,
                "max_failed_trials": trials,
                "timeout": "10h",
                "trial_timeout": "1h",
            },
            "trial": {"command": ["true"]},
            **more,
        }
    )


def seconds_of(study: Study, folder: Path, *, live: bool) -> float:
    """Return the CPU seconds of a run from its first trial to its summary."""
    from rich.console import Console

    setattr(LocalProvider, "runner", instant)  # noqa: B010 - in place of the real one
    run = lifecycle.create(plan_run(study, ["local"]), folder).id
    begin = time.process_time()
    with redirect_stderr(io.StringIO()):
        terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
        shown = LiveProgress(terminal, ["local"]) if live else PlainProgress(["local"])
        lifecycle.execute(run, shown, folder)
        shown.close()
    (result,) = lifecycle.results(run, folder)
    lines = format_summary(result, str(folder))
    assert len(result.trials) == study.limits.max_trials
    assert lines
    return time.process_time() - begin


def trials(folder: Path) -> None:
    """CPU milliseconds a trial in studies of 100, 1,000 and 10,000."""
    median: dict[str, Any] = {"early_stopping": {"rule": "median", "min_step": 1}}
    halving: dict[str, Any] = {"early_stopping": {"rule": "halving"}}
    print(_HEAD)
    for name, live, more in (
        ("lines", False, {}),
        ("live picture", True, {}),
        ("lines, early stopping: median", False, median),
        ("lines, early stopping: halving", False, halving),
    ):
        _row(folder, name, more, live=live, rounds=ROUNDS)


def strategies(folder: Path) -> None:
    """The same with strategies that learn, one round; their imports are paid before."""
    print(_HEAD)
    for name in ("genetic", "bayesian"):
        more = {"strategy": {"name": name, "seed": 1}}
        seconds_of(study_of(20, **more), folder / name / "first", live=False)
        _row(folder, name, more, live=False, rounds=1)


_HEAD = f"""\
| what | {" | ".join(f"{size:,}" for size in SIZES)} | last to first |
{"|---" * (len(SIZES) + 2)}|"""


def _row(folder: Path, name: str, more: Mapping[str, Any], *, live: bool, rounds: int) -> None:
    found: dict[int, list[float]] = {size: [] for size in SIZES}
    for turn in range(rounds):
        for size in SIZES:
            again = max(1, 1_000 // size)
            took = sum(
                seconds_of(study_of(size, **more), folder / name / f"{turn}-{size}-{k}", live=live)
                for k in range(again)
            )
            found[size].append(took / again / size * 1_000)
    ratios = [last / first for first, last in zip(found[SIZES[0]], found[SIZES[-1]], strict=True)]
    each = " | ".join(f"{statistics.median(took):.2f} ms" for took in found.values())
    spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f} to {max(ratios):.2f}]"
    print(f"| {name} | {each} | {spread} |", flush=True)


def events(count: int) -> Iterator[Event]:
    """Yield the events of so many trials."""
    from random import Random

    chance = Random(1)
    for number in range(1, count + 1):
        parameters: dict[str, Any] = {f"x{n}": chance.random() for n in range(8)}
        parameters |= {"depth": number % 100 + 1, "kind": "medium"}
        yield Started(number, 1e9 + number, parameters)
        for step in (1, 2):
            metrics = {"score": chance.random(), "loss": chance.random()}
            yield Measured(number, 1e9 + number + step / 10, step, metrics)
        state: TrialState = "failed" if number % 50 == 0 else "completed"
        yield Ended(number, 1e9 + number + 0.5, state, seconds=0.5)


def fill(folder: Path, count: int) -> str:
    """Write a run of so many trials, and return its id."""
    run = lifecycle.create(plan_run(study_of(count), ["local"]), folder).id
    with Ledger(folder) as ledger:
        some: list[Event] = []
        for event in events(count):
            some.append(event)
            if len(some) == AT_ONCE:
                ledger.append(run, "local", *some)
                some = []
        ledger.append(run, "local", *some)
        ledger.end_job(run, "local", "completed", "")
    return run


MEASURED = """
import resource, subprocess, sys, time
begin = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
took = time.perf_counter() - begin
used = resource.getrusage(resource.RUSAGE_CHILDREN)
unit = 1024 if sys.platform == "darwin" else 1
print(code, took, used.ru_utime + used.ru_stime, used.ru_maxrss // unit)
"""


def results(folder: Path) -> None:
    """Seconds and memory of the commands that read 100,000 trials."""
    state = folder / "state"
    begin = time.perf_counter()
    run = fill(state, MANY)
    size = (state / "ledger.db").stat().st_size / 1e6
    print(f"{MANY:,} trials, 10 parameters, 2 measurements of 2 metrics each: ", end="")
    print(f"{size:.0f} MB, written in {time.perf_counter() - begin:.1f} s\n")
    main = [sys.executable, "-m", "cloudtune"]
    into = str(folder / "out")
    api = f"import cloudtune; len(cloudtune.Run({run!r}).results().to_pandas())"
    commands = {
        "--help (the least there can be)": [*main, "--help"],
        "status": [*main, "status"],
        "results --best": [*main, "results", "--best"],
        "results": [*main, "results"],
        "results --format jsonl": [*main, "results", "--format", "jsonl"],
        "results --format json": [*main, "results", "--format", "json"],
        "results --format csv": [*main, "results", "--format", "csv"],
        "results --format parquet": [*main, "results", "--format", "parquet", "-o", into],
        "results().to_pandas()": [sys.executable, "-c", api],
    }
    print("| what | s | CPU s | peak MB |\n|---|---|---|---|")
    env = {**os.environ, "CLOUDTUNE_HOME": str(state)}
    for name, words in commands.items():
        told = subprocess.run(
            [sys.executable, "-c", MEASURED, *words],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        code, took, used, peak = told.stdout.split()
        assert code == "0", told.stderr
        print(
            f"| {name} | {float(took):.1f} | {float(used):.1f} | {float(peak) / 1024:.0f} |",
            flush=True,
        )


def main() -> None:
    """Run what the command line names."""
    all_of_them = {"trials": trials, "strategies": strategies, "results": results}
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or all_of_them:
            all_of_them[name](Path(folder) / name)


if __name__ == "__main__":
    main()
