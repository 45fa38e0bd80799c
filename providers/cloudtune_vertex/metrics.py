"""The measurements of trials, which their launchers save in Cloud Storage.

Vertex AI reports only the final values of a tuning job's trials, and none of a custom job's. So the
launcher writes all measurements as lines of JSON to one object for each trial, which only grows.
All objects of a job are in one folder: one list call shows which have grown, and only their new
bytes are read.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

from cloudtune.launcher.contract import BEGINS_ANEW
from cloudtune.provider import Facts
from cloudtune.results import Measurement
from cloudtune_vertex.client import Google, StoredObject
from cloudtune_vertex.errors import GoogleError
from cloudtune_vertex.request.layout import measurements_uri

_MAX_PARALLEL_READS = 8
_SUFFIX = ".jsonl"


@dataclass
class Curve:
    """The measurements of one trial so far, and why its script failed."""

    lines: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    failure: str = ""
    generation: str = ""
    """The generation of the object at the last read."""
    bytes_read: int = 0

    def add(self, data: bytes) -> None:
        """Add the next bytes of the object, up to the last complete line."""
        end = data.rfind(b"\n") + 1
        self.bytes_read += end
        for line in data[:end].splitlines():
            entry = _parse_line(line)
            if isinstance(entry.get("metrics"), dict):
                self.lines.append(entry)
            elif "failure" in entry:
                self.failure = str(entry["failure"])

    def measurements(self, after_step: int = 0) -> list[Measurement]:
        """Return all measurements, in an order that later measurements do not change.

        Args:
            after_step: The step after which measurements without a step are counted, unless the
                script began anew.
        """
        last_steps: dict[str, int] = {}
        measurements: list[Measurement] = []
        for line in self.lines:
            if BEGINS_ANEW in line:
                last_steps, after_step = {}, 0
            steps: dict[int, dict[str, float]] = {}
            for name, value in _numbers(line["metrics"]).items():
                step = line.get("step")
                if not isinstance(step, int) or isinstance(step, bool):
                    step = last_steps.get(name, after_step) + 1
                last_steps[name] = max(step, last_steps.get(name, step))
                steps.setdefault(step, {})[name] = value
            time = _numbers({"time": line.get("time")}).get("time")
            measurements += [Measurement(step, values, time) for step, values in steps.items()]
        return measurements


class CurveReader:
    """Reads the measurements of a job's trials, each of them once."""

    def __init__(self, google: Google, facts: Facts, *, required: bool) -> None:
        """Create the reader without calling Google.

        Args:
            google: The services.
            facts: The facts of the job.
            required: Whether the job cannot continue without its measurements.
        """
        self._google = google
        self._bucket, _, folder = measurements_uri(facts).removeprefix("gs://").partition("/")
        self._prefix = f"{folder}/"
        self._required = required
        self.denied = ""
        """Why the measurements cannot be read; if set, no more calls are made."""
        self._curves: dict[str, Curve] = {}

    def read(self, names: Collection[str]) -> Mapping[str, Curve]:
        """Return the measurements of trials, by the names under which they are saved.

        Raises:
            GoogleError: If Cloud Storage cannot be reached, or refuses required measurements.
        """
        if names and not self.denied:
            try:
                self._update(frozenset(names))
            except GoogleError as error:
                if self._required or error.retryable:
                    raise
                self.denied = str(error)
        empty = Curve()
        return {name: self._curves.get(name, empty) for name in names}

    def _update(self, names: Collection[str]) -> None:
        changed: list[tuple[Curve, StoredObject]] = []
        for stored in self._google.list_objects(self._bucket, self._prefix):
            name = stored.name.removeprefix(self._prefix).removesuffix(_SUFFIX)
            curve = self._curves.get(name) or Curve()
            if name not in names or curve.generation == stored.generation:
                continue
            if stored.size < curve.bytes_read:  # another process has started a new file
                curve = Curve()
            self._curves[name] = curve
            changed.append((curve, stored))
        with ThreadPoolExecutor(_MAX_PARALLEL_READS) as pool:
            for curve, stored, data in pool.map(self._fetch, changed):
                curve.add(data)
                curve.generation = stored.generation

    def _fetch(self, change: tuple[Curve, StoredObject]) -> tuple[Curve, StoredObject, bytes]:
        curve, stored = change
        return curve, stored, self._google.read(self._bucket, stored.name, curve.bytes_read)


def _parse_line(line: bytes) -> Mapping[str, Any]:
    """Return the JSON object of a line; an empty one for other text."""
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return {}
    return cast("Mapping[str, Any]", entry) if isinstance(entry, dict) else {}


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    pairs: Iterable[tuple[str, Any]] = values.items()
    return {
        name: float(value)
        for name, value in pairs
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
