"""How much each parameter matters for being among the best trials."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from cloudtune.comparison.best_so_far import eligible_trials
from cloudtune.comparison.groups import Group
from cloudtune.results.model import Trial
from cloudtune.search.axes import build_axes
from cloudtune.study.search_space import Space, is_active, match_value
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

    The trials of repeated runs are pooled.

    Args:
        group: The group.
        index: The index of the objective in the study.
    """
    study = group.jobs[0].study
    trials = [trial for job in group.jobs for trial in eligible_trials(job.trials)]
    best = max(_BEST_SHARE, _MIN_BEST_TRIALS / len(trials)) if trials else _BEST_SHARE
    shares = _shares(study, trials, index, best) if len(trials) >= MIN_TRIALS else None
    return Importance(group.label, study.objectives[index].metric, len(trials), best, shares)


def _shares(study: Study, trials: list[Trial], index: int, best: float) -> dict[str, float] | None:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.importance import PedAnovaImportanceEvaluator
    from optuna.study import StudyDirection
    from optuna.trial import TrialState

    from cloudtune.search.optuna_storage import ListStorage

    axes = [axis for axis in build_axes(Space.from_study(study)) if not axis.is_fixed]
    distributions = {axis.node.key: axis.optuna_distribution() for axis in axes}
    maximize = study.objectives[index].goal == "maximize"
    storage = ListStorage([StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE])
    used: set[str] = set()
    for trial in trials:
        values: dict[str, float | int] = {}
        for axis in axes:
            name = axis.node.name
            if name in trial.parameters and is_active(axis.node, trial.parameters):
                value = match_value(axis.node.parameter, trial.parameters[name])
                if value is not None:
                    values[axis.node.key] = axis.to_optuna(value)
        active: dict[str, BaseDistribution] = {key: distributions[key] for key in values}
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
