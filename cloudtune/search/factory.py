"""Creates the strategy that a study asks for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Literal

from typing_extensions import override

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.results.events import SearchEvent, Started
from cloudtune.search.axes import build_axes
from cloudtune.search.confirm_search import ConfirmSearch
from cloudtune.search.early_stopping import make_rule
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.search.sampling import (
    InitialTrials,
    PriorTrial,
    SearchInputs,
    best_prior_assignments,
)
from cloudtune.search.trial_queue import TrialQueue
from cloudtune.study.confirmation import Confirmation
from cloudtune.study.search_space import Assignment, Space
from cloudtune.study.strategies import SINGLE_OBJECTIVE, STRATEGIES
from cloudtune.study.study import Study

_TRANSFER_COUNT = 5
"""The number of the best earlier trials that a warm start of kind ``transfer`` repeats."""


def make_strategy(
    study: Study,
    seed: int,
    prior: Sequence[PriorTrial] = (),
    *,
    max_trials: int | None = None,
    confirmation: Confirmation | None = None,
) -> Strategy:
    """Return the strategy of a study, with its initial trials and early stopping.

    Args:
        study: The study to search.
        seed: The source of all randomness; the study's own seed is ignored.
        prior: Finished trials of earlier runs, for strategies that learn from them. A resumed job
            needs the same ones. After a change of script or data (a warm start of kind
            ``transfer``) their values are unreliable, so the best of them run again first.
        max_trials: The number of assignments after which hyperband completes its last bracket.
        confirmation: What a confirming run repeats; None for a search.

    Raises:
        MissingExtraError: If the method needs a package that is not installed.
        StudyError: If the strategy cannot run this study.
    """
    if confirmation:
        return ConfirmSearch(study, confirmation)
    space = Space.from_study(study)
    initial_trials: list[Assignment] = list(study.initial_trials)
    kind = study.warm_start.kind if study.warm_start else "same"
    if not STRATEGIES[study.strategy.name].can_warm_start(study.strategy.method, kind):
        prior = ()
    elif kind == "transfer":
        goals = [objective.goal for objective in study.objectives]
        initial_trials += best_prior_assignments(space, goals, prior, _TRANSFER_COUNT)
        prior = ()
    repeated = len(initial_trials) - len(study.initial_trials)
    initial = InitialTrials(initial_trials, build_axes(space), space, seed, repeated)
    inputs = SearchInputs(study, initial, prior, max_trials)
    return StudyStrategy(_build_strategy(inputs), initial, study)


class StudyStrategy(Strategy):
    """Adds the study's initial trials and early stopping to a strategy."""

    def __init__(self, strategy: Strategy, initial: InitialTrials, study: Study) -> None:
        self._strategy = strategy
        is_list = study.strategy.name == "list"  # whose trials run as they are
        listed = (
            Suggestion(each, origin="it is the next one of the list") for each in initial.trials
        )
        self._initial = TrialQueue(listed if is_list else initial)
        self._is_asked_first = STRATEGIES[study.strategy.name].suggests_initial_trials
        self._counts_proposals = not STRATEGIES[study.strategy.name].is_sequence
        self._proposals = 0
        """The trials from outside so far."""
        self._rule = make_rule(study)

    @override
    def tell(self, event: SearchEvent) -> None:
        if isinstance(event, Started) and event.proposal and event.replaces is None:
            self._proposals += 1
        self._initial.tell(event)
        self._strategy.tell(event)
        if self._rule:
            self._rule.tell(event)

    @override
    def ask(self, index: int) -> Suggestion | Literal["wait", "done"]:
        initial = None if self._is_asked_first else self._initial.first()
        if initial is not None:
            return initial
        if not self._counts_proposals:
            index += self._initial.left_out - self._proposals
        return self._strategy.ask(index)

    @override
    def has_initial_trial(self) -> bool:
        return self._initial.first() is not None

    @override
    def stop_reason(self, number: int) -> str | None:
        return (self._rule or self._strategy).stop_reason(number)


def _build_strategy(inputs: SearchInputs) -> Strategy:
    study, method = inputs.study, inputs.method
    name = study.strategy.name
    is_single = STRATEGIES[name].is_single_objective or method in SINGLE_OBJECTIVE
    if (is_single or study.early_stopping) and len(study.objectives) != 1:
        subject = "early stopping" if study.early_stopping else method or name
        raise StudyError([Problem("objective", f"{subject} supports exactly one objective")])
    module = import_module(f"cloudtune.search.{name}_search")
    strategy: Strategy = module.build(inputs)
    return strategy
