from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cloudtune.emulation.faults import (
    Fault,
    FaultPlan,
    SupportedFaults,
    read_plan,
    read_shared_plan,
)
from cloudtune.errors import StudyError

SUPPORTED = SupportedFaults(("Create", "Describe"))


def plan(text: str) -> FaultPlan:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "faults.yaml"
        path.write_text(text)
        return read_plan(path, SUPPORTED)


def effects(of: FaultPlan, operation: str, count: int) -> list[str | None]:
    found = [of.next_call(operation) for _ in range(count)]
    return [fault.effect if fault else None for fault in found]


def test_a_rule_names_calls_by_number() -> None:
    created = plan("faults: [{operation: Create, call: [1, 3], effect: throttle}]")
    assert effects(created, "Describe", 3) == [None] * 3
    assert effects(created, "Create", 4) == ["throttle", None, "throttle", None]


def test_a_star_counts_all_operations_together() -> None:
    created = plan("faults: [{operation: '*', call: 2, effect: error}]")
    assert effects(created, "Create", 1) == [None]
    assert effects(created, "Describe", 1) == ["error"]
    assert effects(created, "Create", 2) == [None, None]


def test_the_first_rule_that_matches_counts() -> None:
    created = plan(
        "faults:\n"
        "- {operation: Create, call: 1, effect: lose_response}\n"
        "- {operation: '*', call: [1, 2], effect: error}\n"
    )
    assert effects(created, "Create", 2) == ["lose_response", "error"]


def test_chance_is_repeatable_and_about_as_frequent_as_said() -> None:
    text = "{seed: 5, faults: [{operation: Create, probability: 0.3, effect: throttle}]}"
    first, second = effects(plan(text), "Create", 500), effects(plan(text), "Create", 500)
    other = effects(plan(text.replace("5", "6", 1)), "Create", 500)
    assert first == second
    assert first != other
    assert 100 < first.count("throttle") < 200


def test_chance_does_not_depend_on_other_operations() -> None:
    text = "faults: [{operation: Create, probability: 0.5, effect: throttle}]"
    alone, beside = plan(text), plan(text)
    mixed: list[str | None] = []
    for _ in range(50):
        beside.next_call("Describe")
        mixed += effects(beside, "Create", 1)
    assert mixed == effects(alone, "Create", 50)


def test_trials_are_counted_apart_from_calls() -> None:
    created = plan(
        "faults:\n"
        "- {operation: trial, call: 2, effect: interrupt, after: 3}\n"
        "- {operation: trial, call: 3, effect: slow_start, seconds: 90}\n"
        "- {operation: '*', probability: 1, effect: error}\n"
    )
    created.next_call("Create")
    assert [created.next_trial() for _ in range(4)] == [
        None,
        Fault("interrupt", after=3),
        Fault("slow_start", seconds=90.0),
        None,
    ]


@pytest.mark.parametrize("text", ["{}", "faults: []", "seed: 3"])
def test_a_plan_may_be_empty(text: str) -> None:
    assert effects(plan(text), "Create", 5) == [None] * 5


def test_what_cannot_happen_to_a_trial_is_told_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(
        "faults:\n"
        "- {operation: trial, call: 1, effect: interrupt}\n"
        "- {operation: trial, call: 2, effect: stop_early}\n"
    )
    read_plan(path, SUPPORTED)
    with pytest.raises(StudyError) as caught:
        read_plan(path, SupportedFaults(SUPPORTED.operations, {"stop_early": "nobody stops it"}))
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (3, "faults.1.effect")
    assert problem.message == "stop_early cannot happen here: nobody stops it"


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(
        "seed: often\n"
        "faults:\n"
        "- {operation: Creat, call: 1, effect: throttle}\n"
        "- operation: Create\n"
        "  call: 0\n"
        "  effect: interrupt\n"
        "- {operation: trial, effect: slow_start}\n"
        "- {operation: Create, probability: 2, effect: error, after: 1}\n"
        "- {operation: Create, call: 1, effect: error, sometimes: yes}\n"
        "- nonsense\n"
        "other: 1\n"
    )
    with pytest.raises(StudyError) as caught:
        read_plan(path, SUPPORTED)
    found = [(problem.line, problem.path) for problem in caught.value.problems]
    assert found == [
        (1, "seed"),
        (3, "faults.0.operation"),
        (5, "faults.1.call"),
        (6, "faults.1.effect"),
        (7, "faults.2.probability"),
        (7, "faults.2.seconds"),
        (8, "faults.3.probability"),
        (8, "faults.3.after"),
        (9, "faults.4.sometimes"),
        (10, "faults.5"),
        (11, "other"),
    ]
    assert all(str(path) in str(problem) for problem in caught.value.problems)


@pytest.mark.parametrize(
    "rule",
    [
        {"call": True},
        {"call": []},
        {"call": [1, "2"]},
        {"probability": "0.5"},
        {"probability": True},
        {"probability": -0.1},
        {"call": 1, "probability": 0.5},
        {},
    ],
)
def test_when_a_fault_happens_must_be_clear(rule: dict[str, Any]) -> None:
    whole = {"operation": "Create", "effect": "error"} | rule
    with pytest.raises(StudyError):
        plan(json.dumps({"faults": [whole]}))


def test_anchors_and_tags_are_refused() -> None:
    with pytest.raises(StudyError):
        plan("faults: [!!python/object/apply:os.system [ls]]")


def test_an_emulator_may_have_effects_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("faults:\n- {operation: trial, call: 1, effect: files_only}\n")
    assert read_plan(path, SupportedFaults((), extra=("files_only",))).next_trial() == Fault(
        "files_only"
    )
    with pytest.raises(StudyError, match="must be one of slow_start"):
        read_plan(path, SUPPORTED)


BOTH = {
    "first": SUPPORTED,
    "second": SupportedFaults(("Make",), {"no_metric": "it measures nothing"}),
}


def shared(tmp_path: Path, text: str) -> dict[str, list[dict[str, Any]]]:
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    return {name: plan["faults"] for name, plan in read_shared_plan(path, BOTH, ["absent"]).items()}


def test_one_file_has_faults_for_several_emulators(tmp_path: Path) -> None:
    everywhere = {"operation": "*", "call": 1, "effect": "throttle"}
    own = {"operation": "Create", "call": 2, "effect": "lose_response"}
    killed = {"operation": "*", "call": 9, "effect": "crash"}
    found = shared(
        tmp_path,
        "faults:\n"
        "- {operation: '*', call: 1, effect: throttle}\n"
        "- {operation: Create, call: 2, effect: lose_response}\n"
        "- {provider: second, operation: '*', call: 9, effect: crash}\n"
        "- {provider: absent, operation: Anything, call: 9, effect: error}\n",
    )
    assert found == {"first": [everywhere, own], "second": [everywhere, killed]}


def test_a_rule_for_another_provider_changes_no_chance(tmp_path: Path) -> None:
    chance = "- {provider: first, operation: '*', probability: 0.5, effect: error}\n"
    other = "- {provider: second, operation: '*', probability: 0.5, effect: error}\n"
    found = shared(tmp_path, f"faults:\n{other}{chance}")
    assert found["first"] == shared(tmp_path, f"faults:\n{chance}")["first"]


def test_a_mistake_names_file_line_provider_and_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as caught:
        shared(
            tmp_path,
            "faults:\n"
            "- {operation: Creat, call: 1, effect: throttle}\n"
            "- {provider: second, operation: Create, call: 1, effect: throttle}\n"
            "- {provider: secnd, operation: '*', call: 1, effect: throttle}\n"
            "- {operation: trial, call: 1, effect: no_metric}\n"
            "- nonsense\n",
        )
    where = tmp_path / "faults.yaml"
    assert str(caught.value).splitlines() == [
        f"{where}:2: faults.0.operation: first: must be trial, * or one of Create, Describe",
        f"{where}:2: faults.0.operation: second: must be trial, * or one of Make",
        f"{where}:3: faults.1.operation: second: must be trial, * or one of Make",
        f"{where}:4: faults.2.provider: must be one of first, second, absent",
        f"{where}:5: faults.3.effect: second: no_metric cannot happen here: it measures nothing",
        f"{where}:6: faults.4: first: must be a map, not the string 'nonsense'",
    ]
