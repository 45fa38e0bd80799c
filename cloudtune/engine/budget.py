"""What the jobs of a run have cost so far, and the end of what they may cost.

Jobs tell their events as they happen; between events the cost of running trials is known by the
clock, so that a stop comes when the money is spent and not when the next trial ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cloudtune.results.events import Ended, Event, Measured, Started
from cloudtune.results.trials import seconds_between
from cloudtune.study.quantities import Money

if TYPE_CHECKING:
    from cloudtune.provider.plan import Plan

_WARNING_SHARE = 0.8
_MIN_WAIT = 0.01


class Spending:
    """What one job has cost so far: a fold over its events."""

    def __init__(self, plan: Plan) -> None:
        self._price = plan.facts.price_per_second or 0.0
        self._managed = plan.mode == "managed"
        self._seconds = 0.0
        self._begun: dict[int, tuple[float, float]] = {}
        """When each running trial began: by its event, and by a clock that nobody can set."""

    def tell(self, event: Event) -> None:
        """Take note of the next event."""
        if isinstance(event, Started):
            # a trial that we drive begins when we start or find it; a service's began before
            age = max(0.0, time.time() - event.time) if self._managed else 0.0
            self._begun[event.number] = event.time, time.monotonic() - age
        elif isinstance(event, Ended):
            begun, _ = self._begun.pop(event.number, (None, 0.0))
            took = seconds_between(begun, event)
            self._seconds += took if event.billed_seconds is None else event.billed_seconds

    @property
    def so_far(self) -> float:
        """What all trials have cost, running ones up to now."""
        now = time.monotonic()
        running = sum(now - since for _, since in self._begun.values())
        return self._price * (self._seconds + running)

    @property
    def rate(self) -> float:
        """What a second costs at the moment."""
        return self._price * len(self._begun)


class Budget:
    """Watches what some jobs cost while the block runs; warns at 80 %, and asks for an end at all.

    Safe in threads.
    """

    def __init__(
        self,
        most: Money,
        jobs: Mapping[str, Plan],
        *,
        say: Callable[[str], None],
        stop: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            most: What the jobs may cost together; their prices are in its currency.
            jobs: Those that count, by provider.
            say: Is told once that most of it is spent.
            stop: Is told once why the jobs are to end.
        """
        self.most = most
        self.reached = ""
        """Why the jobs are to end; empty while they need not."""
        self._jobs = {provider: Spending(plan) for provider, plan in jobs.items()}
        self._say = say
        self._stop = stop
        self._warned = False
        self._watching = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._watch, name="budget", daemon=True)

    def __enter__(self) -> Self:
        """Begin to watch; what was told before counts."""
        with self._changed:
            self._watching = True
            self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Watch no more."""
        with self._changed:
            self._watching = False
            self._changed.notify()
        self._thread.join()

    def tell(self, provider: str, event: Event) -> None:
        """Take note of an event of a job; others' do not count."""
        if provider not in self._jobs or isinstance(event, Measured):
            return
        with self._changed:
            self._jobs[provider].tell(event)
            if self._watching:
                self._look()
                self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while self._watching and not self.reached:
                self._look()
                self._changed.wait(self._pause())

    def _look(self) -> None:
        spent = self._spent()
        if self.reached:
            return
        if spent >= self.most.amount:
            self.reached = f"the cost reached {self.most}"
            self._stop(self.reached)
        elif spent >= _WARNING_SHARE * self.most.amount and not self._warned:
            self._warned = True
            self._say(
                f"{100 * spent / self.most.amount:.0f} % of {self.most} are spent; at all of it "
                f"{' and '.join(self._jobs)} "
                f"{'are' if len(self._jobs) > 1 else 'is'} stopped"
            )

    def _spent(self) -> float:
        return sum(job.so_far for job in self._jobs.values())

    def _pause(self) -> float | None:
        """Return how long it takes until more is to be done, as far as running trials go."""
        rate = sum(job.rate for job in self._jobs.values())
        mark = self.most.amount * (1 if self._warned else _WARNING_SHARE)
        if not rate or self.reached:
            return None
        wait = max(_MIN_WAIT, (mark - self._spent()) / rate)
        return min(wait, threading.TIMEOUT_MAX)


@dataclass(frozen=True)
class JobBudget:
    """The budgets against which one job counts."""

    provider: str = ""
    budgets: Sequence[Budget] = ()

    def tell(self, *events: Event) -> None:
        """Take note of the job's next events."""
        for budget in self.budgets:
            for event in events:
                budget.tell(self.provider, event)

    @property
    def reached(self) -> str:
        """Why the job is to end; empty while it need not."""
        return next((budget.reached for budget in self.budgets if budget.reached), "")


def create_budgets(
    plans: Mapping[str, Plan],
    *,
    say: Callable[[str], None],
    stop: Callable[[Sequence[str], str], None],
) -> list[Budget]:
    """Return the budgets of a run: the study's for all jobs, and those of single providers.

    Args:
        plans: By provider.
        say: As in `Budget`.
        stop: Is told which providers' jobs are to end, and why.
    """
    whole = next(iter(plans.values())).study.limits.max_cost
    able = [provider for provider, plan in plans.items() if not plan.refused]
    shared = [(whole, able)] if whole else []
    own = [
        (most, [provider])
        for provider, plan in plans.items()
        if (most := plan.fitted.study.limits.max_cost) and most != whole
    ]

    def made(most: Money, providers: list[str]) -> Budget:
        jobs = {provider: plans[provider] for provider in providers}
        return Budget(most, jobs, say=say, stop=lambda why: stop(providers, why))

    return [made(most, providers) for most, providers in [*shared, *own]]
