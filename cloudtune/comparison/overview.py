"""A group of runs by itself: its best trials, what they gained, and what to run next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated

from pydantic import Field

from cloudtune.comparison.best_trials import FrontTrial
from cloudtune.comparison.bounds import BoundHit, bound_hits, bounds_of_best
from cloudtune.comparison.curves import best_so_far, counted_trials, eligible_trials
from cloudtune.comparison.groups import Group
from cloudtune.comparison.next_steps import NextStep, next_steps
from cloudtune.comparison.rankings import NEAR_BEST_SHARE
from cloudtune.confirmation.analysis import ConfirmationResult
from cloudtune.formats.run_reader import DERIVED
from cloudtune.results.events import FINAL_STATES
from cloudtune.results.model import StudyResult, Trial, pareto_front, trial_rank
from cloudtune.study.constraints import outcome_constraints
from cloudtune.study.script_defaults import script_defaults
from cloudtune.study.search_space import Value, is_same_value

MAX_TOP_TRIALS = 10
_MIN_TRIALS = 10
"""With fewer trials, the overview does not judge whether the search was still improving."""
LAST_SHARE = 0.2
"""The search was still improving if the best value improved in this last share of the trials."""


@dataclass(frozen=True)
class ObjectiveOverview:
    """What a search achieved in one objective."""

    metric: str
    goal: str
    best: float
    best_trial: int
    best_run: str
    first: float
    """The value of the first trial of that run that measured it."""
    first_trial: int
    first_breaks: bool
    """Whether that trial breaks a constraint, so that it could not be the best."""
    median: float
    """Of all trials that count."""
    default: float | None
    """The value of a trial that used the script's defaults; None if there is none."""
    default_trial: int | None
    trials: int
    """The number of trials of that run that have ended."""
    last_improvement: int
    """How many of them had ended when the best value was found."""
    improving: bool | None
    """Whether the best value was still improving; None if there are too few trials to tell."""


@dataclass(frozen=True)
class Overview:
    """A group of runs by itself."""

    label: str
    trials: int
    eligible: int
    """The number of trials whose objectives count."""
    objectives: tuple[ObjectiveOverview, ...]
    """Empty if no trial counts."""
    top: tuple[FrontTrial, ...]
    """The best trials of the search, the best first; with several objectives, those of the Pareto
    front."""
    front: int
    """The number of trials of the Pareto front; 1 for a single objective, 0 without trials."""
    defaults: dict[str, Value]
    """The script's own defaults, where its code shows them."""
    bounds: tuple[BoundHit, ...]
    next_steps: tuple[NextStep, ...]
    best: Annotated[FrontTrial | None, Field(exclude=True)]
    """The best trial, or the one to take by its confirmations; None if there is no single one."""
    take: FrontTrial | None
    """The trial to take by the confirmation that decides; None without one."""
    confirmation: Annotated[ConfirmationResult | None, Field(exclude=True)]
    """The confirmation that decides about the run with the best trial."""


def overview(
    group: Group,
    arguments: Sequence[str],
    folders: Mapping[str, Path],
    confirmations: Sequence[ConfirmationResult],
) -> Overview:
    """Return the overview of a group.

    Args:
        group: The group.
        arguments: The study file and the ``--set`` options with which it was run.
        folders: The folder of each run.
        confirmations: What was found about these runs.
    """
    study = group.jobs[0].study
    goals = [objective.goal for objective in study.objectives]
    metrics = [objective.metric for objective in study.objectives]
    ranked = [(job, trial) for job in group.jobs for trial in eligible_trials(job.trials)]
    origin = {id(trial): job for job, trial in ranked}
    ordered = _ordered([trial for _, trial in ranked], goals)
    counted = _ordered([trial for job in group.jobs for trial in counted_trials(job)], goals)
    leading = next(iter(counted or ordered), None)
    job = origin[id(leading)] if leading else group.jobs[0]
    source = _source(job, folders)
    defaults = script_defaults(study, source) if source else {}
    best = counted[0] if counted and len(goals) == 1 else None
    shown = _front_trial(group, job, best) if best else None
    by = None if job.decision is None or job.is_outranked else job.decision.by
    confirmation = next((each for each in confirmations if (each.run, each.provider) == by), None)
    searched = {id(each): _as_searched(each) if confirmation else each for each in group.jobs}
    runs = [(each, trial) for each in searched.values() for trial in eligible_trials(each.trials)]
    run_of = {id(trial): each for each, trial in runs}
    trials = [trial for _, trial in runs]
    top = _ordered(trials, goals)
    indices = range(len(goals)) if trials else ()
    leading_job = searched[id(job)]
    summaries = tuple(_objective(group, leading_job, trials, index, defaults) for index in indices)
    verdicts = {summary.improving for summary in summaries}
    single = len(goals) == 1
    bounds = bounds_of_best(study, best, ordered) if single else bound_hits(study, ordered)
    if _has_derived_bounds(job) or (confirmation and confirmation.metric != metrics[0]):
        bounds = ()
    return Overview(
        label=group.label,
        trials=sum(len(job.trials) for job in group.jobs),
        eligible=len(ranked),
        objectives=summaries,
        top=tuple(_front_trial(group, run_of[id(trial)], trial) for trial in top[:MAX_TOP_TRIALS]),
        front=len(top) if len(goals) > 1 else min(1, len(top)),
        defaults=defaults,
        bounds=bounds,
        next_steps=tuple(
            next_steps(
                group,
                job,
                best,
                bounds,
                is_confirmed=confirmation is not None,
                improving=True if True in verdicts else None if None in verdicts else False,
                arguments=arguments,
                source=source,
            )
        ),
        best=shown,
        take=shown if confirmation else None,
        confirmation=confirmation,
    )


def _as_searched(job: StudyResult) -> StudyResult:
    """Return a job whose trials break only the constraints that they broke in the search."""
    own = {each.text for each in outcome_constraints(job.study)}
    trials = (
        replace(each, broken=tuple(text for text in each.broken if text in own))
        if each.broken
        else each
        for each in job.trials
    )
    return replace(job, trials=tuple(trials))


def _front_trial(group: Group, job: StudyResult, trial: Trial) -> FrontTrial:
    parameters = dict(trial.parameters)
    return FrontTrial(group.label, job.run, trial.number, trial.objective or (), parameters)


def _has_derived_bounds(job: StudyResult) -> bool:
    """Return whether the bounds of an attached run are just the smallest and largest values."""
    derived = (each.kind == "approximated" and each.path == DERIVED for each in job.findings)
    return job.attached is not None and any(derived)


def _ordered(trials: Sequence[Trial], goals: Sequence[str]) -> list[Trial]:
    """Return the trials, the best first; with several objectives, those of the Pareto front."""
    chosen = trials if len(goals) == 1 else pareto_front(trials, goals)
    return sorted(chosen, key=lambda trial: trial_rank(trial, goals[0]))


def _source(job: StudyResult, folders: Mapping[str, Path]) -> Path | None:
    folder = folders.get(job.run)
    return None if folder is None else folder / job.provider / "source"


def _objective(
    group: Group,
    leading: StudyResult,
    trials: Sequence[Trial],
    index: int,
    defaults: Mapping[str, Value],
) -> ObjectiveOverview:
    objective = group.jobs[0].study.objectives[index]
    goal = objective.goal
    better = max if goal == "maximize" else min
    middle = median(_value(trial, index) for trial in trials)
    job = leading
    if len(leading.study.objectives) > 1:
        tops = [(better(values), each) for each in group.jobs if (values := _values(each, index))]
        job = better(tops, key=lambda pair: pair[0])[1]
    ended = [trial for trial in job.trials if trial.ended is not None]
    points = [(point.trials, point.value) for point in best_so_far(job, index, goal)]
    if not ended:  # another tool ran it, and stored no times
        ended = [trial for trial in job.trials if trial.state in FINAL_STATES]
        points = _by_number(job, index, goal)
    counted = eligible_trials(job.trials)
    first = min(eligible_trials(job.trials, may_break=True), key=lambda trial: trial.number)
    top = better(_values(job, index))
    at_top = min((t for t in counted if _value(t, index) == top), key=lambda trial: trial.number)
    default = next((trial for trial in trials if _is_default(trial, defaults)), None)
    return ObjectiveOverview(
        metric=objective.metric,
        goal=goal,
        best=top,
        best_trial=at_top.number,
        best_run=job.run,
        first=_value(first, index),
        first_trial=first.number,
        first_breaks=bool(first.broken),
        median=middle,
        default=_value(default, index) if default else None,
        default_trial=default.number if default else None,
        trials=len(ended),
        last_improvement=points[-1][0] if points else len(ended),
        improving=_is_improving(points, len(ended), middle),
    )


def _by_number(job: StudyResult, index: int, goal: str) -> list[tuple[int, float]]:
    """Return the improvements in the order of the trials: how many there were, and the value."""
    counted = {trial.number for trial in eligible_trials(job.trials)}
    sign, points = -1 if goal == "maximize" else 1, list[tuple[int, float]]()
    ordered = sorted(job.trials, key=lambda trial: trial.number)
    for count, trial in enumerate((t for t in ordered if t.state in FINAL_STATES), start=1):
        value = _value(trial, index)
        if trial.number in counted and (not points or sign * value < sign * points[-1][1]):
            points.append((count, value))
    return points


def _value(trial: Trial, index: int) -> float:
    return trial.objective[index] if trial.objective else math.nan


def _values(job: StudyResult, index: int) -> list[float]:
    return [_value(trial, index) for trial in eligible_trials(job.trials)]


def _is_improving(points: Sequence[tuple[int, float]], ended: int, middle: float) -> bool | None:
    """Return whether the best value improved noticeably in the last share of the trials."""
    if ended < _MIN_TRIALS or not points:
        return None
    before = [value for trials, value in points if trials <= ended * (1 - LAST_SHARE)]
    best = points[-1][1]
    if not before:
        return True
    return abs(best - before[-1]) > NEAR_BEST_SHARE * abs(best - middle)


def _is_default(trial: Trial, defaults: Mapping[str, Value]) -> bool:
    parameters = trial.parameters
    return bool(parameters) and all(
        name in defaults and is_same_value(defaults[name], value)
        for name, value in parameters.items()
    )
