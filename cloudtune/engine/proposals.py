"""The trials that were proposed from outside and wait, and whose turn the next trial is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from cloudtune.engine.inbox import LoadProposals
from cloudtune.ledger.proposals import Proposal
from cloudtune.results.events import Event, Started
from cloudtune.study.quantities import format_duration
from cloudtune.study.study import Study

DEFAULT_WAIT = 300.0
"""Seconds for which a turn of the outsiders waits, unless the study says otherwise."""


class Proposals:
    """The waiting proposals of a driven job, the first one first.

    With ``strategy.proposals`` a share of the trials is reserved for proposals. If none comes in
    time, the search takes the turn. With the strategy `external` all trials are.
    """

    def __init__(self, study: Study, load: LoadProposals, run: str) -> None:
        """Create the proposals of a job."""
        self._run = run
        strategy = study.strategy
        is_external = strategy.name == "external"
        self._share = 1.0 if is_external else strategy.proposals or 0.0
        self._wait = math.inf if is_external else strategy.proposal_wait or DEFAULT_WAIT
        self._max_trials = study.limits.max_trials
        self._parallel = study.limits.parallel_trials or 1
        self._resource = strategy.max if strategy.resource else None
        self._load = load
        self._waiting: dict[str, Proposal] = {}
        self._started: set[str] = set()
        self._clock: Callable[[], float] = time.monotonic
        """That of `deadline`."""
        self._notify: Callable[[str], None] = lambda _: None
        self._passed = 0
        """The turns of outsiders in which none came."""
        self.deadline = math.inf
        """When the search goes on although it is the turn of outsiders."""
        self.is_awaited = False
        """Whether the job waits for a proposal."""

    def tell(self, event: Event) -> None:
        """Record that a proposal has started."""
        if isinstance(event, Started) and event.proposal:
            self._started.add(event.proposal)
            self._waiting.pop(event.proposal, None)
            self.deadline, self.is_awaited = math.inf, False

    def begin(
        self, suggestions: int, clock: Callable[[], float], notify: Callable[[str], None]
    ) -> None:
        """Begin after the recorded events, in which so many new trials started."""
        self._clock, self._notify = clock, notify
        self._passed = max(0, int(self._share * suggestions) - len(self._started))
        self.refresh()

    def refresh(self) -> bool:
        """Look for new proposals; return whether one waits."""
        for proposal in self._load():
            if proposal.id not in self._started:
                self._waiting[proposal.id] = proposal
        return bool(self._waiting)

    def next(self) -> Proposal | None:
        """Return the first of the waiting proposals."""
        return next(iter(self._waiting.values()), None)

    def start(self, proposal: Proposal, number: int) -> Started:
        """Return the start of a proposal, which may use the whole resource."""
        return Started(
            number,
            time.time(),
            proposal.parameters,
            resource=self._resource,
            proposal=proposal.id,
            why=proposal.why,
        )

    def holds(self, suggestions: int, running: int, counted: int, *, is_initial: bool) -> bool:
        """Return whether the next trial is left to outsiders.

        Their turn holds one place; the search takes the others, but none of their share of the
        last trials.

        Args:
            suggestions: The number of new trials so far.
            running: The number of trials that run.
            counted: The number of trials that count toward ``max_trials``.
            is_initial: Whether the search has an initial trial next, which is never left to them.
        """
        taken = len(self._started) + self._passed
        is_last = False
        if self._max_trials is not None:
            is_last = self._max_trials - counted <= int(self._share * self._max_trials) - taken
        due = int(self._share * (suggestions + 1))
        self.is_awaited = not is_initial and (taken < due or is_last)
        if not self.is_awaited:
            self.deadline = math.inf
        elif self.deadline == math.inf:
            self.deadline = self._clock() + self._wait
            if self._wait < math.inf:
                self._notify(
                    f"waits up to {format_duration(self._wait)} for a proposal: "
                    f"cloudtune propose {self._run} --params '{{...}}'"
                )
        is_place_held = running >= self._parallel - 1
        return self.is_awaited and (is_place_held or is_last or self._share == 1)

    def pass_turn(self) -> None:
        """Leave the turn of the outsiders to the search."""
        self._passed += 1
        self.deadline = math.inf
        self.is_awaited = False
