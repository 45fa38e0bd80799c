"""The command that tells how runs stand."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import click

from cloudtune.cli.options import examples, json_option, run_argument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudtune.ledger.ledger import Ledger
    from cloudtune.ledger.records import JobRecord, RunRecord
    from cloudtune.results.model import StudyResult, Trial


@examples("cloudtune status", "cloudtune status --json", "cloudtune status k7f2")
@click.command()
@run_argument
@json_option
def status(run: str | None, as_json: bool) -> None:
    """List all runs, newest first, or tell how RUN stands."""
    from cloudtune.errors import UsageError
    from cloudtune.ledger.home import state_folder
    from cloudtune.ledger.ledger import Ledger

    try:
        ledger = Ledger(state_folder())
    except UsageError:
        if run is not None:
            raise
        click.echo("[]" if as_json else "no runs yet; `cloudtune run STUDY` starts one")
        return
    with ledger:
        rows = [
            _status(ledger, each)
            for each in (ledger.run_ids() if run is None else [ledger.find_run_id(run)])
        ]
        unknown = ledger.unknown_folders()
    if unknown:
        told = f"in {ledger.folder / 'runs'}, of which the ledger knows nothing"
        click.echo(f"note: there are folders of runs {told}: {', '.join(unknown)}", err=True)
    if as_json:
        click.echo(json.dumps(rows))
        return
    from cloudtune.reporting.console.tables import print_table

    print_table([{key: _shown(key, row[key]) for key in row if key != "jobs"} for row in rows])
    if run is not None and len(rows[0]["jobs"]) > 1:
        click.echo()
        print_table([{key: _shown(key, job[key]) for key in job} for job in rows[0]["jobs"]])


def _shown(key: str, value: Any) -> Any:
    if key == "created":
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(value))
    if key == "trials":
        return ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in value.items())
    if key == "best" and isinstance(value, list):
        return cast("list[float]", value)[0]
    return value


def _status(ledger: Ledger, run: str) -> dict[str, Any]:
    """Return how a run stands as plain data; a run that nobody holds is not running."""
    from cloudtune.errors import LedgerError
    from cloudtune.ledger.lock import lock_holder
    from cloudtune.results.aggregate import best_of_jobs

    held = lock_holder(ledger.run_folder(run)) is not None
    try:
        record = ledger.run(run)
        read = [_job_status(ledger, record, job, held=held) for job in record.jobs]
    except LedgerError as error:
        click.echo(str(error), err=True)
        return {"run": run, "state": "damaged", "jobs": []}
    jobs = [job for job, _, _ in read]
    counts: dict[str, int] = {}
    for job in jobs:
        for state, count in job["trials"].items():
            counts[state] = counts.get(state, 0) + count
    best = [
        trial.objective[0]
        for _, trial in best_of_jobs((result, top) for _, result, top in read)
        if trial.objective
    ]
    return {
        "run": record.id,
        "name": record.name,
        "created": record.created,
        "on": ", ".join(job["provider"] for job in jobs),
        "state": ", ".join(dict.fromkeys(job["state"] for job in jobs)),
        "trials": counts,
        "best": best[0] if best else None,
        "jobs": jobs,
    }


def _job_status(
    ledger: Ledger, record: RunRecord, job: JobRecord, *, held: bool
) -> tuple[dict[str, Any], StudyResult, tuple[Trial, ...]]:
    """Return the status of a job as plain data, the job, and its best trials."""
    from cloudtune.ledger.reader import read_job

    result, trials = read_job(ledger, record, job)
    counts: dict[str, int] = {}

    def counted() -> Iterator[Trial]:
        for trial in trials:
            counts[trial.state] = counts.get(trial.state, 0) + 1
            yield trial

    read = counted()
    single = len(result.study.objectives) == 1
    top = result.best_trials(read) if single else ()
    deque(read, maxlen=0)
    left_off = result.state in {"running", "pending"} and not held
    status = {
        "provider": result.provider,
        "mode": result.mode,
        "emulated": result.emulated,
        "state": "interrupted" if left_off else result.state,
        "reason": result.reason,
        "trials": counts,
        "best": list(top[0].objective or ()) if top else None,
    }
    return status, result, top
