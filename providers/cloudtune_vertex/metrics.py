"""What trials have measured, as their launchers keep it in Cloud Storage.

Vertex AI tells the final values of a tuning job's trials alone, and of a custom job's none. So the
launcher writes all measurements as lines of JSON to one object a trial, ever longer and always as a
whole. All objects of a job are below one address, so that one list tells which have grown; of those
the new bytes are read.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

from cloudtune.provider import Facts, Measurement
from cloudtune_vertex.client import Google, Object
from cloudtune_vertex.errors import GoogleError
from cloudtune_vertex.request.layout import measurements

_AT_ONCE = 8
"""Objects that are read at the same time."""
_SUFFIX = ".jsonl"


@dataclass
class Curve:
    """What one trial has measured so far, and why its script failed."""

    lines: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    failure: str = ""
    generation: str = ""
    """That of the object when it was read last."""
    read: int = 0
    """How many of its bytes are in the lines."""

    def take(self, data: bytes) -> None:
        """Take note of the bytes that follow those that were read; a last half line waits."""
        end = data.rfind(b"\n") + 1
        self.read += end
        for line in data[:end].splitlines():
            said = _object(line)
            if isinstance(said.get("metrics"), dict):
                self.lines.append(said)
            elif "failure" in said:
                self.failure = str(said["failure"])

    def measurements(self, after_step: int = 0) -> list[Measurement]:
        """Return all measurements, in an order that stays as it is when there are more.

        Args:
            after_step: From which step on those are counted that were reported without one.
        """
        last: dict[str, int] = {}
        told: list[Measurement] = []
        for line in self.lines:
            steps: dict[int, dict[str, float]] = {}
            for name, value in _numbers(line["metrics"]).items():
                at = _whole(line.get("step"))
                at = last.get(name, after_step) + 1 if at is None else at
                last[name] = max(at, last.get(name, at))
                steps.setdefault(at, {})[name] = value
            time = _numbers({"time": line.get("time")}).get("time")
            told += [Measurement(step, values, time) for step, values in steps.items()]
        return told


class CurveReader:
    """Reads the measurements of one job's trials, each of them once."""

    def __init__(self, google: Google, facts: Facts, *, needed: bool) -> None:
        """Prepare; nothing is called.

        Args:
            google: Reaches Cloud Storage.
            facts: Those of the job.
            needed: Whether the job cannot be followed without them.
        """
        self._google = google
        self._bucket, _, folder = measurements(facts).removeprefix("gs://").partition("/")
        self._prefix = f"{folder}/"
        self._needed = needed
        self.denied = ""
        """Why Cloud Storage may not be read, if that is so; it is not asked again."""
        self._curves: dict[str, Curve] = {}

    def read(self, names: Collection[str]) -> Mapping[str, Curve]:
        """Return what trials have measured, by the names under which it is kept.

        Raises:
            GoogleError: If Cloud Storage cannot be reached, or may not be read though it must.
        """
        if names and not self.denied:
            try:
                self._update(frozenset(names))
            except GoogleError as error:
                if self._needed or error.retryable:
                    raise
                self.denied = str(error)
        nothing = Curve()
        return {name: self._curves.get(name, nothing) for name in names}

    def _update(self, names: Collection[str]) -> None:
        grown: list[tuple[Curve, Object]] = []
        for found in self._google.objects(self._bucket, self._prefix):
            name = found.name.removeprefix(self._prefix).removesuffix(_SUFFIX)
            curve = self._curves.get(name) or Curve()
            if name not in names or curve.generation == found.generation:
                continue
            if found.size < curve.read:  # another process has begun anew
                curve = Curve()
            self._curves[name] = curve
            grown.append((curve, found))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for curve, found, data in pool.map(self._fetch, grown):
                curve.take(data)
                curve.generation = found.generation

    def _fetch(self, grown: tuple[Curve, Object]) -> tuple[Curve, Object, bytes]:
        curve, found = grown
        return curve, found, self._google.read(self._bucket, found.name, curve.read)


def _object(line: bytes) -> Mapping[str, Any]:
    """Return the JSON object of a line; an empty one for what our launcher has not written."""
    try:
        said: Any = json.loads(line)
    except ValueError:
        return {}
    return cast("Mapping[str, Any]", said) if isinstance(said, dict) else {}


def _numbers(said: Mapping[str, Any]) -> dict[str, float]:
    pairs: Iterable[tuple[str, Any]] = said.items()
    return {
        name: float(value)
        for name, value in pairs
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _whole(step: Any) -> int | None:
    return step if isinstance(step, int) and not isinstance(step, bool) else None
