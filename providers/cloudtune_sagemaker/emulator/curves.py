"""What a training job measured, in sixteen bytes a value: an emulator may run for days."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

from cloudtune.emulator_kit import Measured


class Curves(Mapping[str, Iterator[tuple[float, float]]]):
    """The values of each metric with their times, in the order in which they were measured."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[array[float], array[float]]] = {}
        self.measurements = 0
        """How many measurements were added, of one or several metrics each."""

    def add(self, measured: Measured) -> None:
        """Add the values of a measurement."""
        self.measurements += 1
        for name, value in measured.metrics.items():
            times, values = self._columns.setdefault(name, (array("d"), array("d")))
            values.append(value)
            times.append(measured.time)

    def last(self) -> dict[str, tuple[float, float]]:
        """Return the last value of each metric, and its time."""
        return {name: (values[-1], times[-1]) for name, (times, values) in self._columns.items()}

    def __getitem__(self, name: str) -> Iterator[tuple[float, float]]:
        """Yield time and value of each measurement of a metric."""
        return zip(*self._columns[name], strict=False)  # another thread may be adding

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._columns))

    def __len__(self) -> int:
        return len(self._columns)
