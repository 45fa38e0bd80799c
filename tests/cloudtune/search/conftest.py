"""A small driver that runs strategies against a function instead of a process."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import pytest

from cloudtune.results.events import EVENT_TYPES, Ended, Measured, SearchEvent, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.study.study import Study

Report = Sequence[Mapping[str, float]]
"""The metrics that a trial reports, one mapping per step from 1."""


def study_of(**parts: Any) -> Study:
    parts = {"objective": {"metric": "loss", "goal": "minimize"}} | parts
    return Study.model_validate(parts, context={"parts_only": True})


def json_round_trip(events: Sequence[SearchEvent]) -> list[SearchEvent]:
    kinds = {kind: name for name, kind in EVENT_TYPES.items()}
    text = json.dumps([[kinds[type(event)], asdict(event)] for event in events])
    return [cast("SearchEvent", EVENT_TYPES[name](**fields)) for name, fields in json.loads(text)]


@dataclass
class Job:
    """Runs trials, one or several at a time."""

    study: Study
    report: Callable[[Mapping[str, Any], int | None], Report | None]
    """Takes parameters and resource; None makes the trial fail."""
    seed: int = 0
    parallel: int = 1
    max_trials: int = 20
    prior: Sequence[Any] = ()
    events: list[SearchEvent] = field(default_factory=list[SearchEvent])
    duration: Callable[[int], float] = lambda number: 1.0
    """The duration of a trial by its number, if several run at a time."""
    out_of_memory: bool = False
    """Whether trials that fail have run out of memory."""
    seconds: Callable[[Mapping[str, Any]], float | None] = lambda params: None
    """The measured duration of a trial by its parameters."""
    first_step: int = 1

    def __post_init__(self) -> None:
        self.strategy = self._new()
        self.index = 0
        self.number = 0
        self.suggestions: list[Suggestion] = []

    def _new(self) -> Strategy:
        return make_strategy(self.study, self.seed, self.prior, max_trials=self.max_trials)

    def tell(self, *events: SearchEvent) -> None:
        for event in events:
            self.events.append(event)
            self.strategy.tell(event)

    def start(self, suggestion: Suggestion, replaces: int | None = None) -> Started:
        fresh = suggestion.resumes is None
        self.number += fresh
        self.index += fresh and replaces is None
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
        report = self.report(started.parameters, started.resource)
        for step, metrics in enumerate(report or (), start=self.first_step):
            self.tell(Measured(started.number, 0.0, step, metrics))
            if reason := self.strategy.stop_reason(started.number):
                self.tell(Ended(started.number, 0.0, "stopped_early", reason))
                return
        maximum = self.study.strategy.max if self.study.strategy.resource else None
        state: Any = "failed" if report is None else "completed"
        if state == "completed" and maximum and (started.resource or maximum) < maximum:
            state = "pending"
        memory = state == "failed" and self.out_of_memory
        seconds = self.seconds(started.parameters)
        self.tell(Ended(started.number, 0.0, state, seconds=seconds, out_of_memory=memory))

    def ask(self) -> Suggestion | str:
        suggestion = self.strategy.ask(self.index)
        if len(self.suggestions) % 4 == 1:  # as often as is needed, since models are slow
            assert self.strategy.ask(self.index) == suggestion, "asking has side effects"
        if isinstance(suggestion, Suggestion):
            if suggestion.resumes is None and self.index >= self.max_trials:
                return "done"
            self.suggestions.append(suggestion)
        return suggestion

    def run(self) -> Job:
        """Run all trials."""
        running: list[tuple[float, int, Started]] = []
        now = 0.0
        while True:
            suggestion = self.ask()
            while isinstance(suggestion, Suggestion):
                started = self.start(suggestion)
                entry = (now + self.duration(started.number), len(self.events), started)
                heapq.heappush(running, entry)
                if len(running) == self.parallel:
                    break
                suggestion = self.ask()
            if not running:
                assert suggestion == "done"
                return self
            now, _, started = heapq.heappop(running)
            self.finish(started)

    def resume_after(self, count: int) -> Job:
        """Return a job that was killed after a number of events and resumed from them."""
        resumed = Job(
            self.study,
            self.report,
            self.seed,
            1,
            self.max_trials,
            self.prior,
            duration=self.duration,
            seconds=self.seconds,
        )
        open_trials: dict[int, Started] = {}
        for event in json_round_trip(self.events[:count]):
            if isinstance(event, Started):
                open_trials[event.number] = event
                resumed.index += event.number > resumed.number
                resumed.number = max(resumed.number, event.number)
            elif isinstance(event, Ended):
                del open_trials[event.number]
            resumed.tell(event)
        for number in open_trials:
            resumed.tell(Ended(number, 0.0, "cancelled"))
        for number, trial in open_trials.items():
            repeated = Suggestion(trial.parameters, trial.resource, None, trial.memory)
            resumed.finish(resumed.start(repeated, replaces=number))
        return resumed

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
