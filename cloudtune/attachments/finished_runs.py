"""Records runs that other tools finished, with all their trials."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

from cloudtune.errors import UsageError
from cloudtune.ledger.event_rows import event_row, parse_events
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_job
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.ledger.run_ids import new_run_id
from cloudtune.planning.attached_plan import attached_plan
from cloudtune.planning.planner import job_name
from cloudtune.provider.facts import Facts, Lookup
from cloudtune.results.events import UNKNOWN_TIME, Ended, Event, Measured, Started
from cloudtune.results.model import Measurement, Trial
from cloudtune.runs.creation import creation_lock

if TYPE_CHECKING:
    from cloudtune.formats.run_reader import FinishedRun
    from cloudtune.study.study import Study

_BATCH = 500
"""Events that are written to the ledger at a time."""


def record_finished(finished: FinishedRun, tool: str) -> str:
    """Write a finished run of another tool to the ledger, and return the run's ID.

    If the ledger already has the run, with the same trials in the same states, return its ID.

    Args:
        finished: The run.
        tool: The name of its reader, which is the provider of the job.

    Raises:
        UsageError: If two trials have the same number, or the files of the run have changed.
        LedgerError: If the state folder cannot be used.
    """
    study = finished.study
    with Ledger(create=True) as ledger:
        if existing := _find_same(ledger, finished):
            return existing
        run = new_run_id()
        facts = Facts(
            run_id=run,
            job_name=job_name(study.name, run),
            seed=study.strategy.seed or 0,
            base=Path.cwd(),
            attached=finished.address,
            emulated=finished.emulated,
            lookup=Lookup(links={"managed": finished.link} if finished.link else {}),
        )
        plan = attached_plan(study, tool, facts, finished.findings)
        job = JobRecord(
            run,
            tool,
            plan.to_json(),
            state=finished.state,
            reason=finished.reason,
            job=finished.job,
            started=finished.started,
            process_started=finished.started,
            ended=finished.ended,
            emulated=finished.emulated,
        )
        with creation_lock(ledger, run), TemporaryFile() as spool:
            # A transaction blocks other writers, so all trials are read before it.
            numbers: set[int] = set()
            for trial in finished.trials:
                if trial.number in numbers:
                    raise UsageError(f"{finished.address} has two trials {trial.number}")
                numbers.add(trial.number)
                for event in trial_events(trial):
                    number, kind, body = event_row(event)
                    spool.write(json.dumps([number, kind, body]).encode() + b"\n")
            spool.seek(0)
            with ledger.atomic(durable=True):
                ledger.create_run(run_record(study, facts, job))
                for events in _read_spool(spool):
                    ledger.append(run, tool, *events)
    return run


def _read_spool(spool: IO[bytes]) -> Iterator[list[Event]]:
    while lines := list(islice(spool, _BATCH)):
        rows = [(number, kind, body.encode()) for number, kind, body in map(json.loads, lines)]
        yield [event for _, event in parse_events(rows)]


def run_record(study: Study, facts: Facts, job: JobRecord) -> RunRecord:
    """Return the run of one attached job."""
    return RunRecord(
        id=facts.run_id,
        created=time.time(),
        name=study.name or "study",
        study=study.to_json(),
        file=None,
        base=str(facts.base),
        jobs=(job,),
        overrides=None,
    )


def trial_events(trial: Trial) -> Iterator[Event]:
    """Yield the events of a trial: its start, its measurements and its end."""
    number, started = trial.number, trial.started or trial.created or UNKNOWN_TIME
    yield Started(number, started, dict(trial.parameters), resource=trial.resource, id=trial.id)
    measurements = trial.measurements
    if not measurements and trial.metrics:
        measurements = (Measurement(1, trial.metrics),)
    for each in measurements:
        yield Measured(number, each.time or UNKNOWN_TIME, each.step, dict(each.metrics))
    if trial.state == "running":
        return
    yield Ended(
        number,
        trial.ended or UNKNOWN_TIME,
        trial.state,
        trial.reason,
        exit_code=trial.exit_code,
        log_tail=trial.log_tail,
        word=trial.word,
        log=trial.log,
        artifacts=trial.artifacts,
        billed_seconds=trial.billed_seconds,
        billed_at_least=trial.billed_at_least,
        machine=trial.machine,
        seconds=trial.seconds,
    )


def attached_runs(ledger: Ledger, address: str) -> Iterator[tuple[RunRecord, JobRecord]]:
    """Yield the runs, newest first, to which the job at an address was attached."""
    for run in ledger.run_ids():
        record = ledger.run(run, on_damage=lambda _: None)
        for job in record.jobs:
            if job.attached == address:
                yield record, job


def _find_same(ledger: Ledger, finished: FinishedRun) -> str | None:
    """Return the ID of a run in the ledger with the same trials."""
    states: dict[int, str] | None = None
    for record, job in attached_runs(ledger, finished.address):
        states = states or {trial.number: trial.state for trial in finished.trials}
        if {trial.number: trial.state for trial in read_job(ledger, record, job)[1]} == states:
            return record.id
    return None
