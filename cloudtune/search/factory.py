"""Makes the strategy that a study asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.results.events import Event
from cloudtune.search.axes import build_axes
from cloudtune.search.early_stopping import make_rule
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.search.sampling import InitialTrials, PriorTrial, best_prior_assignments
from cloudtune.study.methods import METHODS, SINGLE_OBJECTIVE, can_warm_start
from cloudtune.study.search_space import Assignment, Space
from cloudtune.study.study import Study

_TRANSFER_COUNT = 5
"""How many of the best earlier trials run again in a warm start of kind ``transfer``."""


def make_strategy(
    study: Study,
    seed: int,
    prior: Sequence[PriorTrial] = (),
    *,
    max_trials: int | None = None,
) -> Strategy:
    """Return the strategy of a study, with its initial trials and its early stopping.

    Args:
        study: What is searched.
        seed: Where chance derives from; the study's own one does not count here.
        prior: Finished trials of earlier runs, for the strategies that learn from them. A resumed
            job must be given the same ones. Where the script or data has changed since (a warm
            start of kind ``transfer``) their values say nothing, so the best of them run first.
        max_trials: After how many assignments hyperband brings its last bracket to an end.

    Raises:
        MissingExtraError: If the method needs a package that is not installed.
        StudyError: If the strategy cannot run this study.
    """
    space = Space.from_study(study)
    first: list[Assignment] = list(study.initial_trials)
    kind = study.warm_start.kind if study.warm_start else "same"
    if not can_warm_start(study.strategy, kind):
        prior = ()
    elif kind == "transfer":
        goals = [objective.goal for objective in study.objectives]
        first += best_prior_assignments(space, goals, prior, _TRANSFER_COUNT)
        prior = ()
    opening = InitialTrials(first, build_axes(space), seed)
    return StudyStrategy(_build_strategy(study, opening, prior, max_trials), opening, study)


class StudyStrategy:
    """A strategy, with the study's initial trials before it and its early stopping beside it."""

    def __init__(self, strategy: Strategy, opening: InitialTrials, study: Study) -> None:
        self._strategy = strategy
        self._opening = opening
        self._opens = study.strategy.name in {"random", "bayesian", "genetic"}
        self._rule = make_rule(study)

    def tell(self, event: Event) -> None:
        """Take note of an event."""
        self._strategy.tell(event)
        if self._rule:
            self._rule.tell(event)

    def ask(self, draw: int) -> Suggestion | Literal["wait", "done"]:
        """Return an initial trial while there are any, then what the strategy chooses."""
        if self._opens and draw < len(self._opening):
            return Suggestion(self._opening.assignment(draw))
        return self._strategy.ask(draw)

    def stop_reason(self, number: int) -> str | None:
        """Return why a running trial should be stopped early, or None."""
        return self._rule.stop_reason(number) if self._rule else self._strategy.stop_reason(number)


def _build_strategy(
    study: Study, opening: InitialTrials, prior: Sequence[PriorTrial], max_trials: int | None
) -> Strategy:
    axes, seed = opening.axes, opening.seed
    strategy = study.strategy
    method = strategy.method or next(iter(METHODS[strategy.name]), "")
    one_only = strategy.name == "hyperband" or method in SINGLE_OBJECTIVE or study.early_stopping
    if one_only and len(study.objectives) != 1:
        what = "early stopping" if study.early_stopping else method or strategy.name
        raise StudyError([Problem("objective", f"{what} knows exactly one objective")])
    match strategy.name:
        case "random":
            from cloudtune.search.random_search import RandomSearch, SobolSearch

            return SobolSearch(axes, seed) if method == "sobol" else RandomSearch(axes, seed)
        case "list":
            from cloudtune.search.list_search import ListSearch

            return ListSearch(study.initial_trials)
        case "grid":
            from cloudtune.search.grid_search import GridSearch

            return GridSearch(Space.from_study(study), opening)
        case "bayesian":
            from cloudtune.search.bayesian_search import make_bayesian_strategy

            return make_bayesian_strategy(study, axes, seed, strategy.method, prior)
        case "genetic":
            from cloudtune.search.genetic_search import GeneticSearch

            return GeneticSearch(study, axes, seed, method, prior)
        case "hyperband":
            from cloudtune.search.hyperband_search import HyperbandSearch, StepHyperbandSearch

            if strategy.resource:
                return HyperbandSearch(study, opening, max_trials)
            return StepHyperbandSearch(study, opening)
