"""Strategies that use Optuna's samplers.

Each trial gets a new sampler with its own seed, so a sampler's only state is the trials. Attributes
that a sampler stores with a trial go into the suggestion's memory and return with `Started`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cloudtune.common.display import import_progress_bars
from cloudtune.results.events import Measured, SearchEvent, Started
from cloudtune.search.axes import Axis, Coordinate
from cloudtune.search.history import History, TrialRecord
from cloudtune.search.protocol import RANDOM, Strategy, Suggestion
from cloudtune.search.sampling import (
    PriorTrial,
    complete_assignment,
    filter_prior_trials,
    trial_rng,
    trial_seed,
)
from cloudtune.search.subsample import Subsample
from cloudtune.study.search_space import Assignment, Space, Value, is_active
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

_OPTIMIZER = "cma:optimizer"
_MAX_MARGIN = 1e30
"""By how much a trial breaks a constraint at most."""
_MAX_ATTEMPTS = 10
"""How often a sampler is asked, with other seeds, for a trial that keeps the constraints."""

import_progress_bars()  # before a sampler imports Optuna


class OptunaSearch(Strategy):
    """Chooses trials with one of Optuna's samplers.

    Completed trials count with their objective, early-stopped ones with the objective that they
    reached. Failed and cancelled trials do not count. The sampler sees running trials as running.
    """

    def __init__(
        self,
        study: Study,
        axes: Sequence[Axis],
        seed: int,
        create_sampler: Callable[..., BaseSampler],
        *,
        name: str,
        handles_conditions: bool = False,
        learns_constraints: bool = False,
        part_size: int | None = None,
        prior: Sequence[PriorTrial] = (),
    ) -> None:
        """Set the sampler and what it sees.

        Args:
            study: The study.
            axes: Its axes.
            seed: The source of all randomness.
            create_sampler: Creates the sampler from the keyword argument ``seed``.
            name: What the sampler is called.
            handles_conditions: Whether it suggests only active parameters. Other samplers suggest
                all of them; the values of inactive ones are stored but not used.
            learns_constraints: Whether it prefers trials that keep constraints on metrics. Other
                samplers do not see the trials that break one.
            part_size: The number of the best trials, of the latest and of a sample that it sees;
                None for all.
            prior: Finished trials of earlier runs.
        """
        from optuna.study import StudyDirection
        from optuna.trial import TrialState

        from cloudtune.search.optuna_storage import ListStorage

        self._axes = axes
        self._seed = seed
        self._create_sampler = create_sampler
        self._origin = f"{name} of Optuna suggested it"
        self._handles_conditions = handles_conditions
        self._learns_constraints = learns_constraints
        self._states = TrialState
        self._distributions = {
            axis.node.key: axis.optuna_distribution() for axis in axes if not axis.is_fixed
        }
        directions = [StudyDirection[objective.goal.upper()] for objective in study.objectives]
        self._storage = ListStorage(directions)
        self._history = History(study)
        self._trials: dict[int, FrozenTrial] = {}
        self._running: set[int] = set()
        objectives = len(study.objectives)
        self._subsample = Subsample(seed, objectives, part_size) if part_size else None
        self._space = space = Space.from_study(study)
        for i, (assignment, values) in enumerate(filter_prior_trials(space, objectives, prior)):
            index = -1 - i
            self._add_trial(index, TrialState.COMPLETE, assignment, {}, {}, values=values)
            if self._subsample:
                self._subsample.add(index, self._history.to_scores(values))

    @override
    def tell(self, event: SearchEvent) -> None:
        count = len(self._history.trials)
        trial = self._history.tell(event)
        if trial is None or isinstance(event, Measured):
            return
        if isinstance(event, Started) and len(self._history.trials) > count:
            self._add_running(trial)
        frozen = self._trials[trial.index]
        values = self._history.final_objective(trial)
        margins = self._history.margins(trial)
        if values is None and margins is not None and self._learns_constraints:
            values = (0.0,) * len(
                self._storage.get_study_directions(0)
            )  # not read: it breaks a constraint
        self._running.discard(trial.index)
        if trial.state in {"running", "pending"}:
            frozen.state = self._states.RUNNING
            self._running.add(trial.index)
        elif values is None:
            frozen.state = self._states.FAIL
        else:
            frozen.values = list(values)
            frozen.state = self._states.COMPLETE
            if margins is not None and self._learns_constraints:
                frozen.system_attrs["constraints"] = [min(m, _MAX_MARGIN) for m in margins]
            elif any(margin > 0 for margin in margins or ()):
                frozen.state = self._states.FAIL
            if self._subsample:
                self._subsample.add(trial.index, self._history.rank(trial, values))

    @override
    def ask(self, index: int) -> Suggestion:
        suggestion = self._suggest(index)[0]
        return replace(suggestion, origin=suggestion.origin or self._origin)

    def _suggest(self, index: int) -> tuple[Suggestion, dict[str, Any]]:
        """Return a trial, and all attributes that the sampler stored with it.

        The sampler does not know the constraints between parameters: what breaks one is replaced.
        """
        suggestion, attrs = self._suggest_any(trial_seed(self._seed, index))
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            if self._space.allows(suggestion.parameters):
                return suggestion, attrs
            suggestion, attrs = self._suggest_any(trial_seed(self._seed + attempt * 2**32, index))
        rng = trial_rng(self._seed, index)
        allowed = complete_assignment(self._axes, self._space, {}, rng)
        return Suggestion(allowed, memory=suggestion.memory, origin=RANDOM), attrs

    def _suggest_any(self, seed: int) -> tuple[Suggestion, dict[str, Any]]:
        import optuna

        attrs_before = dict(self._storage.study_attrs)
        count = len(self._storage.trials)
        if self._subsample:
            visible = [self._trials[i] for i in (*self._subsample.indices(), *self._running)]
            self._storage.visible = sorted(visible, key=lambda trial: trial.number)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                study = optuna.load_study(
                    study_name="",
                    storage=self._storage,
                    sampler=self._create_sampler(seed=seed),
                    pruner=optuna.pruners.NopPruner(),
                )
                parameters, inactive = self._suggest_parameters(study.ask())
            trial_attrs = self._storage.trials[-1].system_attrs
            study_attrs = {
                key: value
                for key, value in self._storage.study_attrs.items()
                if key not in attrs_before
            }
        finally:
            self._storage.study_attrs = attrs_before
            self._storage.visible = None
            del self._storage.trials[count:]
        memory = {
            "notes": {key: attr for key, attr in trial_attrs.items() if key.endswith("generation")},
            "study": study_attrs,
            "inactive": inactive,
            "learned": any(key.startswith(_OPTIMIZER) for key in trial_attrs),
        }
        memory = {key: value for key, value in memory.items() if value}
        return Suggestion(parameters, memory=memory), trial_attrs

    def _suggest_parameters(self, trial: Trial) -> tuple[dict[str, Value], dict[str, Coordinate]]:
        """Return the assignment, and the coordinates of inactive parameters by key."""
        assignment: dict[str, Value] = {}
        inactive: dict[str, Coordinate] = {}
        for axis in self._axes:
            active = is_active(axis.node, assignment)
            if axis.is_fixed:
                suggestion = None
            elif active or not self._handles_conditions:
                suggestion = _suggest_coordinate(trial, axis)
            else:
                continue
            if active:
                assignment[axis.node.name] = (
                    axis.value(0) if suggestion is None else axis.from_optuna(suggestion)
                )
            elif suggestion is not None:
                inactive[axis.node.key] = suggestion
        return assignment, inactive

    def _add_running(self, trial: TrialRecord) -> None:
        attrs: dict[str, Any] = dict(trial.memory.get("notes", {}))
        if trial.memory.get("learned"):
            # The optimizer's state is too large for the memory, but follows from the events.
            attrs = self._suggest(trial.index)[1]
        self._storage.study_attrs |= trial.memory.get("study", {})
        inactive = trial.memory.get("inactive", {})
        self._add_trial(trial.index, self._states.RUNNING, trial.parameters, inactive, attrs)

    def _add_trial(
        self,
        index: int,
        state: Any,
        assignment: Assignment,
        inactive: Mapping[str, Coordinate],
        attrs: dict[str, Any],
        *,
        values: Sequence[float] | None = None,
    ) -> None:
        """Add a trial to the storage; unknown coordinates of inactive parameters are sampled."""
        rng = trial_rng(self._seed, index)
        known: dict[str, Value] = {}
        params: dict[str, Any] = {}
        for axis in self._axes:
            key, name = axis.node.key, axis.node.name
            if is_active(axis.node, known) and name in assignment:
                known[name] = assignment[name]
                if not axis.is_fixed:
                    params[key] = axis.to_optuna(assignment[name])
            elif not axis.is_fixed and not self._handles_conditions:
                params[key] = inactive[key] if key in inactive else axis.to_optuna(axis.sample(rng))
        distributions = {key: self._distributions[key] for key in params}
        self._trials[index] = self._storage.add(state, params, distributions, attrs, values)


def _suggest_coordinate(trial: Trial, axis: Axis) -> Coordinate:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    key = axis.node.key
    match axis.optuna_distribution():
        case IntDistribution() as ints:
            return int(trial.suggest_int(key, ints.low, ints.high, log=ints.log))
        case CategoricalDistribution() as choices:
            return int(trial.suggest_categorical(key, choices.choices))  # type: ignore[arg-type]
        case _:
            return float(trial.suggest_float(key, 0.0, 1.0))
