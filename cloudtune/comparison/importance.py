"""How much each parameter matters for being among the best trials."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from cloudtune.comparison.best_so_far import eligible_trials
from cloudtune.comparison.groups import Group
from cloudtune.results.model import Trial
from cloudtune.search.axes import build_axes
from cloudtune.study.search_space import Assignment, Node, Space, Value, match_value
from cloudtune.study.study import Study

METHOD = "PED-ANOVA as in Optuna"
MIN_TRIALS = 20
"""With fewer trials, importance is not computed."""
_BEST_SHARE = 0.1
"""The share of the trials that count as the best ones."""
_MIN_BEST_TRIALS = 5


@dataclass(frozen=True)
class Importance:
    """The importance of a group's parameters for one objective."""

    label: str
    metric: str
    trials: int
    best: float
    """The share of the trials that count as the best ones."""
    shares: dict[str, float] | None
    """By the key of the parameter's definition, adding up to 1; None if unknown."""


def parameter_importance(group: Group, index: int) -> Importance:
    """Return how unevenly each parameter's values are distributed among a group's best trials.

    The best trials are those by the objective at the index. The trials of repeated runs are pooled.
    """
    study = group.jobs[0].study
    trials = [trial for job in group.jobs for trial in eligible_trials(job.trials)]
    best = max(_BEST_SHARE, _MIN_BEST_TRIALS / len(trials)) if trials else _BEST_SHARE
    shares = _shares(study, trials, index, best) if len(trials) >= MIN_TRIALS else None
    return Importance(group.label, study.objectives[index].metric, len(trials), best, shares)


def valid_values(space: Space, parameters: Assignment) -> Iterator[tuple[Node, Value]]:
    """Yield the values of a trial's active parameters, except those outside the search space."""
    for node in space.active_nodes(parameters):
        if node.name in parameters:
            value = match_value(node.parameter, parameters[node.name])
            if value is not None:
                yield node, value


def _shares(study: Study, trials: list[Trial], index: int, best: float) -> dict[str, float] | None:
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator
    from optuna.study import StudyDirection
    from optuna.trial import TrialState

    from cloudtune.search.optuna_storage import ListStorage

    space = Space.from_study(study)
    axes = {axis.node.key: axis for axis in build_axes(space) if not axis.is_fixed}
    distributions = {key: axis.optuna_distribution() for key, axis in axes.items()}
    maximize = study.objectives[index].goal == "maximize"
    storage = ListStorage([StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE])
    used: set[str] = set()
    for trial in trials:
        values = {
            node.key: axes[node.key].to_optuna(value)
            for node, value in valid_values(space, trial.parameters)
            if node.key in axes
        }
        active = {key: distributions[key] for key in values}
        used |= active.keys()
        assert trial.objective is not None
        storage.add(TrialState.COMPLETE, values, active, {}, [trial.objective[index]])
    if not used:
        return None
    keys = [key for key in distributions if key in used]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about branches with few trials, which it skips
        evaluator = PedAnovaImportanceEvaluator(target_quantile=best)
        importances = evaluator.evaluate(optuna.Study("", storage=storage), params=keys)
    total = sum(importances.values())
    return {key: importances.get(key, 0.0) / total for key in keys} if total else None
