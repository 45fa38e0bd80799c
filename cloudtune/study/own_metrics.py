"""The metrics that every trial has without reporting them: its run time and its cost."""

from __future__ import annotations

from cloudtune.study.fields import StudyFields

OWN_METRICS = ("seconds", "cost")


def own_metrics(study: StudyFields) -> tuple[str, ...]:
    """Return the metrics of cloudtune's own that a study uses.

    A metric of that name in ``trial.metrics`` is one of the script.
    """
    used = {each.metric for each in study.objectives}
    if study.constraints:
        from cloudtune.study.constraints import outcome_constraints

        used |= {name for each in outcome_constraints(study) for name in each.metrics}
    return tuple(each for each in OWN_METRICS if each in used - study.trial.metrics.keys())


def own_metric_path(study: StudyFields, name: str) -> str:
    """Return the path of the field that uses one of cloudtune's own metrics."""
    from cloudtune.study.constraints import constraint_path, outcome_constraints

    for index, objective in enumerate(study.objectives):
        if objective.metric == name:
            return f"{study.objective_path(index)}.metric"
    index = next(each.index for each in outcome_constraints(study) if name in each.metrics)
    return constraint_path(study, index)
