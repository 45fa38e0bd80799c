"""One job of a run, executed in this process from where its events leave off to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from cloudtune.emulation.process import end, of_job, running
from cloudtune.engine.budget import JobBudget
from cloudtune.engine.driver import Driver
from cloudtune.engine.inbox import Inbox
from cloudtune.engine.managed_job import ManagedJob
from cloudtune.errors import CloudtuneError, MissingExtraError, UnsupportedError
from cloudtune.ledger.home import EMULATOR_FOLDER
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.records import JobRecord
from cloudtune.planning.planner import restore_plan
from cloudtune.provider import registry
from cloudtune.provider.crash_report import write_crash_report
from cloudtune.provider.models import JobContext, Lost
from cloudtune.provider.plan import Plan
from cloudtune.provider.secrets import Mask
from cloudtune.results.events import FINAL_STATES, Ended, Event, Measured, Outcome, Started

_FAILURE = "failure.txt"
"""The file, in the folder of a job, with the traceback of what nobody foresaw."""


class Observer(Protocol):
    """Is shown a run while it goes on; calls may come from several threads."""

    def begin(self, plan: Plan, events: Sequence[Event], elapsed: float) -> None:
        """A job begins, or goes on from its earlier events and the seconds that it ran before."""
        ...

    def events(self, provider: str, events: Sequence[Event]) -> None:
        """This happened to trials of a job, in this order, and is in the ledger."""
        ...

    def end(self, provider: str, outcome: Outcome) -> None:
        """A job that had begun has come to its end here."""
        ...

    def message(self, text: str) -> None:
        """Something worth a line was noticed."""
        ...


class SafeObserver:
    """An observer that is let go of once it fails: a closed terminal ends no run."""

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer

    def begin(self, plan: Plan, events: Sequence[Event], elapsed: float) -> None:
        """Show that a job begins."""
        self._tell(lambda observer: observer.begin(plan, events, elapsed))

    def events(self, provider: str, events: Sequence[Event]) -> None:
        """Show what happened to trials."""
        self._tell(lambda observer: observer.events(provider, events))

    def end(self, provider: str, outcome: Outcome) -> None:
        """Show how a job ended."""
        self._tell(lambda observer: observer.end(provider, outcome))

    def message(self, text: str) -> None:
        """Show a line."""
        self._tell(lambda observer: observer.message(text))

    def _tell(self, call: Callable[[Observer], None]) -> None:
        if self._observer is None:
            return
        try:
            call(self._observer)
        except Exception:  # noqa: BLE001 - whatever it is, it only concerns what is shown
            self._observer = None


@dataclass(frozen=True)
class _Work:
    """One job, with all that its execution touches."""

    plan: Plan
    job: JobRecord
    events: Sequence[Event]
    inbox: Inbox
    shown: SafeObserver
    ledger: Ledger
    context: JobContext
    mask: Mask
    budget: JobBudget
    again: bool
    """Whether an earlier process took the job up."""

    def emit(self, *events: Measured | Ended | Lost, inline: bool = False) -> None:
        self.inbox.put(*map(self._fit_to_keep, events), inline=inline)

    def _fit_to_keep(self, event: Measured | Ended | Lost) -> Measured | Ended | Lost:
        if isinstance(event, Ended):
            return self.mask.end(event)
        if isinstance(event, Lost) and event.error is not None:
            why = write_crash_report(event.error, self.context.folder / _FAILURE, self.mask)
            return replace(event, reason=f"{why}{event.reason}")
        return event

    def notify(self, text: str) -> None:
        several = "" if text.startswith(f"{self.job.provider}: ") else f"{self.job.provider}: "
        self.shown.message(several + self.mask(text))

    def record(self, new: Sequence[Event]) -> None:
        self.ledger.append(self.job.run, self.job.provider, *new)

    def observe(self, events: Sequence[Event]) -> None:
        self.shown.events(self.job.provider, events)


def execute_job(
    job: JobRecord, inbox: Inbox, budget: JobBudget, shown: SafeObserver, where: Path
) -> Outcome:
    """Run one job; a failure of its provider is its outcome and does not touch other jobs."""
    if job.job is not None and job.state in FINAL_STATES and job.plan["mode"] == "managed":
        return _as_it_ended(job, shown, where)
    with Ledger(where) as ledger:
        before = ledger.last_event_number(job.run, job.provider)
        ledger.begin_job(job.run, job.provider)
        clock = time.monotonic()
        begun = next(j for j in ledger.run(job.run).jobs if j.provider == job.provider)
        outcome = Outcome("unknown", "it was not brought to an end")
        context: JobContext | None = None
        mask: Callable[[str], str] = str
        try:
            plan = restore_plan(begun.plan)
            events = [event for _, event in ledger.events(job.run, job.provider)]
            shown.begin(plan, events, begun.elapsed(time.time()))
            require_runnable(plan)
            context = job_context(plan, ledger)
            mask = secrets = Mask(plan.study)
            run_one = _run_driven if plan.mode == "driven" else _run_managed
            again = job.process_started is not None
            work = _Work(plan, begun, events, inbox, shown, ledger, context, secrets, budget, again)
            outcome = run_one(work)
            _let_go(context, plan.mode, outcome)
        except UnsupportedError as error:
            why = "; ".join(f"{f.path}: {f.reason}" for f in error.findings)
            outcome = Outcome("failed" if _was_made(ledger, job) else "refused", why)
        except CloudtuneError as error:
            outcome = Outcome("failed", str(error))
            if context is not None and job.process_started is None and not _was_made(ledger, job):
                _let_go(context, job.plan["mode"], outcome)
        except Exception as error:  # noqa: BLE001 - a mistake in the code of this provider alone
            folder = ledger.job_folder(job.run, job.provider)
            outcome = _broken_off(ledger, job, write_crash_report(error, folder / _FAILURE, mask))
            if context is not None and outcome.state == "failed":
                _let_go(context, job.plan["mode"], outcome)
        finally:
            outcome = replace(outcome, reason=mask(outcome.reason))
            shown.end(job.provider, outcome)
            idle = ledger.last_event_number(job.run, job.provider) == before
            ended, ran = (job.ended, None) if idle else (None, time.monotonic() - clock)
            ledger.end_job(
                job.run, job.provider, outcome.state, outcome.reason, ended=ended, ran=ran
            )
        return outcome


def _as_it_ended(job: JobRecord, shown: SafeObserver, where: Path) -> Outcome:
    """Show a managed job that has ended, and return how."""
    outcome = Outcome(job.state, job.reason)
    try:
        with Ledger(where) as ledger:
            events = [event for _, event in ledger.events(job.run, job.provider)]
        shown.begin(restore_plan(job.plan), events, job.elapsed(job.ended or 0.0))
    except CloudtuneError as error:
        shown.message(f"{job.provider}: {error}")
    ended = f"{job.provider}: the job {job.job}"
    if job.state == "completed":
        shown.message(f"{ended} is complete: nothing is left to do there")
    else:
        shown.message(
            f"{ended} has {job.state if job.state == 'failed' else 'ended'} there and cannot go "
            f"on; a new run can build on it: warm_start: {{from: {job.run}}}"
        )
    shown.end(job.provider, outcome)
    return outcome


def require_runnable(plan: Plan, *, strict: bool = False) -> None:
    """Do nothing if this machine can run a plan; with ``strict``, without any finding.

    Raises:
        UnsupportedError: If a finding refuses it.
        MissingExtraError: If a package that a run needs is not installed.
    """
    plan.require(strict=strict)
    extra = registry.missing_extra(registry.get(plan.provider), emulated=plan.facts.emulated)
    if extra:
        raise MissingExtraError(f"a run on {plan.provider}", extra)


def job_context(plan: Plan, ledger: Ledger) -> JobContext:
    """Return where the job of a run's plan is at home, with its emulator running if it has one.

    Raises:
        MissingExtraError: If a package that the emulator needs is not installed.
        ProviderError: If the emulator does not come up.
    """
    folder = ledger.job_folder(plan.facts.run_id, plan.provider)
    folder.mkdir(parents=True, exist_ok=True)
    module = registry.get(plan.provider).emulator
    if not plan.facts.emulated or module is None:
        return JobContext(folder)
    return JobContext(folder, of_job(plan.provider, module, folder / EMULATOR_FOLDER))


def _broken_off(ledger: Ledger, job: JobRecord, why: str) -> Outcome:
    """Return how a job ended in which something went wrong that nobody foresaw."""
    made = next(j.job for j in ledger.run(job.run).jobs if j.provider == job.provider)
    if made is None or job.plan["mode"] == "driven":
        return Outcome("failed", why)
    return Outcome(
        "unknown", f"{why}; the job {made} may go on there, and `cloudtune resume` looks for it"
    )


def _was_made(ledger: Ledger, job: JobRecord) -> bool:
    """Tell whether anything of a job was brought to its provider."""
    named = any(j.job for j in ledger.run(job.run).jobs if j.provider == job.provider)
    return named or bool(ledger.last_event_number(job.run, job.provider))


def _let_go(context: JobContext, mode: str, outcome: Outcome) -> None:
    """End a job's emulator, unless it may be gone on with: then it ends by itself when idle."""
    final = outcome.state in {"completed", "failed"}
    if context.emulator and (final or (mode == "managed" and outcome.state == "cancelled")):
        address = running(context.folder / EMULATOR_FOLDER)
        if address:
            end(address)


def _run_driven(work: _Work) -> Outcome:
    from cloudtune.search.factory import make_strategy

    plan, job = work.plan, work.job
    study = plan.fitted.study
    driver = Driver(
        study,
        make_strategy(
            study, plan.facts.seed, plan.facts.parents, max_trials=study.limits.max_trials
        ),
        run=job.run,
        inbox=work.inbox,
        record=work.record,
        observe=work.observe,
        notify=work.notify,
        budget=work.budget,
    )
    driver.replay(work.events)
    runner = registry.get(job.provider).runner(plan, work.context, work.emit, work.notify)
    try:
        with closing(runner):
            return driver.run(runner, spent=job.earlier_seconds)
    except (CloudtuneError, OSError):
        raise
    except Exception:
        _end_running(work)
        raise


def _end_running(work: _Work) -> None:
    """End the trials that ran when something went wrong; `resume` asks for them again."""
    running: dict[int, Ended] = {}
    for _, event in work.ledger.events(work.job.run, work.job.provider):
        if isinstance(event, Ended):
            running.pop(event.number, None)
        elif isinstance(event, Started):
            why = "cloudtune's own code failed"
            running[event.number] = Ended(event.number, time.time(), "cancelled", why)
    if ends := [*running.values()]:
        work.record(ends)
        work.observe(ends)


def _run_managed(work: _Work) -> Outcome:
    plan, job = work.plan, work.job
    managed = ManagedJob(
        plan,
        inbox=work.inbox,
        record=work.record,
        observe=work.observe,
        notify=work.notify,
        may_exist=work.again,
        budget=work.budget,
    )
    managed.replay(work.events)
    return managed.run(
        registry.get(job.provider).client(plan, work.context),
        job.job,
        lambda name: work.ledger.set_job_name(job.run, job.provider, name),
    )
