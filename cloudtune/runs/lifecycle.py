"""The life of a run, one submission of one study to one or more providers: create, execute, stop.

Each step is written to the ledger before it is taken. The process that holds the lock of a run
executes it; any process can read it and request a stop.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cloudtune.bundle.files import copy_files, fingerprint, link_files, list_files
from cloudtune.bundle.locked_requirements import CONVERTED, is_converted, write_requirements
from cloudtune.common.debug_log import get_logger
from cloudtune.emulation.process import EmulationOptions, save_options
from cloudtune.engine.budget import JobBudget, create_budgets
from cloudtune.engine.inbox import NewProposals
from cloudtune.engine.job import execute_job, require_runnable
from cloudtune.engine.observer import Observer, observe_all, safe_observer
from cloudtune.errors import (
    CloudtuneError,
    MissingExtraError,
    ProviderError,
    UnsupportedError,
    UsageError,
)
from cloudtune.ledger.home import EMULATOR_FOLDER, open_folder_note
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import lock_holder, request_stop
from cloudtune.ledger.outputs import record_outputs, unhashed_files, without_reports
from cloudtune.ledger.proposals import PROPOSED
from cloudtune.ledger.reader import read_results
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.planning.planner import plan_from_facts
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider.plan import Plan
from cloudtune.provider.settings import CloudSettings
from cloudtune.results.events import Outcome
from cloudtune.results.model import StudyResult
from cloudtune.runs.creation import creation_lock
from cloudtune.runs.detach import resume_unattended
from cloudtune.runs.limits import REQUEST, change_running
from cloudtune.runs.logs import read_output
from cloudtune.runs.notifier import Notifier
from cloudtune.runs.run_lock import hold_run
from cloudtune.runs.stop_requests import StopRequests, stop_on_signals

_log = get_logger(__name__)

_MAX_WAIT = 10.0
"""Seconds to wait for a process that has just acquired the lock to accept stop requests."""
_POLL_SECONDS = 0.05


class NewRun(NamedTuple):
    """The ID of a run that was written to the ledger, and its plans, to be passed to `execute`."""

    id: str
    plans: tuple[Plan, ...]


def create(
    plans: Sequence[Plan],
    *,
    without: Sequence[Path] = (),
    overrides: Sequence[str] | None = None,
    saved: bool = False,
    emulation: EmulationOptions = EmulationOptions(),  # noqa: B008 - immutable
    generated: Mapping[str, bytes] | None = None,
    generated_unhashed: Sequence[str] = (),
) -> NewRun:
    """Write a new run to the ledger, with a copy of its source; return its ID and its plans.

    A provider that cannot run the study does not affect the others: its job fails when the run is
    executed. If no provider can, no run is created.

    Args:
        plans: One for each provider.
        without: Files in the source folder that are not part of it, such as the saved plan.
        overrides: The ``PATH=VALUE`` overrides of the study's file, with which `resume` compares
            the file; None if the study does not come from a file.
        saved: Whether the plans were made earlier, so that the source must not have changed since.
        emulation: How the emulators behave, if the run is emulated.
        generated: Content of files that are added to the copy of the source, by name.
        generated_unhashed: Those that do not count as code.

    Raises:
        UnsupportedError: If no plan can run, and the first is refused.
        MissingExtraError: If no plan can run, and the first requires a missing package.
        ProviderError: If no plan can run, and planning the first failed.
        UsageError: If the run exists, or the source of a saved plan has changed.
        LedgerError: If the state folder cannot be used.
    """
    errors = plan_errors(plans)
    if len(errors) == len(plans):
        raise errors[plans[0].provider]
    first = plans[0]
    run = first.facts.run_id
    with Ledger(create=True) as ledger, creation_lock(ledger, run):
        record_outputs()
        without = [ledger.folder, *without]
        copies: list[Plan] = []
        for plan in plans:
            copies.append(_copy_source(plan, copies, ledger, without, saved=saved))
        copied = tuple(
            _add_files(plan, ledger, generated or {}, generated_unhashed) for plan in copies
        )
        for plan in copied:
            if plan.facts.emulated and not plan.facts.emulator:
                emulator_folder = ledger.job_folder(run, plan.provider) / EMULATOR_FOLDER
                settings = plan.settings
                more = (
                    settings.rehearse.options(plan.facts.base.absolute())
                    if isinstance(settings, CloudSettings)
                    else ()
                )
                save_options(plan.provider, emulation, emulator_folder, more)
        ledger.create_run(
            RunRecord(
                id=run,
                created=time.time(),
                name=first.study.name or "study",
                study=first.study.to_json(),
                file=first.study.file and str(Path(first.study.file).absolute()),
                overrides=None if overrides is None else tuple(overrides),
                base=str(first.facts.base),
                jobs=tuple(
                    JobRecord(run, plan.provider, plan.to_json(), emulated=plan.facts.emulated)
                    for plan in copied
                ),
            )
        )
    return NewRun(run, copied)


def plan_errors(plans: Sequence[Plan], *, strict: bool = False) -> dict[str, CloudtuneError]:
    """Return why plans cannot run on this machine, by provider; ``strict`` counts any finding."""
    errors: dict[str, CloudtuneError] = {}
    for plan in plans:
        try:
            require_runnable(plan, strict=strict)
        except (UnsupportedError, MissingExtraError, ProviderError) as error:
            errors[plan.provider] = error
    return errors


def _copy_source(
    plan: Plan, others: Sequence[Plan], ledger: Ledger, without: Sequence[Path], *, saved: bool
) -> Plan:
    """Copy the source of a plan into the run's folder; return the plan of the copy.

    A copy for one of the other plans is shared if it has the same files.
    """
    source, facts = plan.facts.source, plan.facts
    if source is None:
        return plan
    target = ledger.job_folder(facts.run_id, plan.provider) / "source"
    for other in others if facts.files and not saved else ():
        if (other.facts.source, other.facts.files) == (source, facts.files):
            with suppress(OSError):
                link_files(ledger.job_folder(facts.run_id, other.provider) / "source", target)
                return _replan(plan, other.facts.source_hash, other.facts.unhashed)
            shutil.rmtree(target, ignore_errors=True)
    unhashed = facts.unhashed
    if saved or facts.files is None:
        files = without_reports(source, list_files(source, without))
        now = unhashed_files(source, files, plan.study.file)
        unhashed = tuple(name for name in files if name in {*facts.unhashed, *now})
        if saved and fingerprint(source, files, unhashed) != facts.source_hash:
            raise UsageError(f"{source} has changed since it was planned; plan the study again")
    else:
        files = [name for name in facts.files if os.path.lexists(source / name)]
    return _replan(plan, copy_files(source, files, target, unhashed), unhashed)


def _add_files(
    plan: Plan, ledger: Ledger, generated: Mapping[str, bytes], not_hashed: Sequence[str]
) -> Plan:
    """Write files into the copy of a plan's source; return the plan with the new hash."""
    facts, requirements = plan.facts, plan.study.trial.requirements
    copy = ledger.job_folder(facts.run_id, plan.provider) / "source"
    if facts.source is not None and is_converted(requirements):
        write_requirements(copy, requirements, facts.locked)
        plan = _replan(plan, facts.source_hash, (*facts.unhashed, CONVERTED))
        facts = plan.facts
    if not generated:
        return plan
    for name, content in generated.items():
        (copy / name).write_bytes(content)
    names = [name for name in {*(facts.files or ()), *generated} if os.path.lexists(copy / name)]
    unhashed = (*facts.unhashed, *not_hashed)
    return _replan(plan, fingerprint(copy, sorted(names, key=os.fsencode), unhashed), unhashed)


def _replan(plan: Plan, source_hash: str | None, unhashed: tuple[str, ...]) -> Plan:
    """Return the plan with the hash of the copy of its source."""
    facts = plan.facts
    if (source_hash, unhashed) == (facts.source_hash, facts.unhashed):
        return plan
    facts = replace(facts, source_hash=source_hash, unhashed=unhashed)
    return plan_from_facts(plan.study, plan.provider, facts)


def execute(
    run: str,
    observer: Observer | None = None,
    *,
    on: Sequence[str] = (),
    plans: Sequence[Plan] = (),
) -> dict[str, Outcome]:
    """Execute the jobs of a run from their recorded events to their ends; return their outcomes.

    Ctrl-C, SIGTERM and `stop` end the run gracefully, and at once when they are repeated. A job
    that was started elsewhere ends by `stop` only: the others leave it. An observer that raises is
    dropped; the run continues.

    Args:
        run: The run's ID.
        observer: Receives the progress.
        on: The providers whose jobs are executed; all by default.
        plans: The plans of the run, if known; others are read from the ledger.

    Raises:
        UsageError: If there is no such run or job.
        LedgerError: If another process executes the run.
    """
    observer = safe_observer(observer)
    with Ledger() as ledger:
        if note := open_folder_note(ledger.folder):
            observer.message(note)
        while (outcomes := _execute(ledger, ledger.run(run), observer, on, plans)) is None:
            plans = ()
        return outcomes


def _execute(
    ledger: Ledger,
    record: RunRecord,
    observer: Observer,
    on: Sequence[str],
    plans: Sequence[Plan],
) -> dict[str, Outcome] | None:
    """Execute the jobs of a run; None if another process changed the run before it was locked."""
    selected = jobs_on(record, on)
    requests = StopRequests(record.jobs)
    loaded = _load_plans(record, plans)
    with ExitStack() as notified:
        valid = {name: plan for name, plan in loaded.items() if isinstance(plan, Plan)}
        notify = next((plan.study.notify for plan in valid.values()), None)
        if notify:
            notifier = notified.enter_context(Notifier(notify, record, observer.message))
            observer = observe_all(observer, safe_observer(notifier))
        budgets = create_budgets(valid, notify=observer.message, stop=requests.complete)
        outcomes = {job.provider: Outcome(job.state, job.reason) for job in record.jobs}
        errors: list[Exception] = []

        def execute_one(job: JobRecord) -> None:
            try:
                outcomes[job.provider] = execute_job(
                    job,
                    loaded[job.provider],
                    inbox=requests.inboxes[job.provider],
                    budget=JobBudget(job.provider, budgets),
                    observer=observer,
                    state=ledger.folder,
                    read_output=partial(read_output, record.id, on=job.provider),
                )
            except Exception as error:  # noqa: BLE001 - raised again when all jobs have ended
                errors.append(error)

        def receive(line: str) -> None:
            if line == PROPOSED:
                for name, plan in valid.items():
                    if plan.mode == "driven":
                        requests.inboxes[name].put(NewProposals())
                return
            if not line.startswith(REQUEST):
                requests.stop(line)
                return
            change_running(
                record.id,
                line,
                inboxes=requests.inboxes,
                budgets=budgets,
                notify=observer.message,
            )

        with (
            hold_run(ledger, record.id, receive),
            stop_on_signals(requests.interrupt),
            ExitStack() as active_budgets,
        ):
            if _history(ledger.run(record.id)) != _history(record):
                return None
            _log.debug("execute run %s on %s", record.id, [job.provider for job in selected])
            for budget in budgets:
                for provider in valid:
                    for _, event in ledger.events(record.id, provider):
                        budget.add(provider, event)
                active_budgets.enter_context(budget)
            if len(selected) == 1:
                execute_one(selected[0])
            else:
                threads: list[threading.Thread] = []
                for job in selected:
                    thread = threading.Thread(target=execute_one, args=(job,), name=job.provider)
                    try:
                        thread.start()
                    except RuntimeError as error:  # no more threads; the others still run
                        errors.append(error)
                    else:
                        threads.append(thread)
                for thread in threads:
                    thread.join()
        if errors:
            raise errors[0]
        return outcomes


def _history(record: RunRecord) -> list[tuple[object, ...]]:
    """Return what another process changes when it executes a run or changes its limits."""
    return [(job.state, job.process_started, job.changes) for job in record.jobs]


def _load_plans(record: RunRecord, plans: Sequence[Plan]) -> dict[str, Plan | Exception]:
    """Return the plan of each job, or the exception if it cannot be read: the job reports it."""
    loaded: dict[str, Plan | Exception] = {plan.provider: plan for plan in plans}
    for job in record.jobs:
        if job.provider not in loaded:
            try:
                loaded[job.provider] = restore_plan(job.plan)
            except Exception as error:  # noqa: BLE001 - fails its own job only
                loaded[job.provider] = error
    return loaded


def results(run: str) -> list[StudyResult]:
    """Return the results of each job of a run so far.

    Raises:
        UsageError: If there is no such run.
        LedgerError: If the ledger cannot be read.
    """
    return [replace(result, trials=tuple(trials)) for result, trials in read_results(run)]


def stop(run: str, *, on: Sequence[str] = ()) -> None:
    """Ask the process that executes a run to end jobs gracefully, on some providers or on all.

    Asking again ends them at once. If no process executes the run, jobs that continue at their
    services are first resumed in the background.

    Raises:
        UsageError: If there is no such run or job, or no process on this machine executes it.
    """
    with Ledger() as ledger:
        record = ledger.run(run)
        selected = [job.provider for job in jobs_on(record, on)]
        run_folder = ledger.run_folder(record.id)
        if resumed := resume_unattended(ledger, record, selected):
            on = resumed
        deadline = time.monotonic() + _MAX_WAIT
        while not request_stop(run_folder, on):
            if lock_holder(run_folder) is None or time.monotonic() >= deadline:
                raise UsageError(
                    f"run {record.id} is not running on this machine; for its state: "
                    f"cloudtune status {record.id}"
                )
            time.sleep(_POLL_SECONDS)


def jobs_on(record: RunRecord, providers: Sequence[str]) -> list[JobRecord]:
    """Return the jobs of a run on some providers; all jobs by default.

    Raises:
        UsageError: If it has no job on one of them.
    """
    available = [job.provider for job in record.jobs]
    for name in providers:
        if name not in available:
            raise UsageError(f"run {record.id} has no job on {name}; it has {', '.join(available)}")
    return [job for job in record.jobs if not providers or job.provider in providers]
