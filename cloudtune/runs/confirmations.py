"""The confirmations of a run, from the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cloudtune.confirmation.analysis import ConfirmationResult, analyze
from cloudtune.confirmation.choice import (
    competing,
    decisive,
    find_newer,
    is_decided_alike,
    refuting,
)
from cloudtune.errors import CloudtuneError, LedgerError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_results
from cloudtune.provider.plan import Plan
from cloudtune.results.model import Decision, StudyResult
from cloudtune.study.confirmation import Confirmation
from cloudtune.study.quantities import format_count
from cloudtune.study.schema import Json
from cloudtune.study.search_space import AssignmentKey, assignment_key
from cloudtune.study.study import Study

_MOST_NAMED = 5
"""Trials and runs that one sentence names; it counts the rest."""


def confirmed_run(run: str | None) -> str:
    """Return the ID of a run, or of the one that it confirms.

    Raises:
        UsageError: If there is no such run.
    """
    with Ledger() as ledger:
        record = ledger.run(run, on_damage=_ignore)
        found = Confirmation.from_plan(record.jobs[0].plan) if record.jobs else None
        return found.run if found and ledger.has_run(found.run) else record.id


def confirmed_trial(result: StudyResult, own: Sequence[ConfirmationResult]) -> Decision | None:
    """Return which trial of a job is to be taken by confirmations, and why.

    There is none if each of the repeated trials breaks a constraint.

    Args:
        result: The job with the trial to take, if one decides.
        own: The confirmations of the run, the oldest first.
    """
    found = decisive(own)
    if found is None:
        decided = [each for each in own if each.complete and not each.is_ablation]
        outdated = next((each for each in reversed(decided) if each.newer is not None), None)
        if outdated is None:
            return None
        text = (
            f"trial {outdated.newer} was not repeated: the search has found it since run "
            f"{outdated.run}, which therefore does not decide; `cloudtune confirm {result.run}` "
            "repeats it"
        )
        return Decision(outdated.newer, elsewhere=False, reason=text)
    taken, by = found.taken, (found.run, found.provider)
    if taken is None:
        what = "the best trial" if found.is_ablation else "the best trials"
        which = "it breaks" if found.is_ablation else "each breaks"
        text = (
            f"run {found.run} repeated {what} of run {result.run}, and {which} a "
            f"constraint with some seed; `cloudtune confirm {result.run}` repeats the next best"
        )
        return Decision(None, elsewhere=False, reason=text, by=by)
    assert taken.confirmed is not None
    is_exact = found.settled or found.deterministic
    which = "the best of them" if is_exact else "the best of them on average"
    if found.ties:
        which += f", exactly as good as {' and '.join(each.label for each in found.ties)}"
    if found.rival:
        which = f"the one to take, though {found.rival.label} is better on the seeds that both have"
    where = " at an emulator" if found.emulated and not result.emulated else ""
    text = f"run {found.run} repeated the best trials{where}, and {taken.label} is {which}"
    text += f": {found.metric} {taken.confirmed.mean:.6g} over {format_count(taken.seeds, 'seed')}"
    if taken.failed:
        text += f"; {taken.failed} of its {taken.seeds + taken.failed} repetitions failed"
    if (better := found.better_baseline) and better.worse:
        were = "were" if better.label.endswith("defaults") else "was"
        text += f"; but the {better.label} {were} better by {-better.worse.mean:.4g}"
        is_clear = better.worse.excludes_zero or found.deterministic or found.coarse
        text += "" if is_clear else ", which may be chance"
    if broken := _broken([e for e in own if e.searched_on == found.searched_on]):
        text += f"; {describe_broken(broken, 'taken')}"
    if barely := [each.label for each in found.candidates if each.is_barely_measured]:
        text += f"; too few repetitions of {' and '.join(barely)} have a value"
    others = [
        each
        for each in own
        if each.complete and each.newer is None and not each.is_ablation and each is not found
        if each.taken or each.none_keeps
    ]
    rivals = competing(own)
    alike = Counter(
        _why_less(each, found, rivals) for each in others if is_decided_alike(each, found)
    )
    for why, count in alike.items():
        text += f"; {format_count(count, 'other confirmation')} {why}"
    if metrics := {each.metric: None for each in others if not is_decided_alike(each, found)}:
        text += f"; others, decided by {' and '.join(metrics)}, do not count"
    return Decision(taken.number, elsewhere=False, reason=text, by=by)


def describe_broken(trials: Mapping[int, str], verb: str) -> str:
    """Return which trials are not, for example, taken, since they break a constraint.

    Args:
        trials: The numbers of the trials, each with the run that shows it.
        verb: What is not done with them, such as ``taken``.
    """
    runs = _name_some("run", list(dict.fromkeys(trials.values())))
    which = _name_some("trial", [str(number) for number in trials])
    if len(trials) == 1:
        return f"{which} is not {verb}, since it breaks a constraint in {runs}"
    return f"{which} are not {verb}, since they break a constraint in {runs}"


def _name_some(noun: str, names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    if more > 1:
        names = [*names[:_MOST_NAMED], f"{more} others"]
    *others, last = names
    return f"{noun}s {', '.join(others)} and {last}" if others else f"{noun} {last}"


def _broken(found: Sequence[ConfirmationResult]) -> dict[int, str]:
    """Return the trials of a job that break a constraint, each with the first run that shows it."""
    broken: dict[int, str] = {}
    for result in found:
        for each in result.candidates:
            if each.is_broken and each.number is not None and each.role == "candidate":
                run = result.run if each.broken else each.broken_in
                broken.setdefault(each.number, run)
    return dict(sorted(broken.items()))


def _why_less(
    other: ConfirmationResult, decisive: ConfirmationResult, rivals: Sequence[ConfirmationResult]
) -> str:
    """Return why a confirmation by the same metric does not decide."""
    if other.taken is None or decisive.taken is None:
        return "had no trial to take"
    if other.emulated and not decisive.emulated:
        return "ran at an emulator"
    if decisive.compares and not other.compares:
        return "repeated a single trial"
    label = other.taken.label
    if other.searched_on != decisive.searched_on:
        label += f" on {other.searched_on}"
    if by := refuting(other, rivals):
        better = by.taken.label if by.taken else "another"
        return f"took {label}, which is worse than {better} in run {by.run}"
    which = "its trial"
    if assignment_key(other.taken.parameters) != assignment_key(decisive.taken.parameters):
        which = f"the trial that it took, {label}"
    if other.taken.seeds == decisive.taken.seeds:
        return f"came earlier, with as many seeds of {which}"
    return f"used fewer seeds of {which}"


def mark_broken(plan: Confirmation, others: Sequence[ConfirmationResult]) -> Confirmation:
    """Return what a run repeats, with the candidates marked that break a constraint elsewhere.

    Args:
        plan: What is repeated.
        others: Other confirmations of the same run.
    """
    broken = broken_settings(others)
    marked = (
        replace(each, broken_in=broken.get(assignment_key(each.parameters), ""))
        for each in plan.candidates
    )
    return replace(plan, candidates=tuple(marked))


def confirmations_of(runs: Collection[str]) -> list[ConfirmationResult]:
    """Return what the runs have found that confirm one of these, the oldest first.

    What cannot be read of them is missing. A trial that breaks a constraint in one of them is the
    one to take in none, except that an emulator says nothing about those at services.
    """
    jobs = [each for each in _confirming_jobs([f"{run}-" for run in runs]) if each[1].run in runs]
    alone = [each for job, _ in jobs if (each := analyze(job))]
    found: list[ConfirmationResult] = []
    for (job, plan), own in zip(jobs, alone, strict=True):
        others = [each for each in alone if each is not own and _counts_for(each, own)]
        if each := analyze(replace(job, confirmation=mark_broken(plan, others))):
            found.append(each)
    newer: list[int | None] = [None] * len(found)
    for run in _known({each.confirms for each in found}):
        for job, trials in read_results(run, on_damage=_ignore):
            searched = list(trials)
            for index, each in enumerate(found):
                if (each.confirms, each.searched_on) == (run, job.provider):
                    rest = [other for other in alone if _counts_for(other, each)]
                    newer[index] = find_newer(each, job, searched, broken_settings(rest))
    return [replace(each, newer=number) for each, number in zip(found, newer, strict=True)]


def broken_settings(
    found: Sequence[ConfirmationResult], *, emulated: bool = True
) -> dict[AssignmentKey, str]:
    """Return the settings that break a constraint in these confirmations, and their first runs.

    Args:
        found: The confirmations.
        emulated: Whether those at emulators count.
    """
    return {
        assignment_key(each.parameters): result.run
        for result in reversed(found)
        if emulated or not result.emulated
        for each in result.candidates
        if each.broken
    }


def _counts_for(other: ConfirmationResult, own: ConfirmationResult) -> bool:
    return other.confirms == own.confirms and (own.emulated or not other.emulated)


def _known(runs: Collection[str]) -> list[str]:
    if not runs:
        return []
    with Ledger() as ledger:
        return [run for run in runs if ledger.has_run(run)]


def known_spread(plan: Plan) -> tuple[float, str] | None:
    """Return the spread of differences between settings that an earlier confirmation measured.

    Of the same code, study and provider, in standard deviations of a difference on one seed, with
    the run that measured it; None if there is no such run, or if the winner of a search did not
    hold in one.
    """
    facts, wanted = plan.facts, _what_runs(plan.study, plan.provider)
    known: tuple[float, str] | None = None
    for job, _ in _confirming_jobs([""]):
        is_same = facts.source_hash is not None and facts.source_hash == job.source_hash
        is_same_place = (plan.provider, facts.emulated) == (job.provider, job.emulated)
        is_same_study = _what_runs(job.study, job.provider) == wanted
        if is_same and is_same_place and is_same_study and (found := analyze(job)):
            if found.none_keeps or (found.taken and found.take):
                return None
            if found.spread is not None and job.state == "completed":
                known = found.spread, found.run
    return known


def _what_runs(study: Study, provider: str) -> Json:
    """Return what decides how a confirmation runs, and what can be confirmed, besides the code."""
    data: dict[str, Any] = study.to_json()
    trial = {name: value for name, value in data["trial"].items() if name != "source"}
    settings = dict(data.get("providers", {}).get(provider, {}))
    for name in ("limits", "mode", "prices"):
        settings.pop(name, None)
    same = {name: data.get(name) for name in ("parameters", "constants", "objective")}
    return {**same, "trial": trial, "settings": settings}


def _confirming_jobs(starts: Sequence[str]) -> list[tuple[StudyResult, Confirmation]]:
    """Return the jobs that confirm a run and whose IDs start in one of these ways."""
    try:
        with Ledger() as ledger:
            ids = [each for each in reversed(ledger.run_ids()) if "-" in each]
    except CloudtuneError:  # such as no ledger, for results from elsewhere
        return []
    return [
        (replace(job, trials=tuple(trials)), job.confirmation)
        for name in ids
        if any(name.startswith(start) for start in starts)
        for job, trials in read_results(name, on_damage=_ignore)
        if job.confirmation
    ]


def _ignore(_: LedgerError) -> None:
    """Ignore damage, which a command about that run reports."""
