"""Trials that break the constraints of a study on metrics."""

from __future__ import annotations

from collections.abc import Iterable

from cloudtune.results.model import Trial
from cloudtune.results.objective import constrained_metrics
from cloudtune.study.constraints import outcome_constraints, outcome_margins
from cloudtune.study.study import Study


def describe_broken(study: Study, trial: Trial) -> str:
    """Return the constraints that a trial breaks, with what it measured; empty if there are none.

    Such as ``breaks memory_gb <= 16 (memory_gb 18.2)``.
    """
    parts: list[str] = []
    metrics = _metrics(study, trial)
    for each in outcome_constraints(study):
        if each.text in (trial.broken or ()):
            values = [
                f"{name} {metrics[name]:.6g}" if name in metrics else f"{name} not measured"
                for name in sorted(each.metrics)
            ]
            parts.append(f"{each.text} ({', '.join(values)})")
    return f"breaks {' and '.join(parts)}" if parts else ""


def _metrics(study: Study, trial: Trial) -> dict[str, float]:
    """Return the metrics of a trial with the value of each objective that counts."""
    return constrained_metrics(
        study, trial.metrics, trial.objective or [None] * len(study.objectives)
    )


def nearest_trial(study: Study, trials: Iterable[Trial]) -> Trial | None:
    """Return the trial that breaks the fewest constraints on metrics, and these by the least."""
    constraints = outcome_constraints(study)
    broken = [each for each in trials if each.broken and each.objective is not None]
    margins = {
        each.number: outcome_margins(constraints, each.parameters, _metrics(study, each))
        for each in broken
    }
    most = [max(column) for column in zip(*margins.values(), strict=True)]

    def key(trial: Trial) -> tuple[int, float, int]:
        shares = (
            margin / top if margin < top else 1.0
            for margin, top in zip(margins[trial.number], most, strict=True)
            if margin > 0
        )
        return len(trial.broken or ()), sum(shares), trial.number

    return min(broken, key=key, default=None)


def explain_infeasible(study: Study, trials: Iterable[Trial]) -> str:
    """Return that no trial keeps the constraints on metrics, and which one is the nearest.

    Empty if a trial keeps them, or if none measured the objective.
    """
    every = list(trials)
    nearest = nearest_trial(study, every)
    if nearest is None or any(each.objective is not None and each.broken == () for each in every):
        return ""
    near = f"the nearest is trial {nearest.number}, which {describe_broken(study, nearest)}"
    return f"no trial keeps the constraints; {near}"
