"""Cost budgets: what the jobs of a run have cost so far, and when to stop them.

Jobs report their events as they happen. Between events the cost of running trials is extrapolated
by the clock, so that jobs stop when the money is spent and not when the next trial ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cloudtune.provider.cost import idle_seconds
from cloudtune.results.events import UNKNOWN_TIME, Ended, Event, Measured, Running, Started, Waiting
from cloudtune.results.run_time import RunTime
from cloudtune.study.quantities import Money

if TYPE_CHECKING:
    from cloudtune.provider.plan import Plan

_WARNING_SHARE = 0.8
_MIN_WAIT = 0.01


class Spending:
    """What one job has cost so far: a fold over its events."""

    def __init__(self, plan: Plan) -> None:
        self._price = plan.facts.price.per_second if plan.facts.price else 0.0
        self._managed = plan.mode == "managed"
        self._idle_seconds = idle_seconds(plan.mode, plan.facts)
        self._seconds = self._seconds_idle = 0.0
        self._times: dict[int, RunTime] = {}
        """Of the last start of each trial that has not ended."""
        self._running: dict[int, float] = {}
        """Since when each trial runs, by `time.monotonic`; those that wait cost nothing."""
        self._idle_since: list[float] = []
        """When each machine without a trial had its last one, as far as machines are kept."""

    def add(self, event: Event) -> None:
        """Add the next event."""
        if isinstance(event, Started):
            # a driven trial starts when cloudtune starts or recovers it; a managed one did before
            age = _age(event) if self._managed else 0.0
            self._times[event.number] = RunTime.begin(event)
            self._running[event.number] = time.monotonic() - age
            if self._idle_since:
                idle = max(0.0, event.time - self._idle_since.pop())
                self._seconds_idle += min(idle, self._idle_seconds)
            return
        run_time = self._times.get(event.number)
        if run_time is None:
            return
        run_time.tell(event)
        if isinstance(event, Waiting):
            self._running.pop(event.number, None)
        elif isinstance(event, Running):
            self._running[event.number] = time.monotonic() - _age(event)
        elif isinstance(event, Ended):
            del self._times[event.number]
            self._running.pop(event.number, None)
            billed = event.billed_seconds
            self._seconds += run_time.ran if billed is None else billed
            if self._idle_seconds and event.billed_seconds != 0:
                self._idle_since.append(event.time)

    @property
    def so_far(self) -> float:
        """The cost of all trials, running ones up to now."""
        now = time.monotonic()
        running = sum(now - since for since in self._running.values())
        earlier = sum(each.ran for each in self._times.values())
        return self._price * (self._seconds + earlier + running)

    @property
    def committed(self) -> float:
        """The cost so far, and of the time that machines wait for trials, also for the last one."""
        machines = len(self._running) + len(self._idle_since)
        return self.so_far + self._price * (self._seconds_idle + self._idle_seconds * machines)

    @property
    def rate(self) -> float:
        """The present cost per second."""
        return self._price * len(self._running)


def _age(event: Event) -> float:
    """Return the seconds since an event; 0 if an attached job has no time of it."""
    return 0.0 if event.time == UNKNOWN_TIME else max(0.0, time.time() - event.time)


class Budget:
    """Watches the cost of some jobs while its block runs: warns at 80 %, stops them at 100 %.

    Thread-safe.
    """

    def __init__(
        self,
        limit: Money,
        jobs: Mapping[str, Plan],
        *,
        notify: Callable[[str], None],
        stop: Callable[[str], None],
    ) -> None:
        """Create a budget of some jobs, by provider, whose prices are in the currency of the limit.

        ``notify`` is called once with a warning, at 80 %, and ``stop`` once with the reason, at
        100 %.
        """
        self.limit = limit
        self.stop_reason = ""
        """Why the jobs must stop; empty while the budget lasts."""
        self._jobs = {provider: Spending(plan) for provider, plan in jobs.items()}
        self._notify = notify
        self._stop = stop
        self._warned = False
        self._watching = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._watch, name="budget", daemon=True)

    def __enter__(self) -> Self:
        """Start watching. Events reported earlier count."""
        with self._changed:
            self._watching = True
            self._check()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        with self._changed:
            self._watching = False
            self._changed.notify()
        self._thread.join()

    def change(self, limit: Money) -> None:
        """Replace the limit, in the same currency."""
        with self._changed:
            self.limit = limit
            self._warned = False
            if self._watching:
                self._check()
                self._changed.notify()

    def add(self, provider: str, event: Event) -> None:
        """Add an event of a job; events of other jobs are ignored."""
        if provider not in self._jobs or isinstance(event, Measured):
            return
        with self._changed:
            self._jobs[provider].add(event)
            if self._watching:
                self._check()
                self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while self._watching and not self.stop_reason:
                self._check()
                self._changed.wait(self._seconds_to_next_check())

    def _check(self) -> None:
        if self.stop_reason:
            return
        spent = self._spent()
        if spent >= self.limit.amount:
            waits = any(job.committed > job.so_far for job in self._jobs.values())
            idle = ", with the time that machines wait for trials" if waits else ""
            self.stop_reason = f"the cost reached {self.limit}{idle}"
            self._stop(self.stop_reason)
        elif spent >= _WARNING_SHARE * self.limit.amount and not self._warned:
            self._warned = True
            self._notify(
                f"{100 * spent / self.limit.amount:.0f} % of {self.limit} spent; at 100 % "
                f"{' and '.join(self._jobs)} {'are' if len(self._jobs) > 1 else 'is'} stopped"
            )

    def _spent(self) -> float:
        return sum(job.committed for job in self._jobs.values())

    def _seconds_to_next_check(self) -> float | None:
        rate = sum(job.rate for job in self._jobs.values())
        threshold = self.limit.amount * (1 if self._warned else _WARNING_SHARE)
        if not rate or self.stop_reason:
            return None
        return min(max(_MIN_WAIT, (threshold - self._spent()) / rate), threading.TIMEOUT_MAX)


@dataclass(frozen=True)
class JobBudget:
    """The budgets against which one job counts."""

    provider: str = ""
    budgets: Sequence[Budget] = ()

    def add(self, *events: Event) -> None:
        """Add the next events of the job."""
        for budget in self.budgets:
            for event in events:
                budget.add(self.provider, event)

    @property
    def stop_reason(self) -> str:
        """Why the job must stop; empty while all its budgets last."""
        return next((budget.stop_reason for budget in self.budgets if budget.stop_reason), "")


def create_budgets(
    plans: Mapping[str, Plan],
    *,
    notify: Callable[[str], None],
    stop: Callable[[Sequence[str], str], None],
) -> list[Budget]:
    """Return the budgets of a run: the study's for all jobs, and those of single providers.

    ``stop`` is called with the providers whose jobs must stop, and the reason.
    """

    def create(limit: Money, providers: list[str]) -> Budget:
        jobs = {provider: plans[provider] for provider in providers}
        return Budget(limit, jobs, notify=notify, stop=lambda reason: stop(providers, reason))

    return [create(limit, providers) for limit, providers in _limits(plans)]


def change_budgets(budgets: Sequence[Budget], plans: Mapping[str, Plan]) -> None:
    """Apply the limits of new plans to the budgets of the old ones, as `create_budgets` did."""
    for budget, (limit, _) in zip(budgets, _limits(plans), strict=True):
        budget.change(limit)


def _limits(plans: Mapping[str, Plan]) -> list[tuple[Money, list[str]]]:
    """Return each limit of the costs, with the providers of the jobs that count."""
    limits: list[tuple[Money, list[str]]] = []
    shared = next((plan.study.limits.max_cost for plan in plans.values()), None)
    if shared:
        limits.append((shared, [name for name, plan in plans.items() if not plan.refused]))
    for provider, plan in plans.items():
        limit = plan.fitted.study.limits.max_cost
        if limit and limit != shared:
            limits.append((limit, [provider]))
    return limits
