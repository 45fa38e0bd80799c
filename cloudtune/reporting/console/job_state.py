"""How one job stands while it runs: a fold over its events, and a line on each end of a trial."""

from __future__ import annotations

import time
from collections.abc import Sequence

from cloudtune.engine.budget import Spending
from cloudtune.provider.models import CloudSettings
from cloudtune.provider.plan import Plan
from cloudtune.reporting.phrases import (
    describe_strategy,
    expected_trials,
    format_objectives,
    format_parameters,
    format_seconds,
)
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.results.events import Ended, Event, Outcome, Started
from cloudtune.results.model import Trial, best_trial
from cloudtune.results.trials import Trials, start_duration
from cloudtune.study.quantities import format_count

_DONE = {"completed", "stopped_early", "failed"}


class JobProgress:
    """What is shown of one job: a fold over its events."""

    def __init__(self, plan: Plan, events: Sequence[Event], elapsed: float = 0.0) -> None:
        self.plan = plan
        self.study = plan.study
        self.total = expected_trials(plan.fitted.study)
        self._began = time.monotonic() - elapsed
        self._over: float | None = None
        self.outcome: Outcome | None = None
        """How it ended; None while it runs."""
        self.best: Trial | None = None
        self.trials = Trials(plan.study, plan.facts.run_id)
        self.counts: dict[str, int] = {}
        self.running: dict[int, float] = {}
        """When each trial that runs was started, by number and on a clock that nobody can set."""
        self._started: dict[int, float] = {}
        self._waiting: set[int] = set()
        self._seconds = 0.0
        self._timed = 0
        self._spending = Spending(plan)
        for event in events:
            self.tell(event)

    @property
    def title(self) -> str:
        """The study, where it runs and how."""
        how = describe_strategy(self.plan.fitted.study, self.plan.seed)
        return f"{self.study.name or 'study'} on {self.plan.provider}: {how}"

    @property
    def name(self) -> str:
        """The study and what it is for."""
        goals = " and ".join(f"{each.goal} {each.metric}" for each in self.study.objectives)
        return f"{self.study.name or 'study'}: {goals or 'no objective'}"

    @property
    def done(self) -> int:
        """How many trials are over and count; a service's own tuner counts cancelled ones too."""
        counted = _DONE | {"cancelled"} if self.plan.mode == "managed" else _DONE
        return sum(self.counts.get(state, 0) for state in counted)

    @property
    def state(self) -> str:
        """In one word, how it stands."""
        return "running" if self.outcome is None else self.outcome.state

    @property
    def elapsed(self) -> float:
        """The seconds for which it runs: those before it was shown here, and those since then."""
        return (self._over or time.monotonic()) - self._began

    @property
    def cost(self) -> str:
        """What it has cost so far, as far as that is known; empty where it costs nothing."""
        price = self.plan.facts.price
        if self.plan.facts.emulated or (self.outcome is not None and not len(self.trials)):
            return ""
        if price is None:
            return "unknown" if isinstance(self.plan.settings, CloudSettings) else ""
        return sanitize_line(f"{self._spending.so_far:.2f} {price.currency}")

    def end(self, outcome: Outcome) -> None:
        """Take note of how it ended."""
        self.outcome = outcome
        self._over = time.monotonic()

    @property
    def seconds_left(self) -> float | None:
        """About how long the rest takes, from the trials so far; None while that is unknown."""
        if self.total is None or not self._timed:
            return None
        parallel = self.plan.fitted.study.limits.parallel_trials or 1
        each = self._seconds / self._timed
        spent = sum(time.monotonic() - begun for begun in self.running.values())
        return max(0.0, ((self.total - self.done) * each - spent) / parallel)

    def tell(self, event: Event) -> bool:
        """Take note of an event; return whether it brought a new best trial."""
        self.trials.tell(event)
        self._spending.tell(event)
        if isinstance(event, Started):
            if event.number in self._waiting:
                self.counts["pending"] -= 1
            self._waiting.discard(event.number)
            age = max(0.0, time.time() - event.time)
            self.running[event.number] = time.monotonic() - age
            self._started[event.number] = event.time
        if not isinstance(event, Ended):
            return False
        trial = self.trials.get(event.number)
        self.running.pop(event.number, None)
        begun = self._started.pop(event.number, None)
        self.counts[event.state] = self.counts.get(event.state, 0) + 1
        if event.state == "pending":
            self._waiting.add(event.number)
        elif event.state in _DONE and begun is not None:
            self._seconds += start_duration(begun, event)
            self._timed += 1
        return self._is_best(trial)

    def _is_best(self, trial: Trial) -> bool:
        if len(self.study.objectives) != 1 or trial.state != "completed":
            return False
        kept = [t for t in (self.best, trial) if t is not None]
        found = best_trial(kept, self.study.objectives[0].goal)
        if found is not None and found is not self.best:
            self.best = found
            return True
        return False


def format_trial_end(view: JobProgress, number: int, *, is_best: bool) -> str:
    """Return one line on a trial that ended."""
    trial = view.trials.get(number)
    total = f"/{view.total}" if view.total else ""
    took = format_seconds(trial.seconds or 0.0)
    what = format_objectives(view.study, trial) if trial.objective else trial.reason
    mark = "  best so far" if is_best else ""
    reason = f" ({trial.reason})" if trial.reason and trial.objective else ""
    state = trial.state.replace("_", " ")
    words = format_parameters(trial.parameters)
    return f"[{view.done}{total}] trial {number} {state}{reason} in {took}: {what}  {words}{mark}"


def format_job_end(view: JobProgress) -> str:
    """Return one line on a job that ended."""
    assert view.outcome is not None
    failed = view.counts.get("failed", 0)
    words = [
        f"{format_count(view.done, 'trial')} done"
        + (f", {failed} of them failed" if failed else "")
    ]
    if view.best:
        words.append(f"best {format_objectives(view.study, view.best)} in trial {view.best.number}")
    words += [f"cost {view.cost}"] if view.cost else []
    words += [view.outcome.reason] if view.outcome.reason else []
    return f"{view.state} after {format_seconds(view.elapsed)}: {'; '.join(words)}"
