"""What a plan may cost is bounded by its limits, and unknown where its price is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune.provider.cost import check_budget, estimate, overrides_any, service_timeout
from cloudtune.provider.facts import Facts, Lookup, Price, ServiceLimits
from cloudtune.study.limits import LIMITS
from cloudtune.study.schema import Limits, Mode

PRICE = Price(0.001, "USD", "list of 2026-11-01")
NONE = ServiceLimits()
KNOWN = Price.hourly(3.6, "USD", "a list, read 2026-11-01")
UNKNOWN = "the price of a big one there is unknown"


def facts_of(price: Price | str, service: ServiceLimits) -> Facts:
    return Facts("r", "j", 0, Path.cwd(), lookup=Lookup(price=price, limits=service))


def most(mode: Mode = "driven", service: ServiceLimits = NONE, **limits: Any) -> float | None:
    found = estimate(Limits.model_validate(limits), mode, facts_of(PRICE, service))
    assert found is not None
    return found.most


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ({"max_trials": 10, "trial_timeout": "100s"}, 1.0),
        ({"timeout": "100s"}, None),
        ({"timeout": "100s", "trial_timeout": "20s", "parallel_trials": 4}, 0.48),
        ({"max_trials": 10, "trial_timeout": "100s", "timeout": "100s"}, 0.2),
        ({"max_trials": 10}, None),
        ({"max_trials": 10, "max_cost": "5 USD"}, None),
        ({"trial_timeout": "100s", "parallel_trials": 4, "max_cost": "5 USD"}, 5.4),
        ({"max_trials": 10, "max_cost": "5 EUR"}, None),
    ],
)
def test_the_tightest_limit_bounds_it(limits: dict[str, Any], wanted: float | None) -> None:
    found = most(**limits)
    assert found == (wanted if wanted is None else pytest.approx(wanted))


def test_the_services_own_end_of_a_trial_is_a_limit() -> None:
    assert most(service=ServiceLimits(longest_trial=200), max_trials=10) == pytest.approx(2.0)


def test_a_timeout_alone_bounds_it_where_the_service_ends_trials_then() -> None:
    service = ServiceLimits(timeout_ends_trials=("managed",))
    limits: dict[str, Any] = {"timeout": "100s", "parallel_trials": 4}
    assert most("managed", service, **limits) == pytest.approx(0.4)
    assert most("driven", service, **limits) is None


def test_the_time_after_a_limit_is_billed() -> None:
    service = ServiceLimits(grace_seconds=120, timeout_ends_trials=("managed",))
    assert most(service=service, max_trials=10, trial_timeout="80s") == pytest.approx(2.0)
    assert most("managed", service, timeout="80s") == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("service", "wanted"),
    [(ServiceLimits(min_timeout=120), 120), (ServiceLimits(timeout_unit=60), 120), (NONE, 90)],
)
def test_a_timeout_counts_as_the_service_takes_it(service: ServiceLimits, wanted: float) -> None:
    limits, facts = Limits.model_validate({"timeout": "90s"}), facts_of(PRICE, service)
    assert service_timeout(limits, "managed", facts) == wanted
    assert service_timeout(limits, "driven", facts) == 90


def test_what_a_maximum_does_not_count_makes_it_an_estimate() -> None:
    service = ServiceLimits(uncounted=("disks",))
    limits = Limits.model_validate({"max_trials": 10, "trial_timeout": "100s"})
    texts = [
        str(estimate(limits, mode, facts_of(PRICE, service))) for mode in ("managed", "driven")
    ]
    assert texts[0].startswith("0 to about 1.00 USD, an estimate, which does not count disks: ")
    assert "does not count disks; repeats of lost trials: " in texts[1]
    assert str(estimate(limits, "managed", facts_of(PRICE, NONE))).startswith("0 to 1.00 USD: ")


def test_each_trial_is_billed_for_the_minimum() -> None:
    def most_of(**limits: Any) -> float | None:
        price = Price(0.001, "USD", "a list", min_seconds=60.0)
        found = estimate(Limits.model_validate(limits), "driven", facts_of(price, NONE))
        return found.most if found else None

    assert most_of(max_trials=10, trial_timeout="5s") == pytest.approx(0.6)
    assert most_of(max_trials=10, trial_timeout="100s") == pytest.approx(1.0)
    assert most_of(timeout="100s", trial_timeout="5s") is None  # the number of trials is unknown


def test_a_budget_does_not_bound_what_a_service_starts_itself() -> None:
    limits: dict[str, Any] = {"max_cost": "1 USD", "trial_timeout": "100s", "max_trials": 1000}
    assert most("driven", **limits) == pytest.approx(1.1)
    assert most("managed", **limits) == pytest.approx(100)


def test_limits_in_native_are_not_known() -> None:
    limits: dict[str, Any] = {"max_trials": 5, "trial_timeout": "100s", "timeout": "1h"}
    service = ServiceLimits(set_by_native=True, timeout_ends_trials=("driven",))
    assert most(service=service, **limits) is None
    (note,) = budget("5 USD", PRICE, service=service, trial_timeout="100s")
    assert note.endswith("by what they cost, which trial_timeout would bound")


def test_an_unknown_price_is_unknown() -> None:
    limits = Limits.model_validate({"max_trials": 1})
    assert estimate(limits, "driven", Facts("r", "j", 0, Path.cwd())) is None


NATIVE: list[tuple[dict[str, Any], bool]] = [
    ({}, False),
    ({"job": {"pools": [{"disk": {"size": 1}}, {"env": []}]}}, False),
    ({"job": {"pools": [{"env": []}, {"machine": {"type": "large"}}]}}, True),
    ({"job": {"count": 2}}, True),
    ({"count": None}, True),
]


@pytest.mark.parametrize(("native", "changed"), NATIVE)
def test_whether_native_changes_the_machines(native: dict[str, Any], *, changed: bool) -> None:
    assert overrides_any(native, {"machine", "count"}) is changed


def budget(
    budget: str,
    price: Price | str,
    mode: Mode = "driven",
    service: ServiceLimits = NONE,
    **limits: Any,
) -> list[str]:
    given = Limits.model_validate({"max_cost": budget, **limits})
    facts = facts_of(price, service)
    return [str(each) for each in check_budget(given, "far", mode, facts)]


@pytest.mark.parametrize("name", [name for name, each in LIMITS.items() if each.needs_price])
def test_a_limit_of_money_needs_a_price_in_its_currency(name: str) -> None:
    def found(amount: str, price: Price | str) -> list[str]:
        facts = facts_of(price, NONE)
        limits = Limits.model_validate({name: amount})
        return [str(each) for each in check_budget(limits, "far", "driven", facts)]

    assert found("5 USD", UNKNOWN) == [
        f"refused limits.{name}: the price of a big one there is unknown: give "
        "providers.far.prices.hour, as in 0.40 USD"
    ]
    assert found("5 EUR", KNOWN) == [
        f"refused limits.{name}: the budget is in EUR and the price in USD; give "
        "providers.far.prices.hour in EUR"
    ]


def test_by_how_much_a_budget_may_be_exceeded_is_named() -> None:
    (note,) = budget("5 USD", KNOWN, trial_timeout="100s", parallel_trials=3)
    assert note.endswith("trials may exceed the budget by about 0.30 USD")
    (note,) = budget("5 USD", KNOWN)
    assert note.endswith("by what they cost, which trial_timeout would bound")
    (note,) = budget("5 USD", KNOWN, "managed", ServiceLimits(longest_trial=1000))
    assert note.endswith("trials may exceed the budget by about 1.00 USD and more")


WARM = Price(0.001, "USD", "a list", idle_seconds=600.0)


def test_the_time_that_machines_wait_counts_in_driven_mode() -> None:
    limits: dict[str, Any] = {"trial_timeout": "100s", "parallel_trials": 3}
    wait, _ = budget("5 USD", WARM, **limits)
    assert wait == (
        "limits.max_cost: counts the time that machines wait for trials, up to 1.80 USD after the "
        "last ones"
    )
    assert len(budget("5 USD", WARM, "managed", **limits)) == 1
    assert budget("1.8 USD", WARM, **limits) == [
        "refused limits.max_cost: machines that wait for trials could cost 1.80 USD by themselves: "
        "raise max_cost, or let them wait less"
    ]
    found = estimate(
        Limits.model_validate(limits | {"max_trials": 10}), "driven", facts_of(WARM, NONE)
    )
    assert found is not None
    assert found.most == pytest.approx(10 * 700 * 0.001)


def test_a_rehearsal_refuses_a_budget_that_waiting_machines_use_up() -> None:
    facts = replace(facts_of(WARM, NONE), emulated=True)

    def found(budget: str) -> list[str]:
        limits = Limits.model_validate({"max_cost": budget})
        return [str(each) for each in check_budget(limits, "far", "driven", facts)]

    assert found("0.7 USD") == found("0.1 EUR") == []
    (refused,) = found("0.5 USD")
    assert refused.startswith("refused limits.max_cost: machines that wait for trials")
