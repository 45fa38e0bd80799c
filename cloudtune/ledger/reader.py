"""What the jobs of runs found so far, read from the ledger one trial after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from cloudtune.diagnostics import Finding
from cloudtune.errors import CloudtuneError
from cloudtune.ledger.home import state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.results.events import Event
from cloudtune.results.model import Cost, StudyResult, Trial, job_state
from cloudtune.results.trials import Trials
from cloudtune.study.study import Study


def read_results(
    run: str | None = None, folder: Path | None = None
) -> Iterator[tuple[StudyResult, Iterator[Trial]]]:
    """Yield each job of a run without its trials, and these one after another as they are read.

    Use the trials before the next job is asked for.

    Raises:
        UsageError: If there is no such run.
        LedgerError: If the ledger cannot be read.
    """
    with Ledger(folder or state_folder()) as ledger:
        record = ledger.run(run)
        for job in record.jobs:
            yield read_job(ledger, record, job)


def read_job(
    ledger: Ledger, record: RunRecord, job: JobRecord
) -> tuple[StudyResult, Iterator[Trial]]:
    """Return a job without its trials, and these one after another as they are read.

    Raises:
        LedgerError: If what the ledger holds of the job makes no sense.
    """
    try:
        made = bool(job.job or ledger.last_event_number(record.id, job.provider))
        result = _result(record, job, made=made)
    except (CloudtuneError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"its study or plan on {job.provider} cannot be read"
        raise ledger.damage_error(record.id, what) from error

    def trials() -> Iterator[Trial]:
        try:
            yield from _trials(result, job, ledger.events_by_trial(record.id, job.provider))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            what = f"the events of its job on {job.provider} make no sense"
            raise ledger.damage_error(record.id, what) from error

    return result, trials()


def _result(record: RunRecord, job: JobRecord, *, made: bool) -> StudyResult:
    """Return a job without its trials; ``made`` tells whether there is anything to look at."""
    plan = job.plan
    # A stored study is not checked again: this version may have stricter rules.
    study = Study.model_validate(record.study, context={"parts_only": True})
    findings = tuple(Finding(**finding) for finding in plan["findings"])
    result = StudyResult(
        run=record.id,
        provider=job.provider,
        mode=plan["mode"],
        emulated=job.emulated,
        state=job.state,
        reason=job.reason,
        study=study,
        study_hash=study.fingerprint(),
        source_hash=plan["facts"]["source_hash"],
        seed=plan["facts"]["seed"],
        job=job.job,
        findings=findings,
        trials=(),
        link=_link(plan, job.job) if made and not job.emulated else None,
        created=record.created,
        started=job.started,
        ended=job.ended,
        idle=_idle(job) if plan["mode"] == "driven" else None,
    )
    # ledgers of earlier versions say `failed` of what was refused
    return replace(result, state=job_state(result, any_trials=made))


def _link(plan: Mapping[str, Any], job: str | None) -> str | None:
    """Return where people look at a job: at itself once its id is known and stands in a page's."""
    own, mode = plan["facts"]["own"], plan["mode"]
    page: str | None = own.get("job_links", {}).get(mode) if job else None
    if job and page:
        return page.replace("{job}", job.rpartition("/")[2])
    link: str | None = own.get("links", {}).get(mode)
    return link


_PAUSE = 1.0
"""Seconds. The two clocks that time a job differ by less, so no shorter pause is known."""


def _idle(job: JobRecord) -> float | None:
    """Return how many seconds of a job passed between the processes that ran it."""
    if job.started is None or job.process_started is None:
        return None
    until = job.process_started if job.ended is None else min(job.process_started, job.ended)
    idle = until - job.started - job.earlier_seconds
    return idle if idle >= _PAUSE else 0.0


def _trials(result: StudyResult, job: JobRecord, by_trial: Iterable[Event]) -> Iterator[Trial]:
    """Yield the trials that a job ran so far, one after another, so that few are held at a time.

    Args:
        result: The job without its trials.
        job: The job.
        by_trial: Its events in order of their trials' numbers.
    """
    own: Mapping[str, Any] = {} if job.emulated else job.plan["facts"]["own"]
    for number, events in groupby(by_trial, key=lambda event: event.number):
        trials = Trials(result.study, result.run)
        for event in events:
            trials.tell(event)
        yield _priced(trials.get(number), own)


def _priced(trial: Trial, own: Mapping[str, Any]) -> Trial:
    price, currency = own.get("price_per_second"), own.get("currency")
    seconds = trial.seconds if trial.billed_seconds is None else trial.billed_seconds
    if price is None or currency is None or seconds is None:
        return trial
    return replace(trial, cost=Cost(seconds * price, currency, "estimated"))
