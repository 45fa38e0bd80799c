"""Finds the trial whose files are to be fetched, and what it has left where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from cloudtune.emulation.environment import reconnect, running_emulator
from cloudtune.errors import UsageError
from cloudtune.ledger.home import EMULATOR_FOLDER
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_results
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider import registry
from cloudtune.provider.models import JobContext
from cloudtune.results.aggregate import best_of_jobs
from cloudtune.results.events import FINAL_STATES, Started
from cloudtune.results.model import StudyResult, Trial
from cloudtune.runs.confirmations import confirmed_run
from cloudtune.runs.confirmed_best import prefer_confirmed
from cloudtune.runs.download import Fetch
from cloudtune.runs.file_names import local_names
from cloudtune.runs.logs import find_log


def find_files(
    run: str | None = None,
    number: int | None = None,
    *,
    on: str | None = None,
    target: Path | None = None,
) -> Fetch:
    """Return what a trial has left; by default the best trial of all jobs of the latest run.

    Of a run that was confirmed, the best is the trial to take; with ``on``, the best trial there.

    Args:
        run: The run.
        number: The trial's number.
        on: The provider, if the run has several jobs.
        target: The folder for the files; ``RUN-TRIAL`` in the current one by default.

    Raises:
        UsageError: If there is no such trial, it has not ended, or its files cannot be reached.
        ProviderError: If the service cannot be reached, or refuses.
        MissingExtraError: If a package that reaches the service is not installed.
        LedgerError: If the ledger cannot be read.
        OSError: If files of this machine cannot be read.
    """
    notes: list[str] = []
    result, trial = _choose(run, number, on, notes)
    if trial.state not in FINAL_STATES:
        raise UsageError(
            f"trial {trial.number} of run {result.run} is {trial.state}: fetch its files when it "
            "has ended"
        )
    with Ledger() as ledger:
        record = ledger.run(result.run)
        job = next(job for job in record.jobs if job.provider == result.provider)
        started = [
            event
            for _, event in ledger.events(record.id, job.provider, 0)
            if isinstance(event, Started) and event.number == trial.number
        ][-1]
        folder = ledger.job_folder(record.id, job.provider)
    plan, provider = restore_plan(job.plan), registry.get(job.provider)
    emulator = None
    if plan.facts.emulator:
        emulator = reconnect(job.provider, provider, plan.settings, plan.facts.emulator)
    elif plan.facts.emulated:
        emulator = running_emulator(folder / EMULATOR_FOLDER)
    stored = provider.trial_files(plan, JobContext(folder, emulator), trial, started)
    log = None
    with suppress(UsageError):  # it has none
        log = find_log(result.run, trial.number, result.provider)
    paths = local_names(name for name in stored.files if name not in stored.archives)
    target = target or Path(f"{result.run}-{trial.number}")
    return Fetch(result, trial, target, stored, log, paths, tuple(notes))


def _choose(
    run: str | None, number: int | None, on: str | None, notes: list[str]
) -> tuple[StudyResult, Trial]:
    """Return the trial and its job, and add why it is the best to the notes."""
    read: Iterator[tuple[StudyResult, Iterable[Trial]]]
    if number is None:
        read = prefer_confirmed(read_results(confirmed_run(run)), notes.append, on)
    else:
        read = (each for each in read_results(run) if on in {None, each[0].provider})
    jobs = [(result, list(trials)) for result, trials in read]
    if not jobs:
        raise UsageError(f"the run has no job on {on}")
    name = jobs[0][0].run
    if number is None:
        chosen = best_of_jobs(jobs)
        if not chosen:
            none = f"no completed trial of run {name} measured the objective: name one"
            raise UsageError("; ".join(notes) or none)
        if len(chosen) > 1:
            numbers = ", ".join(str(trial.number) for _, trial in chosen)
            raise UsageError(f"the Pareto front of run {name} has the trials {numbers}: name one")
        return chosen[0]
    chosen = [(result, t) for result, trials in jobs for t in trials if t.number == number]
    if not chosen:
        raise UsageError(f"run {name} has no trial {number}; `cloudtune results` lists the trials")
    if len(chosen) > 1:
        providers = ", ".join(result.provider for result, _ in chosen)
        raise UsageError(f"run {name} has jobs on {providers}; choose one with --on")
    return chosen[0]
