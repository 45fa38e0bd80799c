"""Runs: one submission of one study to one or more providers, from its plans to its end.

The order is always: write to the ledger, then act. A run is executed by the process that holds it;
any process can read it, and ask the holder to stop.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from cloudtune import bundle, registry
from cloudtune.driver import Driver, Inbox, Outcome, StopRequest
from cloudtune.errors import CloudtuneError, UsageError
from cloudtune.events import Event
from cloudtune.holding import hold, holder
from cloudtune.ledger import JobRecord, Ledger, RunRecord, state_folder
from cloudtune.managed import ManagedJob
from cloudtune.planning import Plan, from_json, plan_again
from cloudtune.provider import RunnerPlace
from cloudtune.results import StudyResult, result_of
from cloudtune.study import Study


class Observer(Protocol):
    """Is shown a run while it goes on; calls may come from several threads."""

    def begin(self, plan: Plan, events: Sequence[Event]) -> None:
        """A job begins, or goes on from its earlier events."""
        ...

    def event(self, provider: str, event: Event) -> None:
        """Something happened to a trial of a job, and is in the ledger."""
        ...

    def end(self, provider: str, outcome: Outcome) -> None:
        """A job ended."""
        ...

    def message(self, text: str) -> None:
        """Something worth a line was noticed."""
        ...


class Silent:
    """An observer that shows nothing."""

    def begin(self, plan: Plan, events: Sequence[Event]) -> None:
        """Show nothing."""

    def event(self, provider: str, event: Event) -> None:
        """Show nothing."""

    def end(self, provider: str, outcome: Outcome) -> None:
        """Show nothing."""

    def message(self, text: str) -> None:
        """Show nothing."""


def create(
    plans: Sequence[Plan], folder: Path | None = None, *, without: Sequence[Path] = ()
) -> str:
    """Write a new run to the ledger, with a copy of its source, and return its id.

    Args:
        plans: One a provider, all of one run.
        folder: The state folder.
        without: Files in the source folder that do not belong to it, such as the saved plan.

    Raises:
        UnsupportedError: If a plan is refused.
        UsageError: If the run exists, or the source has changed since it was planned.
        LedgerError: If the state folder cannot be used.
    """
    for plan in plans:
        plan.require()
    first = plans[0]
    run = first.facts.run_id
    where = folder or state_folder()
    with Ledger(where, create=True) as ledger:
        if ledger.has(run):
            raise UsageError(
                f"run {run} exists: this plan was run before; `cloudtune resume {run}` goes on"
            )
        bundles = [(plan, *_bundle(plan, [where, *without])) for plan in plans if plan.facts.source]
        for plan, source, files in bundles:
            bundle.snapshot(source, files, job_folder(ledger, run, plan.provider) / "source")
        ledger.create_run(
            RunRecord(
                id=run,
                created=time.time(),
                name=first.study.name or "study",
                study=first.study.to_json(),
                file=str(Path(first.study.file).absolute()) if first.study.file else None,
                base=str(first.facts.base),
                jobs=tuple(
                    JobRecord(run, plan.provider, plan.to_json(), "pending", "", None, False)
                    for plan in plans
                ),
            )
        )
    return run


def _bundle(plan: Plan, without: Sequence[Path]) -> tuple[Path, list[str]]:
    """Return the folder and files of a plan's code, if they are what was planned."""
    source = plan.facts.source
    assert source is not None
    files = bundle.files(source, without)
    if bundle.fingerprint(source, files) != plan.facts.source_hash:
        raise UsageError(f"{source} has changed since it was planned; plan it again")
    return source, files


def job_folder(ledger: Ledger, run: str, provider: str) -> Path:
    """Return the folder of one job's files; it need not exist yet."""
    return ledger.run_folder(run) / provider


def execute(
    run: str, observer: Observer | None = None, folder: Path | None = None
) -> dict[str, Outcome]:
    """Run a run's jobs from where they are to their ends, and return how each ended.

    Ctrl-C and SIGTERM end the run gracefully, a second one at once.

    Raises:
        UsageError: If there is no such run.
        LedgerError: If another process holds it.
    """
    where = folder or state_folder()
    shown = observer or Silent()
    with Ledger(where) as ledger:
        record = ledger.run(run)
        inboxes: dict[str, Inbox] = {job.provider: Inbox() for job in record.jobs}
        outcomes: dict[str, Outcome] = {}

        def execute_job(job: JobRecord) -> None:
            outcomes[job.provider] = _execute_job(job, inboxes[job.provider], shown, where)

        with hold(ledger.run_folder(record.id)), _stopping(inboxes, shown):
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
        return {job.provider: outcomes[job.provider] for job in record.jobs}


def _execute_job(job: JobRecord, inbox: Inbox, observer: Observer, where: Path) -> Outcome:
    """Run one job; a failure of its provider is its outcome and does not touch other jobs."""
    with Ledger(where) as ledger:
        ledger.begin_job(job.run, job.provider)
        begun = next(j for j in ledger.run(job.run).jobs if j.provider == job.provider)
        outcome = Outcome("unknown", "it was not brought to an end")
        try:
            plan = from_json(begun.plan)
            events = [event for _, event in ledger.events(job.run, job.provider)]
            observer.begin(plan, events)
            run_one = _run_driven if plan.mode == "driven" else _run_managed
            outcome = run_one(plan, begun, events, inbox, observer, ledger)
        except CloudtuneError as error:
            outcome = Outcome("failed", str(error))
        finally:
            ledger.end_job(job.run, job.provider, outcome.state, outcome.reason)
        observer.end(job.provider, outcome)
        return outcome


def _run_driven(  # noqa: PLR0917
    plan: Plan,
    job: JobRecord,
    events: Sequence[Event],
    inbox: Inbox,
    observer: Observer,
    ledger: Ledger,
) -> Outcome:
    from cloudtune.search.start import make

    study = plan.fitted.study
    driver = Driver(
        study,
        make(study, plan.facts.seed, plan.facts.parents, max_trials=study.limits.max_trials),
        run=job.run,
        inbox=inbox,
        record=lambda new: ledger.append(job.run, job.provider, *new),
        observe=lambda event: observer.event(job.provider, event),
        price=plan.facts.own.get("price_per_second"),
    )
    driver.replay(events)
    folder = job_folder(ledger, job.run, job.provider)
    folder.mkdir(parents=True, exist_ok=True)
    runner = registry.get(job.provider).runner(
        plan.fitted, plan.request, plan.facts, RunnerPlace(folder, inbox.put)
    )
    try:
        return driver.run(runner, spent=job.spent)
    finally:
        runner.close()


def _run_managed(  # noqa: PLR0917
    plan: Plan,
    job: JobRecord,
    events: Sequence[Event],
    inbox: Inbox,
    observer: Observer,
    ledger: Ledger,
) -> Outcome:
    managed = ManagedJob(
        plan,
        inbox=inbox,
        record=lambda new: ledger.append(job.run, job.provider, *new),
        observe=lambda event: observer.event(job.provider, event),
    )
    managed.replay(events)
    return managed.run(
        registry.get(job.provider).client(plan.settings),
        job.job,
        lambda name: ledger.name_job(job.run, job.provider, name),
    )


@contextmanager
def _stopping(inboxes: Mapping[str, Inbox], observer: Observer) -> Generator[None]:
    """Turn signals into stop requests while the block runs, in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = 0

    def stop(_number: int, _frame: Any) -> None:
        nonlocal asked
        asked += 1
        for inbox in inboxes.values():
            inbox.put(StopRequest("interrupted", now=asked > 1))
        if asked == 1:
            observer.message("running trials were asked to end; once more ends them at once")

    names = ["SIGINT", "SIGTERM", "SIGHUP"]
    signals = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {each: signal.getsignal(each) for each in signals}
    for each in signals:
        if before[each] is not signal.SIG_IGN:
            signal.signal(each, stop)
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
    with Ledger(folder or state_folder()) as ledger:
        record = ledger.run(run)
        return [
            result_of(record, job, (event for _, event in ledger.events(record.id, job.provider)))
            for job in record.jobs
        ]


def stop(run: str | None = None, folder: Path | None = None) -> str:
    """Ask the process that holds a run to end it gracefully, and return the run's id.

    Raises:
        UsageError: If there is no such run or nobody on this machine runs it now.
    """
    with Ledger(folder or state_folder()) as ledger:
        record = ledger.run(run)
        process = holder(ledger.run_folder(record.id))
        if process is None:
            raise UsageError(
                f"run {record.id} is not running here; `cloudtune status {record.id}` tells more"
            )
        os.kill(process, signal.SIGTERM)
        return record.id


def raise_limits(run: str, study: Study, folder: Path | None = None) -> None:
    """Go on with other limits: replace the study and plans of a run that is not running.

    Raises:
        UsageError: If anything but the limits differs.
        UnsupportedError: If a provider cannot keep the new limits.
    """
    with Ledger(folder or state_folder()) as ledger:
        record = ledger.run(run)
        before = Study.model_validate(record.study)
        if before.model_copy(update={"limits": study.limits}).to_json() != study.to_json():
            raise UsageError("only limits can be changed when a run goes on")
        plans: dict[str, Any] = {}
        for job in record.jobs:
            new = plan_again(from_json(job.plan), study)
            new.require()
            plans[job.provider] = new.to_json()
        ledger.set_study(record.id, study.to_json(), plans)


def exit_code(outcomes: Mapping[str, Outcome], found: Sequence[StudyResult]) -> int:
    """Return the command's exit code: the first of 130, 3, 4 that occurs, else 0."""
    if any(outcome.state == "cancelled" for outcome in outcomes.values()):
        return 130
    if any(outcome.state != "completed" for outcome in outcomes.values()):
        return 3
    if any(all(trial.objective is None for trial in result.trials) for result in found):
        return 4
    return 0
