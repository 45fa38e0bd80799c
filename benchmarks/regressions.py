"""Time and memory of this commit against another one, in alternating pairs. Run by hand.

    python -m benchmarks.regressions BASE          the checkout's commit against BASE
    python -m benchmarks.regressions BASE HEAD     two commits
    python -m benchmarks.regressions BASE --only trials report

Both sides are wheels in environments of their own, on top of the packages of this Python. Each row
has the ratio of this commit to BASE: the median of the pairs, and an interval for it by the sign
test (at least 90 % with five pairs or more). CPU time includes child processes; the memory is the
peak of the largest process. Emulators run on their own and count in the elapsed time alone.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import site
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.many import MEASURE, PARAMETERS
from benchmarks.overhead import HEAVY, QUICKSTART, SCRIPT
from cloudtune.testing.provider_contract import stop_emulators

ROOT = Path(__file__).parents[1]
SERVICES = ("sagemaker", "vertex", "azure", "watson", "slurm", "ray")
STUDY: dict[str, Any] = {
    "objective": {"metric": "score", "goal": "maximize"},
    "parameters": {"x": {"type": "float", "min": 0, "max": 1}, **PARAMETERS},
    "strategy": {"name": "random", "seed": 1},
    "limits": {"max_trials": 100, "parallel_trials": 2},
    "trial": {"metrics": {"score": r"score: (\S+)"}},
}
SCRIPTS = {"train": SCRIPT, "heavy": HEAVY}
CHOICE = """\
import json, sys
from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.study.study import Study

data = json.load(open(sys.argv[1]))
study = Study.model_validate({**data, "strategy": {"name": "bayesian"}})
points = make_strategy(Study.model_validate(data), 1)
search = make_strategy(study, 1)
for number in range(1, 1001):
    chosen = points.ask(number - 1)
    search.tell(Started(number, 0.0, chosen.parameters))
    search.tell(Measured(number, 0.0, 1, {"score": -(chosen.parameters["x"] - 0.3) ** 2}))
    search.tell(Ended(number, 0.0, "completed"))
search.ask(1000)
"""


@dataclass(frozen=True)
class Figures:
    """What a command took."""

    wall: float
    """Elapsed seconds."""
    cpu: float
    """Seconds of CPU time."""
    peak: float
    """MB of the largest process."""


@dataclass(frozen=True)
class Side:
    """One commit: its environment, and a folder for its studies and runs."""

    folder: Path

    @property
    def python(self) -> str:
        """The Python with the commit's cloudtune."""
        return str(self.folder / "env" / "bin" / "python")

    @property
    def state(self) -> Path:
        """The state folder with a run of 1,000 trials."""
        return self.folder / "state"

    def measure(self, words: Sequence[str], state: Path | None = None) -> Figures:
        """Return what a command of cloudtune took, or of Python if the first word is `python`.

        Raises:
            RuntimeError: It failed; with the last lines that it printed.
        """
        bin_folder = Path(self.python).parent
        hidden = ("CLOUDTUNE_", "PYTHON", "VIRTUAL_ENV")
        env = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
        env |= {
            "CLOUDTUNE_HOME": str(state or self.state),
            "PATH": f"{bin_folder}{os.pathsep}{env['PATH']}",
            "VIRTUAL_ENV": str(bin_folder.parent),
        }
        command = words if words[0] == "python" else ["cloudtune", *words]
        words = [str(bin_folder / command[0]), *command[1:]]
        process = subprocess.run(
            [sys.executable, "-S", "-c", MEASURE, *words],
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        code, wall, cpu, peak = map(float, process.stdout.split())
        if code:
            raise RuntimeError(f"{' '.join(words)}: {process.stderr[-400:].strip()}")
        return Figures(wall, cpu, peak / 1024)


@dataclass(frozen=True)
class Row:
    """A comparison: its name, the number of pairs and what is measured."""

    name: str
    pairs: int
    measure: Callable[[Side], Figures]


def trials(count: int, script: str = "train", *, warm: bool) -> Callable[[Side], Figures]:
    """Return a measurement of a run, whose state is deleted."""

    def measure(side: Side) -> Figures:
        words = ["run", f"{script}.yaml", "--set", f"limits.max_trials={count}"]
        with _new_state(side) as state:
            return side.measure([*words, "--set", f"trial.warm={str(warm).lower()}"], state)

    return measure


def command(*words: str) -> Callable[[Side], Figures]:
    """Return a measurement of a command on the run of 1,000 trials."""
    return lambda side: side.measure(words)


def emulated(service: str) -> Callable[[Side], Figures]:
    """Return a measurement of a study of two trials on a service's emulator, which is stopped."""

    def measure(side: Side) -> Figures:
        words = ["run", "train.yaml", "--emulate", "--on", service]
        with _new_state(side) as state:
            return side.measure([*words, "--set", "limits.max_trials=2"], state)

    return measure


ROWS = [
    Row("trials: 2 cold", 9, trials(2, warm=False)),
    Row("trials: 100 cold", 9, trials(100, warm=False)),
    Row("trials: 100 warm", 7, trials(100, warm=True)),
    Row("trials: 100 warm, scikit-learn", 5, trials(100, "heavy", warm=True)),
    Row("trials: 1,000 warm", 5, trials(1_000, warm=True)),
    Row("start: --help", 15, command("--help")),
    Row("start: check", 15, command("check", str(QUICKSTART))),
    Row("start: plan", 15, command("plan", str(QUICKSTART))),
    Row("start: status", 15, command("status")),
    Row("report: page of 1,000", 7, command("report", "-o", "report.html")),
    Row("results: of 1,000", 7, command("results")),
    Row("choice: one after 1,000", 7, command("python", "choice.py", "train.yaml")),
    *(Row(f"emulated: {name}", 5, emulated(name)) for name in SERVICES),
]


@contextmanager
def _new_state(side: Side) -> Generator[Path]:
    state = Path(tempfile.mkdtemp(dir=side.folder))
    try:
        yield state
    finally:
        stop_emulators(state)
        shutil.rmtree(state)


def create_side(folder: Path, commit: str) -> Side:
    """Install the wheel of a commit, on top of the packages of this Python."""
    tree = folder / "tree"
    tree.mkdir(parents=True)
    archive = subprocess.Popen(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", str(tree)], stdin=archive.stdout, check=True)
    if archive.wait():
        sys.exit(f"git has no commit {commit}")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=tree, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", symlinks=True)
    side = Side(folder)
    pip = [sys.executable, "-m", "pip", "--python", side.python, "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = (folder / "env").glob("lib/python*/site-packages")
    (packages / "packages.pth").write_text("\n".join(site.getsitepackages()), "utf-8")
    for name, script in SCRIPTS.items():
        (folder / f"{name}.py").write_text(script, "utf-8")
        study = {**STUDY, "trial": {**STUDY["trial"], "script": f"{name}.py"}}
        (folder / f"{name}.yaml").write_text(json.dumps(study), "utf-8")
    (folder / "choice.py").write_text(CHOICE, "utf-8")
    words = ["run", "train.yaml", "--set", "limits.max_trials=1000", "--set", "trial.warm=true"]
    side.measure(words)
    return side


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """Return the order statistics that hold the median with 90 %, or the ends."""
    ordered, count = sorted(ratios), len(ratios)
    cut, outside = 0, 1 / 2**count
    while 2 * (outside := outside + math.comb(count, cut + 1) / 2**count) <= 0.1:
        cut += 1
    return ordered[cut], ordered[-1 - cut]


def format_cell(base: Sequence[float], new: Sequence[float], digits: int) -> str:
    """Return the medians of both sides and the ratio; in bold if it is 5 % or more, for sure."""
    ratios = [b / max(a, 1e-9) for a, b in zip(base, new, strict=True)]
    low, high = interval(ratios)
    middle = statistics.median(ratios)
    ratio = f"{middle:.2f} [{low:.2f} to {high:.2f}]"
    slower = middle > 1.05 and low > 1
    before, after = (f"{statistics.median(each):.{digits}f}" for each in (base, new))
    return f"{before} -> {after}: {f'**{ratio}**' if slower else ratio}"


def compare(row: Row, base: Side, new: Side) -> str:
    """Measure both sides in turn and return a row of the table."""
    found: list[tuple[Figures, Figures]] = []
    try:
        for number in range(row.pairs + 1):
            sides = (base, new) if number % 2 else (new, base)
            first, second = (row.measure(side) for side in sides)
            found.append((first, second) if number % 2 else (second, first))
    except RuntimeError as error:
        return f"| {row.name} | failed: {' '.join(str(error).split())} | | | |"
    pairs = found[1:]  # the first one fills caches
    before, after = [a for a, _ in pairs], [b for _, b in pairs]
    cells = [
        format_cell([a.wall for a in before], [b.wall for b in after], 2),
        format_cell([a.cpu for a in before], [b.cpu for b in after], 2),
        format_cell([a.peak for a in before], [b.peak for b in after], 0),
    ]
    return f"| {row.name} | {' | '.join(cells)} | {row.pairs} |"


def main() -> None:
    """Print a table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("commit", nargs="?", default="HEAD", help="HEAD when not given")
    parser.add_argument("--only", nargs="+", help="rows whose names start with these words")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="regressions-") as folder:
        base = create_side(Path(folder) / "base", words.base)
        new = create_side(Path(folder) / "new", words.commit)
        print("| what | s | CPU s | MB | pairs |\n|---|---|---|---|---|", flush=True)
        for row in ROWS:
            if not words.only or row.name.startswith(tuple(words.only)):
                print(compare(row, base, new), flush=True)


if __name__ == "__main__":
    main()
