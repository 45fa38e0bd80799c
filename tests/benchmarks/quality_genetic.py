"""How good `genetic` is with one objective: run by hand, beside the default of Optuna's NSGA-II.

    python -m tests.benchmarks.quality_genetic tables        15 tables of real trainings
    python -m tests.benchmarks.quality_genetic conditional   trees of conditions
    python -m tests.benchmarks.quality_genetic functions     functions, smooth to discrete
    python -m tests.benchmarks.quality_genetic cost          milliseconds of a trial in a long study

with ``--seeds 30``, ``--parallel 8`` (trials at a time) and ``--only FIRST`` (tasks whose names
begin so). Regrets and intervals are those of quality.py; several objectives: quality_fronts.py.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.search_space import Value, is_active, list_nodes
from cloudtune.study.study import Study
from tests.benchmarks import quality_tasks
from tests.benchmarks.quality import Curve, Race, compare, ours, suggested
from tests.benchmarks.quality_tasks import Task, study_of


def optuna_nsga2(task: Task, seed: int, trials: int, parallel: int) -> Curve:
    """Search as Optuna's NSGA-II does by default."""
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.NSGAIISampler(seed=seed))
    nodes = list_nodes(study_of(task.parameters))

    def start(_: int) -> tuple[Any, Mapping[str, Value]]:
        trial = study.ask()
        return trial, given_by(trial, nodes)

    def end(trial: Any, value: float) -> None:
        study.tell(trial, value)

    return Race(task, seed, trials, parallel).run(start, end)


def given_by(trial: Any, nodes: Sequence[Any]) -> dict[str, Value]:
    """Return what a trial of Optuna is given."""
    given: dict[str, Value] = {}
    for node in nodes:
        if is_active(node, given):
            given[node.name] = suggested(trial, node.name, node.parameter)
    return given


def cost() -> None:
    """Print what asking and telling cost after many trials."""
    for method, objectives in (("nsga2", 1), ("nsga2", 2), ("nsga3", 5)):
        goals = [{"metric": f"m{place}", "goal": "minimize"} for place in range(objectives)]
        study = Study.model_validate(
            {
                "objective": goals,
                "parameters": {f"x{i}": {"type": "float", "min": 0, "max": 1} for i in range(10)},
                "strategy": {"name": "genetic", "method": method},
            },
            context={"parts_only": True},
        )
        chooser = make_strategy(study, 0)
        spent: list[float] = []
        for draw in range(10_000):
            begin = time.perf_counter()
            chosen = chooser.ask(draw)
            assert isinstance(chosen, Suggestion)
            values: list[Any] = list(chosen.parameters.values())
            metrics = {f"m{i}": sum(values) - 5 * values[i] for i in range(objectives)}
            chooser.tell(Started(draw + 1, 0.0, chosen.parameters, memory=chosen.memory))
            chooser.tell(Measured(draw + 1, 0.0, 1, metrics))
            chooser.tell(Ended(draw + 1, 0.0, "completed"))
            spent.append(time.perf_counter() - begin)
        for count in (100, 1_000, 10_000):
            middle = sorted(spent[count - 100 : count])[50]
            print(f"{objectives} objectives, after {count}: {1e3 * middle:.2f} ms a trial")


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("group", choices=["tables", "conditional", "functions", "cost"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--only", default="", help="tasks whose names begin so")
    given = parser.parse_args()
    if given.group == "cost":
        cost()
        return
    warnings.simplefilter("ignore")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    makers: Mapping[str, Callable[[], Iterator[Callable[[], Task]]]] = {
        "tables": quality_tasks.tables,
        "conditional": quality_tasks.conditional,
        "functions": quality_tasks.functions,
    }
    tasks = (
        task
        for make_task in makers[given.group]()
        if (task := make_task()).name.startswith(given.only)
    )
    sides = (
        ("cloudtune", ours("genetic"), given.parallel),
        ("NSGA-II", optuna_nsga2, given.parallel),
    )
    compare(tasks, sides, given.seeds, (25, 50, 100))


if __name__ == "__main__":
    main()
