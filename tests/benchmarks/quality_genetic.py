"""What `genetic` costs: milliseconds per trial in a long study. Run by hand.

    python -m tests.benchmarks.quality_genetic

compare.py has its search quality with one objective, quality_fronts.py that with several.
"""

from __future__ import annotations

import time
from typing import Any

from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.study import Study


def main() -> None:
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


if __name__ == "__main__":
    main()
