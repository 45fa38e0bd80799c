"""What the model's choice gains over the best measured trial, and what it gives a confirmation.

    python -m benchmarks.model_choice run
    python -m benchmarks.model_choice table

A search with `bayesian` runs on each task. After some numbers of trials, the gain is the regret of
the trial with the best measurement minus that of the trial that the model would take; it is 0 where
the model names none. A confirmation with five trials and up to ten seeds, as by default, then takes
one of the five best, or of the four best and the model's choice. ``run`` appends each result to the
cache and skips those that exist.

The ``made`` tasks are functions with noise. Constants were chosen on them, and not on the others,
which report. ``quiet`` tasks have no noise.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from statistics import fmean
from typing import Any

from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from benchmarks import confirm
from benchmarks.optimizers import Cloudtune
from benchmarks.quality_tasks import (
    CACHE,
    DATA_SETS,
    Params,
    Task,
    conditional,
    functions,
    study_of,
    table,
)
from benchmarks.transfer import bowl
from cloudtune.results.model import Trial
from cloudtune.search.model_choice import model_choice

MARKS = (25, 50, 100)
LOSS = 0.05
RESULTS = CACHE / "model-choice.jsonl"


def _made(seed: int, noise: float, rough: float) -> Task:
    """Return a function with noise, and with a part of each setting that no neighbor has."""
    task = bowl(seed, 0.0, level=False)
    unit = task.typical - task.best

    def true_value(params: Params) -> float:
        own = Random(repr(sorted(params.items()))).gauss(0, 1)
        return task.true_value(params) + rough * unit * own

    def measure(params: Params, random: Random) -> float:
        return true_value(params) + noise * unit * random.gauss(0, 1)

    best = task.best - 2 * rough * unit
    name = f"bowl{seed}_{noise}_{rough}"
    return replace(task, name=name, true_value=true_value, measure=measure, best=best)


_NOISY = ("hartmann_noisy", "schedule_noisy")
_FUNCTIONS = functions() | conditional()
FAMILIES: Mapping[str, Sequence[Callable[[], Task]]] = {
    **{
        module: [partial(table, module, name) for name in names]
        for module, names in DATA_SETS.items()
    },
    "conditional tables": [_FUNCTIONS["tables_a"], _FUNCTIONS["tables_b"]],
    "noisy functions": [_FUNCTIONS[name] for name in _NOISY],
    "quiet": [make for name, make in functions().items() if name not in _NOISY],
    "made": [
        partial(_made, seed, noise, rough)
        for seed in range(20, 26)
        for noise, rough in ((0.3, 0.0), (0.1, 0.05), (0.0, 0.05))
    ],
}


def run_task(task: Task, seed: int) -> Iterable[dict[str, Any]]:
    """Yield what was found after each number of trials."""
    search, trials = Cloudtune("bayesian", task, seed, MARKS[-1]), list[Trial]()
    for number in range(1, MARKS[-1] + 1):
        handle, params = search.ask()
        value = task.measure(params, Random(f"{task.name}:{seed}:{number}"))
        search.tell(handle, value)
        trials.append(Trial(f"{number}", number, "completed", params, {"loss": value}, (value,)))
        if number in MARKS:
            yield {"trials": number, **_judge(task, seed, trials)}


def _judge(task: Task, seed: int, trials: Sequence[Trial]) -> dict[str, Any]:
    study = study_of(task.parameters)
    ranked = sorted(trials, key=lambda t: (t.objective, t.number))
    choice = model_choice(study, trials)
    best = task.regret(ranked[0].parameters)
    taken = task.regret(trials[choice.number - 1].parameters) if choice else best
    five = [trial.number for trial in ranked[:5]]
    with_choice = five
    if choice and choice.number not in five:
        with_choice = [*five[:4], choice.number]
    before = _confirm(task, seed, trials, five)
    after = before if with_choice == five else _confirm(task, seed, trials, with_choice)
    return {
        "best": best,
        "named": choice is not None,
        "gain": best - taken,
        "changed": with_choice != five,
        "confirmed": (before[0], after[0]),
        "trainings": (before[1], after[1]),
    }


def _confirm(
    task: Task, seed: int, trials: Sequence[Trial], numbers: Sequence[int]
) -> tuple[float, int]:
    """Return the regret of the trial that a confirmation takes, and its trainings."""

    def measure(number: int, common: float) -> float:  # `confirm` maximizes
        parameters = trials[number - 1].parameters
        return -task.measure(parameters, Random(f"{task.name}:{seed}:{number}:{common}"))

    found = [math.nan, *(-(trial.objective or (0.0,))[0] for trial in trials)]
    result = confirm.confirm(numbers, found, measure, Random(seed))
    assert result.taken is not None
    number = result.taken.parameters["x"]
    assert isinstance(number, int)
    return task.regret(trials[number - 1].parameters), result.trials


def run_all(args: argparse.Namespace) -> None:
    """Run what is missing."""
    known = {(row["task"], row["seed"]) for row in _read()}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    for family in args.families:
        for make in FAMILIES[family]:
            task = make()
            for seed in range(args.seeds):
                if (task.name, seed) in known:
                    continue
                with RESULTS.open("a", encoding="utf-8") as file:
                    for found in run_task(task, seed):
                        row = {"family": family, "task": task.name, "seed": seed, **found}
                        file.write(json.dumps(row) + "\n")
            print(family, task.name, flush=True)


def print_table(args: argparse.Namespace) -> None:
    """Print a line for each family and number of trials."""
    heads = "runs | regret of the best | named | gain | loss over 0.05"
    heads += " | confirmed: five best / with the choice | trainings | changed"
    print(f"| tasks | trials | {heads} |\n|---|---|{'---|' * 8}")
    rows = _read()
    for family in args.families:
        for mark in MARKS:
            own = [row for row in rows if (row["family"], row["trials"]) == (family, mark)]
            if not own:
                continue
            confirmed, trainings = (
                [fmean(row[name][side] for row in own) for side in (0, 1)]
                for name in ("confirmed", "trainings")
            )
            cells = [
                f"{len(own)}",
                f"{fmean(row['best'] for row in own):.3f}",
                f"{fmean(row['named'] for row in own):.0%}",
                f"{fmean(row['gain'] for row in own):+.3f}",
                f"{fmean(row['gain'] < -LOSS for row in own):.0%}",
                " / ".join(f"{value:.3f}" for value in confirmed),
                " / ".join(f"{value:.1f}" for value in trainings),
                f"{fmean(row['changed'] for row in own):.0%}",
            ]
            print(f"| {family} | {mark} | {' | '.join(cells)} |")


def _read() -> list[dict[str, Any]]:
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text("utf-8").splitlines()]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=["run", "table"])
    parser.add_argument("--families", nargs="+", choices=[*FAMILIES], default=[*FAMILIES])
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    with threadpool_limits(1):
        {"run": run_all, "table": print_table}[args.command](args)


if __name__ == "__main__":
    main()
