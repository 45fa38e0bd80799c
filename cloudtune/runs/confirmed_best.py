"""The best trials of jobs, where confirmations have decided about some of their runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from cloudtune.confirmation.analysis import ConfirmationResult
from cloudtune.results.model import StudyResult, Trial
from cloudtune.runs.confirmations import confirmations_of, confirmed_trial

_Job = tuple[StudyResult, Iterable[Trial]]
_ReadJob = tuple[StudyResult, list[Trial]]


def prefer_confirmed(
    jobs: Iterable[_Job], notify: Callable[[int | None, str], None]
) -> Iterator[_Job]:
    """Yield the jobs with their trials; of a run that was confirmed, only the trial to take.

    That is the best of all jobs of the run, whatever they measured: their values are of one seed.
    A better trial of another job with a setting that was not repeated is taken instead.

    Args:
        jobs: The jobs, those of a run one after the other, with their trials, which are read once.
        notify: Is told the number of the trial to take of a run, None if there is none, and why.
    """
    for run, own in groupby(jobs, key=lambda each: each[0].run):
        if confirmations := confirmations_of([run]):
            yield from _decide([(job, list(trials)) for job, trials in own], confirmations, notify)
        else:
            yield from own


def _decide(
    jobs: list[_ReadJob],
    confirmations: list[ConfirmationResult],
    notify: Callable[[int | None, str], None],
) -> list[_ReadJob]:
    """Return the job of one run that has the trial to take, with this trial if there is one."""
    emulated = all(job.emulated for job, _ in jobs)
    counted = {job.provider: (job, trials) for job, trials in jobs if job.emulated == emulated}
    complete = [
        each
        for each in confirmations
        if each.complete and (each.none_keeps or not each.is_ablation)
        if each.searched_on in counted
    ]
    if not complete:
        return jobs
    latest = complete[-1]  # of the job that had the best trial then
    job, trials = counted[latest.searched_on]
    found = confirmed_trial(job)
    if found is None:
        return jobs
    number, reason = found
    chosen = [trial for trial in trials if trial.number == number]
    others = [pair for provider, pair in counted.items() if provider != job.provider]
    if newer := _find_newer(job, chosen, others, complete):
        job, chosen = newer
        number = chosen[0].number
        reason = (
            f"trial {number} on {job.provider} was not repeated: the search has found it since run "
            f"{latest.run}, which therefore does not decide; `cloudtune confirm {job.run}` "
            "repeats it"
        )
    elif others:
        providers = " and ".join(other.provider for other, _ in others)
        jobs_on = "job" if len(others) == 1 else "jobs"
        reason += f"; this decides for the {jobs_on} on {providers}, too"
    notify(number, reason)
    return [(job, chosen)]


def _find_newer(
    job: StudyResult,
    chosen: list[Trial],
    others: list[_ReadJob],
    confirmations: list[ConfirmationResult],
) -> _ReadJob | None:
    """Return the best trial of other jobs that is better than all that was repeated, and new."""
    repeated = [candidate for each in confirmations for candidate in each.candidates]
    sign = -1 if job.study.objectives[0].goal == "maximize" else 1
    known = [sign * each.value for each in repeated if each.value is not None]
    known += [sign * each.objective[0] for each in chosen if each.objective]
    tops: list[tuple[float, StudyResult, Trial]] = []
    for other, trials in others:
        new = [t for t in trials if all(t.parameters != each.parameters for each in repeated)]
        tops += [(sign * t.objective[0], other, t) for t in other.best_trials(new) if t.objective]
    if not tops or not known:
        return None
    value, other, trial = min(tops, key=lambda top: top[0])
    return (other, [trial]) if value < min(known) else None
