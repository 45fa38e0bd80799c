"""Search quality with several objectives, compared with other searches. Run by hand.

    python -m benchmarks.quality_fronts functions   ZDT and DTLZ2 of 6 to 8 parameters, mixed
    python -m benchmarks.quality_fronts trainings   error and size of models, conditional too
    python -m benchmarks.quality_fronts tables      error and time of training, 15 tables
    python -m benchmarks.quality_fronts wide        ZDT of 30, DTLZ2 of 12 and 14 parameters
    python -m benchmarks.quality_fronts report      the results of all runs so far

Options: ``--sides bayesian,MOTPE`` (names of fronts_sides.py), ``--seeds 20``, ``--parallel 4``,
``--trials 100``, ``--only PREFIX`` (of the tasks' names) and ``--results FILE``. A run appends to
the file of results, so that sides can run one after the other and in different environments; it
skips what the file has. Remove the file to measure anew.

The regret is the share of the Pareto front's hypervolume that the trials do not cover
(fronts_tasks.py). The report shows its mean over tasks and seeds, the mean rank among the sides,
and the mean difference from the first side, paired by task and seed, with a 95 % bootstrap interval
that resamples the seeds of each task. It uses the seeds that all sides of a group have.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks import fronts_tasks
from benchmarks.fronts_sides import SIDES, race
from benchmarks.fronts_tasks import Task
from benchmarks.learning_curves import FOLDER as CACHE
from benchmarks.quality import bootstrap_interval

GROUPS: Mapping[str, Callable[[], Iterator[Callable[[], Task]]]] = {
    "functions": fronts_tasks.functions,
    "trainings": fronts_tasks.trainings,
    "tables": fronts_tasks.tables,
    "wide": fronts_tasks.wide,
}


@dataclass(frozen=True)
class Result:
    """The regrets of one side on one task with one seed."""

    group: str
    parallel: int
    task: str
    side: str
    seed: int
    curve: Sequence[float]
    cpu: float

    @property
    def key(self) -> tuple[Any, ...]:
        """What a run measures once."""
        return (self.group, self.parallel, self.task, self.side, self.seed, len(self.curve))


def read_results(path: Path) -> list[Result]:
    """Return the results in a file."""
    if not path.exists():
        return []
    return [Result(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]


def run(args: argparse.Namespace) -> None:
    """Append the results of each side to the file of results."""
    path = args.results
    path.parent.mkdir(parents=True, exist_ok=True)
    present = {result.key for result in read_results(path)}
    for make_task in GROUPS[args.group]():
        task = make_task()
        if not task.name.startswith(args.only):
            continue
        for side in args.sides:
            for seed in range(args.first_seed, args.first_seed + args.seeds):
                key = (args.group, args.parallel, task.name, side, seed, args.trials)
                if key in present:
                    continue
                curve, cpu = race(SIDES[side], task, seed, args.trials, args.parallel)
                curve = [round(regret, 5) for regret in curve]
                result = Result(
                    args.group, args.parallel, task.name, side, seed, curve, round(cpu, 3)
                )
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(result)) + "\n")


def report(results: Iterable[Result], sides: Sequence[str], marks: Sequence[int]) -> None:
    """Print the mean regrets, ranks and differences for each group."""
    by_group: dict[tuple[str, int], list[Result]] = {}
    for result in results:
        if not sides or result.side in sides:
            by_group.setdefault((result.group, result.parallel), []).append(result)
    for (group, parallel), members in sorted(by_group.items()):
        print(f"\n{group}, {parallel} at a time")
        _report_group(members, sides, marks)


def _report_group(results: Sequence[Result], sides: Sequence[str], marks: Sequence[int]) -> None:
    cells: dict[tuple[str, int], dict[str, Result]] = {}
    for result in results:
        cells.setdefault((result.task, result.seed), {})[result.side] = result
    present = {result.side for result in results}
    names = [side for side in (sides or SIDES) if side in present]
    complete = {place: cell for place, cell in cells.items() if len(cell) == len(names)}
    tasks = sorted({task for task, _ in complete})
    seeds = {task: sorted(seed for name, seed in complete if name == task) for task in tasks}
    counts = sorted({len(own) for own in seeds.values()})
    print(f"{len(tasks)} tasks, {'/'.join(map(str, counts))} seeds\n")
    print("| search | " + " | ".join(f"after {m}: regret, rank, difference" for m in marks), end="")
    print(" | CPU s |\n|---|" + "---|" * (len(marks) + 1))
    for name in names:
        texts: list[str] = []
        for mark in marks:
            rows = [
                [complete[task, seed][name].curve[mark - 1] for seed in seeds[task]]
                for task in tasks
            ]
            first = [
                [complete[task, seed][names[0]].curve[mark - 1] for seed in seeds[task]]
                for task in tasks
            ]
            differences = [
                [a - b for a, b in zip(own, other, strict=True)]
                for own, other in zip(rows, first, strict=True)
            ]
            text = f"{fmean(map(fmean, rows)):.3f}, "
            text += f"{fmean(_ranks(complete, tasks, name, mark)):.1f}"
            if name != names[0]:
                low, high = bootstrap_interval(differences)
                text += f", {fmean(map(fmean, differences)):+.3f} [{low:+.3f} to {high:+.3f}]"
            texts.append(text)
        cpu = fmean(cell[name].cpu for cell in complete.values())
        print(f"| {name} | " + " | ".join(texts) + f" | {cpu:.2f} |")
    print("\n| task | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for task in tasks:
        texts = [
            " / ".join(
                f"{fmean(complete[task, seed][name].curve[mark - 1] for seed in seeds[task]):.3f}"
                for mark in marks
            )
            for name in names
        ]
        print(f"| {task} | " + " | ".join(texts) + " |")


def _ranks(
    cells: Mapping[tuple[str, int], Mapping[str, Result]],
    tasks: Sequence[str],
    name: str,
    mark: int,
) -> Iterator[float]:
    """Yield the mean over the seeds of the rank in each task; equal regrets share a rank."""
    for task in tasks:
        ranks: list[float] = []
        for (other_task, _), cell in cells.items():
            if other_task == task:
                own = cell[name].curve[mark - 1]
                values = [result.curve[mark - 1] for result in cell.values()]
                better = sum(value < own for value in values)
                ranks.append(better + (sum(value == own for value in values) + 1) / 2)
        yield fmean(ranks)


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("group", choices=[*GROUPS, "report"])
    parser.add_argument("--sides", type=lambda text: text.split(","), default=[])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--marks", type=lambda text: [*map(int, text.split(","))])
    parser.add_argument("--only", default="", help="prefix of the tasks' names")
    parser.add_argument("--results", type=Path, default=CACHE / "fronts-results.jsonl")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.group == "report":
        chosen = [
            result for result in read_results(args.results) if result.task.startswith(args.only)
        ]
        report(chosen, args.sides, args.marks or (25, 50, 100))
        return
    args.sides = args.sides or ["bayesian", "MOTPE", "NSGA-II"]
    run(args)


if __name__ == "__main__":
    main()
