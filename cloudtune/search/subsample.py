"""Which trials a model looks at, so that choosing one does not cost more the more there are."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence

from cloudtune.search.sampling import trial_seed


class Subsample:
    """The best trials, the last ones and a sample of all, in equal parts.

    With several objectives the best are those that no other surpasses in all of them, the last ones
    first, and then the best in each. Every trial has a lot, which derives from the seed and its
    draw, and the sample has the lowest lots: so what is looked at changes little from trial to
    trial, and does not depend on the order in which trials end.
    """

    def __init__(self, seed: int, objectives: int, part: int) -> None:
        """Keep ``part`` of the best, ``part`` of the last, and ``part`` of all others."""
        self._seed = seed
        self._part = part
        self._ranked: list[list[tuple[float, int]]] = [[] for _ in range(objectives)]
        self._front: list[tuple[tuple[float, ...], int]] = []
        self._by_draw: list[int] = []
        self._by_lot: list[tuple[int, int]] = []

    def add(self, draw: int, scores: Sequence[float]) -> None:
        """Take note of a trial that has ended; the lower a score, the better."""
        insort(self._by_draw, draw)
        insort(self._by_lot, (trial_seed(self._seed, draw), draw))
        for ranked, score in zip(self._ranked, scores, strict=True):
            insort(ranked, (score, draw))
        own = tuple(scores)
        if not any(_weakly_dominates(other, own) for other, _ in self._front):
            self._front = [entry for entry in self._front if not _weakly_dominates(own, entry[0])]
            insort(self._front, (own, draw), key=lambda entry: entry[1])

    def draws(self) -> list[int]:
        """Return the draws of the trials to look at, in order."""
        if len(self._by_draw) <= 3 * self._part:
            return list(self._by_draw)
        found: set[int] = set()
        _fill(found, self._part, self._best())
        _fill(found, 2 * self._part, reversed(self._by_draw))
        _fill(found, 3 * self._part, (draw for _, draw in self._by_lot))
        return sorted(found)

    def _best(self) -> Iterator[int]:
        for _, draw in reversed(self._front):
            yield draw
        for row in zip(*self._ranked, strict=True):
            for _, draw in row:
                yield draw


def _weakly_dominates(left: Sequence[float], right: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(left, right, strict=True))


def _fill(found: set[int], most: int, draws: Iterator[int]) -> None:
    for draw in draws:
        if len(found) >= most:
            return
        found.add(draw)
