"""The cost of `genetic`, and of `bayesian` with several objectives, in a long study. Run by hand.

    python -m benchmarks.quality_genetic

compare.py has its search quality with one objective, quality_fronts.py that with several.
"""

from __future__ import annotations

import time
from statistics import fmean
from typing import Any

from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.study import Study


def main() -> None:
    """Print the CPU time to choose one trial and to record its result in a long study."""
    cases = (
        ("genetic", "nsga2", 1, 10_000),
        ("genetic", "nsga2", 2, 10_000),
        ("genetic", "nsga3", 5, 10_000),
        ("bayesian", None, 2, 1_000),
        ("bayesian", None, 3, 1_000),
    )
    for name, method, objectives, trials in cases:
        goals = [{"metric": f"m{i}", "goal": "minimize"} for i in range(objectives)]
        study = Study.model_validate(
            {
                "objective": goals,
                "parameters": {f"x{i}": {"type": "float", "min": 0, "max": 1} for i in range(10)},
                "strategy": {"name": name, "method": method},
            },
            context={"parts_only": True},
        )
        searcher = make_strategy(study, 0)
        seconds: list[float] = []
        for index in range(trials):
            begin = time.process_time()
            suggestion = searcher.ask(index)
            assert isinstance(suggestion, Suggestion)
            values: list[Any] = list(suggestion.parameters.values())
            metrics = {f"m{i}": sum(values) - 5 * values[i] for i in range(objectives)}
            searcher.tell(Started(index + 1, 0.0, suggestion.parameters, memory=suggestion.memory))
            searcher.tell(Measured(index + 1, 0.0, 1, metrics))
            searcher.tell(Ended(index + 1, 0.0, "completed"))
            seconds.append(time.process_time() - begin)
        for count in (100, 1_000, 10_000):
            if count <= trials:
                mean = 1e3 * fmean(seconds[count - 100 : count])
                print(f"{name}, {objectives} objectives, after {count}: {mean:.2f} ms a trial")


if __name__ == "__main__":
    main()
