"""What is still known of a job whose events are damaged."""

from __future__ import annotations

from collections.abc import Sequence

from cloudtune.ledger.checksums import Tally
from cloudtune.results.events import FINAL_STATES, Ended, Event, Started
from cloudtune.study.quantities import format_count, format_list

_MAX_SHOWN = 5
"""Trial numbers that a message lists."""


class Salvage:
    """The readable events of a damaged job, and the trials that are certainly intact."""

    def __init__(
        self,
        tally: Tally | None,
        events: dict[int, Event],
        checksums: dict[int, int],
        numbers: dict[int, int],
    ) -> None:
        """Sort out the intact trials.

        Args:
            tally: What the job should have, if it is known.
            events: The readable events, by sequence number.
            checksums: Their checksums.
            numbers: The trial numbers in the index, by sequence number.
        """
        self._tally = tally
        readable = Tally(
            len(events), sum(event.number for event in events.values()), sum(checksums.values())
        )
        self._only_tally = False
        if events and tally and tally != readable and [*events] == [*range(1, len(events) + 1)]:
            self._only_tally = sum(a == b for a, b in zip(tally, readable, strict=True)) == 2
        last = max([*events, *numbers], default=0)
        if tally and not self._only_tally:
            last = tally.events
        events = {seq: event for seq, event in events.items() if seq <= last}
        self._count = last
        lost = [seq for seq in numbers if seq not in events and seq <= last]
        self._lost = last - len(events)
        is_complete = tally is not None and len(lost) == self._lost
        self._damaged = {numbers[seq] for seq in lost}
        gaps = _gaps(events, last) if not is_complete else []
        by_trial: dict[int, list[int]] = {}
        for seq, event in events.items():
            by_trial.setdefault(event.number, []).append(seq)
        self.trials: list[list[Event]] = []
        for number, seqs in sorted(by_trial.items()):
            trial = [events[seq] for seq in seqs]
            if number not in self._damaged and (is_complete or _is_closed(trial, seqs, gaps)):
                self.trials.append(trial)
            else:
                self._damaged.add(number)

    def describe(self) -> str:
        """Return what is damaged and what is still known."""
        if self._tally is None:
            problem = "the number of its events is unknown, so its last trials can be missing"
        elif self._only_tally:
            problem = "the count of its events is damaged, but not the events"
        elif self._lost:
            problem = f"{self._lost} of {self._count} events are damaged or missing"
        else:
            problem = "the index of its events is damaged, but not the events"
        if self._damaged:
            problem += f", those of {_list_trials(self._damaged)} among them"
        return f"{problem}; {format_count(len(self.trials), 'trial')} can be read"


def _gaps(events: dict[int, Event], last: int) -> list[int]:
    """Return the first number of each gap in the sequence numbers."""
    return [seq + 1 for seq in [0, *events] if seq < last and seq + 1 not in events]


def _is_closed(trial: Sequence[Event], seqs: Sequence[int], gaps: Sequence[int]) -> bool:
    """Return whether a trial started and ended without a lost event of an unknown trial between."""
    last = trial[-1]
    whole = isinstance(trial[0], Started) and isinstance(last, Ended) and last.state in FINAL_STATES
    return whole and not any(seqs[0] < seq < seqs[-1] for seq in gaps)


def _list_trials(numbers: set[int]) -> str:
    plural = "s" if len(numbers) > 1 else ""
    return f"trial{plural} {format_list([*map(str, sorted(numbers))], _MAX_SHOWN)}"
