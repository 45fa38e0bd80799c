"""Search quality of `genetic` with one objective compared with Optuna's NSGA-II. Run by hand.

    python -m tests.benchmarks.quality_genetic tables        15 tables of real trainings
    python -m tests.benchmarks.quality_genetic conditional   trees of conditions
    python -m tests.benchmarks.quality_genetic functions     functions, smooth to discrete
    python -m tests.benchmarks.quality_genetic cost          milliseconds per trial in a long study

Options: ``--seeds 30``, ``--parallel 8`` (trials at a time) and ``--only PREFIX`` (of the tasks'
names). quality.py defines the regrets and intervals; quality_fronts.py has several objectives.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.study import Study
from tests.benchmarks import quality_tasks
from tests.benchmarks.quality import cloudtune_search, compare, optuna_search
from tests.benchmarks.quality_tasks import Task


def cost() -> None:
    """Print the time to choose one trial and to record its result in a long study."""
    for method, objectives in (("nsga2", 1), ("nsga2", 2), ("nsga3", 5)):
        goals = [{"metric": f"m{i}", "goal": "minimize"} for i in range(objectives)]
        study = Study.model_validate(
            {
                "objective": goals,
                "parameters": {f"x{i}": {"type": "float", "min": 0, "max": 1} for i in range(10)},
                "strategy": {"name": "genetic", "method": method},
            },
            context={"parts_only": True},
        )
        searcher = make_strategy(study, 0)
        seconds: list[float] = []
        for index in range(10_000):
            begin = time.perf_counter()
            suggestion = searcher.ask(index)
            assert isinstance(suggestion, Suggestion)
            values: list[Any] = list(suggestion.parameters.values())
            metrics = {f"m{i}": sum(values) - 5 * values[i] for i in range(objectives)}
            searcher.tell(Started(index + 1, 0.0, suggestion.parameters, memory=suggestion.memory))
            searcher.tell(Measured(index + 1, 0.0, 1, metrics))
            searcher.tell(Ended(index + 1, 0.0, "completed"))
            seconds.append(time.perf_counter() - begin)
        for count in (100, 1_000, 10_000):
            median = sorted(seconds[count - 100 : count])[50]
            print(f"{objectives} objectives, after {count}: {1e3 * median:.2f} ms a trial")


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("group", choices=["tables", "conditional", "functions", "cost"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--only", default="", help="prefix of the tasks' names")
    args = parser.parse_args()
    if args.group == "cost":
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
        for make_task in makers[args.group]()
        if (task := make_task()).name.startswith(args.only)
    )
    sides = (
        ("cloudtune", cloudtune_search("genetic"), args.parallel),
        ("NSGA-II", optuna_search("NSGAIISampler"), args.parallel),
    )
    compare(tasks, sides, args.seeds, (25, 50, 100))


if __name__ == "__main__":
    main()
