"""Results of jobs, read from the ledger one trial at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from cloudtune.errors import CloudtuneError, LedgerError
from cloudtune.ledger.ledger import Ledger, OnDamage, raise_damage
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.results.events import ORIGIN, Event, Started
from cloudtune.results.model import Cost, StudyResult, Trial, job_state
from cloudtune.results.trials import Trials
from cloudtune.study.confirmation import Confirmation
from cloudtune.study.study import Study


def read_results(
    run: str | None = None, folder: Path | None = None, *, on_damage: OnDamage = raise_damage
) -> Iterator[tuple[StudyResult, Iterator[Trial]]]:
    """Yield the result of each job of a run without its trials, and an iterator of its trials.

    Consume the trials before advancing to the next job. The default is the latest run. If
    ``on_damage`` returns, jobs and trials that cannot be read are missing.

    Raises:
        UsageError: If the run does not exist.
        LedgerError: If the ledger cannot be read.
    """
    with Ledger(folder) as ledger:
        record = ledger.run(run, on_damage=on_damage)
        for job in record.jobs:
            try:
                result, trials = read_job(ledger, record, job, on_damage=on_damage)
            except LedgerError as error:
                on_damage(error)
                continue
            yield result, trials


def read_origins(run: str, provider: str) -> dict[int, str]:
    """Return who or what chose the trials of a job, where the strategy told it, by number.

    Raises:
        UsageError: If the run does not exist.
        LedgerError: If the ledger cannot be read.
    """
    origins: dict[int, str] = {}
    with Ledger() as ledger:
        for _, event in ledger.events(ledger.run(run).id, provider):
            if not isinstance(event, Started):
                continue
            if ORIGIN in event.memory:
                origins[event.number] = str(event.memory[ORIGIN])
            elif event.replaces in origins:  # a repeat of a trial that was promoted
                origins[event.number] = origins[event.replaces]
    return origins


def read_job(
    ledger: Ledger, record: RunRecord, job: JobRecord, *, on_damage: OnDamage = raise_damage
) -> tuple[StudyResult, Iterator[Trial]]:
    """Return the result of a job without its trials, and an iterator of its trials.

    If ``on_damage`` returns, trials that cannot be read are missing.

    Raises:
        LedgerError: If the job's record is damaged.
    """
    try:
        submitted = bool(job.job or ledger.has_events(record.id, job.provider))
        result = _result(record, job, submitted=submitted)
    except (CloudtuneError, ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"its study or plan on {job.provider} cannot be read"
        raise ledger.damage_error(record.id, problem) from error

    def trials() -> Iterator[Trial]:
        try:
            by_trial = ledger.events_by_trial(record.id, job.provider, on_damage)
            for trial in _trials(result, job, by_trial):
                yield replace(trial, log=trial.log and _today(trial.log, record, job, ledger))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            problem = f"the events of its job on {job.provider} are inconsistent"
            raise ledger.damage_error(record.id, problem) from error

    return result, trials()


def _today(log: str, record: RunRecord, job: JobRecord, ledger: Ledger) -> str:
    """Return the path of a log in the state folder, which may have moved since it was written."""
    _, is_inside, path = log.rpartition(f"/runs/{record.id}/{job.provider}/")
    return str(ledger.job_folder(record.id, job.provider) / path) if is_inside else log


def _result(record: RunRecord, job: JobRecord, *, submitted: bool) -> StudyResult:
    # A stored study is not checked again: this version may have stricter rules.
    study = Study.model_validate(record.study, context={"parts_only": True})
    result = StudyResult(
        run=record.id,
        provider=job.provider,
        mode=job.mode,
        emulated=job.emulated,
        state=job.state,
        reason=job.reason,
        study=study,
        study_hash=study.fingerprint(),
        source_hash=job.facts.source_hash,
        seed=study.strategy.seed if job.attached else job.facts.seed,
        job=job.job,
        findings=job.facts.findings,
        trials=(),
        link=_link(job) if submitted and not job.emulated else None,
        attached=job.attached,
        changes=job.changes or None,
        created=record.created,
        started=job.started,
        ended=job.ended,
        idle=_idle(job) if job.mode == "driven" else None,
        confirmation=Confirmation.from_plan(job.plan),
    )
    # Earlier versions recorded `failed` for refused jobs.
    return replace(result, state=job_state(result, any_trials=submitted))


def _link(job: JobRecord) -> str | None:
    """Return the address of the job's page, or of a list of jobs until its id is known."""
    if job.job and job.facts.job_link:
        return job.facts.job_link.replace("{job}", job.job.rpartition("/")[2])
    return job.facts.link


_MIN_IDLE = 1.0
"""Seconds. The two clocks that time a job can differ by almost this much."""


def _idle(job: JobRecord) -> float | None:
    """Return the seconds of a job during which no process ran it."""
    if job.started is None or job.process_started is None:
        return None
    until = job.process_started if job.ended is None else min(job.process_started, job.ended)
    idle = until - job.started - job.earlier_seconds
    return idle if idle >= _MIN_IDLE else 0.0


def _trials(
    result: StudyResult, job: JobRecord, events_by_trial: Iterable[list[Event]]
) -> Iterator[Trial]:
    price = None if job.emulated else job.facts.price
    for events in events_by_trial:
        trials = Trials(result.study, result.run, price[0] if price else 0.0)
        for event in events:
            trials.tell(event)
        yield _with_cost(trials.get(events[0].number), price)


def _with_cost(trial: Trial, price: tuple[float, str] | None) -> Trial:
    seconds = trial.seconds if trial.billed_seconds is None else trial.billed_seconds
    if price is None or seconds is None:
        return trial
    second, currency = price
    least = None if trial.billed_at_least is None else trial.billed_at_least * second
    return replace(trial, cost=Cost(seconds * second, currency, "estimated", least))
