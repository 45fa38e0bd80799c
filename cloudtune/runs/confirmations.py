"""The confirmations of a run, from the ledger."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from cloudtune.confirmation.analysis import ConfirmationResult, analyze
from cloudtune.confirmation.choice import decisive, is_decided_alike
from cloudtune.errors import CloudtuneError, LedgerError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_results
from cloudtune.provider.plan import Plan
from cloudtune.results.model import StudyResult
from cloudtune.study.confirmation import Confirmation
from cloudtune.study.quantities import format_count
from cloudtune.study.schema import Json
from cloudtune.study.study import Study


def confirmed_run(run: str | None) -> str:
    """Return the ID of a run, or of the one that it confirms.

    Raises:
        UsageError: If there is no such run.
    """
    with Ledger() as ledger:
        record = ledger.run(run, on_damage=_ignore)
        found = Confirmation.from_plan(record.jobs[0].plan) if record.jobs else None
        return found.run if found and ledger.has_run(found.run) else record.id


def confirmed_trial(result: StudyResult) -> tuple[int | None, str] | None:
    """Return the number of a job's trial to take by its confirmations, and why.

    The number is None if each of the repeated trials breaks a constraint.
    """
    own = [each for each in confirmations_of([result.run]) if each.searched_on == result.provider]
    found = decisive(own)
    if found is None:
        decided = [each for each in own if each.complete and not each.is_ablation]
        outdated = next((each for each in reversed(decided) if each.newer is not None), None)
        if outdated is None:
            return None
        return (
            outdated.newer,
            f"trial {outdated.newer} was not repeated: the search has found it since run "
            f"{outdated.run}, which therefore does not decide; `cloudtune confirm {result.run}` "
            "repeats it",
        )
    taken = found.taken
    if taken is None:
        return None, (
            f"run {found.run} repeated the best trials of run {result.run}, and each breaks a "
            f"constraint with some seed; `cloudtune confirm {result.run} --top N` repeats more"
        )
    assert taken.confirmed is not None
    rest = "" if found.settled else " on average"
    text = f"run {found.run} repeated the best trials, and {taken.label} is the best of them{rest}"
    text += f": {found.metric} {taken.confirmed.mean:.6g} over {format_count(taken.seeds, 'seed')}"
    if taken.failed:
        text += f"; {taken.failed} of its {taken.seeds + taken.failed} repetitions failed"
    others = [
        each
        for each in own
        if each.complete and each.newer is None and not each.is_ablation and each.run != found.run
        if each.taken or each.none_keeps
    ]
    if alike := sum(is_decided_alike(each, found) for each in others):
        text += f"; {format_count(alike, 'other confirmation')} used fewer seeds of its trial"
    if metrics := {each.metric: None for each in others if not is_decided_alike(each, found)}:
        text += f"; others, decided by {' and '.join(metrics)}, do not count"
    return taken.number, text


def confirmations_of(runs: Collection[str]) -> list[ConfirmationResult]:
    """Return what the runs have found that confirm one of these, the oldest first.

    What cannot be read of them is missing.
    """
    jobs = _confirming_jobs([f"{run}-" for run in runs])
    found = [each for job, plan in jobs if plan.run in runs and (each := analyze(job))]
    newer: list[int | None] = [None] * len(found)
    for run in _known({each.confirms for each in found}):
        for job, trials in read_results(run, on_damage=_ignore):
            searched = list(trials)
            for index, each in enumerate(found):
                if (each.confirms, each.searched_on) == (run, job.provider):
                    newer[index] = each.find_newer(job, searched)
    return [replace(each, newer=number) for each, number in zip(found, newer, strict=True)]


def _known(runs: Collection[str]) -> list[str]:
    if not runs:
        return []
    with Ledger() as ledger:
        return [run for run in runs if ledger.has_run(run)]


def known_spread(plan: Plan) -> tuple[float, str] | None:
    """Return the spread of differences between settings that an earlier confirmation measured.

    Of the same code, study and provider, in standard deviations of a difference on one seed, with
    the run that measured it; None if there is no such run.
    """
    facts, wanted = plan.facts, _what_runs(plan.study, plan.provider)
    for job, _ in reversed(_confirming_jobs([""])):
        is_same = facts.source_hash is not None and facts.source_hash == job.source_hash
        is_same_place = (plan.provider, facts.emulated) == (job.provider, job.emulated)
        is_same_study = _what_runs(job.study, job.provider) == wanted
        if is_same and is_same_place and is_same_study and job.state == "completed":
            found = analyze(job)
            if found and found.spread is not None:
                return found.spread, found.run
    return None


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
