"""The comparison of jobs as plain data, from which every report is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from cloudtune.comparison.best_so_far import Improvement, best_so_far, idle_periods, job_duration
from cloudtune.comparison.best_trials import (
    BestTrial,
    ParameterDistance,
    best_trials,
    parameter_distances,
)
from cloudtune.comparison.caveats import Caveat, find_caveats
from cloudtune.comparison.failures import Failure, find_failures
from cloudtune.comparison.groups import Group, group_jobs
from cloudtune.comparison.importance import METHOD, Importance, parameter_importance
from cloudtune.comparison.pareto import FrontTrial, common_front
from cloudtune.comparison.rankings import (
    Ranking,
    near_best_threshold,
    rank_by_best,
    rank_by_cost,
    rank_by_time,
)
from cloudtune.comparison.rerun_command import rerun_command
from cloudtune.comparison.time_breakdown import TimeBreakdown, time_breakdown
from cloudtune.diagnostics import Finding
from cloudtune.errors import UsageError
from cloudtune.provider.lookup import input_address
from cloudtune.results.aggregate import count_states
from cloudtune.results.events import TrialState
from cloudtune.results.model import StudyResult, encode_json, job_state
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study

FORMAT: Literal["cloudtune.report/v1"] = "cloudtune.report/v1"


@dataclass(frozen=True)
class RunSummary:
    """One job of a group in numbers. Unknown values are None."""

    run: str
    state: str
    reason: str
    seed: int
    trials: dict[TrialState, int]
    """The number of trials in each state."""
    started: float | None
    seconds: float | None
    idle: float | None
    """The part of the seconds in which no process ran the job."""
    cost: float | None
    """None unless the cost of every trial is known."""
    currency: str | None
    study_hash: str
    source_hash: str | None
    link: str | None


@dataclass(frozen=True)
class GroupSummary:
    """One group in numbers."""

    label: str
    provider: str
    mode: Mode
    emulated: bool
    own_seed: bool
    """Whether the service draws its own seed because it accepts none."""
    runs: tuple[RunSummary, ...]
    findings: tuple[Finding, ...]
    inputs: dict[str, str]
    """The address of each input by name. The data themselves are not hashed."""


@dataclass(frozen=True)
class Curve:
    """The improvements of one objective in one job."""

    label: str
    run: str
    metric: str
    trials: int
    seconds: float | None
    cost: float | None
    idle_periods: Annotated[tuple[tuple[float, float], ...], Field(serialization_alias="pauses")]
    """When no process ran the job, in seconds since its start; empty if unknown."""
    points: tuple[Improvement, ...]


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


@dataclass(frozen=True)
class Comparison:
    """Jobs side by side. Its JSON has the format ``cloudtune.report/v1``."""

    name: str
    description: str
    objectives: tuple[tuple[str, str], ...]
    """The metric and the goal of each objective."""
    groups: tuple[GroupSummary, ...]
    verdicts: tuple[Verdict, ...]
    """One for the real groups, one for the emulated ones; they are never ranked together."""
    curves: tuple[Curve, ...]
    time_breakdowns: Annotated[tuple[TimeBreakdown, ...], Field(serialization_alias="efforts")]
    failures: tuple[Failure, ...]
    best_trials: Annotated[tuple[BestTrial, ...], Field(serialization_alias="answers")]
    """Empty if there are several objectives."""
    distances: Annotated[tuple[ParameterDistance, ...], Field(serialization_alias="apart")]
    importances: tuple[Importance, ...]
    importance_method: str
    sources: Annotated[tuple[Group, ...], Field(exclude=True)]
    """The groups with their jobs and trials, from which charts are drawn; not part of the JSON."""
    format: Literal["cloudtune.report/v1"] = FORMAT

    @property
    def study(self) -> Study:
        """The study of the first job."""
        return self.sources[0].jobs[0].study

    def to_json(self) -> str:
        """Return the comparison as one JSON text."""
        return encode_json(TypeAdapter(Comparison).dump_python(self, by_alias=True))


def compare(jobs: Sequence[StudyResult], arguments: Mapping[str, Sequence[str]]) -> Comparison:
    """Return the comparison of jobs.

    Args:
        jobs: The results of the jobs. A job that occurs twice counts once.
        arguments: By run, the arguments with which its study was run: file and ``--set`` options.

    Raises:
        UsageError: If there are no jobs or they have different objectives.
        MissingExtraError: If repeated runs need an interval and scipy is not installed.
    """
    jobs = list({(job.run, job.provider): job for job in jobs}.values())
    study = _common_study(jobs)
    groups = group_jobs(jobs)
    goals = [objective.goal for objective in study.objectives]
    bests = best_trials(groups, goals[0]) if len(goals) == 1 else ()
    return Comparison(
        name=study.name or "study",
        description=study.description or "",
        objectives=tuple((objective.metric, objective.goal) for objective in study.objectives),
        groups=tuple(map(_summarize_group, groups)),
        verdicts=tuple(
            _verdict(ranked, study, arguments)
            for emulated in (False, True)
            if (ranked := [group for group in groups if group.emulated == emulated])
        ),
        curves=tuple(
            _curve(group, job, index, objective.metric, objective.goal)
            for index, objective in enumerate(study.objectives)
            for group in groups
            for job in group.jobs
        ),
        time_breakdowns=tuple(map(time_breakdown, groups)),
        failures=find_failures(groups),
        best_trials=bests,
        distances=parameter_distances(groups, bests),
        importances=tuple(
            parameter_importance(group, index) for index in range(len(goals)) for group in groups
        ),
        importance_method=METHOD,
        sources=groups,
    )


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


def _verdict(groups: list[Group], study: Study, arguments: Mapping[str, Sequence[str]]) -> Verdict:
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
        cheapest=None if emulated else rank_by_cost(groups),
        front=() if single else common_front(groups, [o.goal for o in objectives]),
        caveats=find_caveats(groups),
        rerun_command=rerun_command(groups, run_arguments) if one_study else None,
    )


def _summarize_group(group: Group) -> GroupSummary:
    study = group.jobs[0].study
    return GroupSummary(
        label=group.label,
        provider=group.provider,
        mode=group.mode,
        emulated=group.emulated,
        own_seed=group.own_seed,
        runs=tuple(map(_summarize_run, group.jobs)),
        findings=tuple(dict.fromkeys(f for job in group.jobs for f in job.findings)),
        inputs={
            name: address.uri
            for name in study.trial.inputs
            if (address := input_address(study, group.provider, name, emulated=group.emulated))
        },
    )


def _summarize_run(job: StudyResult) -> RunSummary:
    cost, currency = _cost(job)
    return RunSummary(
        run=job.run,
        state=job_state(job),
        reason=job.reason,
        seed=job.seed,
        trials=count_states(job.trials),
        started=job.started,
        seconds=job_duration(job),
        idle=job.idle,
        cost=cost,
        currency=currency,
        study_hash=job.study_hash,
        source_hash=job.source_hash,
        link=job.link,
    )


def _cost(job: StudyResult) -> tuple[float | None, str | None]:
    costs = [trial.cost for trial in job.trials if trial.cost]
    currencies = {cost.currency for cost in costs}
    if len(costs) < len(job.trials) or len(currencies) != 1:
        return None, None
    return sum(cost.amount for cost in costs), currencies.pop()


def _curve(group: Group, job: StudyResult, index: int, metric: str, goal: str) -> Curve:
    return Curve(
        label=group.label,
        run=job.run,
        metric=metric,
        trials=sum(trial.ended is not None for trial in job.trials),
        seconds=job_duration(job),
        cost=_cost(job)[0],
        idle_periods=idle_periods(job),
        points=tuple(best_so_far(job, index, goal)),
    )
