"""Earlier trials of the same study in the ledger, from which a forecast takes their time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudtune.errors import CloudtuneError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.provider.plan import Plan
from cloudtune.results.events import MEASURED_STATES, Ended, Started
from cloudtune.results.run_time import RunTime

_RUNS = 20
"""Runs that are searched for trials of the same study, the latest first."""
_EVENTS = 5_000
"""Events at the end of a job that are read."""
_SAME = ("parameters", "constants", "objective", "objectives")
_SAME_TRIAL = ("script", "module", "command")
"""The fields of a study and of its trial on which the time of a trial depends."""


@dataclass(frozen=True)
class Basis:
    """Earlier trials of the same study. Times are seconds of one trial."""

    run: str
    provider: str
    emulated: bool
    trials: int
    low: float
    """A quarter of the trials took less."""
    high: float
    """A quarter of the trials took more."""
    mean: float
    """Few long trials can take most of the time, as with hyperband."""
    waits: tuple[float, float] | None = None
    """The same two limits of what they waited for machines; None if none waited."""


def find_basis(plan: Plan) -> Basis | None:
    """Return the trials of the latest run of the same study, on the plan's provider if possible."""
    wanted = _identity(plan.study.to_json())
    other: Basis | None = None
    try:
        with Ledger() as ledger:
            for name in ledger.run_ids()[:_RUNS]:
                record = ledger.run(name)
                if _identity(record.study) != wanted:
                    continue
                for job in record.jobs:
                    basis = _basis(ledger, record, job)
                    place = (job.provider, job.emulated)
                    if basis and place == (plan.provider, plan.facts.emulated):
                        return basis
                    other = other or basis
    except CloudtuneError:  # no ledger yet, or a damaged run, which `status` reports
        return other
    return other


def _identity(study: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a study on which the time of its trials depends."""
    trial: dict[str, Any] = study.get("trial") or {}
    strategy: dict[str, Any] = study.get("strategy") or {}
    same: dict[str, Any] = {name: study.get(name) for name in _SAME}
    same |= {name: strategy.get(name) for name in ("resource", "min", "max", "eta")}
    return same | {name: trial.get(name) for name in _SAME_TRIAL}


def _basis(ledger: Ledger, record: RunRecord, job: JobRecord) -> Basis | None:
    last = ledger.last_event_number(record.id, job.provider)
    starts: dict[int, RunTime] = {}
    seconds: dict[int, float] = {}
    waits: dict[int, float] = {}
    completed: set[int] = set()
    for _, event in ledger.events(record.id, job.provider, after=max(0, last - _EVENTS)):
        if isinstance(event, Started):
            starts[event.number] = RunTime.begin(event)
        elif event.number in starts:
            starts[event.number].tell(event)
        if isinstance(event, Ended):
            if start := starts.pop(event.number, None):
                seconds[event.number] = seconds.get(event.number, 0.0) + start.ran
                waits[event.number] = waits.get(event.number, 0.0) + start.waited
            if event.state in MEASURED_STATES and event.number in seconds:
                completed.add(event.number)
    if not completed:
        return None
    times = [seconds[number] for number in completed]
    low, high = _middle(times)
    waited = _middle([waits[number] for number in completed])
    return Basis(
        run=record.id,
        provider=job.provider,
        emulated=job.emulated,
        trials=len(completed),
        low=low,
        high=high,
        mean=sum(times) / len(times),
        waits=waited if any(waited) else None,
    )


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """Return the limits of the middle half of some values."""
    ordered, quarter = sorted(values), len(values) // 4
    return ordered[quarter], ordered[-1 - quarter]
