"""The cost of a trial in a study of 10,000, and of reading 100,000 trials. Run by hand.

    python benchmarks/many.py               all of them
    python benchmarks/many.py trials        the cost of a trial in studies of three sizes
    python benchmarks/many.py strategies    the same with strategies that learn
    python benchmarks/many.py results       reading, filtering and exporting 100,000 trials

In the first two, a runner in this process ends each trial at once. Everything else is real:
strategy, driver, limits, ledger, progress, results and summary. The third runs each command in its
own process and prints its time and peak memory.
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
BATCH = 1_000
PARAMETERS = {
    **{f"x{n}": {"type": "float", "min": 0, "max": 1} for n in range(8)},
    "depth": {"type": "int", "min": 1, "max": 100},
    "kind": {"type": "categorical", "values": ["small", "medium", "large"]},
}


class InstantRunner:
    """A runner whose trials report twice and end as soon as they start."""

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
        """Do nothing: the trial has ended."""

    def recover(self, interrupted: Sequence[Interrupted]) -> Recovered:
        """Recover nothing."""
        return Recovered([])

    def close(self) -> None:
        """Do nothing."""


def create_runner(
    self: Any, plan: Any, context: JobContext, emit: Emit, say: Callable[[str], None]
) -> TrialRunner:
    """Return a runner that replaces that of the local provider."""
    return InstantRunner(emit)


def study_of(trials: int, **blocks: Any) -> Study:
    """Return a study with every limit that examines each trial."""
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
            **blocks,
        }
    )


def cpu_seconds(study: Study, folder: Path, *, live: bool) -> float:
    """Return the CPU time of a run from its first trial to its summary."""
    from rich.console import Console

    setattr(LocalProvider, "runner", create_runner)  # noqa: B010
    os.environ["CLOUDTUNE_HOME"] = str(folder)
    run = lifecycle.create(plan_run(study, ["local"])).id
    begin = time.process_time()
    with redirect_stderr(io.StringIO()):
        terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
        progress = LiveProgress(terminal, ["local"]) if live else PlainProgress(["local"])
        lifecycle.execute(run, progress)
        progress.close()
    (result,) = lifecycle.results(run)
    lines = format_summary(result, str(folder))
    assert len(result.trials) == study.limits.max_trials
    assert lines
    return time.process_time() - begin


def trials(folder: Path) -> None:
    """Print the CPU time per trial in studies of 100, 1,000 and 10,000 trials."""
    median: dict[str, Any] = {"early_stopping": {"rule": "median", "min_step": 1}}
    halving: dict[str, Any] = {"early_stopping": {"rule": "halving"}}
    print(_HEAD)
    for name, live, blocks in (
        ("lines", False, {}),
        ("live picture", True, {}),
        ("lines, early stopping: median", False, median),
        ("lines, early stopping: halving", False, halving),
    ):
        _row(folder, name, blocks, live=live, rounds=ROUNDS)


def strategies(folder: Path) -> None:
    """Print the same for strategies that learn, in one round, without the time of imports."""
    print(_HEAD)
    for name in ("genetic", "bayesian"):
        blocks = {"strategy": {"name": name, "seed": 1}}
        cpu_seconds(study_of(20, **blocks), folder / name / "first", live=False)
        _row(folder, name, blocks, live=False, rounds=1)


_HEAD = f"""\
| what | {" | ".join(f"{size:,}" for size in SIZES)} | last to first |
{"|---" * (len(SIZES) + 2)}|"""


def _row(folder: Path, name: str, blocks: Mapping[str, Any], *, live: bool, rounds: int) -> None:
    seconds: dict[int, list[float]] = {size: [] for size in SIZES}
    for round_ in range(rounds):
        for size in SIZES:
            repeats = max(1, 1_000 // size)
            took = sum(
                cpu_seconds(
                    study_of(size, **blocks), folder / name / f"{round_}-{size}-{k}", live=live
                )
                for k in range(repeats)
            )
            seconds[size].append(took / repeats / size * 1_000)
    ratios = [
        last / first for first, last in zip(seconds[SIZES[0]], seconds[SIZES[-1]], strict=True)
    ]
    each = " | ".join(f"{statistics.median(took):.2f} ms" for took in seconds.values())
    spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f} to {max(ratios):.2f}]"
    print(f"| {name} | {each} | {spread} |", flush=True)


def events(count: int) -> Iterator[Event]:
    """Yield the events of a number of trials."""
    from random import Random

    rng = Random(1)
    for number in range(1, count + 1):
        parameters: dict[str, Any] = {f"x{n}": rng.random() for n in range(8)}
        parameters |= {"depth": number % 100 + 1, "kind": "medium"}
        yield Started(number, 1e9 + number, parameters)
        for step in (1, 2):
            metrics = {"score": rng.random(), "loss": rng.random()}
            yield Measured(number, 1e9 + number + step / 10, step, metrics)
        state: TrialState = "failed" if number % 50 == 0 else "completed"
        yield Ended(number, 1e9 + number + 0.5, state, seconds=0.5)


def fill(folder: Path, count: int) -> str:
    """Write a run with a number of trials to a ledger, and return its id."""
    os.environ["CLOUDTUNE_HOME"] = str(folder)
    run = lifecycle.create(plan_run(study_of(count), ["local"])).id
    with Ledger(folder) as ledger:
        batch: list[Event] = []
        for event in events(count):
            batch.append(event)
            if len(batch) == BATCH:
                ledger.append(run, "local", *batch)
                batch = []
        ledger.append(run, "local", *batch)
        ledger.end_job(run, "local", "completed", "")
    return run


MEASURE = """
import resource, subprocess, sys, time
begin = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
took = time.perf_counter() - begin
used = resource.getrusage(resource.RUSAGE_CHILDREN)
unit = 1024 if sys.platform == "darwin" else 1
print(code, took, used.ru_utime + used.ru_stime, used.ru_maxrss // unit)
"""


def measure_command(command: Sequence[str], state: Path) -> str:
    """Return cells of a table with the time, CPU time and peak memory of a command."""
    process = subprocess.run(
        [sys.executable, "-c", MEASURE, *command],
        env={**os.environ, "CLOUDTUNE_HOME": str(state)},
        capture_output=True,
        text=True,
        check=True,
    )
    code, wall, cpu, peak = process.stdout.split()
    assert code == "0", process.stderr
    return f"{float(wall):.1f} | {float(cpu):.1f} | {float(peak) / 1024:.0f}"


def results(folder: Path) -> None:
    """Print the time and memory of the commands that read 100,000 trials."""
    state = folder / "state"
    begin = time.perf_counter()
    run = fill(state, MANY)
    size = (state / "ledger.db").stat().st_size / 1e6
    print(f"{MANY:,} trials, 10 parameters, 2 measurements of 2 metrics each: ", end="")
    print(f"{size:.0f} MB, written in {time.perf_counter() - begin:.1f} s\n")
    main = [sys.executable, "-m", "cloudtune"]
    output = str(folder / "out")
    api = f"import cloudtune; len(cloudtune.Run({run!r}).results().to_pandas())"
    commands = {
        "--help (the minimum)": [*main, "--help"],
        "status": [*main, "status"],
        "results --best": [*main, "results", "--best"],
        "results": [*main, "results"],
        "results --format jsonl": [*main, "results", "--format", "jsonl"],
        "results --format json": [*main, "results", "--format", "json"],
        "results --format csv": [*main, "results", "--format", "csv"],
        "results --format parquet": [*main, "results", "--format", "parquet", "-o", output],
        "results().to_pandas()": [sys.executable, "-c", api],
    }
    print("| what | s | CPU s | peak MB |\n|---|---|---|---|")
    for name, command in commands.items():
        print(f"| {name} | {measure_command(command, state)} |", flush=True)


def main() -> None:
    """Run the benchmarks that the command line names."""
    benchmarks = {"trials": trials, "strategies": strategies, "results": results}
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or benchmarks:
            benchmarks[name](Path(folder) / name)


if __name__ == "__main__":
    main()
