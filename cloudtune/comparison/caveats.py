"""Reasons why a comparison may be unfair, and the numbers that each of them affects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from cloudtune.comparison.curves import MIN_IDLE_SECONDS
from cloudtune.comparison.groups import Group, study_differences
from cloudtune.comparison.rankings import Question
from cloudtune.provider.rehearsal import Rehearsal
from cloudtune.results.aggregate import equal_results, limit_changes, metric_warnings
from cloudtune.results.model import StudyResult, job_state
from cloudtune.study.quantities import format_list

_ALL: tuple[Question, ...] = ("best", "first", "cheapest")
_MAX_PATHS = 6
_CONDITIONS: tuple[tuple[tuple[Question, ...], str, Callable[[StudyResult], str]], ...] = (
    (_ALL, "different numbers of trials", lambda job: str(len(job.trials))),
    (
        ("best", "first"),
        "different modes, so different tuners chose the trials",
        lambda job: job.mode,
    ),
    (
        _ALL,
        "different versions of the script's files",
        lambda job: (job.source_hash or "unknown")[:8],
    ),
    (
        ("first", "cheapest"),
        "different machines",
        lambda job: ", ".join(sorted({t.machine for t in job.trials if t.machine})) or "unknown",
    ),
)
"""The conditions that must not differ between jobs: what a difference affects, and its words."""


@dataclass(frozen=True)
class Caveat:
    """One reason to read a number with care."""

    affects: Annotated[tuple[Question, ...], Field(serialization_alias="touches")]
    """The questions whose answers it may change."""
    text: str


def find_caveats(groups: Sequence[Group]) -> tuple[Caveat, ...]:
    """Return the differences between ranked groups, and the values of theirs that are unknown.

    Of several jobs also what was confirmed of them, since values of the search rank them.
    """
    checks = (_emulation, _different_studies, _different_conditions, _currencies)
    return (
        *(caveat for check in checks for caveat in check(groups)),
        *(Caveat(q, f"{g.label}: {text}") for g in groups for q, text in _quality(g)),
        *_confirmed(groups),
    )


def _confirmed(groups: Sequence[Group]) -> Iterator[Caveat]:
    jobs = [(group.label, job) for group in groups for job in group.jobs]
    for label, job in jobs if len(jobs) > 1 else ():
        if job.decision and not job.is_outranked:
            text = f"{label}, run {job.run}: {job.decision.reason}"
            if job.decision.trial is not None:
                text += f"; trial {job.decision.trial} is ranked by its value in the search"
            yield Caveat(("best",), text)


def _emulation(groups: Sequence[Group]) -> Iterator[Caveat]:
    emulated = [group for group in groups if group.emulated]
    if emulated:
        ways = {_rehearsal(job).describe() for group in emulated for job in group.jobs}
        yield Caveat(
            _ALL,
            "emulated: cloudtune's own engine chose these trials and this machine ran them, "
            f"{' or '.join(sorted(ways))}, so the numbers say nothing about the quality, speed, or "
            "price of the services",
        )


def _rehearsal(job: StudyResult) -> Rehearsal:
    return Rehearsal.model_validate(job.study.providers.get(job.provider, {}).get("rehearse", {}))


def _different_studies(groups: Sequence[Group]) -> Iterator[Caveat]:
    first = groups[0]
    for other in groups[1:]:
        if other.study == first.study:
            continue
        paths = study_differences(first.jobs[0].study, other.jobs[0].study)
        fields = format_list(paths, _MAX_PATHS)
        yield Caveat(_ALL, f"{other.label} and {first.label} ran studies that differ in {fields}")


def _different_conditions(groups: Sequence[Group]) -> Iterator[Caveat]:
    for affects, text, value_of in _CONDITIONS:
        by_label = {group.label: dict.fromkeys(map(value_of, group.jobs)) for group in groups}
        if len({value for values in by_label.values() for value in values}) > 1:
            details = (f"{label}: {' / '.join(values)}" for label, values in by_label.items())
            yield Caveat(affects, f"{text} ({'; '.join(details)})")


def _currencies(groups: Sequence[Group]) -> Iterator[Caveat]:
    currencies = {t.cost.currency for group in groups for t in group.trials if t.cost}
    if len(currencies) > 1:
        yield Caveat(("cheapest",), f"costs are in {' and '.join(sorted(currencies))}")


def _quality(group: Group) -> Iterator[tuple[tuple[Question, ...], str]]:
    """Yield what is missing or unusual in the runs of one group."""
    jobs, trials = group.jobs, list(group.trials)
    missing = sum(trial.objective is None for trial in trials)
    if missing:
        verb = "trial has" if len(trials) == 1 else "trials have"
        yield ("best", "first"), f"{missing} of {len(trials)} {verb} no objective value"
    if broken := Counter(text for trial in trials for text in trial.broken or ()):
        counts = ", ".join(f"{text}: {count}" for text, count in broken.items())
        yield ("best", "first"), f"trials that break a constraint do not count ({counts})"
    if text := equal_results(trials):
        yield ("best", "first"), text
    for job in jobs:
        for text in metric_warnings(job.trials):
            yield ("best", "first"), f"run {job.run}, {text}"
    if not group.independent:
        seeds = ", ".join(str(job.seed) for job in jobs)
        text = (
            f"runs with the same seed are copies of each other ({seeds}), so there is no interval"
        )
        yield ("best", "first"), text
    for job in jobs:
        if job.state != "completed" or job.reason:
            reason = f" ({job.reason})" if job.reason else ""
            yield _ALL, f"the job of run {job.run} is {job_state(job)}{reason}"
    for job in jobs:
        for text in limit_changes(job):
            yield _ALL, f"limits of run {job.run} were changed: {text}"
    runs = ", ".join(job.run for job in jobs if (job.idle or 0.0) >= MIN_IDLE_SECONDS)
    if runs:
        yield ("first",), f"interrupted and resumed ({runs}); times include the time in between"
    paths = dict.fromkeys(each.path for each in jobs[0].findings if each.kind != "refused")
    if paths:
        text = f"did not run exactly the study that was written ({', '.join(paths)})"
        yield ("best", "first"), text
    unknown = sum(trial.cost is None for trial in trials)
    if not group.charges and not group.emulated:
        yield ("cheapest",), "it charges nothing; what this machine costs is not counted"
    elif unknown:
        every = unknown == len(trials)
        which = "every trial" if every else f"{unknown} of {len(trials)} trials"
        yield ("cheapest",), f"the cost of {which} is unknown"
    if any(trial.cost and trial.cost.basis == "estimated" for trial in trials):
        text = "costs are estimates from the trials' run time and the hourly price that "
        yield ("cheapest",), f"{text}`cloudtune plan` shows"
