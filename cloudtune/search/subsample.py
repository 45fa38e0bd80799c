"""A bounded subsample of the trials for models, so that their cost does not grow with the study."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence

from cloudtune.search.sampling import trial_seed


class Subsample:
    """The best trials, the latest trials and a random sample of all, in equal parts.

    With several objectives the best are the Pareto front, latest first, and then the best in each
    objective. The sample takes the trials with the lowest priorities. A priority derives
    from the seed and the trial's index, so the subsample changes little from trial to trial and
    does not depend on the order in which trials end.
    """

    def __init__(self, seed: int, objectives: int, part_size: int) -> None:
        self._seed = seed
        self._part_size = part_size
        self._by_score: list[list[tuple[float, int]]] = [[] for _ in range(objectives)]
        self._front: list[tuple[tuple[float, ...], int]] = []
        self._by_index: list[int] = []
        self._by_priority: list[tuple[int, int]] = []

    def add(self, index: int, scores: Sequence[float]) -> None:
        """Add a finished trial. Lower scores are better."""
        insort(self._by_index, index)
        insort(self._by_priority, (trial_seed(self._seed, index), index))
        for ranking, score in zip(self._by_score, scores, strict=True):
            insort(ranking, (score, index))
        point = tuple(scores)
        if not any(_weakly_dominates(other, point) for other, _ in self._front):
            self._front = [entry for entry in self._front if not _weakly_dominates(point, entry[0])]
            insort(self._front, (point, index), key=lambda entry: entry[1])

    def indices(self) -> list[int]:
        """Return the indices of the selected trials, ascending."""
        if len(self._by_index) <= 3 * self._part_size:
            return list(self._by_index)
        selection: set[int] = set()
        _fill(selection, self._part_size, self._best())
        _fill(selection, 2 * self._part_size, reversed(self._by_index))
        _fill(selection, 3 * self._part_size, (index for _, index in self._by_priority))
        return sorted(selection)

    def _best(self) -> Iterator[int]:
        for _, index in reversed(self._front):
            yield index
        for row in zip(*self._by_score, strict=True):
            for _, index in row:
                yield index


def _weakly_dominates(left: Sequence[float], right: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(left, right, strict=True))


def _fill(selection: set[int], size: int, indices: Iterator[int]) -> None:
    for index in indices:
        if len(selection) >= size:
            return
        selection.add(index)
