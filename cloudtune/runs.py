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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from cloudtune import bundle, registry
from cloudtune.driver import Driver, Inbox, Outcome, StopRequest
from cloudtune.emulation.process import end, of_job, remember, running
from cloudtune.errors import CloudtuneError, UsageError
from cloudtune.events import Event
from cloudtune.holding import ask_to_stop, hold
from cloudtune.ledger import JobRecord, Ledger, RunRecord, state_folder
from cloudtune.managed import ManagedJob
from cloudtune.planning import Plan, from_json, plan_from_facts
from cloudtune.provider import Place
from cloudtune.results import StudyResult, result_of

EMULATOR = "emulator"
"""The folder, in that of a job, in which its emulator keeps its state."""


class Observer(Protocol):
    """Is shown a run while it goes on; calls may come from several threads."""

    def begin(self, plan: Plan, events: Sequence[Event]) -> None:
        """A job begins, or goes on from its earlier events."""
        ...

    def event(self, provider: str, event: Event) -> None:
        """Something happened to a trial of a job, and is in the ledger."""
        ...

    def message(self, text: str) -> None:
        """Something worth a line was noticed."""
        ...


class _Shown:
    """An observer that is let go of once it fails: a closed terminal ends no run."""

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer

    def begin(self, plan: Plan, events: Sequence[Event]) -> None:
        self._tell(lambda observer: observer.begin(plan, events))

    def event(self, provider: str, event: Event) -> None:
        self._tell(lambda observer: observer.event(provider, event))

    def message(self, text: str) -> None:
        self._tell(lambda observer: observer.message(text))

    def _tell(self, call: Callable[[Observer], None]) -> None:
        if self._observer is None:
            return
        try:
            call(self._observer)
        except Exception:  # noqa: BLE001 - whatever it is, it only concerns what is shown
            self._observer = None


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
        UsageError: If the run exists, or the source of a saved plan has changed.
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
                remember(job_folder(ledger, run, plan.provider) / EMULATOR, emulation)
    return run


def _with_source(plan: Plan, ledger: Ledger, without: Sequence[Path], *, saved: bool) -> Plan:
    """Copy a plan's code into the run's folder; return the plan of what was copied."""
    source, facts = plan.facts.source, plan.facts
    if source is None:
        return plan
    files = bundle.files(source, without)
    if saved and bundle.fingerprint(source, files) != facts.source_hash:
        raise UsageError(f"{source} has changed since it was planned; plan it again")
    target = job_folder(ledger, facts.run_id, plan.provider) / "source"
    bundle.snapshot(source, files, target)
    copied = bundle.fingerprint(target, files)
    if copied == facts.source_hash:
        return plan
    return plan_from_facts(plan.study, plan.provider, replace(facts, source_hash=copied))


def job_folder(ledger: Ledger, run: str, provider: str) -> Path:
    """Return the folder of one job's files; it need not exist yet."""
    return ledger.run_folder(run) / provider


def execute(
    run: str, observer: Observer | None = None, folder: Path | None = None
) -> dict[str, Outcome]:
    """Run a run's jobs from where they are to their ends, and return how each ended.

    Ctrl-C, SIGTERM and `stop` end the run gracefully, a second one at once. An observer that fails
    is not told any more; the run goes on.

    Raises:
        UsageError: If there is no such run.
        LedgerError: If another process holds it.
    """
    where = folder or state_folder()
    shown = _Shown(observer)
    with Ledger(where) as ledger:
        record = ledger.run(run)
        wishes = _Wishes(job.provider for job in record.jobs)
        outcomes: dict[str, Outcome] = {}
        unforeseen: list[Exception] = []

        def execute_job(job: JobRecord) -> None:
            inbox = wishes.inboxes[job.provider]
            try:
                outcomes[job.provider] = _execute_job(job, inbox, shown, where)
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


@dataclass(frozen=True)
class _Work:
    """One job, with all that its execution touches."""

    plan: Plan
    job: JobRecord
    events: Sequence[Event]
    inbox: Inbox
    shown: _Shown
    ledger: Ledger
    place: Place

    def record(self, new: Sequence[Event]) -> None:
        self.ledger.append(self.job.run, self.job.provider, *new)

    def observe(self, event: Event) -> None:
        self.shown.event(self.job.provider, event)


def _execute_job(job: JobRecord, inbox: Inbox, shown: _Shown, where: Path) -> Outcome:
    """Run one job; a failure of its provider is its outcome and does not touch other jobs."""
    with Ledger(where) as ledger:
        before = ledger.last_event(job.run, job.provider)
        ledger.begin_job(job.run, job.provider)
        begun = next(j for j in ledger.run(job.run).jobs if j.provider == job.provider)
        outcome = Outcome("unknown", "it was not brought to an end")
        try:
            plan = from_json(begun.plan)
            events = [event for _, event in ledger.events(job.run, job.provider)]
            shown.begin(plan, events)
            place = place_of(plan, ledger)
            run_one = _run_driven if plan.mode == "driven" else _run_managed
            outcome = run_one(_Work(plan, begun, events, inbox, shown, ledger, place))
            _let_go(place, plan, outcome)
        except CloudtuneError as error:
            outcome = Outcome("failed", str(error))
        finally:
            idle = ledger.last_event(job.run, job.provider) == before
            ended = job.ended if idle else None
            ledger.end_job(job.run, job.provider, outcome.state, outcome.reason, ended)
        return outcome


def place_of(plan: Plan, ledger: Ledger) -> Place:
    """Return where the job of a run's plan is at home, with its emulator running if it has one.

    Raises:
        MissingExtraError: If a package that the emulator needs is not installed.
        ProviderError: If the emulator does not come up.
    """
    folder = job_folder(ledger, plan.facts.run_id, plan.provider)
    folder.mkdir(parents=True, exist_ok=True)
    module = registry.get(plan.provider).emulator
    if not plan.facts.emulated or module is None:
        return Place(folder)
    return Place(folder, of_job(plan.provider, module, folder / EMULATOR))


def _let_go(place: Place, plan: Plan, outcome: Outcome) -> None:
    """End a job's emulator, unless it may be gone on with: then it ends by itself when idle."""
    final = outcome.state in {"completed", "failed"}
    if place.emulator and (final or (plan.mode == "managed" and outcome.state == "cancelled")):
        address = running(place.folder / EMULATOR)
        if address:
            end(address)


def _run_driven(work: _Work) -> Outcome:
    from cloudtune.search.start import make

    plan, job = work.plan, work.job
    study = plan.fitted.study
    driver = Driver(
        study,
        make(study, plan.facts.seed, plan.facts.parents, max_trials=study.limits.max_trials),
        run=job.run,
        inbox=work.inbox,
        record=work.record,
        observe=work.observe,
        say=work.shown.message,
        price=plan.facts.price_per_second,
    )
    driver.replay(work.events)
    place = replace(work.place, say=work.shown.message)
    runner = registry.get(job.provider).runner(plan, place, work.inbox.put)
    try:
        return driver.run(runner, spent=job.spent)
    finally:
        runner.close()


def _run_managed(work: _Work) -> Outcome:
    plan, job = work.plan, work.job
    managed = ManagedJob(
        plan,
        inbox=work.inbox,
        record=work.record,
        observe=work.observe,
        say=work.shown.message,
    )
    managed.replay(work.events)
    return managed.run(
        registry.get(job.provider).client(plan, work.place),
        job.job,
        lambda name: work.ledger.name_job(job.run, job.provider, name),
    )


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
    with Ledger(folder or state_folder()) as ledger:
        record = ledger.run(run)
        return [
            result_of(record, job, (event for _, event in ledger.events(record.id, job.provider)))
            for job in record.jobs
        ]


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
