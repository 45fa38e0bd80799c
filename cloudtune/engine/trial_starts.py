"""The starts of a job's trials: their numbers, how many count, and which trials start again."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from cloudtune.engine.proposals import Proposals
from cloudtune.provider.models import Interrupted
from cloudtune.provider.resources import trial_resources
from cloudtune.results.events import (
    ORIGIN,
    UNKNOWN_TIME,
    Carryover,
    Ended,
    Measured,
    SearchEvent,
    Started,
    TrialState,
)
from cloudtune.results.objective import explain_missing_result
from cloudtune.results.trials import Trials
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.study.study import Study

MAX_LOSSES = 5
"""Losses in a row, without a new step in between, at which a trial fails.

Slurm requeues a job this often before it holds it (MaxBatchRequeue, slurm.conf(5) of 24.11, read
2026-11-27). A trial that reports a new step between two losses may be lost any number of times, as
on preemptible machines.
"""


@dataclass(frozen=True)
class _Losses:
    count: int = 0
    """Losses in a row without progress."""
    last_step: int = 0
    """The highest step before them."""

    def add(self, step: int) -> _Losses:
        """Return these losses and another one, before which the trial had reached a step."""
        if step > self.last_step:
            return _Losses(1, step)
        return _Losses(self.count + 1, self.last_step)


def will_retry(event: Ended) -> bool:
    """Return whether a trial starts again, with its number, after this end."""
    return event.state == "pending" and (event.out_of_memory or event.lost)


class TrialStarts:
    """A fold over the events of a job.

    A trial that was interrupted or lost is ``cancelled``. A trial with another number repeats it,
    continues from its checkpoints and counts in its place. A trial that ran out of memory or got
    no machine starts again with its own number.
    """

    def __init__(self, trials: Trials) -> None:
        """Create the starts of a job with these trials, which receive each event first."""
        self.suggestions = 0
        """The trials that the strategy suggested, or others proposed."""
        self.counted = 0
        """The trials that count toward ``max_trials``."""
        self._trials = trials
        self._open: dict[int, Started] = {}
        self._counts = Counter[int]()
        self._measured_before: dict[int, int] = {}
        """The measurements from earlier starts of each trial."""
        self._carried = Counter[int]()
        """The measurements that each trial has from the one that it repeats."""
        self._measured = set[int]()
        """The trials that have measurements."""
        self._sources: dict[int, int] = {}
        """For repeats, the latest of the trials before it in its chain that has measurements."""
        self._last_number = 0
        self._pending: list[Started] = []
        """Starts that repeat cancelled trials, still with their numbers."""
        self._losses: dict[int, _Losses] = {}
        """By the number of the latest repeat."""
        self._retries: dict[int, Started] = {}
        """The next starts of trials that ran out of memory or got no machine, by number."""
        self._without_machine: dict[int, bool] = {}
        """Whether each of those trials got no machine."""

    def start(self, event: Started) -> None:
        """Record that a trial starts."""
        is_new = event.number > self._last_number
        if is_new:
            self._last_number = event.number
            self.counted += 1
            self.suggestions += event.replaces is None
        if event.replaces is not None:
            self._pending = [each for each in self._pending if each.replaces != event.replaces]
            is_source = event.replaces in self._measured
            source = event.replaces if is_source else self._sources.get(event.replaces)
            if source is not None:
                self._sources[event.number] = source
            if losses := self._losses.pop(event.replaces, None):
                self._losses[event.number] = losses
        self._retries.pop(event.number, None)
        self._open[event.number] = event
        self._counts[event.number] += 1
        self._measured_before[event.number] = self._count_measured(event.number)

    def measure(self, event: Measured) -> None:
        """Record a measurement."""
        self._measured.add(event.number)
        if isinstance(event, Carryover):
            self._carried[event.number] += 1

    def end(self, event: Ended) -> Started | None:
        """Record that a trial ends; return its start, or None if it was not running."""
        start = self._open.pop(event.number, None)
        if start is not None and event.state == "cancelled":
            self._cancel(start, event)
        elif start is not None and will_retry(event):
            self._retries[event.number] = replace(
                start,
                after_step=self._last_step(event.number),
                memory_retries=start.memory_retries + event.out_of_memory,
                id=None,
            )
            self._without_machine[event.number] = event.lost
        else:
            self._retries.pop(event.number, None)
        return start

    def get(self, number: int) -> Started:
        """Return the start of a running trial."""
        return self._open[number]

    def count(self, number: int) -> int:
        """Return how often a trial has started."""
        return self._counts[number]

    def interrupted(self, number: int) -> Interrupted:
        """Return what is known of a running trial whose process is gone."""
        before = self._measured_before[number]
        measured = self._count_measured(number) - before
        run_time = replace(self._trials.last_time(number))
        return Interrupted(self._open[number], measured, before, run_time)

    def carryover(self, number: int, step: float = math.inf) -> list[Carryover]:
        """Return the measurements that a trial takes over from the one that it repeats.

        They are those before the first step of this trial, and if that one has none, those of the
        one before it. So a script that continues from a checkpoint has all its measurements in one
        trial, and one that starts from scratch has only its own.
        """
        source = self._sources.get(number)
        if source is None or number in self._measured:
            return []
        return [
            Carryover(number, UNKNOWN_TIME if m.time is None else m.time, m.step, m.metrics)
            for m in self._trials.get(source).measurements
            if m.step < step
        ]

    def awaits_retry(self, number: int) -> bool:
        """Return whether a trial is to start again with its number."""
        return number in self._retries

    def is_retry(self, event: SearchEvent) -> bool:
        """Return whether an event is within a trial that starts again, as if it just ran on."""
        if isinstance(event, Started):
            return self.awaits_retry(event.number)
        return isinstance(event, Ended) and will_retry(event)

    def abandon(self, number: int) -> tuple[TrialState, str]:
        """Return the state of a pending trial that does not start again, and why."""
        if not self.awaits_retry(number):
            return "stopped_early", "not promoted"
        if self._without_machine[number]:
            return "cancelled", "it got no machine"
        return "failed", "ran out of memory"

    def next_repeat(self, *, is_full: bool) -> Started | None:
        """Return the next start of a trial that starts again or repeats a cancelled one, if any.

        With ``is_full``, no trial with a new number starts.
        """
        for retry in self._retries.values():
            return replace(retry, time=time.time())
        if is_full or not self._pending:
            return None
        return replace(self._pending[0], number=self._last_number + 1, time=time.time())

    def next(
        self, strategy: Strategy, proposals: Proposals, *, is_full: bool
    ) -> Started | Literal["wait", "done"]:
        """Return the next start; ``wait`` if a trial must end or be proposed before, or ``done``.

        With ``is_full``, no trial with a new number starts.
        """
        if repeat := self.next_repeat(is_full=is_full):
            return repeat
        if not is_full and (proposal := proposals.next()):
            return proposals.start(proposal, self._last_number + 1)
        if not is_full and proposals.holds(
            self.suggestions,
            len(self._open),
            self.counted,
            is_initial=strategy.has_initial_trial(),
        ):
            return "wait"
        suggestion = strategy.ask(self.suggestions)
        if suggestion == "done" and not is_full and proposals.refresh():
            return self.next(strategy, proposals, is_full=is_full)
        if not isinstance(suggestion, Suggestion):
            return suggestion
        return "done" if is_full and suggestion.resumes is None else self.create(suggestion)

    def create(self, suggestion: Suggestion) -> Started:
        """Return the start of the trial that a strategy suggests."""
        origin = {ORIGIN: suggestion.origin} if suggestion.origin else {}
        start = Started(
            number=suggestion.resumes or self._last_number + 1,
            time=time.time(),
            parameters=suggestion.parameters,
            resource=suggestion.resource,
            memory={**suggestion.memory, **origin},
            seed=suggestion.seed,
        )
        if suggestion.resumes is None:
            return start
        last = self._trials.last_start(start.number)
        return replace(
            start,
            after_step=self._last_step(start.number),
            checkpoint=last.checkpoint,
            memory_retries=last.memory_retries,
        )

    def limit_losses(self, event: Ended) -> Ended:
        """Return the end of a lost trial: ``failed`` after `MAX_LOSSES` losses without progress.

        One that got no machine has not failed, however often.
        """
        if event.state == "pending":
            return event
        losses = self._losses_after(event.number).count
        if losses < MAX_LOSSES:
            return event
        reason = f"lost {losses} times in a row without a new step: {event.reason}"
        return replace(event, state="failed", reason=reason, lost=False)

    def retry(self, event: Ended, study: Study) -> Ended:
        """Return the end of a trial: ``pending`` if it starts again with more memory."""
        start, retry = self._open[event.number], study.trial.retry
        if event.state != "failed" or not event.out_of_memory or retry is None:
            return event
        if start.memory_retries >= retry.times:
            return event
        more = replace(start, memory_retries=start.memory_retries + 1)
        memory = trial_resources(study, more).memory
        amount = f" with {memory}" if memory else ""
        return replace(event, state="pending", reason=f"ran out of memory; starts again{amount}")

    def complete(self, event: Ended, study: Study) -> Ended:
        """Return the end of a trial whose script ended well: ``failed`` without a result.

        It is ``pending`` if the trial has not used the whole of its resource.
        """
        measurements = self._trials.get(event.number).measurements
        if reason := explain_missing_result(study, measurements, event.reason):
            return replace(event, state="failed", reason=reason)
        event = replace(event, log_tail="")
        resource = self._open[event.number].resource
        if resource is not None and resource < (study.strategy.max or 0):
            return replace(event, state="pending", reason="waiting for more of its resource")
        return event

    def _cancel(self, start: Started, event: Ended) -> None:
        self.counted -= 1
        number = start.number
        if event.lost:
            self._losses[number] = self._losses_after(number)
        repeat = replace(
            start,
            replaces=number,
            checkpoint=start.checkpoint_number,
            after_step=self._last_step(number) or start.after_step,
            id=None,
        )
        self._pending.append(repeat)

    def _count_measured(self, number: int) -> int:
        return len(self._trials.get(number).measurements) - self._carried[number]

    def _losses_after(self, number: int) -> _Losses:
        return self._losses.get(number, _Losses()).add(self._last_step(number))

    def _last_step(self, number: int) -> int:
        return max((m.step for m in self._trials.get(number).measurements), default=0)
