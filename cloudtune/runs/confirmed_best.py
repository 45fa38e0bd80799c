"""The best trials of jobs, where confirmations say something about those of their runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from cloudtune.confirmation.analysis import ConfirmationResult
from cloudtune.confirmation.choice import decisive
from cloudtune.results.model import Decision, StudyResult, Trial
from cloudtune.runs.confirmations import (
    broken_settings,
    confirmations_of,
    confirmed_trial,
    describe_broken,
)
from cloudtune.study.search_space import AssignmentKey, assignment_key

_Job = tuple[StudyResult, Iterable[Trial]]
_ReadJob = tuple[StudyResult, list[Trial]]


class _Choice(NamedTuple):
    """What confirmations say about all jobs of a run."""

    job: StudyResult
    """The job with the trial to take."""
    decision: Decision
    lost: set[AssignmentKey]
    """The settings that were repeated and are not taken."""


def prefer_confirmed(
    jobs: Iterable[_Job], notify: Callable[[str], None], on: str | None = None
) -> Iterator[_Job]:
    """Yield the jobs with their decisions; of a run with a trial to take, only the job that has it.

    Args:
        jobs: The jobs, those of a run one after the other, with their trials, which are read once.
        notify: Is told of each trial that a confirmation decides about, why it is taken, or none.
        on: Only this provider's job.
    """
    for job, trials in with_decisions(jobs):
        if on not in {None, job.provider} or (job.is_outranked and not on):
            continue
        if job.decision:
            notify(job.decision.reason)
        yield job, trials


def with_decisions(jobs: Iterable[_Job]) -> Iterator[_Job]:
    """Yield the jobs with what the confirmations of their runs say about their best trials.

    The trial to take by one is the best of all jobs of the run, whatever they measured: their
    values are of one seed. A better trial of another job with a setting that was not repeated is
    taken instead. The best one of another job has a setting that did not lose when it was repeated.
    The trials are marked that break a constraint when they are repeated.

    Args:
        jobs: The jobs, those of a run one after the other, with their trials, which are read once.
    """
    for run, own in groupby(jobs, key=lambda each: each[0].run):
        if confirmations := confirmations_of([run]):
            yield from _decide([(job, list(trials)) for job, trials in own], confirmations)
        else:
            yield from own


def _decide(jobs: list[_ReadJob], confirmations: list[ConfirmationResult]) -> Iterator[_Job]:
    """Yield the jobs of one run with the decisions of its confirmations."""
    chosen = _choose(jobs, confirmations)
    for job, trials in jobs:
        marked, reasons = _mark(job, trials, confirmations)
        if chosen and chosen.job.provider == job.provider:
            is_none = chosen.decision.trial is None
            yield replace(job, decision=chosen.decision), trials if is_none else marked
            continue
        if chosen:
            where, why = chosen.job.provider, chosen.decision.reason
            is_none = chosen.decision.trial is None
            which = "none is to be taken" if is_none else f"the one to take is on {where}"
            reasons.append(f"of all jobs, {which}: {why}")
        elif reasons:
            reasons.append(f"`cloudtune confirm {job.run}` repeats the best trials")
        lost = chosen.lost if chosen else set[AssignmentKey]()
        rest = (trial for trial in marked if assignment_key(trial.parameters) not in lost)
        best = next(iter(job.best_trials(rest)), None)
        decision = Decision(
            best.number if best else None,
            elsewhere=chosen is not None,
            reason="; ".join(reasons),
            by=chosen.decision.by if chosen else None,
        )
        yield replace(job, decision=decision if reasons else None), marked


def _mark(
    job: StudyResult, trials: list[Trial], confirmations: list[ConfirmationResult]
) -> tuple[list[Trial], list[str]]:
    """Return the trials, marked where repetitions break a constraint, and which those are."""
    settings = broken_settings(confirmations, emulated=job.emulated)
    refuted: dict[int, str] = {}
    marked: list[Trial] = []
    for trial in trials:
        run = settings.get(assignment_key(trial.parameters))
        is_refuted = run is not None and job.best_trials([trial])
        broken = (f"a constraint in run {run}",) if is_refuted else trial.broken
        marked.append(replace(trial, broken=broken))
        if run is not None and is_refuted:
            refuted[trial.number] = run
    return marked, [describe_broken(refuted, "taken")] if refuted else []


def _choose(jobs: list[_ReadJob], confirmations: list[ConfirmationResult]) -> _Choice | None:
    """Return what the confirmations of one run say about all of its jobs, if they decide."""
    emulated = all(job.emulated for job, _ in jobs)
    counted = {job.provider: (job, trials) for job, trials in jobs if job.emulated == emulated}
    deciding = [
        each
        for each in confirmations
        if each.refutes_all or (each.complete and not each.is_ablation)
        if each.searched_on in counted and _may_decide(each, emulated=emulated)
    ]
    if not deciding:
        return None
    marked = [(job, _mark(job, trials, confirmations)[0]) for job, trials in counted.values()]
    here = [
        each
        for each in confirmations
        if each.searched_on in counted and _may_decide(each, emulated=emulated)
    ]
    current = [each for each in here if _find_newer(each, marked) is None]
    decides = decisive(current)
    latest = decides or deciding[-1]
    job, trials = counted[latest.searched_on]
    own = current if decides else [each for each in here if each.searched_on == job.provider]
    decision = confirmed_trial(job, own)
    if decision is None:
        return None
    lost = {assignment_key(e.parameters) for e in latest.candidates if e is not latest.taken}
    chosen = [trial for trial in trials if trial.number == decision.trial]
    if not decides and (newer := _find_newer(latest, marked, chosen)):
        job, trial = newer
        reason = (
            f"trial {trial.number} on {job.provider} was not repeated: the search has found it "
            f"since run {latest.run}, which therefore does not decide; `cloudtune confirm "
            f"{job.run}` repeats it"
        )
        return _Choice(job, Decision(trial.number, elsewhere=False, reason=reason), lost)
    if others := [each for each in counted if each != job.provider]:
        jobs_on = "job" if len(others) == 1 else "jobs"
        text = f"; this decides for the {jobs_on} on {' and '.join(others)}, too"
        decision = replace(decision, reason=decision.reason + text)
    return _Choice(job, decision, lost)


def _may_decide(found: ConfirmationResult, *, emulated: bool) -> bool:
    """Return whether a confirmation may decide: at an emulator, no service's trial is refuted."""
    return emulated or not found.emulated or found.taken is not None


def _find_newer(
    result: ConfirmationResult, jobs: list[_ReadJob], chosen: Sequence[Trial] = ()
) -> tuple[StudyResult, Trial] | None:
    """Return the best trial of other jobs that is better than all that was repeated, and new."""
    sign = -1 if jobs[0][0].study.objectives[0].goal == "maximize" else 1
    known = [sign * each.value for each in result.candidates if each.value is not None]
    known += [sign * each.objective[0] for each in chosen if each.objective]
    settings = {assignment_key(each.parameters) for each in result.candidates}
    tops: list[tuple[float, StudyResult, Trial]] = []
    for job, trials in jobs:
        new = [trial for trial in trials if assignment_key(trial.parameters) not in settings]
        if job.provider != result.searched_on:
            tops += [(sign * t.objective[0], job, t) for t in job.best_trials(new) if t.objective]
    if not tops or not known:
        return None
    value, job, trial = min(tops, key=lambda top: top[0])
    return (job, trial) if value < min(known) else None
