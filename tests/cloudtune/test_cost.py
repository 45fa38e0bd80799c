"""What a plan may cost is bounded by its limits, and unknown where its price is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.capabilities import Mode
from cloudtune.cost import HourPrice, changes_machines, estimate, of_the_budget, price_facts
from cloudtune.provider import Facts
from cloudtune.study import Limits

PRICE = {"price_per_second": 0.001, "currency": "USD", "price_source": "list of 2026-11-01"}


def most(own: dict[str, Any], **limits: Any) -> float | None:
    found = estimate(Limits.model_validate(limits), Facts("r", "j", 0, Path.cwd(), own=own))
    assert found is not None
    return found.most


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ({"max_trials": 10, "trial_timeout": "100s"}, 1.0),
        ({"timeout": "100s"}, 0.1),
        ({"timeout": "100s", "parallel_trials": 4}, 0.4),
        ({"max_trials": 10, "trial_timeout": "100s", "timeout": "100s"}, 0.1),
        ({"max_trials": 10}, None),
        ({"max_trials": 10, "max_cost": "5 USD"}, None),
        ({"trial_timeout": "100s", "parallel_trials": 4, "max_cost": "5 USD"}, 5.4),
        ({"max_trials": 10, "max_cost": "5 EUR"}, None),
    ],
)
def test_the_tightest_limit_bounds_it(limits: dict[str, Any], wanted: float | None) -> None:
    found = most(PRICE, **limits)
    assert found == (wanted if wanted is None else pytest.approx(wanted))


def test_the_services_own_end_of_a_trial_is_a_limit() -> None:
    assert most({**PRICE, "longest_trial": 200}, max_trials=10) == pytest.approx(2.0)


def test_an_unknown_price_is_unknown() -> None:
    assert (
        estimate(Limits.model_validate({"max_trials": 1}), Facts("r", "j", 0, Path.cwd())) is None
    )


NATIVE: list[tuple[dict[str, Any], bool]] = [
    ({}, False),
    ({"job": {"pools": [{"disk": {"size": 1}}, {"env": []}]}}, False),
    ({"job": {"pools": [{"env": []}, {"machine": {"type": "large"}}]}}, True),
    ({"job": {"count": 2}}, True),
    ({"count": None}, True),
]


@pytest.mark.parametrize(("native", "changed"), NATIVE)
def test_whether_native_changes_the_machines(native: dict[str, Any], *, changed: bool) -> None:
    assert changes_machines(native, {"machine", "count"}) is changed


def budget(budget: str, own: dict[str, Any], mode: Mode = "driven", **limits: Any) -> list[str]:
    given = Limits.model_validate({"max_cost": budget, **limits})
    facts = Facts("r", "j", 0, Path.cwd(), own=own)
    return [str(each) for each in of_the_budget(given, "far", mode, facts)]


def test_a_budget_needs_a_price_in_its_currency() -> None:
    unknown = price_facts("what a big one costs there is not known")
    assert budget("5 USD", unknown) == [
        "refused limits.max_cost: what a big one costs there is not known: give "
        "providers.far.prices.hour, as in 0.40 USD"
    ]
    known = price_facts(HourPrice(3.6, "USD", "a list, read 2026-11-01"))
    assert budget("5 EUR", known) == [
        "refused limits.max_cost: the budget is in EUR and the price in USD; give "
        "providers.far.prices.hour in EUR"
    ]


def test_by_how_much_a_budget_may_be_exceeded_is_told() -> None:
    known = price_facts(HourPrice(3.6, "USD", "a list, read 2026-11-01"))
    (told,) = budget("5 USD", known, trial_timeout="100s", parallel_trials=3)
    assert told.endswith("trials may exceed the budget by up to 0.3 USD")
    (told,) = budget("5 USD", known)
    assert told.endswith("by what they cost, which trial_timeout would bound")
    (told,) = budget("5 USD", {**known, "longest_trial": 1000}, "managed")
    assert told.endswith("trials may exceed the budget by up to 1 USD and more")
