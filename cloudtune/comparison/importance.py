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
"""Trials below which importance is not computed."""
_BEST = 0.1
_TOP = 5
"""The best tenth counts, but never fewer than five trials."""


@dataclass(frozen=True)
class Importance:
    """How much the parameters of one group matter for one objective."""

    label: str
    metric: str
    trials: int
    best: float
    """The share of the trials that are taken as the best ones."""
    shares: dict[str, float] | None
    """By the key of the parameter's definition, adding up to 1; None where nothing can be told."""


def parameter_importance(group: Group, place: int) -> Importance:
    """Return how unevenly each parameter's values are spread among a group's best trials.

    The trials of repeated runs are taken together.

    Args:
        group: The group.
        place: The place of the objective among the study's.
    """
    study = group.jobs[0].study
    objective = study.objectives[place]
    trials = [trial for job in group.jobs for trial in eligible_trials(job.trials)]
    best = max(_BEST, _TOP / len(trials)) if trials else _BEST
    shares = _shares(study, trials, place, best) if len(trials) >= MIN_TRIALS else None
    return Importance(group.label, objective.metric, len(trials), best, shares)


def _shares(study: Study, trials: list[Trial], place: int, best: float) -> dict[str, float] | None:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.importance import PedAnovaImportanceEvaluator
    from optuna.study import StudyDirection
    from optuna.trial import TrialState

    from cloudtune.search.optuna_storage import ListStorage

    axes = [axis for axis in build_axes(Space.from_study(study)) if not axis.is_fixed]
    distributions = {axis.node.key: axis.optuna_distribution() for axis in axes}
    up = study.objectives[place].goal == "maximize"
    storage = ListStorage([StudyDirection.MAXIMIZE if up else StudyDirection.MINIMIZE])
    seen: set[str] = set()
    for trial in trials:
        numbers: dict[str, float | int] = {}
        for axis in axes:
            name = axis.node.name
            if name in trial.parameters and is_active(axis.node, trial.parameters):
                value = match_value(axis.node.parameter, trial.parameters[name])
                if value is not None:
                    numbers[axis.node.key] = axis.to_optuna(value)
        held: dict[str, BaseDistribution] = {key: distributions[key] for key in numbers}
        seen |= held.keys()
        assert trial.objective is not None
        storage.add(TrialState.COMPLETE, numbers, held, {}, [trial.objective[place]])
    if not seen:
        return None
    made = optuna.Study(study_name="", storage=storage)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of branches with few trials, which it leaves out
        keys = [key for key in distributions if key in seen]
        found = PedAnovaImportanceEvaluator(target_quantile=best).evaluate(made, params=keys)
    whole = sum(found.values())
    return {key: found.get(key, 0.0) / whole for key in keys} if whole else None
