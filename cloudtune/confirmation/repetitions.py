"""The repetitions of a confirmation's candidates, from the trials that ran."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from cloudtune.confirmation.confidence_sequence import mean
from cloudtune.confirmation.decision import MIN_SEEDS
from cloudtune.results.events import COUNTED_STATES, MEASURED_STATES
from cloudtune.results.model import StudyResult, Trial
from cloudtune.study.confirmation import Candidate, Confirmation
from cloudtune.study.search_space import assignment_key


def repeats(trial: Trial, candidate: Candidate) -> bool:
    """Return whether a trial has the parameters of a candidate."""
    return assignment_key(trial.parameters) == assignment_key(candidate.parameters)


def shortage(result: StudyResult, plan: Confirmation, least: int) -> str:
    """Return that fewer trials were allowed than planned, or have run; empty if unknown."""
    most, planned = result.study.limits.max_trials, len(plan.candidates) * len(plan.seeds)
    count = len(result.trials)
    if most is not None and most < planned and most <= count:
        return f"max_trials allowed {most} of {planned}"
    return f"{count} of {planned} trials have run" if least < MIN_SEEDS else ""


def ended_seeds(result: StudyResult, candidate: Candidate) -> int:
    """Return with how many seeds a candidate has run to an end, whether it failed or not."""
    return len(
        {t.seed for t in result.trials if t.state in COUNTED_STATES and repeats(t, candidate)}
    )


def measured_trials(result: StudyResult, candidate: Candidate) -> list[Trial]:
    """Return the measured repetitions, of the objective with the value that counts."""
    metric = result.study.objectives[0].metric
    return [
        replace(trial, metrics={**trial.metrics, metric: trial.objective[0]})
        for trial in result.trials
        if trial.state in MEASURED_STATES
        and trial.objective is not None
        and repeats(trial, candidate)
    ]


def by_seed(trials: Sequence[Trial], name: str, sign: float) -> dict[int, float]:
    """Return the values of a metric by seed, times the sign."""
    values = {trial.seed: trial.metrics.get(name, math.nan) for trial in trials}
    return {s: sign * v for s, v in values.items() if s is not None and math.isfinite(v)}


def metric_mean(trials: Sequence[Trial], name: str | None) -> float | None:
    """Return the mean of a metric over the seeds; None without a name or a value."""
    values = by_seed(trials, name, 1.0).values() if name else ()
    return mean([*values]) if values else None
