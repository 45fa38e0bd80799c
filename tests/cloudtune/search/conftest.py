"""A small driver that runs strategies against a function instead of a process."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from cloudtune.results.events import EVENT_TYPES, Ended, Event, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.study.study import Study

Answer = Sequence[Mapping[str, float]]
"""What a trial reports, one mapping a step from 1."""


def study_of(**parts: Any) -> Study:
    parts = {"objective": {"metric": "loss", "goal": "minimize"}} | parts
    return Study.model_validate(parts, context={"parts_only": True})


def through_json(events: Sequence[Event]) -> list[Event]:
    kinds = {kind: name for name, kind in EVENT_TYPES.items()}
    text = json.dumps([[kinds[type(event)], asdict(event)] for event in events])
    return [EVENT_TYPES[name](**fields) for name, fields in json.loads(text)]


@dataclass
class Job:
    """Runs trials, one or several at a time."""

    study: Study
    report: Callable[[Mapping[str, Any], int | None], Answer | None]
    """Gets parameters and resource; None makes the trial fail."""
    seed: int = 0
    parallel: int = 1
    max_trials: int = 20
    prior: Sequence[Any] = ()
    events: list[Event] = field(default_factory=list[Event])
    length: Callable[[int], float] = lambda number: 1.0
    """How long a trial of a number takes, where several run at a time."""

    def __post_init__(self) -> None:
        self.strategy = self._new()
        self.draws = 0
        self.number = 0
        self.asked: list[Suggestion] = []

    def _new(self) -> Strategy:
        return make_strategy(self.study, self.seed, self.prior, max_trials=self.max_trials)

    def tell(self, *events: Event) -> None:
        for event in events:
            self.events.append(event)
            self.strategy.tell(event)

    def start(self, suggestion: Suggestion, replaces: int | None = None) -> Started:
        fresh = suggestion.resumes is None
        self.number += fresh
        self.draws += fresh and replaces is None
        started = Started(
            number=self.number if suggestion.resumes is None else suggestion.resumes,
            time=0.0,
            parameters=suggestion.parameters,
            resource=suggestion.resource,
            replaces=replaces,
            memory=suggestion.memory,
        )
        self.tell(started)
        return started

    def finish(self, started: Started) -> None:
        answer = self.report(started.parameters, started.resource)
        for step, metrics in enumerate(answer or (), start=1):
            self.tell(Measured(started.number, 0.0, step, metrics))
            if reason := self.strategy.stop_reason(started.number):
                self.tell(Ended(started.number, 0.0, "stopped_early", reason))
                return
        most = self.study.strategy.max if self.study.strategy.resource else None
        state: Any = "failed" if answer is None else "completed"
        if state == "completed" and most and (started.resource or most) < most:
            state = "pending"
        self.tell(Ended(started.number, 0.0, state))

    def ask(self) -> Suggestion | str:
        found = self.strategy.ask(self.draws)
        assert self.strategy.ask(self.draws) == found, "asking changed the answer"
        if isinstance(found, Suggestion):
            if found.resumes is None and self.draws >= self.max_trials:
                return "done"
            self.asked.append(found)
        return found

    def run(self) -> Job:
        """Run to the end."""
        running: list[tuple[float, int, Started]] = []
        now = 0.0
        while True:
            found = self.ask()
            while isinstance(found, Suggestion):
                started = self.start(found)
                entry = (now + self.length(started.number), len(self.events), started)
                heapq.heappush(running, entry)
                if len(running) == self.parallel:
                    break
                found = self.ask()
            if not running:
                assert found == "done"
                return self
            now, _, started = heapq.heappop(running)
            self.finish(started)

    def killed_at(self, place: int) -> Job:
        """Return a job that was killed after a number of events, and resumed from its record."""
        again = Job(
            self.study, self.report, self.seed, 1, self.max_trials, self.prior, length=self.length
        )
        open_trials: dict[int, Started] = {}
        for event in through_json(self.events[:place]):
            if isinstance(event, Started):
                open_trials[event.number] = event
                again.draws += event.number > again.number
                again.number = max(again.number, event.number)
            elif isinstance(event, Ended):
                del open_trials[event.number]
            again.tell(event)
        for number in open_trials:
            again.tell(Ended(number, 0.0, "cancelled"))
        for number, lost in open_trials.items():
            repeated = Suggestion(lost.parameters, lost.resource, None, lost.memory)
            again.finish(again.start(repeated, replaces=number))
        return again

    @property
    def starts(self) -> list[Started]:
        return [event for event in self.events if isinstance(event, Started)]

    @property
    def ends(self) -> list[Ended]:
        return [event for event in self.events if isinstance(event, Ended)]


@pytest.fixture(name="study_of")
def study_of_fixture() -> Callable[..., Study]:
    return study_of


@pytest.fixture(name="job")
def job_fixture() -> type[Job]:
    return Job
