"""When a replay of Vertex AI cancels a job: recorded answers may be behind the cancellation.

The service answers a cancellation at once, and carries it out seconds later (recorded 2026-07-08).
Until then a job that waits goes on to wait, and may pass from QUEUED to PENDING; one that runs may
still be shown as running. The emulator stops a job at once, so it gets the call with the last such
answer: before it if the job waits, since it then keeps its state, and else after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cloudtune_vertex.response import WAITING_STATES, service_state
from tests.cloudtune_vertex.replayed_jobs import rows_of

_RUNNING = "JOB_STATE_RUNNING"


@dataclass
class _Held:
    """Cancellations of one job that were not sent yet."""

    calls: list[dict[str, Any]]
    answer: dict[str, Any]
    """The answer with which they are sent."""
    is_before: bool
    """Whether they are sent before its call, not after it."""


class Cancellations:
    """The cancellations of one recording."""

    def __init__(self, calls: Sequence[dict[str, Any]]) -> None:
        self._calls = calls
        self._held: dict[str, _Held] = {}
        """By the ids of the jobs."""

    def hold(self, item: dict[str, Any], job: str) -> dict[str, Any] | None:
        """Hold a cancellation that answers are behind; else return it.

        What is returned has in ``after`` the answer that the job must have come to before.
        """
        if job in self._held:
            self._held[job].calls.append(item)
            return None
        place = next(n for n, each in enumerate(self._calls) if each is item)
        before = [*_answers(self._calls[:place], job)]
        after = [*_answers(self._calls[place + 1 :], job)]
        behind = set(WAITING_STATES)
        if before and service_state(before[-1]) == _RUNNING:
            behind.add(_RUNNING)
        count = next((n for n, each in enumerate(after) if service_state(each) not in behind), None)
        late, ahead = after[:count], after[len(after[:count]) :]
        if not late:
            return {**item, "after": ahead[0]} if ahead else item
        is_queued_later = "startTime" not in late[-1] and ahead and "startTime" in ahead[0]
        answer = ahead[0] if is_queued_later else late[-1]
        self._held[job] = _Held([item], answer, service_state(answer) != _RUNNING)
        return None

    def due(self, item: dict[str, Any], *, before: bool) -> Iterator[dict[str, Any]]:
        """Yield the cancellations that are sent before or after a call, as `hold` returns them."""
        answers = [id(each) for each in (item["answer"], *rows_of(item["answer"]))]
        for job, held in [*self._held.items()]:
            if id(held.answer) in answers and held.is_before is before:
                del self._held[job]
                yield {**held.calls[0], "after": held.answer}
                yield from held.calls[1:]


def _answers(calls: Sequence[dict[str, Any]], job: str) -> Iterator[dict[str, Any]]:
    """Yield the answers about a job."""
    for item in calls:
        for each in (item["answer"], *rows_of(item["answer"])):
            if "state" in each and str(each.get("name")).endswith(f"/{job}"):
                yield each
