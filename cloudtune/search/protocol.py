"""The protocol of search strategies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from cloudtune.results.events import SearchEvent
from cloudtune.study.search_space import Value

RANDOM = "it is a random one"
"""The origin of a trial that does not depend on others."""


@dataclass(frozen=True)
class Suggestion:
    """The next trial to run."""

    parameters: Mapping[str, Value]
    """A complete assignment: a value for each active parameter and for no other."""
    resource: int | None = None
    """How much of hyperband's named resource the trial may use."""
    resumes: int | None = None
    """The number of the pending trial to continue; None for a new trial."""
    memory: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """JSON data that the strategy gets back with this trial's `Started` event."""
    origin: str = field(default="", compare=False)
    """Who or what chose it, as a clause for `cloudtune explain`; empty if the study tells it."""
    seed: int | None = None
    """The seed of a confirming trial; None for the seed that all trials of a search share."""


class Strategy(Protocol):
    """Chooses the next trials from the trials so far.

    A strategy is a pure function of the seed and of the events, in the order in which it receives
    them. Replaying the events of the ledger to a new strategy restores its state. A strategy keeps
    no other state, does not read the clock and does not access files.
    """

    def tell(self, event: SearchEvent) -> None:  # noqa: ARG002
        """Record an event of this job. Each start, measurement and end arrives exactly once."""
        return

    def ask(self, index: int, /) -> Suggestion | Literal["wait", "done"]:
        """Return the next trial without recording it; its `Started` event records it.

        Args:
            index: The number of new trials so far, from 0. Repeats of interrupted trials do not
                count, and those that were proposed from outside only if the strategy learns from
                results, or if they were initial trials. The random state derives from
                (seed, index).

        Returns:
            A trial, ``wait`` if there is none until a running trial ends, or ``done`` if no trial
            will follow.
        """
        ...

    def has_initial_trial(self) -> bool:
        """Return whether the next new trial is an initial one of the study."""
        return False

    def stop_reason(self, number: int) -> str | None:  # noqa: ARG002
        """Return why a running trial should stop early, or None; called after a measurement."""
        return None
