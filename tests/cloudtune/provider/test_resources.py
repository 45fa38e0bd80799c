"""Resources may depend on parameters, and grow with each start after a lack of memory."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.errors import StudyError
from cloudtune.fitting.fit import fit
from cloudtune.provider import largest_resources, registry, trial_resources
from cloudtune.results import Started
from cloudtune.study.loader import load
from cloudtune.study.study import Study

TWO = [
    {"cpus": 2, "memory": "1.5 GiB", "when": {"model": "small"}},
    {"cpus": 8, "gpus": 1, "memory": "2 GB", "when": {"model": ["large", "huge"]}},
]
RETRY = {"on": "memory", "memory": "1.5x", "times": 2}


def study(resources: Any, **trial: Any) -> Study:
    models = ["small", "large", "huge", "other"]
    return Study.model_validate(
        {
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"model": {"type": "categorical", "values": models}},
            "trial": {"resources": resources, **trial},
        }
    )


def test_the_definition_whose_condition_holds_counts() -> None:
    of = study(TWO)
    amounts = {
        model: trial_resources(of, Started(1, 0.0, {"model": model})).model_dump(exclude_none=True)
        for model in ("small", "huge", "other")
    }
    assert amounts == {
        "small": {"cpus": 2, "memory": "1.5 GiB"},
        "huge": {"cpus": 8, "gpus": 1, "memory": "2 GB"},
        "other": {},
    }
    largest = largest_resources(of).model_dump(exclude_none=True)
    assert largest == {"cpus": 8, "gpus": 1, "memory": "2 GB"}


def test_memory_grows_with_each_start() -> None:
    of = study({"memory": "2 GB"}, retry=RETRY)
    memory = [trial_resources(of, Started(1, 0.0, {}, memory_retries=n)).memory for n in (0, 1, 2)]
    assert memory == ["2 GB", "3 GB", "4.5 GB"]
    assert largest_resources(of).memory == "4.5 GB"


def test_much_memory_is_written_without_an_exponent() -> None:
    of = study({"memory": "30000 KB"}, retry={"on": "memory", "memory": "1000000x"})
    assert largest_resources(of).memory == "30000000000 KB"


@pytest.mark.parametrize(
    "retry",
    [
        {"memory": "1000001x"},
        {"memory": "2x", "times": 20},
        {"memory": "1.1x", "times": 10**400},
        {"memory": f"1{'0' * 400}x"},
    ],
)
def test_memory_that_no_machine_has_is_a_mistake(retry: dict[str, Any]) -> None:
    with pytest.raises(StudyError) as caught:
        study({"memory": "2 GB"}, retry={"on": "memory", **retry})
    assert [problem.path for problem in caught.value.problems] == ["trial.retry"]


def test_resources_are_written_as_before_unless_there_are_several() -> None:
    assert study({"cpus": 2}).to_json()["trial"] == {"resources": {"cpus": 2}}
    several = study(TWO)
    assert Study.model_validate(several.to_json()) == several


def test_all_mistakes_are_reported_at_once(tmp_path: Any) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(
        "parameters:\n"
        "  model: {type: categorical, values: [a, b]}\n"
        "  lr: {type: float, min: 0, max: 1}\n"
        "trial:\n"
        "  resources:\n"
        "  - {cpus: 1, when: {model: a}}\n"
        "  - {cpus: 2, when: {modle: b}}\n"
        "  - {cpus: 3, when: {model: c}}\n"
        "  - {cpus: 4, when: {lr: 0.5}}\n"
        "  retry: {on: memory, memory: 1x}\n"
    )
    with pytest.raises(StudyError) as caught:
        load(file)
    found = {(problem.path, problem.line) for problem in caught.value.problems}
    assert found == {
        ("trial.resources.1.when.modle", 7),
        ("trial.resources.2.when.model", 8),
        ("trial.resources.3.when.lr", 9),
        ("trial.resources.1", 7),
        ("trial.retry.memory", 10),
    }


@pytest.mark.parametrize(
    ("provider", "kind", "retries"),
    [
        ("local", "approximated", True),
        ("slurm", None, True),
        ("ray", None, True),
        ("sagemaker", "dropped", False),
        ("vertex", "dropped", False),
        ("watson", "dropped", False),
    ],
)
def test_where_memory_cannot_grow_the_plan_says_so(
    provider: str, kind: str | None, retries: bool
) -> None:
    fitted = fit(
        study({"memory": "2 GB"}, retry="memory"), registry.get(provider).capabilities, "driven"
    )
    kinds = [finding.kind for finding in fitted.findings if finding.path == "trial.retry"]
    assert kinds == ([kind] if kind else [])
    assert bool(fitted.study.trial.retry) is retries
