"""The progress of one job, derived from its events, and one line for each trial that ends."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from cloudtune.engine.budget import Spending
from cloudtune.provider.plan import Plan
from cloudtune.provider.settings import CloudSettings
from cloudtune.reporting.phrases import (
    describe_strategy,
    format_best,
    format_objectives,
    format_parameters,
    format_seconds,
)
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.results.events import (
    COUNTED_STATES,
    FINAL_STATES,
    Ended,
    Event,
    Outcome,
    Running,
    Started,
    Waiting,
)
from cloudtune.results.model import Trial, best_trial
from cloudtune.results.outcomes import describe_broken
from cloudtune.results.trials import Trials
from cloudtune.study.expected_trials import expected_trials
from cloudtune.study.quantities import format_cost, format_count

"""The states of trials that count toward the total."""


class JobProgress:
    """The progress of one job, derived from its events."""

    def __init__(self, plan: Plan, events: Sequence[Event], elapsed: float = 0.0) -> None:
        self.plan = plan
        self.study = plan.study
        self.total = expected_trials(plan.fitted.study)
        self._start = time.monotonic() - elapsed
        self._end: float | None = None
        self.outcome: Outcome | None = None
        """How the job ended; None while it runs."""
        self.best: Trial | None = None
        self.trials = Trials(plan.study, plan.facts.run_id, plan.price_per_second)
        self.counts: Counter[str] = Counter()
        """How often trials ended in each state."""
        self.running: dict[int, float] = {}
        """The start of each running trial by number, on the monotonic clock."""
        self.waiting: dict[int, float] = {}
        """Since when each trial waits for a machine, on the same clock."""
        self._total_seconds = 0.0
        self._timed_trials = 0
        self._spending = Spending(plan)
        self.first_with: dict[str, int] = {}
        """The first trial that ended for a reason since this display began."""
        for event in events:
            self.tell(event)
        self.first_with.clear()

    @property
    def title(self) -> str:
        """The study, its provider, and its strategy."""
        strategy = describe_strategy(self.plan.fitted.study, self.plan.seed)
        return f"{self.study.name or 'study'} on {self.plan.provider}: {strategy}"

    @property
    def name(self) -> str:
        """The study and its objectives."""
        goals = " and ".join(f"{each.goal} {each.metric}" for each in self.study.objectives)
        return f"{self.study.name or 'study'}: {goals or 'no objective'}"

    @property
    def done(self) -> int:
        """The number of ended trials that count; in managed mode, cancelled trials count, too."""
        counted = FINAL_STATES if self.plan.mode == "managed" else COUNTED_STATES
        return sum(self.counts[state] for state in counted)

    @property
    def state(self) -> str:
        """The state of the job."""
        return "running" if self.outcome is None else self.outcome.state

    @property
    def elapsed(self) -> float:
        """The seconds for which the job has run, in earlier processes and in this one."""
        return (self._end or time.monotonic()) - self._start

    @property
    def cost(self) -> str:
        """The cost so far, or ``unknown``; empty if the job costs nothing."""
        price = self.plan.facts.price
        if self.plan.facts.emulated or (self.outcome is not None and not len(self.trials)):
            return ""
        if price is None:
            return "unknown" if isinstance(self.plan.settings, CloudSettings) else ""
        return sanitize_line(format_cost(self._spending.so_far, price.currency))

    def end(self, outcome: Outcome) -> None:
        """Record how the job ended."""
        self.outcome = outcome
        self._end = time.monotonic()

    @property
    def remaining_seconds(self) -> float | None:
        """An estimate of the remaining seconds from the trials so far; None while there is none."""
        if self.total is None or not self._timed_trials:
            return None
        parallel = self.plan.fitted.study.limits.parallel_trials or 1
        per_trial = self._total_seconds / self._timed_trials
        spent = sum(time.monotonic() - start for start in self.running.values())
        return max(0.0, ((self.total - self.done) * per_trial - spent) / parallel)

    def tell(self, event: Event) -> bool:
        """Add an event. Return whether it ended a new best trial."""
        self.trials.tell(event)
        self._spending.add(event)
        now = time.monotonic() - max(0.0, time.time() - event.time)
        if isinstance(event, Waiting):
            began = self.running.pop(event.number, now)
            is_first = self.trials.last_time(event.number).first_ran is None
            self.waiting.setdefault(event.number, began if is_first else now)
        elif isinstance(event, Started | Running):
            self.waiting.pop(event.number, None)
            self.running[event.number] = now
        if not isinstance(event, Ended):
            return False
        trial = self.trials.get(event.number)
        self.running.pop(event.number, None)
        self.waiting.pop(event.number, None)
        self.counts[event.state] += 1
        self.first_with.setdefault(trial.reason, event.number)
        if event.state in COUNTED_STATES:
            self._total_seconds += trial.seconds or 0.0
            self._timed_trials += 1
        return self._is_best(trial)

    def new_warning(self, event: Ended) -> str:
        """Return why the metrics of a trial may be wrong; empty if an earlier trial has it, too."""
        is_new = event.state == "completed" and self.first_with[event.reason] == event.number
        return f"trial {event.number}: {event.reason}" if is_new and event.reason else ""

    def _is_best(self, trial: Trial) -> bool:
        if len(self.study.objectives) != 1 or trial.state != "completed":
            return False
        if self.plan.facts.confirmation:  # the best of noisy repetitions says nothing
            return False
        candidates = filter(None, [self.best, trial])
        before, self.best = self.best, best_trial(candidates, self.study.objectives[0].goal)
        return self.best is not before


def format_trial_end(job: JobProgress, number: int, *, is_best: bool) -> str:
    """Return one line about a trial that ended."""
    trial = job.trials.get(number)
    count = f"{job.done}/{job.total}" if job.total else f"{job.done}"
    duration = format_seconds(trial.seconds or 0.0)
    first = job.first_with[trial.reason]
    why = trial.reason if first == number or not trial.reason else f"as trial {first}"
    result = format_objectives(job.study, trial) if trial.objective else why
    has_own_line = trial.state == "completed"
    reason = f" ({why})" if why and trial.objective and not has_own_line else ""
    state = trial.state.replace("_", " ")
    parameters = format_parameters(trial.parameters)
    best = "  best so far" if is_best else ""
    if trial.broken:
        result += f" ({describe_broken(job.study, trial)})"
    name = f"{number} (proposed)" if trial.proposal else f"{number}"
    return f"[{count}] trial {name} {state}{reason} in {duration}: {result}  {parameters}{best}"


def format_job_end(job: JobProgress) -> str:
    """Return one line about a job that ended."""
    assert job.outcome is not None
    failed = job.counts["failed"]
    done = f"{format_count(job.done, 'trial')} done"
    parts = [f"{done}, {failed} of them failed" if failed else done]
    if job.best:
        parts.append(f"best {format_best(job.study, job.best)}")
    if job.cost:
        parts.append(f"cost {job.cost}")
    if job.outcome.reason:
        parts.append(job.outcome.reason)
    return f"{job.state} after {format_seconds(job.elapsed)}: {'; '.join(parts)}"
