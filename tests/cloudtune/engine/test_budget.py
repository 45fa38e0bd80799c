"""What jobs cost together is added up, warned of and ended."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from cloudtune.diagnostics import Finding
from cloudtune.engine.budget import Budget, JobBudget, Spending, create_budgets
from cloudtune.planning.planner import plan
from cloudtune.provider.facts import Lookup, Price
from cloudtune.provider.plan import Plan
from cloudtune.results.events import Ended, Started
from cloudtune.study.quantities import Money
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study

HOUR_AGO = time.time() - 3600
TEN = Money(10, "USD")


def planned(price: float = 1.0, mode: Mode = "driven", idle: float = 0.0, **limits: Any) -> Plan:
    study = Study.model_validate(
        {"parameters": {"x": {"type": "bool"}}, "limits": {"max_trials": 9, **limits}}
    )
    budgets = plan(study)
    facts = replace(budgets.facts, lookup=Lookup(price=Price(price, "USD", "", idle)))
    return replace(budgets, mode=mode, facts=facts, findings=())


class Calls:
    def __init__(self) -> None:
        self.messages: list[str] = []
        self.stopped: list[str] = []

    @contextmanager
    def budget(self, *names: str, limit: Money = TEN) -> Generator[Budget]:
        jobs = {name: planned() for name in names}
        notify, stop = self.messages.append, self.stopped.append
        with Budget(limit, jobs, notify=notify, stop=stop) as budgets:
            yield budgets


def trial(number: int, billed: float, seconds: float | None = None) -> Sequence[Started | Ended]:
    return (
        Started(number, 1.0, {"x": True}),
        Ended(number, 1.0, "completed", billed_seconds=billed, seconds=seconds),
    )


def test_two_jobs_spend_one_budget() -> None:
    calls = Calls()
    with calls.budget("a", "b") as budget:
        a, b = JobBudget("a", [budget]), JobBudget("b", [budget])
        a.add(*trial(1, 4.0))
        assert (calls.messages, calls.stopped, a.stop_reason) == ([], [], "")
        b.add(*trial(1, 4.0))
        assert len(calls.messages) == 1
        assert calls.messages == ["80 % of 10 USD spent; at 100 % a and b are stopped"]
        b.add(*trial(2, 1.0))
        assert (len(calls.messages), calls.stopped, b.stop_reason) == (1, [], "")
        a.add(*trial(2, 1.0))
        a.add(*trial(3, 1.0))
    assert calls.stopped == ["the cost reached 10 USD"]
    assert a.stop_reason == b.stop_reason == "the cost reached 10 USD"
    assert len(calls.messages) == 1


def test_earlier_costs_count_at_once() -> None:
    calls = Calls()
    jobs = {"a": planned()}
    budget = Budget(TEN, jobs, notify=calls.messages.append, stop=calls.stopped.append)
    for event in trial(1, 10.0):
        budget.add("a", event)
    assert calls.stopped == []
    with budget:
        assert calls.stopped == ["the cost reached 10 USD"]


def test_a_job_outside_the_budget_spends_nothing() -> None:
    calls = Calls()
    with calls.budget("a") as budget:
        JobBudget("b", [budget]).add(*trial(1, 99.0))
        assert calls.stopped == []


def test_a_running_trial_costs_by_the_clock() -> None:
    calls = Calls()
    with calls.budget("a", limit=Money(0.05, "USD")) as budget:
        budget.add("a", Started(1, time.time(), {"x": True}))
        due = time.monotonic() + 200
        while not calls.stopped and time.monotonic() < due:
            time.sleep(0.01)
    assert calls.stopped == ["the cost reached 0.05 USD"]


@pytest.mark.parametrize(("mode", "whole"), [("managed", True), ("driven", False)])
def test_a_managed_trial_costs_since_its_start_at_the_service(mode: Mode, *, whole: bool) -> None:
    """One that we drive may have died with us: it counts from when it is found or started."""
    spending = Spending(planned(mode=mode))
    spending.add(Started(1, HOUR_AGO, {"x": True}))
    assert spending.rate == 1.0
    assert (spending.so_far >= 3600) == whole


def test_billed_seconds_replace_the_clock() -> None:
    spending = Spending(planned(price=0.5))
    for event in (*trial(1, 6.0, seconds=99.0), *trial(2, 2.0)):
        spending.add(event)
    spending.add(Started(3, 1.0, {"x": True}))
    spending.add(Ended(3, 5.0, "failed", "it broke"))
    assert spending.so_far == pytest.approx(0.5 * (6 + 2 + 4))
    assert spending.rate == 0


def test_machines_that_wait_for_trials_cost_until_they_are_released() -> None:
    spending = Spending(planned(idle=60.0))
    spending.add(Started(1, 0.0, {"x": True}))
    assert spending.committed == pytest.approx(60, abs=50)
    spending.add(Ended(1, 100.0, "completed"))
    assert (spending.so_far, spending.committed) == (100, 160)
    spending.add(Started(2, 110.0, {"x": True}))  # on the same machine, after 10 s
    spending.add(Ended(2, 120.0, "completed"))
    assert (spending.so_far, spending.committed) == (110, 180)
    spending.add(Started(3, 1000.0, {"x": True}))  # the machine was released after 60 s
    spending.add(Started(4, 1000.0, {"x": True}))
    spending.add(Ended(3, 1001.0, "completed"))
    spending.add(Ended(4, 1001.0, "completed"))
    assert (spending.so_far, spending.committed) == (112, 112 + 10 + 60 + 2 * 60)


def test_no_machine_waits_after_a_trial_that_had_none() -> None:
    spending = Spending(planned(idle=60.0))
    for event in trial(1, 0.0):
        spending.add(event)
    assert spending.committed == 0


def test_a_service_that_chooses_trials_keeps_no_machines() -> None:
    spending = Spending(planned(mode="managed", idle=60.0))
    for event in trial(1, 5.0):
        spending.add(event)
    assert spending.committed == spending.so_far == 5


def test_the_time_that_machines_wait_ends_a_budget() -> None:
    calls = Calls()
    notify, stop = calls.messages.append, calls.stopped.append
    with Budget(TEN, {"a": planned(idle=4.0)}, notify=notify, stop=stop) as budget:
        for event in trial(1, 4.0):
            budget.add("a", event)
        assert calls.messages == ["80 % of 10 USD spent; at 100 % a is stopped"]
        for event in trial(2, 3.0):
            budget.add("a", event)
    assert calls.stopped == ["the cost reached 10 USD, with the time that machines wait for trials"]


def test_the_budget_of_the_study_is_shared_and_that_of_a_provider_is_not() -> None:
    whole = planned(max_cost="9 USD")
    limits = whole.fitted.study.limits.model_copy(update={"max_cost": Money(2, "USD")})
    study = whole.fitted.study.model_copy(update={"limits": limits})
    own = replace(whole, fitted=replace(whole.fitted, study=study))
    stopped: list[Sequence[str]] = []
    budgets = create_budgets(
        {"a": whole, "b": own}, notify=print, stop=lambda names, _: stopped.append(names)
    )
    assert [budget.limit for budget in budgets] == [Money(9, "USD"), Money(2, "USD")]
    for budget in budgets:
        with budget:
            for event in trial(1, 9.0):
                budget.add("b", event)
    assert stopped == [["a", "b"], ["b"]]
    assert create_budgets({"a": planned()}, notify=print, stop=print) == []


def test_refused_jobs_are_not_stopped() -> None:
    calls, plan_a = Calls(), planned(max_cost="10 USD")
    unable = replace(plan_a, findings=(Finding("refused", "limits.max_cost", "no price is known"),))
    (budget,) = create_budgets(
        {"a": plan_a, "b": unable},
        notify=calls.messages.append,
        stop=lambda _who, why: calls.stopped.append(why),
    )
    with budget:
        budget.add("a", trial(1, 8.0)[0])
        budget.add("a", trial(1, 8.0)[1])
    assert calls.messages == ["80 % of 10 USD spent; at 100 % a is stopped"]
