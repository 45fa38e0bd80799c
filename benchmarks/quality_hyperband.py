"""Search quality of `hyperband` at equal total epochs, on the tables of learning_curves.py.

Run by hand:

    python -m benchmarks.quality_hyperband            regrets compared with random search
    python -m benchmarks.quality_hyperband --against tpe-hyperband

``--against`` takes random (full trainings), tpe (full trainings), random-halving and tpe-hyperband
(Optuna's sampler and pruner). ``--min 3`` starts at three epochs. ``--ours steps`` runs hyperband
without a named resource, which stops trials and resumes none. Other options: ``--parallel 4`` and
``--seeds 30``.

The regret is that of the best loss of a complete training: 0 is the best loss of the table, 1 the
median loss. Each epoch counts once, since a promoted trial continues from its checkpoint. Budgets
are counted in full trainings of 27 epochs. Below the table: the ratio of the epochs that hyperband
and the other search need to reach the loss that the other has after 40 full trainings, in the
median of all seeds. The ratio is paired by seed; its mean is geometric, with a 95 % bootstrap
interval. A search that does not reach the loss counts with 120 full trainings. (With the loss of
each seed's own pair as the target, the other search would always reach it within 40 trainings, and
random search against itself would give 1.5.)
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import math
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from random import Random
from typing import Any, cast

from benchmarks.learning_curves import EPOCHS, TABLES, Curves
from benchmarks.quality import compare, suggest_assignment
from benchmarks.quality_tasks import study_of
from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.search_space import list_nodes

MARKS = (5, 10, 20, 40)
_MAX_TRAININGS = 120
"""The largest number of full trainings that a search may take to reach the target."""


@dataclass(frozen=True)
class Task:
    """One table."""

    curves: Curves

    @property
    def name(self) -> str:
        """The name."""
        return self.curves.name

    @cached_property
    def _bounds(self) -> tuple[float, float]:
        last = [row[-1] for row in self.curves.losses.values()]
        return min(last), statistics.median(last)

    def losses(self, params: Mapping[str, Any]) -> Sequence[float]:
        """Return the loss after each epoch."""
        return self.curves.losses[self.curves.key(params)]

    def regret(self, loss: float) -> float:
        """Return 0 for the best loss of the table and 1 for a typical one."""
        best, typical = self._bounds
        return (loss - best) / (typical - best)


@dataclass
class Running:
    """A running trial and its progress."""

    trial: Any
    losses: Sequence[float]
    until: int = EPOCHS
    epoch: int = 0


@dataclass
class Race:
    """Trains several trials at a time and records the best loss.

    It ends when the best loss reaches the target and the last mark has passed, or after ``epochs``.
    """

    epochs: int
    parallel: int
    target: float
    best: list[float] = field(default_factory=list[float])
    """The best loss of a complete training after each epoch of any trial."""

    def run(
        self,
        start: Callable[[], Running],
        report: Callable[[Running, float], bool],
        end: Callable[[Running, bool], None],
    ) -> list[float]:
        """Start trials, report each epoch until a trial should stop, and end them."""
        running: list[tuple[int, int, Running]] = []
        order = itertools.count()
        now = 0
        while True:
            while len(running) < self.parallel:
                heapq.heappush(running, (now, next(order), start()))
            now, _, trial = heapq.heappop(running)
            loss = trial.losses[trial.epoch]
            trial.epoch += 1
            now += 1
            stopped = report(trial, loss)
            self._record(loss if trial.epoch == EPOCHS else math.inf)
            if self._ended:
                return self.best
            if stopped or trial.epoch == trial.until:
                end(trial, stopped)
            else:
                heapq.heappush(running, (now, next(order), trial))

    @property
    def _ended(self) -> bool:
        minimum = EPOCHS * MARKS[-1] if self.best[-1] <= self.target else self.epochs
        return len(self.best) >= min(minimum, self.epochs)

    def _record(self, loss: float) -> None:
        self.best.append(min(self.best[-1], loss) if self.best else loss)


Search = Callable[[Task, int, Race], list[float]]
"""Takes a task, a seed and a race; returns the best losses."""


def cloudtune_search(strategy: Any) -> Search:
    """Return a search with a strategy of cloudtune."""

    def search(task: Task, seed: int, race: Race) -> list[float]:
        searcher = make_strategy(study_of(task.curves.parameters, strategy), seed)
        paused: dict[int, Running] = {}
        count = 0

        def start() -> Running:
            nonlocal count
            suggestion = searcher.ask(count)
            assert isinstance(suggestion, Suggestion)
            if suggestion.resumes is None:
                count += 1
                trial = Running(count, task.losses(suggestion.parameters))
            else:
                trial = paused.pop(suggestion.resumes)
            trial.until = suggestion.resource or EPOCHS
            searcher.tell(
                Started(
                    trial.trial,
                    0.0,
                    suggestion.parameters,
                    resource=suggestion.resource,
                    memory=suggestion.memory,
                )
            )
            return trial

        def report(trial: Running, loss: float) -> bool:
            searcher.tell(Measured(trial.trial, 0.0, trial.epoch, {"loss": loss}))
            return searcher.stop_reason(trial.trial) is not None

        def end(trial: Running, stopped: bool) -> None:
            if stopped:
                searcher.tell(Ended(trial.trial, 0.0, "stopped_early"))
            elif trial.epoch == EPOCHS:
                searcher.tell(Ended(trial.trial, 0.0, "completed"))
            else:
                paused[trial.trial] = trial
                searcher.tell(Ended(trial.trial, 0.0, "pending"))

        return race.run(start, report, end)

    return search


def optuna_search(sampler: str, pruner: str) -> Search:
    """Return a search with a sampler and a pruner of Optuna."""

    def search(task: Task, seed: int, race: Race) -> list[float]:
        import optuna

        pruners: Mapping[str, Any] = {
            "none": optuna.pruners.NopPruner(),
            "halving": optuna.pruners.SuccessiveHalvingPruner(),
            "hyperband": optuna.pruners.HyperbandPruner(1, EPOCHS, 3),
        }
        samplers = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
        study = optuna.create_study(sampler=samplers[sampler](seed=seed), pruner=pruners[pruner])
        nodes = list_nodes(study_of(task.curves.parameters))

        def start() -> Running:
            trial = study.ask()
            return Running(trial, task.losses(suggest_assignment(trial, nodes)))

        def report(trial: Running, loss: float) -> bool:
            trial.trial.report(loss, trial.epoch)
            return trial.epoch < EPOCHS and trial.trial.should_prune()

        def end(trial: Running, stopped: bool) -> None:
            if stopped:
                study.tell(trial.trial, state=optuna.trial.TrialState.PRUNED)
            else:
                study.tell(trial.trial, trial.losses[-1])

        return race.run(start, report, end)

    return search


OTHERS: Mapping[str, Search] = {
    "random": cloudtune_search("random"),
    "tpe": optuna_search("tpe", "none"),
    "random-halving": optuna_search("random", "halving"),
    "tpe-hyperband": optuna_search("tpe", "hyperband"),
}


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--against", choices=OTHERS, default="random")
    parser.add_argument("--ours", choices=["named", "steps"], default="named")
    parser.add_argument("--min", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=30)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    named = {"resource": "epochs"} if args.ours == "named" else {}
    strategy = {"name": "hyperband", "min": args.min, "max": EPOCHS, **named}

    def losses(search: Search, task: Task, target: float) -> list[list[float]]:
        return [
            search(task, seed, Race(EPOCHS * _MAX_TRAININGS, args.parallel, target))
            for seed in range(args.seeds)
        ]

    @cache
    def others(task: Task) -> list[list[float]]:
        return losses(OTHERS[args.against], task, -math.inf)

    @cache
    def target_of(task: Task) -> float:
        return statistics.median(best[EPOCHS * MARKS[-1] - 1] for best in others(task))

    @cache
    def own(task: Task) -> list[list[float]]:
        return losses(cloudtune_search(strategy), task, target_of(task))

    def side(name: str, best_losses: Callable[[Task], list[list[float]]]) -> Any:
        def regrets(task: Task, seed: int, trials: int, _: int) -> list[float]:
            best = best_losses(task)[seed]
            return [min(task.regret(best[EPOCHS * k - 1]), 1.0) for k in range(1, trials + 1)]

        return name, regrets, args.parallel

    tasks = [Task(curves) for curves in TABLES]
    sides: Any = (side("hyperband", own), side(args.against, others))
    compare(cast("Any", tasks), sides, args.seeds, MARKS)
    log_ratios: list[list[float]] = []
    for task in tasks:
        pairs = zip(own(task), others(task), strict=True)
        target = target_of(task)
        log_ratios.append([math.log(epochs_to(target, a) / epochs_to(target, b)) for a, b in pairs])
        print(f"{task.name}: {_interval([log_ratios[-1]])} of the epochs")
    print(f"all: {_interval(log_ratios)} of the epochs")


def epochs_to(target: float, best: Sequence[float]) -> int:
    """Return the number of epochs until the best loss reaches the target, or of all epochs."""
    return next((epochs for epochs, loss in enumerate(best, 1) if loss <= target), len(best))


def _interval(rows: Sequence[Sequence[float]]) -> str:
    random = Random(0)
    means = sorted(
        statistics.fmean(statistics.fmean(random.choices(row, k=len(row))) for row in rows)
        for _ in range(2_000)
    )
    middle = statistics.fmean(statistics.fmean(row) for row in rows)
    return f"{math.exp(middle):.2f} [{math.exp(means[49]):.2f} to {math.exp(means[1949]):.2f}]"


if __name__ == "__main__":
    main()
