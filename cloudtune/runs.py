"""Runs: one submission of one study to one or more providers, from its plans to its end.

The order is always: write to the ledger, then act. A run is executed by the process that holds it;
any process can read it, and ask the holder to stop.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune import bundle, jobs, registry
from cloudtune.driver import Inbox, Outcome, StopRequest
from cloudtune.emulation.process import remember
from cloudtune.errors import MissingExtraError, UsageError
from cloudtune.found import found
from cloudtune.holding import ask_to_stop, hold
from cloudtune.ledger import Ledger, state_folder
from cloudtune.planning import Plan, plan_from_facts
from cloudtune.records import JobRecord, RunRecord
from cloudtune.results import StudyResult


def create(
    plans: Sequence[Plan],
    folder: Path | None = None,
    *,
    without: Sequence[Path] = (),
    overrides: Sequence[str] | None = None,
    saved: bool = False,
    emulation: Sequence[str] = (),
) -> str:
    """Write a new run to the ledger, with a copy of its source, and return its id.

    Args:
        plans: One a provider, all of one run.
        folder: The state folder.
        without: Files in the source folder that do not belong to it, such as the saved plan.
        overrides: The ``PATH=VALUE`` words with which the study was read from its file, so that
            the file can be looked at again when the run goes on; None where it may say otherwise.
        saved: Whether the plans were shown before, so that nothing may have changed since.
        emulation: Options of the emulators, where the run is emulated.

    Raises:
        UnsupportedError: If a plan is refused.
        MissingExtraError: If a package that a run needs is not installed.
        UsageError: If the run exists, or the source of a saved plan has changed.
        LedgerError: If the state folder cannot be used.
    """
    for plan in plans:
        plan.require()
        extra = registry.missing_extra(registry.get(plan.provider), emulated=plan.facts.emulated)
        if extra:
            raise MissingExtraError(f"a run on {plan.provider}", extra)
    first = plans[0]
    run = first.facts.run_id
    where = folder or state_folder()
    with Ledger(where, create=True) as ledger:
        if ledger.has(run):
            raise UsageError(
                f"run {run} exists: this plan was run before; `cloudtune resume {run}` goes on"
            )
        plans = [_with_source(plan, ledger, [where, *without], saved=saved) for plan in plans]
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
                    for plan in plans
                ),
            )
        )
        for plan in plans:
            if plan.facts.emulated:
                remember(jobs.job_folder(ledger, run, plan.provider) / jobs.EMULATOR, emulation)
    return run


def _with_source(plan: Plan, ledger: Ledger, without: Sequence[Path], *, saved: bool) -> Plan:
    """Copy a plan's code into the run's folder; return the plan of what was copied."""
    source, facts = plan.facts.source, plan.facts
    if source is None:
        return plan
    files = bundle.files(source, without)
    if saved and bundle.fingerprint(source, files) != facts.source_hash:
        raise UsageError(f"{source} has changed since it was planned; plan it again")
    target = jobs.job_folder(ledger, facts.run_id, plan.provider) / "source"
    bundle.snapshot(source, files, target)
    copied = bundle.fingerprint(target, files)
    if copied == facts.source_hash:
        return plan
    return plan_from_facts(plan.study, plan.provider, replace(facts, source_hash=copied))


def execute(
    run: str, observer: jobs.Observer | None = None, folder: Path | None = None
) -> dict[str, Outcome]:
    """Run a run's jobs from where they are to their ends, and return how each ended.

    Ctrl-C, SIGTERM and `stop` end the run gracefully, a second one at once. An observer that fails
    is not told any more; the run goes on.

    Raises:
        UsageError: If there is no such run.
        LedgerError: If another process holds it.
    """
    where = folder or state_folder()
    shown = jobs.Shown(observer)
    with Ledger(where) as ledger:
        record = ledger.run(run)
        wishes = _Wishes(job.provider for job in record.jobs)
        outcomes: dict[str, Outcome] = {}
        unforeseen: list[Exception] = []

        def execute_job(job: JobRecord) -> None:
            inbox = wishes.inboxes[job.provider]
            try:
                outcomes[job.provider] = jobs.execute_job(job, inbox, shown, where)
            except Exception as error:  # noqa: BLE001 - raised again when all jobs have ended
                unforeseen.append(error)

        with hold(ledger.run_folder(record.id), wishes.stop), _signals(wishes.stop):
            if len(record.jobs) == 1:
                execute_job(record.jobs[0])
            else:
                threads = [
                    threading.Thread(target=execute_job, args=(job,), name=job.provider)
                    for job in record.jobs
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
        if unforeseen:
            raise unforeseen[0]
        return {job.provider: outcomes[job.provider] for job in record.jobs}


class _Wishes:
    """The inboxes of a run's jobs, into which every wish to stop it goes."""

    def __init__(self, providers: Iterable[str]) -> None:
        self.inboxes: dict[str, Inbox] = {provider: Inbox() for provider in providers}
        self._asked = 0

    def stop(self) -> None:
        """Ask all jobs to end: the first time gracefully, then at once."""
        self._asked += 1
        for inbox in self.inboxes.values():
            inbox.put(StopRequest("interrupted", now=self._asked > 1))


@contextmanager
def _signals(stop: Callable[[], None]) -> Generator[None]:
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
    return [replace(result, trials=tuple(trials)) for result, trials in found(run, folder)]


def stop(run: str | None = None, folder: Path | None = None) -> str:
    """Ask the process that runs a run to end it gracefully, and return the run's id.

    Asking again ends it at once.

    Raises:
        UsageError: If there is no such run or nobody on this machine runs it now.
    """
    with Ledger(folder or state_folder()) as ledger:
        record = ledger.run(run)
        if not ask_to_stop(ledger.run_folder(record.id)):
            raise UsageError(
                f"run {record.id} is not running here; `cloudtune status {record.id}` tells more"
            )
        return record.id


def exit_code(outcomes: Mapping[str, Outcome], found: Sequence[StudyResult]) -> int:
    """Return the command's exit code: the first of 130, 3, 4 that occurs, else 0."""
    if any(outcome.state == "cancelled" for outcome in outcomes.values()):
        return 130
    if any(outcome.state != "completed" for outcome in outcomes.values()):
        return 3
    if any(all(trial.objective is None for trial in result.trials) for result in found):
        return 4
    return 0
