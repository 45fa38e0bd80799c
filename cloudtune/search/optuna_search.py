"""What all strategies over Optuna's samplers share.

A sampler is made anew for each draw, with a seed of its own, so that everything it knows is in the
trials. What it notes beside them goes out in the suggestion's memory and comes back with `Started`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudtune.results.events import Event, Measured, Started
from cloudtune.search.axes import Axis, Coordinate
from cloudtune.search.history import History, TrialRecord, finished
from cloudtune.search.protocol import Suggestion
from cloudtune.search.sampling import PriorTrial, filter_prior_trials, trial_rng, trial_seed
from cloudtune.search.subsample import Subsample
from cloudtune.study.search_space import Assignment, Space, Value, is_active
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as AskedTrial


@dataclass(frozen=True)
class SamplerSpec:
    """How one of Optuna's samplers is made and fed."""

    make: Callable[[int], BaseSampler]
    """Makes it from a seed."""
    knows_conditions: bool = False
    """Whether it is given active parameters alone. Others search all of them, and the values of
    inactive ones are remembered but not used."""
    part_seen: int | None = None
    """How many of the best trials, of the last and of a sample it sees; None for all trials."""


class OptunaSearch:
    """Chooses trials by one of Optuna's samplers.

    Finished trials count with their objective, those that were stopped early with what they had
    reached. Failed and cancelled trials do not count; running ones are known as such.
    """

    def __init__(
        self,
        study: Study,
        axes: Sequence[Axis],
        seed: int,
        sampler: SamplerSpec,
        prior: Sequence[PriorTrial] = (),
    ) -> None:
        from optuna.study import StudyDirection
        from optuna.trial import TrialState

        from cloudtune.search.optuna_storage import ListStorage

        self._axes = axes
        self._seed = seed
        self._sampler = sampler
        self._states = TrialState
        self._distributions = {
            axis.node.key: axis.distribution() for axis in axes if not axis.fixed
        }
        self._storage = ListStorage(
            [
                StudyDirection.MAXIMIZE if objective.goal == "maximize" else StudyDirection.MINIMIZE
                for objective in study.objectives
            ]
        )
        self._history = History(study)
        self._known: dict[int, FrozenTrial] = {}
        self._open: set[int] = set()
        self._signs = [-1 if o.goal == "maximize" else 1 for o in study.objectives]
        self._recall = (
            Subsample(seed, len(study.objectives), sampler.part_seen) if sampler.part_seen else None
        )
        space = Space([axis.node for axis in axes])
        for place, (parameters, values) in enumerate(
            filter_prior_trials(space, len(study.objectives), prior)
        ):
            draw = -1 - place
            params = self._params(parameters, {}, draw)
            self._known[draw] = self._add(TrialState.COMPLETE, params, {}, values)
            self._count(draw, values)

    def tell(self, event: Event) -> None:
        """Take note of a start or an end; single measurements do not matter."""
        fresh = len(self._history.trials)
        past = self._history.tell(event)
        if past is None or isinstance(event, Measured):
            return
        if isinstance(event, Started) and len(self._history.trials) > fresh:
            self._begin(past)
        known = self._known[past.draw]
        values = self._history.objective(past) if finished(past) else None
        self._open.discard(past.draw)
        if past.state in {"running", "pending"}:
            known.state = self._states.RUNNING
            self._open.add(past.draw)
        elif values is None:
            known.state = self._states.FAIL
        else:
            known.values = list(values)
            known.state = self._states.COMPLETE
            self._count(past.draw, values)

    def ask(self, draw: int) -> Suggestion:
        """Return the draw's trial."""
        return self._suggest(draw)[0]

    def stop_reason(self, number: int) -> None:
        """Stop no trial."""

    def _suggest(self, draw: int) -> tuple[Suggestion, dict[str, Any]]:
        """Return the draw's trial, and everything that the sampler noted beside it."""
        import optuna

        before = dict(self._storage.study_attrs)
        count = len(self._storage.trials)
        if self._recall:
            seen = [self._known[draw] for draw in (*self._recall.draws(), *self._open)]
            self._storage.shown = sorted(seen, key=lambda trial: trial.number)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                study = optuna.load_study(
                    study_name="",
                    storage=self._storage,
                    sampler=self._sampler.make(trial_seed(self._seed, draw)),
                    pruner=optuna.pruners.NopPruner(),
                )
                parameters, inactive = self._walk(study.ask())
            notes = self._storage.trials[-1].system_attrs
            of_study = {
                key: value for key, value in self._storage.study_attrs.items() if key not in before
            }
        finally:
            self._storage.study_attrs = before
            self._storage.shown = None
            del self._storage.trials[count:]
        memory = {
            "notes": {key: value for key, value in notes.items() if key.endswith("generation")},
            "study": of_study,
            "inactive": inactive,
            "learned": any(key.startswith(_OPTIMIZER) for key in notes),
        }
        kept = {key: value for key, value in memory.items() if value}
        return Suggestion(parameters, memory=kept), notes

    def _walk(self, trial: AskedTrial) -> tuple[dict[str, Value], dict[str, Coordinate]]:
        known: dict[str, Value] = {}
        inactive: dict[str, Coordinate] = {}
        for axis in self._axes:
            active = is_active(axis.node, known)
            if axis.fixed:
                place = None
            elif active or not self._sampler.knows_conditions:
                place = _suggested(trial, axis)
            else:
                continue
            if active:
                known[axis.node.name] = axis.value(0) if place is None else axis.from_optuna(place)
            elif place is not None:
                inactive[axis.node.key] = place
        return known, inactive

    def _begin(self, past: TrialRecord) -> None:
        notes: dict[str, Any] = dict(past.memory.get("notes", {}))
        if past.memory.get("learned"):
            # What the sampler learned is too large to remember, and follows from what was told.
            notes = self._suggest(past.draw)[1]
        self._storage.study_attrs |= past.memory.get("study", {})
        params = self._params(past.parameters, past.memory.get("inactive", {}), past.draw)
        self._known[past.draw] = self._add(self._states.RUNNING, params, notes, None)

    def _count(self, draw: int, values: Sequence[float]) -> None:
        if self._recall:
            scores = [sign * value for sign, value in zip(self._signs, values, strict=True)]
            self._recall.add(draw, scores)

    def _params(
        self, assignment: Assignment, inactive: Mapping[str, Coordinate], draw: int
    ) -> dict[str, Coordinate]:
        """Return an assignment as Optuna knows it, unknown inactive values by chance."""
        random = trial_rng(self._seed, draw)
        known: dict[str, Value] = {}
        params: dict[str, Coordinate] = {}
        for axis in self._axes:
            key, name = axis.node.key, axis.node.name
            if is_active(axis.node, known) and name in assignment:
                known[name] = assignment[name]
                if not axis.fixed:
                    params[key] = axis.to_optuna(assignment[name])
            elif not axis.fixed and not self._sampler.knows_conditions:
                params[key] = (
                    inactive[key] if key in inactive else axis.to_optuna(axis.draw(random))
                )
        return params

    def _add(
        self,
        state: Any,
        params: dict[str, Coordinate],
        notes: dict[str, Any],
        values: Sequence[float] | None,
    ) -> FrozenTrial:
        distributions = {key: self._distributions[key] for key in params}
        return self._storage.add(state, dict(params), distributions, notes, values)


_OPTIMIZER = "cma:optimizer"


def _suggested(trial: AskedTrial, axis: Axis) -> Coordinate:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    key = axis.node.key
    match axis.distribution():
        case IntDistribution() as ints:
            return int(trial.suggest_int(key, ints.low, ints.high, log=ints.log))
        case CategoricalDistribution() as choices:
            return int(trial.suggest_categorical(key, choices.choices))  # type: ignore[arg-type]
        case _:
            return float(trial.suggest_float(key, 0.0, 1.0))
