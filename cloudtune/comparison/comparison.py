"""The comparison of jobs as plain data, from which every report is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from cloudtune.comparison.best_trials import (
    BestTrial,
    FrontTrial,
    ParameterDistance,
    best_trials,
    common_front,
    parameter_distances,
)
from cloudtune.comparison.caveats import Caveat, find_caveats
from cloudtune.comparison.curves import Curve, best_so_far, idle_periods
from cloudtune.comparison.explanation import Explanation, explain
from cloudtune.comparison.groups import Group, group_jobs
from cloudtune.comparison.importance import METHOD, Importance, parameter_importance
from cloudtune.comparison.overview import Overview, overview
from cloudtune.comparison.rankings import (
    Ranking,
    near_best_threshold,
    rank_by_best,
    rank_by_cost,
    rank_by_time,
)
from cloudtune.comparison.rerun_command import rerun_command
from cloudtune.comparison.time_breakdown import TimeBreakdown, time_breakdown
from cloudtune.confirmation.analysis import ConfirmationResult, analyze
from cloudtune.errors import UsageError
from cloudtune.results.aggregate import failures_by_cause
from cloudtune.results.model import StudyResult, encode_json
from cloudtune.study.study import Study

FORMAT: Literal["cloudtune.report/v1"] = "cloudtune.report/v1"


@dataclass(frozen=True)
class Failure:
    """Failed trials of one group with one cause."""

    label: str
    provider: str
    reason: str
    """The reason of the first trial. The others differ only in words with a digit."""
    trials: int
    run: str
    """The run of the first trial."""
    number: int
    """The number of the first trial."""
    log_tail: str
    """The last lines of its log."""


@dataclass(frozen=True)
class Verdict:
    """The rankings of groups that may be ranked against each other."""

    emulated: bool
    labels: tuple[str, ...]
    best: Ranking | None
    """None if there are several objectives."""
    first: Ranking | None
    near_best: Annotated[float | None, Field(serialization_alias="near")]
    """The value that is 99 % of the way from the median trial to the best trial."""
    cheapest: Ranking | None
    """None for emulated groups, which cost nothing."""
    front: tuple[FrontTrial, ...]
    """The common Pareto front if there are several objectives."""
    caveats: Annotated[tuple[Caveat, ...], Field(serialization_alias="cautions")]
    rerun_command: Annotated[str | None, Field(serialization_alias="repeat")]
    """The shell command that repeats the runs; None if the groups ran different studies."""
    overview: Overview | None
    """If there is only one group, its best trials and what to run next."""


@dataclass(frozen=True)
class Comparison:
    """Jobs side by side. Its JSON has the format ``cloudtune.report/v1``."""

    name: str
    description: str
    objectives: tuple[tuple[str, str], ...]
    """The metric and the goal of each objective."""
    groups: tuple[Group, ...]
    verdicts: tuple[Verdict, ...]
    """One for the real groups, one for the emulated ones; they are never ranked together."""
    curves: tuple[Curve, ...]
    time_breakdowns: Annotated[tuple[TimeBreakdown, ...], Field(serialization_alias="efforts")]
    failures: tuple[Failure, ...]
    best_trials: Annotated[tuple[BestTrial, ...], Field(serialization_alias="answers")]
    distances: Annotated[tuple[ParameterDistance, ...], Field(serialization_alias="apart")]
    """Empty if there are several objectives."""
    importances: tuple[Importance, ...]
    importance_method: str
    confirmations: tuple[ConfirmationResult, ...] = ()
    """What repeated trials found, of these jobs and of runs that confirm them."""
    explanation: Explanation | None = None
    """What the search of the only group believes; None with several groups or objectives."""
    format: Literal["cloudtune.report/v1"] = FORMAT

    @property
    def study(self) -> Study:
        """The study of the first job."""
        return self.groups[0].jobs[0].study

    def to_json(self) -> str:
        """Return the comparison as one JSON text."""
        return encode_json(TypeAdapter(Comparison).dump_python(self, by_alias=True))


def compare(
    jobs: Sequence[StudyResult],
    arguments: Mapping[str, Sequence[str]],
    folders: Mapping[str, Path] | None = None,
    confirmations: Sequence[ConfirmationResult] = (),
) -> Comparison:
    """Return the comparison of jobs.

    Args:
        jobs: The results of the jobs. A job that occurs twice counts once.
        arguments: By run, the arguments with which its study was run: file and ``--set`` options.
        folders: By run, the folder with its files. Without them, the script's defaults are unknown.
        confirmations: What other runs found that confirm one of these.

    Raises:
        UsageError: If there are no jobs or they have different objectives.
        MissingExtraError: If repeated runs need an interval and scipy is not installed.
    """
    jobs = list({(job.run, job.provider): job for job in jobs}.values())
    study = _common_study(jobs)
    groups = group_jobs(jobs)
    goals = [objective.goal for objective in study.objectives]
    bests = best_trials(groups, goals[0]) if len(goals) == 1 else ()
    confirmed = (
        *(found for job in jobs if (found := analyze(job))),
        *(each for each in confirmations if each.run not in {job.run for job in jobs}),
    )
    return Comparison(
        name=study.name or "study",
        description=study.description or "",
        objectives=tuple((objective.metric, objective.goal) for objective in study.objectives),
        groups=groups,
        verdicts=tuple(
            _verdict(ranked, study, arguments, folders or {}, confirmed)
            for emulated in (False, True)
            if (ranked := [group for group in groups if group.emulated == emulated])
        ),
        curves=tuple(
            Curve(
                label=group.label,
                run=run.run,
                metric=objective.metric,
                trials=sum(trial.ended is not None for trial in job.trials),
                seconds=run.seconds,
                cost=run.cost,
                idle_periods=idle_periods(job),
                points=tuple(best_so_far(job, index, objective.goal)),
            )
            for index, objective in enumerate(study.objectives)
            for group in groups
            for run, job in zip(group.runs, group.jobs, strict=True)
        ),
        time_breakdowns=tuple(map(time_breakdown, groups)),
        failures=tuple(
            Failure(
                label=group.label,
                provider=group.provider,
                reason=cause.reason,
                trials=cause.count,
                run=cause.run,
                number=cause.first.number,
                log_tail=cause.first.log_tail,
            )
            for group in groups
            for cause in failures_by_cause(group.jobs)
        ),
        best_trials=bests,
        distances=parameter_distances(groups, bests),
        importances=tuple(
            parameter_importance(group, index) for index in range(len(goals)) for group in groups
        ),
        importance_method=METHOD,
        confirmations=confirmed,
        explanation=_explanation(groups, confirmed),
    )


def _explanation(
    groups: Sequence[Group], confirmations: Sequence[ConfirmationResult]
) -> Explanation | None:
    """Return what the search of the only group believes, by the job with the most trials."""
    if len(groups) != 1 or len(groups[0].jobs[0].study.objectives) != 1:
        return None
    job = max(groups[0].jobs, key=lambda job: len(job.trials))
    found = None if job.confirmation else explain(job, confirmations)
    return found if found and found.fit else None


def _common_study(jobs: Sequence[StudyResult]) -> Study:
    if not jobs:
        raise UsageError("there are no runs to report; start one with `cloudtune run STUDY`")
    first = jobs[0].study
    for job in jobs[1:]:
        if _objectives(job.study) != _objectives(first):
            raise UsageError(
                f"runs with different objectives cannot be compared: run {jobs[0].run} has "
                f"{_objectives(first)}, run {job.run} has {_objectives(job.study)}; report them "
                "separately"
            )
    return first


def _objectives(study: Study) -> str:
    return ", ".join(f"{o.goal} {o.metric}" for o in study.objectives)


def _verdict(
    groups: list[Group],
    study: Study,
    arguments: Mapping[str, Sequence[str]],
    folders: Mapping[str, Path],
    confirmations: Sequence[ConfirmationResult],
) -> Verdict:
    objectives = study.objectives
    single = len(objectives) == 1
    metric, goal = objectives[0].metric, objectives[0].goal
    emulated = groups[0].emulated
    one_study = len({group.study for group in groups}) == 1
    run_arguments = arguments.get(groups[0].jobs[0].run, ["STUDY"])
    return Verdict(
        emulated=emulated,
        labels=tuple(group.label for group in groups),
        best=rank_by_best(groups, metric, goal) if single else None,
        first=rank_by_time(groups, goal) if single else None,
        near_best=near_best_threshold(groups, goal) if single else None,
        cheapest=rank_by_cost(groups) if any(group.charges for group in groups) else None,
        front=() if single else common_front(groups, [o.goal for o in objectives]),
        caveats=find_caveats(groups),
        rerun_command=rerun_command(groups, run_arguments) if one_study else None,
        overview=None
        if len(groups) > 1
        else overview(groups[0], run_arguments, folders, confirmations),
    )
