"""What a strategy is asked and told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from cloudtune.results.events import Event
from cloudtune.study.search_space import Value


@dataclass(frozen=True)
class Suggestion:
    """The next trial."""

    parameters: Mapping[str, Value]
    """A complete assignment: every active parameter and no other."""
    resource: int | None = None
    """How much of hyperband's named resource it may use."""
    resumes: int | None = None
    """The number of the pending trial that goes on; None for a new one."""
    memory: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the strategy wants back with this trial's `Started` event; JSON data."""


class Strategy(Protocol):
    """Chooses the next trials from what happened so far.

    A strategy is a function of the events that it was told, in their order, and of the seed:
    telling a new one the events of the ledger makes it go on as if it had never been away. It keeps
    no other state, does not read the clock and touches no file.
    """

    def tell(self, event: Event) -> None:
        """Take note of an event of this job. Every start, measurement and end is told, once."""
        ...

    def ask(self, draw: int) -> Suggestion | Literal["wait", "done"]:
        """Return the next trial, without noting it: its `Started` event does that.

        ``draw`` counts the new trials chosen so far, from 0, and does not count repeats of
        interrupted ones: chance derives from (seed, draw). ``wait``: nothing until a running trial
        ends. ``done``: nothing ever more.
        """
        ...

    def stop_reason(self, number: int) -> str | None:
        """Return why a running trial should be stopped early, or None; asked when it measured."""
        ...
