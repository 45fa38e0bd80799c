"""The status of runs as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from itertools import islice, product
from typing import Any

from cloudtune.engine.job_emulator import lost_emulator
from cloudtune.errors import LedgerError, UsageError
from cloudtune.launcher.metrics import MISREADS
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import lock_holder
from cloudtune.ledger.proposals import waiting_proposals
from cloudtune.ledger.reader import read_job, read_results
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.results.events import OPEN_JOB_STATES
from cloudtune.results.model import StudyResult, Trial
from cloudtune.runs.confirmed_best import with_decisions
from cloudtune.runs.creation import lost_runs
from cloudtune.runs.run_results import Results


def read_status(
    run: str | None = None,
    *,
    last: int | None = None,
    states: Collection[str] = (),
    on: Collection[str] = (),
    notify: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Return the status of runs, newest first, or of one run, as ``status --json`` prints it.

    Each run has its ID under ``run``, its ``state``, the number of ``trials`` by state, the
    ``best`` objective of its search, of the trial to take if the run was confirmed, and the same
    for each of its ``jobs``, with what confirmations say about its best trial under ``decision``,
    the trials that are ``waiting`` for a machine and the reason that the service gives, the number
    of ``proposals`` that have not started, and under ``misread`` the reason of the first trial
    whose metric's expression misread a number. A job that no process executes is ``interrupted``
    rather than ``running``. A damaged run or job is ``damaged``, with what can be read of it.

    Args:
        run: The run's ID or a prefix of it; all runs by default.
        last: The maximum number of runs.
        states: Only runs with a job in one of these states; all by default.
        on: Only runs with a job at one of these providers; all by default.
        notify: Called with a message for each damage.

    Raises:
        UsageError: If there is no such run.
    """
    try:
        ledger = Ledger()
    except UsageError:
        if run is not None:
            raise
        return []
    with ledger:
        runs = ledger.run_ids() if run is None else [ledger.find_run_id(run)]
        if lost := lost_runs(ledger):
            notify(
                f"note: {ledger.folder / 'runs'} has folders of runs that are not in the ledger: "
                f"{', '.join(lost)}; to remove them: cloudtune clean {' '.join(lost)}"
            )
        rows = (_run_status(ledger, each, notify) for each in runs)
        return list(islice((row for row in rows if row and _matches(row, states, on)), last))


def _matches(row: dict[str, Any], states: Collection[str], on: Collection[str]) -> bool:
    jobs = row["jobs"]
    any_state = {row["state"], *(job["state"] for job in jobs)}
    any_provider = {job["provider"] for job in jobs}
    return (not states or bool(any_state & {*states})) and (not on or bool(any_provider & {*on}))


def _run_status(ledger: Ledger, run: str, notify: Callable[[str], None]) -> dict[str, Any] | None:
    """Return the status of a run, or None if it was removed meanwhile."""
    errors: list[LedgerError] = []
    try:
        is_executed = lock_holder(ledger.run_folder(run)) is not None
        record = ledger.run(run, on_damage=errors.append)
        read = [
            _job_status(ledger, record, job, errors, is_executed=is_executed) for job in record.jobs
        ]
    except UsageError:  # it was removed meanwhile
        return None
    except LedgerError as error:
        for each in [*errors, error]:
            notify(str(each))
        return {"run": run, "state": "damaged", "jobs": []}
    for each in errors:
        notify(str(each))
    jobs = [job for job, _, _ in read]
    counts = sum((job["trials"] for job in jobs), Counter[str]())
    results = [replace(result, trials=top) for _, result, top in read]
    if any(each.startswith(f"{run}-") for each in ledger.run_ids()):
        results = _decided_results(run)
        for job, result in product(jobs, results):
            if result.decision and result.provider == job["provider"]:
                job["best"] = list(result.best.objective or ()) if result.best else None
                job["decision"] = result.decision.reason
    best = Results(tuple(results)).best
    return {
        "run": record.id,
        "name": record.name,
        "created": record.created,
        "on": ", ".join(job["provider"] for job in jobs),
        "state": "damaged" if errors else ", ".join(dict.fromkeys(job["state"] for job in jobs)),
        "trials": counts,
        "best": best.objective[0] if best and best.objective else None,
        "jobs": jobs,
    }


def _decided_results(run: str) -> list[StudyResult]:
    """Return the results of a run with what its confirmations say; its damage is known."""
    jobs = with_decisions(read_results(run, on_damage=lambda _: None))
    return [replace(result, trials=tuple(trials)) for result, trials in jobs]


def _job_status(
    ledger: Ledger,
    record: RunRecord,
    job: JobRecord,
    errors: list[LedgerError],
    *,
    is_executed: bool,
) -> tuple[dict[str, Any], StudyResult, tuple[Trial, ...]]:
    """Return the status of a job, the job, and its best trials; add damage to the errors."""
    earlier_errors = len(errors)
    result, trials = read_job(ledger, record, job, on_damage=errors.append)
    counts: Counter[str] = Counter()
    waiting: list[dict[str, Any]] = []
    misread: list[str] = []

    def count_states() -> Iterator[Trial]:
        for trial in trials:
            counts[trial.state] += 1
            if trial.state == "waiting":
                waiting.append({"trial": trial.number, "reason": trial.reason})
            if trial.state == "failed" and MISREADS in trial.reason:
                misread.append(f"trial {trial.number}: {trial.reason}")
            yield trial

    counted = count_states()
    has_best = len(result.study.objectives) == 1 and not result.confirmation
    top = result.best_trials(counted) if has_best else ()
    for _ in counted:  # the rest
        pass
    try:
        proposals = len(waiting_proposals(ledger, record.id, job.provider))
    except LedgerError as error:
        errors.append(error)
        proposals = 0
    is_interrupted = result.state in OPEN_JOB_STATES and not is_executed
    state = "interrupted" if is_interrupted else result.state
    if not is_executed:
        folder = ledger.job_folder(record.id, job.provider)
        result = replace(result, reason=lost_emulator(job, folder) or result.reason)
    status = {
        "provider": result.provider,
        "mode": result.mode,
        "emulated": result.emulated,
        "state": "damaged" if len(errors) > earlier_errors else state,
        "reason": result.reason,
        "trials": counts,
        "best": list(top[0].objective or ()) if top else None,
        "decision": "",
        "waiting": waiting,
        "proposals": proposals,
        "misread": next(iter(misread), ""),
    }
    return status, result, top
