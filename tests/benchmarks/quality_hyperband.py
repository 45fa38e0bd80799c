"""How good `hyperband` is at equal total epochs: run by hand, on the tables of learning_curves.py.

    python -m tests.benchmarks.quality_hyperband            regrets beside random search
    python -m tests.benchmarks.quality_hyperband --against tpe-hyperband

Others to be beside: random (full trainings), tpe (full trainings), random-halving and tpe-hyperband
(Optuna's sampler and pruner). ``--min 3`` begins at three epochs; ``--ours steps`` takes hyperband
without a named resource, which stops trials and resumes none; ``--parallel 4`` runs four trials at
a time; ``--seeds 30``.

What counts is the best loss of a training that reached its last epoch, as a regret: 0 is the best
loss of the table, 1 the median one. An epoch counts once, since a promoted trial goes on from its
checkpoint. Budgets are counted in full trainings of 27 epochs. Below the table: how many epochs
hyperband needs for the loss that the other has after 40 full trainings in the median of all seeds,
as a share of those that the other needs for it, paired by seed; the mean is geometric, with a
bootstrap interval of 95 %. Who is not there after 120 full trainings counts as if it were. (Were it
the loss of each seed's own pair, the other would always be there within 40 trainings and hyperband
seldom by luck: random search against itself would come out at 1.5.)
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

from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.search_space import Value, is_active, list_nodes
from tests.benchmarks.learning_curves import EPOCHS, PARAMETERS, TABLES, Curves, key
from tests.benchmarks.quality import compare, suggested
from tests.benchmarks.quality_tasks import study_of

MARKS = (5, 10, 20, 40)
_LONGEST = 120
"""How many full trainings a search may take to reach what the other mostly has after 40."""


@dataclass(frozen=True)
class Task:
    """One table."""

    curves: Curves

    @property
    def name(self) -> str:
        """Return its name."""
        return self.curves.name

    @cached_property
    def _bounds(self) -> tuple[float, float]:
        last = [row[-1] for row in self.curves.losses.values()]
        return min(last), statistics.median(last)

    def losses(self, given: Mapping[str, Any]) -> Sequence[float]:
        """Return the loss after each epoch."""
        return self.curves.losses[key(given)]

    def regret(self, loss: float) -> float:
        """Return 0 for the best loss of the table and 1 for a typical one."""
        best, typical = self._bounds
        return (loss - best) / (typical - best)


@dataclass
class Running:
    """One trial: what an engine needs of it, and how far it is."""

    trial: Any
    losses: Sequence[float]
    upto: int = EPOCHS
    epoch: int = 0


@dataclass
class Race:
    """Trains several trials at a time and keeps the best loss.

    It ends once that is as wanted and the last mark is passed, at the latest after so many epochs.
    """

    epochs: int
    parallel: int
    wanted: float
    best: list[float] = field(default_factory=list[float])
    """The best loss of a complete training after each epoch of any."""

    def run(
        self,
        start: Callable[[], Running],
        report: Callable[[Running, float], bool],
        end: Callable[[Running, bool], None],
    ) -> list[float]:
        """Start trials, report each epoch until told to stop, and end them."""
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
            self._count(loss if trial.epoch == EPOCHS else math.inf)
            if self._ended:
                return self.best
            if stopped or trial.epoch == trial.upto:
                end(trial, stopped)
            else:
                heapq.heappush(running, (now, next(order), trial))

    @property
    def _ended(self) -> bool:
        least = EPOCHS * MARKS[-1] if self.best[-1] <= self.wanted else self.epochs
        return len(self.best) >= min(least, self.epochs)

    def _count(self, loss: float) -> None:
        self.best.append(min(self.best[-1], loss) if self.best else loss)


Search = Callable[[Task, int, Race], list[float]]
"""Gets a task, a seed and how to train; returns the best losses."""


def ours(strategy: Any) -> Search:
    """Return a search by a strategy of cloudtune."""

    def search(task: Task, seed: int, race: Race) -> list[float]:
        chooser = make_strategy(study_of(PARAMETERS, strategy), seed)
        waiting: dict[int, Running] = {}
        draws = 0

        def start() -> Running:
            nonlocal draws
            chosen = chooser.ask(draws)
            assert isinstance(chosen, Suggestion)
            if chosen.resumes is None:
                draws += 1
                trial = Running(draws, task.losses(chosen.parameters))
            else:
                trial = waiting.pop(chosen.resumes)
            trial.upto = chosen.resource or EPOCHS
            chooser.tell(Started(trial.trial, 0.0, chosen.parameters, resource=chosen.resource,
                                 memory=chosen.memory))  # fmt: skip
            return trial

        def report(trial: Running, loss: float) -> bool:
            chooser.tell(Measured(trial.trial, 0.0, trial.epoch, {"loss": loss}))
            return chooser.stop_reason(trial.trial) is not None

        def end(trial: Running, stopped: bool) -> None:
            if stopped:
                chooser.tell(Ended(trial.trial, 0.0, "stopped_early"))
            elif trial.epoch == EPOCHS:
                chooser.tell(Ended(trial.trial, 0.0, "completed"))
            else:
                waiting[trial.trial] = trial
                chooser.tell(Ended(trial.trial, 0.0, "pending"))

        return race.run(start, report, end)

    return search


def optunas(sampler: str, pruner: str) -> Search:
    """Return a search by a sampler and a pruner of Optuna."""

    def search(task: Task, seed: int, race: Race) -> list[float]:
        import optuna

        pruners: Mapping[str, Any] = {
            "none": optuna.pruners.NopPruner(),
            "halving": optuna.pruners.SuccessiveHalvingPruner(),
            "hyperband": optuna.pruners.HyperbandPruner(1, EPOCHS, 3),
        }
        samplers = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
        study = optuna.create_study(sampler=samplers[sampler](seed=seed), pruner=pruners[pruner])
        nodes = list_nodes(study_of(PARAMETERS))

        def start() -> Running:
            trial = study.ask()
            given: dict[str, Value] = {}
            for node in nodes:
                if is_active(node, given):
                    given[node.name] = suggested(trial, node.name, node.parameter)
            return Running(trial, task.losses(given))

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
    "random": ours("random"),
    "tpe": optunas("tpe", "none"),
    "random-halving": optunas("random", "halving"),
    "tpe-hyperband": optunas("tpe", "hyperband"),
}


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--against", choices=OTHERS, default="random")
    parser.add_argument("--ours", choices=["named", "steps"], default="named")
    parser.add_argument("--min", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=30)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    named = {"resource": "epochs"} if given.ours == "named" else {}
    strategy = {"name": "hyperband", "min": given.min, "max": EPOCHS, **named}

    def losses(search: Search, task: Task, wanted: float) -> list[list[float]]:
        return [
            search(task, seed, Race(EPOCHS * _LONGEST, given.parallel, wanted))
            for seed in range(given.seeds)
        ]

    @cache
    def others(task: Task) -> list[list[float]]:
        return losses(OTHERS[given.against], task, -math.inf)

    @cache
    def wanted(task: Task) -> float:
        return statistics.median(best[EPOCHS * MARKS[-1] - 1] for best in others(task))

    @cache
    def own(task: Task) -> list[list[float]]:
        return losses(ours(strategy), task, wanted(task))

    def side(name: str, found: Callable[[Task], list[list[float]]]) -> Any:
        def regrets(task: Task, seed: int, most: int, _: int) -> list[float]:
            best = found(task)[seed]
            return [min(task.regret(best[EPOCHS * k - 1]), 1.0) for k in range(1, most + 1)]

        return name, regrets, given.parallel

    tasks = [Task(curves) for curves in TABLES]
    sides: Any = (side("hyperband", own), side(given.against, others))
    compare(cast("Any", tasks), sides, given.seeds, MARKS)
    shares: list[list[float]] = []
    for task in tasks:
        pairs = zip(own(task), others(task), strict=True)
        target = wanted(task)
        shares.append([math.log(time_to(target, a) / time_to(target, b)) for a, b in pairs])
        print(f"{task.name}: {_interval([shares[-1]])} of the epochs")
    print(f"all: {_interval(shares)} of the epochs")


def time_to(wanted: float, best: Sequence[float]) -> int:
    """Return after how many epochs a search has a loss, or how many there are."""
    return next((epochs for epochs, loss in enumerate(best, 1) if loss <= wanted), len(best))


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
