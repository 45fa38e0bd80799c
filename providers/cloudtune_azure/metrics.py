"""Reads what the launcher, or the script itself, has logged to the run of a job in MLflow.

``runs/get`` returns the latest value of each metric, and ``metrics/get-history`` all values of one
(mlflow.org/docs, REST API, read 2026-11-30; not verified against the live
service).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from cloudtune.provider import FailedPolls, Json
from cloudtune.results import InvalidReportError, Measurement, check_count
from cloudtune_azure.answers import integer, number
from cloudtune_azure.client import AzureClient
from cloudtune_azure.launcher_contract import FAILURE, MACHINE, STARTED


@dataclass
class Curve:
    """What was read of one job."""

    measurements: list[Measurement] = field(default_factory=list[Measurement])
    failure: str = ""
    started: float | None = None
    machine: str | None = None
    problem: str = ""
    """What is wrong with the measurements; the trial fails."""
    params: dict[str, str] = field(default_factory=dict[str, str])
    """The parameters that the script has logged."""
    is_complete: bool = False
    """Whether the job had ended when it was read."""
    hide: Callable[[str], str] = str
    """Removes secrets from a text."""
    failed_polls: FailedPolls = field(
        default_factory=lambda: FailedPolls("the workspace's MLflow, which has a host of its own")
    )
    _latest: dict[str, Json] = field(default_factory=dict[str, Json])
    _seen: set[tuple[str, int, int, str]] = field(default_factory=set[tuple[str, int, int, str]])

    def read(self, client: AzureClient, tracking: str, run: str, *, is_over: bool) -> None:
        """Add what is new; after the end of the job, for the last time.

        Raises:
            AzureError: If a call fails.
        """
        if self.is_complete or self.problem:
            return
        data: Json = client.mlflow(tracking, "runs/get", run_id=run)["run"].get("data") or {}
        self._read_tags(data.get("tags") or ())
        params: Iterable[Json] = data.get("params") or ()
        self.params = {p["key"]: str(p["value"]) for p in params if p.get("value") is not None}
        latest: dict[str, Json] = {each["key"]: each for each in data.get("metrics") or ()}
        changed = [key for key in latest if is_over or latest[key] != self._latest.get(key)]
        # A value that is logged between two calls must not part from those of the same report.
        last = math.inf if is_over else max((_time(each) for each in latest.values()), default=0)
        new: list[Json] = []
        for key in changed:
            new += [each for each in _history(client, tracking, run, key) if _time(each) <= last]
        try:
            self._add(new)
        except InvalidReportError as error:
            self.problem = str(error)
        self._latest = latest
        self.is_complete = is_over

    def _read_tags(self, tags: Iterable[Json]) -> None:
        values = {tag["key"]: str(tag.get("value")) for tag in tags}
        self.failure = values.get(FAILURE, "")
        self.machine = values.get(MACHINE)
        try:
            started = float(values.get(STARTED, "nan"))
        except ValueError:
            return
        self.started = started if math.isfinite(started) else None

    def _add(self, entries: Iterable[Json]) -> None:
        """Add values by their time and step: those of one report have the same."""
        groups: dict[tuple[int, int], dict[str, float]] = {}
        for entry in entries:
            key, at, step = str(entry["key"]), _time(entry), integer(entry, "step")
            seen = key, at, step, repr(entry.get("value"))
            if seen not in self._seen:
                self._seen.add(seen)
                groups.setdefault((at, step), {})[self.hide(key)] = number(entry)
        for (at, step), metrics in sorted(groups.items()):
            self.measurements.append(Measurement(step, metrics, at / 1000))
            check_count(len(self.measurements))


def _history(client: AzureClient, tracking: str, run: str, key: str) -> Iterator[Json]:
    token = ""
    while True:
        page = {"page_token": token} if token else {}
        answer = client.mlflow(tracking, "metrics/get-history", run_id=run, metric_key=key, **page)
        yield from answer.get("metrics") or ()
        token = answer.get("next_page_token") or ""
        if not token:
            return


def _time(metric: Json) -> int:
    return integer(metric, "timestamp")
