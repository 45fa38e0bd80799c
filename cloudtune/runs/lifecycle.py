"""Runs: one submission of one study to one or more providers, from its plans to its end.

The order is always: write to the ledger, then act. A run is executed by the process that holds it;
any process can read it, and ask the holder to stop.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from cloudtune.bundle import files as bundle
from cloudtune.emulation.process import Manner, remember
from cloudtune.engine import job as jobs
from cloudtune.engine.budget import JobBudget, create_budgets
from cloudtune.engine.inbox import Inbox, StopRequest
from cloudtune.errors import (
    CloudtuneError,
    MissingExtraError,
    ProviderError,
    UnsupportedError,
    UsageError,
)
from cloudtune.ledger.home import EMULATOR_FOLDER, state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import RunLock, lock_holder, request_stop
from cloudtune.ledger.reader import read_results
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.planning.planner import plan_from_facts
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider.plan import Plan
from cloudtune.results.events import Outcome
from cloudtune.results.model import StudyResult
from cloudtune.runs.detach import resume_detached, unattended_jobs

_MAX_WAIT = 2.0
"""Seconds to wait for a process that has just taken up a run."""
_POLL_SECONDS = 0.05


class NewRun(NamedTuple):
    """A run that was written to the ledger."""

    id: str
    plans: tuple[Plan, ...]
    """The plans of what was copied, to be passed to `execute`."""


def create(
    plans: Sequence[Plan],
    folder: Path | None = None,
    *,
    without: Sequence[Path] = (),
    overrides: Sequence[str] | None = None,
    saved: bool = False,
    emulation: Manner = Manner(),  # noqa: B008 - immutable
) -> NewRun:
    """Write a new run to the ledger, with a copy of its source, and return its id and plans.

    A provider that cannot run the study keeps none of the others from it: its job fails when the
    run is executed. Where none can, there is no run.

    Args:
        plans: One a provider, all of one run.
        folder: The state folder.
        without: Files in the source folder that do not belong to it, such as the saved plan.
        overrides: The ``PATH=VALUE`` words with which the study was read from its file, so that
            the file can be looked at again when the run goes on; None where it may say otherwise.
        saved: Whether the plans were shown before, so that nothing may have changed since.
        emulation: How the emulators behave, where the run is emulated.

    Raises:
        UnsupportedError: If every plan is refused; this is told of the first.
        MissingExtraError: If no plan can be run, the first since a package is not installed.
        ProviderError: If no plan can be run, the first since its provider's code has a mistake.
        UsageError: If the run exists, or the source of a saved plan has changed.
        LedgerError: If the state folder cannot be used.
    """
    against = plan_errors(plans)
    if len(against) == len(plans):
        raise against[plans[0].provider]
    first = plans[0]
    run = first.facts.run_id
    where = folder or state_folder()
    with Ledger(where, create=True) as ledger:
        if ledger.has_run(run):
            raise UsageError(
                f"run {run} exists: this plan was run before; `cloudtune resume {run}` goes on"
            )
        copied = [_copy_source(plan, ledger, [where, *without], saved=saved) for plan in plans]
        for plan in copied:
            if plan.facts.emulated:
                home = ledger.job_folder(run, plan.provider) / EMULATOR_FOLDER
                remember(plan.provider, emulation, home)
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
                    JobRecord(
                        run,
                        plan.provider,
                        plan.to_json(),
                        "pending",
                        "",
                        None,
                        plan.facts.emulated,
                    )
                    for plan in copied
                ),
            )
        )
    return NewRun(run, tuple(copied))


def plan_errors(plans: Sequence[Plan], *, strict: bool = False) -> dict[str, CloudtuneError]:
    """Return why plans cannot be run here, by the providers of those that cannot.

    With ``strict`` any finding is a reason.
    """
    found: dict[str, CloudtuneError] = {}
    for plan in plans:
        try:
            jobs.require_runnable(plan, strict=strict)
        except (UnsupportedError, MissingExtraError, ProviderError) as error:
            found[plan.provider] = error
    return found


def _copy_source(plan: Plan, ledger: Ledger, without: Sequence[Path], *, saved: bool) -> Plan:
    """Copy a plan's code into the run's folder; return the plan of what was copied."""
    source, facts = plan.facts.source, plan.facts
    if source is None:
        return plan
    if saved or facts.files is None:
        files = bundle.list_files(source, without)
        if saved and bundle.fingerprint(source, files) != facts.source_hash:
            raise UsageError(f"{source} has changed since it was planned; plan it again")
    else:
        files = [name for name in facts.files if os.path.lexists(source / name)]
    target = ledger.job_folder(facts.run_id, plan.provider) / "source"
    bundle.copy_files(source, files, target)
    copied = bundle.fingerprint(target, files)
    if copied == facts.source_hash:
        return plan
    return plan_from_facts(plan.study, plan.provider, replace(facts, source_hash=copied))


def execute(
    run: str,
    observer: jobs.Observer | None = None,
    folder: Path | None = None,
    *,
    on: Sequence[str] = (),
    plans: Sequence[Plan] = (),
) -> dict[str, Outcome]:
    """Run a run's jobs from where they are to their ends, and return how each ended.

    Ctrl-C, SIGTERM and `stop` end the run gracefully, a second one at once. An observer that fails
    is not told any more; the run goes on.

    Args:
        run: The run's id.
        observer: Is shown what happens.
        folder: The state folder.
        on: The providers whose jobs are run; all when left out. Others stay as they are.
        plans: The plans of the run, as `create` returned them; others are read from the ledger.

    Raises:
        UsageError: If there is no such run or job.
        LedgerError: If another process holds it.
    """
    where = folder or state_folder()
    shown = jobs.SafeObserver(observer)
    with Ledger(where) as ledger:
        record = ledger.run(run)
        chosen = jobs_on(record, on)
        wishes = _StopRequests(job.provider for job in record.jobs)
        loaded = _load_plans(record, plans)
        valid = {name: plan for name, plan in loaded.items() if isinstance(plan, Plan)}
        budgets = create_budgets(valid, notify=shown.message, stop=wishes.end) if valid else []
        outcomes = {job.provider: Outcome(job.state, job.reason) for job in record.jobs}
        unforeseen: list[Exception] = []

        def execute_job(job: JobRecord) -> None:
            inbox, budget = wishes.inboxes[job.provider], JobBudget(job.provider, budgets)
            try:
                plan = loaded[job.provider]
                outcomes[job.provider] = jobs.execute_job(
                    job, plan, inbox=inbox, budget=budget, observer=shown, state=where
                )
            except Exception as error:  # noqa: BLE001 - raised again when all jobs have ended
                unforeseen.append(error)

        with (
            RunLock(ledger.run_folder(record.id), wishes.stop),
            _stop_on_signals(wishes.stop),
            ExitStack() as watched,
        ):
            for budget in budgets:
                for provider in valid:
                    for _, event in ledger.events(record.id, provider):
                        budget.tell(provider, event)
                watched.enter_context(budget)
            if len(chosen) == 1:
                execute_job(chosen[0])
            else:
                threads = [
                    threading.Thread(target=execute_job, args=(job,), name=job.provider)
                    for job in chosen
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
        if unforeseen:
            raise unforeseen[0]
        return outcomes


def _load_plans(record: RunRecord, plans: Sequence[Plan]) -> dict[str, Plan | Exception]:
    """Return the plans of a run's jobs; those that are not given are read from the ledger.

    If a plan cannot be read, the exception takes its place: it fails its own job only.
    """
    loaded: dict[str, Plan | Exception] = {plan.provider: plan for plan in plans}
    for job in record.jobs:
        if job.provider not in loaded:
            try:
                loaded[job.provider] = restore_plan(job.plan)
            except Exception as error:  # noqa: BLE001 - the job reports it
                loaded[job.provider] = error
    return loaded


class _StopRequests:
    """The inboxes of a run's jobs, into which every wish to stop them goes."""

    def __init__(self, providers: Iterable[str]) -> None:
        self.inboxes: dict[str, Inbox] = {provider: Inbox() for provider in providers}
        self._asked: set[str] = set()

    def stop(self, provider: str = "") -> None:
        """Ask a job, or all, to end: the first time gracefully, then at once."""
        for name in [provider] if provider in self.inboxes else self.inboxes:
            self.inboxes[name].put(StopRequest("interrupted", now=name in self._asked))
            self._asked.add(name)

    def end(self, providers: Iterable[str], reason: str) -> None:
        """Ask jobs to end, since they have got what they were given."""
        for provider in providers:
            self.inboxes[provider].put(StopRequest(reason, state="completed"))


@contextmanager
def _stop_on_signals(stop: Callable[[], None]) -> Generator[None]:
    """Let signals ask for a stop while the block runs; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def asked(_number: int, _frame: Any) -> None:
        stop()

    names = ["SIGINT", "SIGTERM", "SIGHUP"]
    signals = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {each: signal.getsignal(each) for each in signals}
    for each in signals:
        if before[each] is not signal.SIG_IGN:
            signal.signal(each, asked)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def results(run: str | None = None, folder: Path | None = None) -> list[StudyResult]:
    """Return what each job of a run found so far.

    Raises:
        UsageError: If there is no such run.
        LedgerError: If the ledger cannot be read.
    """
    return [replace(result, trials=tuple(trials)) for result, trials in read_results(run, folder)]


def stop(run: str | None = None, folder: Path | None = None, *, on: Sequence[str] = ()) -> str:
    """Ask the process that runs a run to end it gracefully, and return the run's id.

    Asking again ends it at once. A job that goes on at a service while nobody runs the run is
    taken up for that.

    Args:
        run: The run's id, or the start of it; the latest when left out.
        folder: The state folder.
        on: The providers whose jobs are to end; all when left out.

    Raises:
        UsageError: If there is no such run or job, or nobody on this machine runs it now.
    """
    with Ledger(folder or state_folder()) as ledger:
        record = ledger.run(run)
        chosen = [job.provider for job in jobs_on(record, on)]
        place = ledger.run_folder(record.id)
        alone = [each for each in unattended_jobs(record) if each in chosen]
        if alone and lock_holder(place) is None:
            resume_detached(record.id, alone, folder)
            on = alone
        due = time.monotonic() + _MAX_WAIT
        while not request_stop(place, on):
            if lock_holder(place) and time.monotonic() < due:
                time.sleep(_POLL_SECONDS)  # it holds the run and is about to listen
                continue
            raise UsageError(
                f"run {record.id} is not running here; `cloudtune status {record.id}` tells more"
            )
        return record.id


def jobs_on(record: RunRecord, providers: Sequence[str]) -> list[JobRecord]:
    """Return the jobs of a run on some providers; on all where none is named.

    Raises:
        UsageError: If it has no job on one of them.
    """
    names = [job.provider for job in record.jobs]
    for each in providers:
        if each not in names:
            raise UsageError(f"run {record.id} has no job on {each}; it has {', '.join(names)}")
    return [job for job in record.jobs if not providers or job.provider in providers]
