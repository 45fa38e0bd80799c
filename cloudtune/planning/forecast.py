"""How long a planned job may take and what it may cost, from earlier trials of the same study."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudtune.errors import LedgerError
from cloudtune.ledger.home import ledger_file, state_folder
from cloudtune.provider.cost import longest_trial, service_timeout
from cloudtune.provider.plan import Plan
from cloudtune.provider.settings import CloudSettings
from cloudtune.search.rungs import max_starts
from cloudtune.study.expected_trials import expected_trials

if TYPE_CHECKING:
    from cloudtune.planning.earlier_trials import Basis
    from cloudtune.provider.facts import Price
    from cloudtune.search.expected_brackets import Brackets
    from cloudtune.study.schema import Limits


@dataclass(frozen=True)
class Forecast:
    """How long a job may take and what it may cost; unknown values are None. Times are seconds.

    A service also needs time to find and start a machine for each trial. Only `seconds` includes
    that, if trials of the basis waited for the same service.
    """

    trials: int | None
    """The number of trials unless the job ends early."""
    parallel: int
    basis: Basis | None
    seconds: tuple[float, float] | None
    """The time of the job if its trials take as long as those of the basis, and wait as long."""
    most: float | None
    """The time after which the study's own limits end the job. A service then stops its trials,
    which takes some time."""
    running: float | None
    """The most time that its trials can run one after the other at a service, where each also waits
    for a machine for an unknown time."""
    cost: tuple[float, float] | None
    """The cost for `seconds`, in the currency of the plan's estimate. A budget ends both."""
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
        times = min(basis.low, basis.mean), max(basis.high, basis.mean)
        waits = known_waits(plan, basis) or (0.0, 0.0)
        price = plan.facts.price if plan.estimate else None
        jobs = [
            _job(limits, price, trials, rounds * (ran + waited), ran)
            for ran, waited in zip(times, waits, strict=True)
        ]
        (fast, slow), (cheap, dear) = (sorted(each) for each in zip(*jobs, strict=True))
        seconds, cost = (fast, slow), (cheap, dear) if price else None
    brackets = _brackets(plan, trials)
    return Forecast(trials, parallel, basis, seconds, most, running, cost, brackets)


def _job(
    limits: Limits, price: Price | None, trials: int, seconds: float, ran: float
) -> tuple[float, float]:
    """Return the seconds and the cost of a job until its trials have run, or a limit ends it.

    Args:
        limits: The limits.
        price: The price of a trial, if it is known.
        trials: The number of trials.
        seconds: The time of the job without limits.
        ran: The run time of one trial.
    """
    cost = trials * max(ran, price.min_seconds) * price.per_second if price else 0.0
    shares = [1.0]
    if limits.timeout and seconds:
        shares.append(limits.timeout / seconds)
    if limits.max_cost and price and limits.max_cost.currency == price.currency and cost:
        shares.append(limits.max_cost.amount / cost)
    return seconds * min(shares), cost * min(shares)


def known_waits(plan: Plan, basis: Basis) -> tuple[float, float] | None:
    """Return the waits for machines of earlier trials, if the plan's service had them."""
    is_same = (basis.provider, basis.emulated) == (plan.provider, plan.facts.emulated)
    return basis.waits if is_same else None


def _brackets(plan: Plan, trials: int | None) -> Brackets | None:
    study = plan.fitted.study
    if plan.mode != "driven" or study.strategy.name != "hyperband" or plan.refused or not trials:
        return None
    from cloudtune.search.expected_brackets import expected_brackets

    return expected_brackets(study, trials)


def _find_basis(plan: Plan) -> Basis | None:
    try:
        if not ledger_file(state_folder()).exists():
            return None
    except LedgerError:  # a folder of another user
        return None
    from cloudtune.planning.earlier_trials import find_basis

    return find_basis(plan)
