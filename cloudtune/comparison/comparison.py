"""The whole comparison of some jobs as plain data: what every report is made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from cloudtune.comparison.best_so_far import Point, best_so_far, duration_of, pauses_of
from cloudtune.comparison.best_trials import Answer, Apart, answers, apart
from cloudtune.comparison.caveats import Caution, cautions
from cloudtune.comparison.failures import Failure, failures
from cloudtune.comparison.groups import Group, grouped
from cloudtune.comparison.importance import METHOD, Importance, importance
from cloudtune.comparison.pareto import FrontTrial, common_front
from cloudtune.comparison.rankings import (
    Ranking,
    best_ranking,
    cheapest_ranking,
    first_ranking,
    near_enough,
)
from cloudtune.comparison.rerun_command import repeat_command
from cloudtune.comparison.time_breakdown import Effort, effort
from cloudtune.diagnostics import Finding
from cloudtune.errors import UsageError
from cloudtune.provider.lookup import input_address
from cloudtune.results.model import StudyResult, encoded, state_word
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study

FORMAT: Literal["cloudtune.report/v1"] = "cloudtune.report/v1"


@dataclass(frozen=True)
class RunFacts:
    """One job of a group in numbers; what is not known is None."""

    run: str
    state: str
    reason: str
    seed: int
    trials: dict[str, int]
    """How many are in each state."""
    started: float | None
    seconds: float | None
    idle: float | None
    """Seconds of these in which nobody ran it."""
    cost: float | None
    """None unless the cost of each trial is known."""
    currency: str | None
    study_hash: str
    source_hash: str | None
    link: str | None


@dataclass(frozen=True)
class GroupFacts:
    """One group in numbers."""

    label: str
    provider: str
    mode: Mode
    emulated: bool
    own_seed: bool
    """Whether the service draws its own seed, since it holds none."""
    runs: tuple[RunFacts, ...]
    findings: tuple[Finding, ...]
    inputs: dict[str, str]
    """Where the data came from, by the name of the input; the data themselves are not hashed."""


@dataclass(frozen=True)
class Curve:
    """How one objective of one job became better."""

    label: str
    run: str
    metric: str
    trials: int
    seconds: float | None
    cost: float | None
    pauses: tuple[tuple[float, float], ...]
    """From when until when nobody ran it, in seconds since its start; empty if not known."""
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Verdict:
    """Who was best, first and cheapest among the groups that may be ranked against each other."""

    emulated: bool
    labels: tuple[str, ...]
    best: Ranking | None
    """None where there are several objectives."""
    first: Ranking | None
    near: float | None
    """The value from which a trial is within 1 % of the way from the median trial to the best."""
    cheapest: Ranking | None
    """None for emulated groups, which cost nothing."""
    front: tuple[FrontTrial, ...]
    """The common Pareto front, where there are several objectives."""
    cautions: tuple[Caution, ...]
    repeat: str | None
    """The command that repeats the runs; None where one study was not run alike everywhere."""


@dataclass(frozen=True)
class Comparison:
    """What some jobs found, side by side."""

    name: str
    description: str
    objectives: tuple[tuple[str, str], ...]
    """The metric and the goal of each."""
    groups: tuple[GroupFacts, ...]
    verdicts: tuple[Verdict, ...]
    """One for the real groups, one for the emulated ones: they are never ranked together."""
    curves: tuple[Curve, ...]
    efforts: tuple[Effort, ...]
    failures: tuple[Failure, ...]
    answers: tuple[Answer, ...]
    """Empty where there are several objectives."""
    apart: tuple[Apart, ...]
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
        return encoded(TypeAdapter(Comparison).dump_python(self, by_alias=True))


def compare(jobs: Sequence[StudyResult], asked: Mapping[str, Sequence[str]]) -> Comparison:
    """Return the comparison of some jobs.

    Args:
        jobs: What they found; one that occurs twice counts once.
        asked: By run, the words with which its study was run: file and ``--set`` options.

    Raises:
        UsageError: If there are none, or if they have not the same objectives.
        MissingExtraError: If repeated runs need an interval and scipy is not installed.
    """
    jobs = list({(job.run, job.provider): job for job in jobs}.values())
    study = _study_of(jobs)
    groups = grouped(jobs)
    goals = [objective.goal for objective in study.objectives]
    single = len(goals) == 1
    found = answers(groups, goals[0]) if single else ()
    return Comparison(
        name=study.name or "study",
        description=study.description or "",
        objectives=tuple((objective.metric, objective.goal) for objective in study.objectives),
        groups=tuple(map(_facts, groups)),
        verdicts=tuple(
            _verdict(league, study, asked)
            for emulated in (False, True)
            if (league := [group for group in groups if group.emulated == emulated])
        ),
        curves=tuple(
            _curve(group, job, place, objective.metric, objective.goal)
            for place, objective in enumerate(study.objectives)
            for group in groups
            for job in group.jobs
        ),
        efforts=tuple(map(effort, groups)),
        failures=failures(groups),
        answers=found,
        apart=apart(groups, found),
        importances=tuple(
            importance(group, place) for place in range(len(goals)) for group in groups
        ),
        importance_method=METHOD,
        sources=groups,
    )


def _study_of(jobs: Sequence[StudyResult]) -> Study:
    if not jobs:
        raise UsageError("there is no run to report; `cloudtune run STUDY` starts one")
    first = jobs[0].study
    for job in jobs[1:]:
        other = job.study
        if _aims(other) != _aims(first):
            raise UsageError(
                f"runs of different objectives cannot be compared: run {jobs[0].run} has "
                f"{_aims(first)}, run {job.run} has {_aims(other)}; report them one by one"
            )
    return first


def _aims(study: Study) -> str:
    return ", ".join(f"{o.goal} {o.metric}" for o in study.objectives)


def _verdict(league: list[Group], study: Study, asked: Mapping[str, Sequence[str]]) -> Verdict:
    objectives = study.objectives
    single = len(objectives) == 1
    metric, goal = objectives[0].metric, objectives[0].goal
    emulated = league[0].emulated
    one_study = len({group.study for group in league}) == 1
    words = asked.get(league[0].jobs[0].run, ["STUDY"])
    return Verdict(
        emulated=emulated,
        labels=tuple(group.label for group in league),
        best=best_ranking(league, metric, goal) if single else None,
        first=first_ranking(league, goal) if single else None,
        near=near_enough(league, goal) if single else None,
        cheapest=None if emulated else cheapest_ranking(league),
        front=() if single else common_front(league, [o.goal for o in objectives]),
        cautions=cautions(league),
        repeat=repeat_command(league, words) if one_study else None,
    )


def _facts(group: Group) -> GroupFacts:
    study = group.jobs[0].study
    return GroupFacts(
        label=group.label,
        provider=group.provider,
        mode=group.mode,
        emulated=group.emulated,
        own_seed=group.own_seed,
        runs=tuple(map(_run_facts, group.jobs)),
        findings=tuple(dict.fromkeys(f for job in group.jobs for f in job.findings)),
        inputs={
            name: lies.uri
            for name in study.trial.inputs
            if (lies := input_address(study, group.provider, name, emulated=group.emulated))
        },
    )


def _run_facts(job: StudyResult) -> RunFacts:
    cost, currency = _cost(job)
    return RunFacts(
        run=job.run,
        state=state_word(job),
        reason=job.reason,
        seed=job.seed,
        trials=dict(Counter(trial.state for trial in job.trials)),
        started=job.started,
        seconds=duration_of(job),
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


def _curve(group: Group, job: StudyResult, place: int, metric: str, goal: str) -> Curve:
    return Curve(
        label=group.label,
        run=job.run,
        metric=metric,
        trials=sum(trial.ended is not None for trial in job.trials),
        seconds=duration_of(job),
        cost=_cost(job)[0],
        pauses=pauses_of(job),
        points=tuple(best_so_far(job, place, goal)),
    )
