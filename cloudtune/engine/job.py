"""Executes one job of a run in this process, from its recorded events to its end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from cloudtune.common.debug_log import add_mask, get_logger
from cloudtune.engine.budget import JobBudget
from cloudtune.engine.driver import Driver
from cloudtune.engine.event_mask import FAILURE, mask_event
from cloudtune.engine.inbox import Inbox
from cloudtune.engine.job_emulator import end_emulator, job_context, lost_emulator
from cloudtune.engine.managed_job import ManagedJob
from cloudtune.engine.observer import Observer
from cloudtune.errors import (
    CloudtuneError,
    LedgerError,
    MissingExtraError,
    ProviderError,
    UnsupportedError,
)
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.proposals import read_proposals, waiting_proposals
from cloudtune.ledger.records import JobRecord
from cloudtune.provider import registry
from cloudtune.provider.crash_report import write_crash_report
from cloudtune.provider.models import JobContext, Lost
from cloudtune.provider.plan import Plan
from cloudtune.provider.protocols import TrialRunner
from cloudtune.provider.secrets import Mask
from cloudtune.results.events import (
    FINAL_JOB_STATES,
    Ended,
    Event,
    Measured,
    Observation,
    Outcome,
    Started,
)
from cloudtune.results.failure import describe_output
from cloudtune.study.study import Study

_log = get_logger(__name__)

_MAX_OUTPUT_LINES = 500
"""The last lines of the output of a trial that are searched for the reason of its failure."""


@dataclass(frozen=True)
class _Execution:
    """One job, with everything that its execution uses."""

    plan: Plan
    job: JobRecord
    events: Sequence[Event]
    inbox: Inbox
    observer: Observer
    ledger: Ledger
    context: JobContext
    mask: Mask
    budget: JobBudget
    resumed: bool
    """Whether an earlier process executed the job."""
    on_change: Callable[[int], None]
    """Receives the number of changes of the limits that apply."""

    def emit(self, *events: Observation | Lost, inline: bool = False) -> None:
        folder = self.context.folder
        masked = [mask_event(event, self.mask, self.plan, folder) for event in events]
        self.inbox.put(*masked, inline=inline)

    def notify(self, text: str) -> None:
        prefix = f"{self.job.provider}: "
        self.observer.message(("" if text.startswith(prefix) else prefix) + self.mask(text))

    def record(self, events: Sequence[Event]) -> None:
        self.ledger.append(self.job.run, self.job.provider, *map(self._hidden, events))

    def observe(self, events: Sequence[Event]) -> None:
        self.observer.events(self.job.provider, [*map(self._hidden, events)])

    def _hidden(self, event: Event) -> Event:
        """Return an event without secrets; a runner can also recover measurements."""
        return self.mask.measure(event) if isinstance(event, Measured) else event

    def run_driven(self) -> Outcome:
        driver, begin = self._create_driver(self.plan, self.events), time.monotonic()
        if self.plan.study.strategy.name == "external":
            self.notify(f"waits for trials: cloudtune propose {self.job.run} --params '{{...}}'")
        runner = self._create_runner()
        try:
            with closing(runner):
                outcome = driver.run(runner, spent=self.job.earlier_seconds)
                while new := driver.new_limits:
                    spent = self.job.earlier_seconds + time.monotonic() - begin
                    events = [e for _, e in self.ledger.events(self.job.run, self.job.provider)]
                    before, driver = driver, self._create_driver(new.plan, events)
                    self.on_change(new.changes)
                    self.observer.begin(new.plan, events, spent)
                    outcome = driver.run(runner, spent=spent, before=before)
                return outcome
        except (CloudtuneError, OSError):
            raise
        except Exception:
            self._cancel_running_trials()
            raise

    def _create_driver(self, plan: Plan, events: Sequence[Event]) -> Driver:
        from cloudtune.search.factory import make_strategy

        facts, study = plan.facts, plan.fitted.study
        driver = Driver(
            study,
            make_strategy(
                study,
                facts.seed,
                facts.parents,
                max_trials=study.limits.max_trials,
                confirmation=facts.confirmation,
            ),
            run=self.job.run,
            inbox=self.inbox,
            record=self.record,
            observe=self.observe,
            notify=self.notify,
            budget=self.budget,
            price=self.plan.price_per_second,
            load_proposals=lambda: read_proposals(self.ledger, self.job.run, self.job.provider),
        )
        driver.replay(events)
        return driver

    def _create_runner(self) -> TrialRunner:
        provider = registry.get(self.job.provider)
        if jobs := provider.training_jobs(self.plan, self.context):
            from cloudtune.engine.job_poller import JobPoller

            return JobPoller(
                self.job.provider,
                jobs,
                self.emit,
                self.notify,
                is_stopping=self.context.is_stopping,
                has_timeout=self.plan.fitted.study.limits.timeout is not None,
            )
        return provider.runner(self.plan, self.context, self.emit, self.notify)

    def _cancel_running_trials(self) -> None:
        """Record that an unexpected error ended the running trials; `resume` tries them again."""
        running: dict[int, Ended] = {}
        for _, event in self.ledger.events(self.job.run, self.job.provider):
            if isinstance(event, Ended):
                running.pop(event.number, None)
            elif isinstance(event, Started):
                reason = "an internal error of cloudtune"
                running[event.number] = Ended(event.number, time.time(), "cancelled", reason)
        if events := [*running.values()]:
            self.record(events)
            self.observe(events)

    def run_managed(self) -> Outcome:
        managed = ManagedJob(
            self.plan,
            inbox=self.inbox,
            record=self.record,
            observe=self.observe,
            notify=self.notify,
            may_exist=self.resumed,
            budget=self.budget,
            enforced=_enforced_here(self.plan),
        )
        managed.replay(self.events)
        if not self.context.emulator and (lost := lost_emulator(self.job, self.context.folder)):
            return managed.fail(lost)
        run, provider = self.job.run, self.job.provider
        return managed.run(
            registry.get(provider).client(self.plan, self.context),
            self.job.job,
            lambda name: self.ledger.set_job_name(run, provider, name),
        )


def execute_job(
    job: JobRecord,
    plan: Plan | Exception,
    *,
    inbox: Inbox,
    budget: JobBudget,
    observer: Observer,
    state: Path,
    read_output: Callable[[int], Iterable[str]] = lambda _: (),
) -> Outcome:
    """Execute one job; a failure of its provider is its outcome and does not affect other jobs.

    An exception instead of the plan was raised when the plan was read. ``state`` is the state
    folder. ``read_output`` returns the lines that a trial printed, wherever they are.
    """
    if _is_final(job, state):
        return _show_ended_job(job, plan, observer, state)
    with Ledger(state) as ledger:
        last_event = ledger.last_event_number(job.run, job.provider)
        ledger.begin_job(job.run, job.provider)
        clock = time.monotonic()
        current = _current_record(ledger, job)
        changes = [len(current.changes)]
        outcome = Outcome("unknown", "the job was interrupted")
        context: JobContext | None = None
        mask: Mask | None = None
        ends_emulator = False
        try:
            plan = _require_plan(plan)
            events = [event for _, event in ledger.events(job.run, job.provider)]
            observer.begin(plan, events, current.elapsed(time.time()))
            require_runnable(plan)
            context = replace(
                job_context(plan, ledger, current), is_stopping=lambda: inbox.stop_requested
            )
            mask = Mask(plan.study)
            add_mask(mask.hide)
            _log.debug("%s: execute %s, %d events", job.provider, plan.mode, len(events))
            execution = _Execution(
                *(plan, current, events, inbox, observer, ledger, context, mask, budget),
                resumed=job.process_started is not None,
                on_change=changes.append,
            )
            run_job = execution.run_driven if plan.mode == "driven" else execution.run_managed
            outcome = _explained_outcome(run_job(), plan.study, read_output)
            ends_emulator = True
        except UnsupportedError as error:
            reason = "; ".join(f"{f.path}: {f.reason}" for f in error.findings)
            outcome = Outcome("failed" if _was_submitted(ledger, job) else "refused", reason)
        except CloudtuneError as error:
            outcome = _error_outcome(ledger, job, error, inbox)
            ends_emulator = job.process_started is None and not _was_submitted(ledger, job)
        except Exception as error:  # noqa: BLE001 - a bug in the code of this provider
            report = ledger.job_folder(job.run, job.provider) / FAILURE
            text = write_crash_report(error, report, mask.hide if mask else str)
            outcome = _error_outcome(ledger, job, text, inbox)
            ends_emulator = True
        finally:
            outcome = replace(outcome, reason=mask(outcome.reason) if mask else outcome.reason)
            _log.debug("%s: ended, %s %s", job.provider, outcome.state, outcome.reason)
            try:
                ran = time.monotonic() - clock
                outcome = _end_job(ledger, job, outcome, changes[-1], (last_event, ran))
            finally:
                observer.end(job.provider, outcome)
        if context and ends_emulator:
            end_emulator(context.folder, job.mode, outcome)
        return outcome


def _end_job(
    ledger: Ledger,
    job: JobRecord,
    outcome: Outcome,
    changes: int,
    begun: tuple[int, float],
) -> Outcome:
    """Record the end of a job; it is pending if its limits have changed too late for it.

    It began after an event with a number, so many seconds ago.
    """
    last_event, seconds = begun
    unchanged = ledger.last_event_number(job.run, job.provider) == last_event
    ended, ran = (job.ended, None) if unchanged else (None, seconds)
    if job.has_new_limits:
        ended = None  # they apply now
    with ledger.atomic():
        is_late = len(_current_record(ledger, job).changes) > changes
        if is_late and outcome.state == "completed":
            why = f"its limits changed when it was ending ({outcome.reason or 'all trials ended'})"
            outcome = replace(outcome, state="pending", reason=why)
        state, reason = outcome.state, outcome.reason
        ledger.end_job(job.run, job.provider, state, reason, ended=outcome.ended or ended, ran=ran)
    return outcome


def _is_final(job: JobRecord, state: Path) -> bool:
    """Return whether a job has nothing left to do."""
    if job.mode == "managed" and job.job is not None:
        return job.state in FINAL_JOB_STATES
    if job.state != "completed" or job.has_new_limits:
        return False
    with Ledger(state) as ledger:
        return not waiting_proposals(ledger, job.run, job.provider)


def _show_ended_job(
    job: JobRecord, plan: Plan | Exception, observer: Observer, state: Path
) -> Outcome:
    """Show a job that ended earlier and has nothing left to do, and return its outcome."""
    outcome = Outcome(job.state, job.reason)
    try:
        with Ledger(state) as ledger:
            # Unless the process that ran the job has ended it.
            end_emulator(ledger.job_folder(job.run, job.provider), job.mode, outcome)
            events = [event for _, event in ledger.events(job.run, job.provider)]
        observer.begin(_require_plan(plan), events, job.elapsed(job.ended or 0.0))
    except LedgerError:
        raise
    except CloudtuneError as error:
        observer.message(f"{job.provider}: {error}")
    if job.mode == "driven":
        observer.end(job.provider, outcome)
        return outcome
    ended = {"completed": "is complete", "failed": "failed"}.get(job.state, "ended")
    mode = "" if _accepts_parents(job) else " and mode: driven"
    text = (
        f"{ended} and cannot be resumed; to build on it in a new run, use "
        f"warm_start: {{from: {job.run}}}{mode}"
    )
    observer.message(f"{job.provider}: the job {job.job} {text}")
    observer.end(job.provider, outcome)
    return outcome


def _accepts_parents(job: JobRecord) -> bool:
    """Return whether the service's own tuner builds on an earlier job."""
    if job.emulated or job.provider not in registry.names():
        return False
    managed = registry.get(job.provider).capabilities.managed
    return managed is not None and bool(managed.warm_start)


def _explained_outcome(
    outcome: Outcome, study: Study, read_output: Callable[[int], Iterable[str]]
) -> Outcome:
    """Add what a failed trial printed, if neither its reason nor its end shows that."""
    failure = outcome.failure
    if failure is None or failure.log_tail:
        return outcome
    try:
        output = "\n".join(deque(read_output(failure.number), _MAX_OUTPUT_LINES))
    except (CloudtuneError, OSError) as error:
        _log.debug("the output of trial %d cannot be read: %s", failure.number, error)
        return outcome
    return replace(outcome, reason=outcome.reason + describe_output(study, failure.reason, output))


def _require_plan(plan: Plan | Exception) -> Plan:
    if isinstance(plan, Exception):
        raise plan
    if plan.broken:
        raise ProviderError(plan.provider, plan.broken)
    return plan


def require_runnable(plan: Plan, *, strict: bool = False) -> None:
    """Check that a plan can run on this machine; with ``strict``, without any finding.

    Raises:
        UnsupportedError: If a finding refuses it.
        MissingExtraError: If a package that a run needs is not installed.
    """
    plan.require(strict=strict)
    extra = registry.missing_extra(registry.get(plan.provider), emulated=plan.facts.emulated)
    if extra:
        raise MissingExtraError(f"a run on {plan.provider}", extra)


def _enforced_here(plan: Plan) -> frozenset[str]:
    if plan.facts.attached:
        return frozenset()
    support = registry.get(plan.provider).capabilities.for_mode(plan.mode)
    return support.enforced_here if support else frozenset()


def _current_record(ledger: Ledger, job: JobRecord) -> JobRecord:
    return next(j for j in ledger.run(job.run).jobs if j.provider == job.provider)


def _error_outcome(ledger: Ledger, job: JobRecord, error: Exception | str, inbox: Inbox) -> Outcome:
    """Return the outcome of a job that an error ended here, maybe after a request to stop."""
    submitted = _current_record(ledger, job).job
    if submitted is None or job.mode == "driven":
        is_stopped = inbox.stop_requested and getattr(error, "retryable", False)
        return Outcome("cancelled", "interrupted") if is_stopped else Outcome("failed", str(error))
    return Outcome(
        "unknown",
        f"{error}; the job {submitted} may still run there, and `cloudtune resume` looks for it",
    )


def _was_submitted(ledger: Ledger, job: JobRecord) -> bool:
    """Return whether any part of a job was sent to its provider."""
    has_id = _current_record(ledger, job).job is not None
    return has_id or bool(ledger.last_event_number(job.run, job.provider))
