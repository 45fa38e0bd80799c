"""How long a planned job may take and what it may cost, from earlier trials of the same study."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudtune.errors import CloudtuneError
from cloudtune.provider.cost import longest_trial, service_timeout
from cloudtune.provider.models import CloudSettings
from cloudtune.provider.plan import Plan
from cloudtune.results.events import Ended, Started
from cloudtune.results.run_time import RunTime
from cloudtune.search.expected_brackets import Brackets, expected_brackets
from cloudtune.search.hyperband_search import max_starts
from cloudtune.study.expected_trials import expected_trials

if TYPE_CHECKING:
    from cloudtune.ledger.ledger import Ledger
    from cloudtune.ledger.records import JobRecord, RunRecord

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


@dataclass(frozen=True)
class Forecast:
    """How long a job may take and what it may cost; unknown values are None. Times are seconds.

    The times are those of running trials. A service also needs time to find and start a machine for
    each trial, which is not included.
    """

    trials: int | None
    """The number of trials unless the job ends early."""
    parallel: int
    basis: Basis | None
    seconds: tuple[float, float] | None
    """The time of the job if its trials take as long as those of the basis."""
    most: float | None
    """The time after which the study's own limits end the job. A service then stops its trials,
    which takes some time."""
    running: float | None
    """The most time that its trials can run one after the other at a service, where each also waits
    for a machine for an unknown time."""
    cost: tuple[float, float] | None
    """The cost for `seconds`, in the currency of the plan's estimate."""
    brackets: Brackets | None = None
    """How much of the resource trials get if cloudtune runs hyperband with `max_trials`."""


def forecast(plan: Plan) -> Forecast:
    """Return the forecast of a plan, from the ledger alone."""
    limits = plan.fitted.study.limits
    trials, parallel = expected_trials(plan.fitted.study), limits.parallel_trials or 1
    basis = _find_basis(plan)
    longest = longest_trial(limits, plan.facts)
    is_service = isinstance(plan.settings, CloudSettings)
    running = most = None
    if trials is not None and longest is not None:
        starts = max_starts(plan.fitted.study) if is_service and plan.mode == "driven" else 1
        running = math.ceil(trials / parallel) * starts * longest
    if not plan.facts.lookup.limits.set_by_native:
        most = service_timeout(limits, plan.mode, plan.facts)
    if running is not None and not is_service:
        most, running = min(filter(None, (most, running))), None
    seconds = cost = None
    if basis and trials is not None:
        rounds = math.ceil(trials / parallel)
        low, high = (
            min(rounds * each, limits.timeout or math.inf) for each in (basis.low, basis.high)
        )
        seconds = (low, high)
        if price := plan.facts.price if plan.estimate else None:
            low, high = (max(each, price.min_seconds) for each in (basis.low, basis.high))
            cost = (trials * low * price.per_second, trials * high * price.per_second)
    brackets = _brackets(plan, trials)
    return Forecast(trials, parallel, basis, seconds, most, running, cost, brackets)


def _brackets(plan: Plan, trials: int | None) -> Brackets | None:
    study = plan.fitted.study
    if plan.mode != "driven" or study.strategy.name != "hyperband" or plan.refused or not trials:
        return None
    return expected_brackets(study, trials)


def _find_basis(plan: Plan) -> Basis | None:
    """Return the trials of the latest run of the same study, on the plan's provider if possible."""
    from cloudtune.ledger.ledger import Ledger

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
    same["resource"] = strategy.get("resource")
    return same | {name: trial.get(name) for name in _SAME_TRIAL}


def _basis(ledger: Ledger, record: RunRecord, job: JobRecord) -> Basis | None:
    last = ledger.last_event_number(record.id, job.provider)
    starts: dict[int, RunTime] = {}
    seconds: dict[int, float] = {}
    completed: set[int] = set()
    for _, event in ledger.events(record.id, job.provider, after=max(0, last - _EVENTS)):
        if isinstance(event, Started):
            starts[event.number] = RunTime.begin(event)
        elif event.number not in starts:
            continue
        starts[event.number].tell(event)
        if isinstance(event, Ended):
            spent = starts.pop(event.number).ran
            seconds[event.number] = seconds.get(event.number, 0.0) + spent
            if event.state in {"completed", "stopped_early"}:
                completed.add(event.number)
    times = sorted(seconds[number] for number in completed)
    if not times:
        return None
    quarter = len(times) // 4
    return Basis(
        run=record.id,
        provider=job.provider,
        emulated=job.emulated,
        trials=len(times),
        low=times[quarter],
        high=times[-1 - quarter],
    )
