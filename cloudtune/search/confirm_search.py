"""The strategy of `cloudtune confirm`: candidates of an earlier run, each with the same seeds."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from typing_extensions import override

from cloudtune.confirmation.decision import (
    MIN_SEEDS,
    are_repetitions_equal,
    open_candidates,
)
from cloudtune.results.events import COUNTED_STATES, FINAL_STATES, SearchEvent
from cloudtune.search.history import History, TrialRecord
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.study.confirmation import Confirmation
from cloudtune.study.study import Study

_CANDIDATE = "candidate"


class ConfirmSearch(Strategy):
    """Suggests candidates seed by seed: first all of them, then those that are still open.

    After the first seeds, the next one waits for the trials of those before it.
    """

    def __init__(self, study: Study, confirmation: Confirmation) -> None:
        self._plan = confirmation
        self._history = History(study)
        self._sign = 1.0 if confirmation.goal == "maximize" else -1.0

    @override
    def tell(self, event: SearchEvent) -> None:
        self._history.tell(event)

    @override
    def ask(self, index: int) -> Suggestion | Literal["wait", "done"]:
        trials = {
            (seed, each.memory[_CANDIDATE]): each
            for each in self._history.trials
            if (seed := each.seed) is not None
        }
        active = list(range(len(self._plan.candidates)))
        for position, seed in enumerate(self._plan.seeds):
            if position >= MIN_SEEDS and not self._plan.fixed:
                before = self._plan.seeds[:position]
                earlier = [trial for (other, _), trial in trials.items() if other in before]
                if not all(trial.state in FINAL_STATES for trial in earlier):
                    return "wait"
                values = self._values(trials, before)
                missing = self._missing(trials)
                active = open_candidates(self._plan, values, missing, self._broken(trials))
                if not active or are_repetitions_equal(self._reports(trials)):
                    return "done"
            for candidate in active:
                if (seed, candidate) not in trials:
                    parameters = dict(self._plan.candidates[candidate].parameters)
                    return Suggestion(parameters, seed=seed, memory={_CANDIDATE: candidate})
        return "done"

    def _broken(self, trials: dict[tuple[int, int], TrialRecord]) -> set[int]:
        """Return the candidates that break a constraint in a completed repetition, or earlier."""
        return self._plan.broken_elsewhere | {
            candidate
            for (_, candidate), trial in trials.items()
            if self._history.final_objective(trial) is not None
            and max(self._history.margins(trial) or (), default=0.0) > 0
        }

    def _missing(self, trials: dict[tuple[int, int], TrialRecord]) -> list[int]:
        """Return with how many seeds each candidate ended without a value."""
        without = Counter(
            candidate
            for (_, candidate), trial in trials.items()
            if trial.state in COUNTED_STATES and self._history.final_objective(trial) is None
        )
        return [without[candidate] for candidate in range(len(self._plan.candidates))]

    def _reports(self, trials: dict[tuple[int, int], TrialRecord]) -> list[dict[int, object]]:
        """Return all that the repetitions of each candidate reported, by seed."""
        reports: list[dict[int, object]] = [{} for _ in self._plan.candidates]
        for (seed, candidate), trial in trials.items():
            objective = self._history.final_objective(trial)
            if objective is not None:
                reports[candidate][seed] = (objective, trial.measurements)
        return reports

    def _values(
        self, trials: dict[tuple[int, int], TrialRecord], seeds: tuple[int, ...]
    ) -> list[dict[int, float]]:
        """Return the values of each candidate by seed, for these seeds."""
        values: list[dict[int, float]] = [{} for _ in self._plan.candidates]
        for seed in seeds:
            for candidate, by_seed in enumerate(values):
                trial = trials.get((seed, candidate))
                objective = self._history.final_objective(trial) if trial else None
                if objective is not None:
                    by_seed[seed] = self._sign * objective[0]
        return values
