"""A check finds mistakes and findings in one pass, and none that follows from a mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtune.planning.full_check import CheckResult, check_study
from cloudtune.provider import registry
from tests.cloudtune.cli.newcomer_mistakes import GOOD, replaced, trial


def check(folder: Path, text: str, *on: str) -> CheckResult:
    file = folder / "study.yaml"
    file.write_text(text, "utf-8")
    (folder / "train.py").touch()
    return check_study(str(file), on)


def paths(result: CheckResult, provider: str = "local") -> list[str]:
    return [finding.path for finding in result.findings[provider]]


@pytest.mark.parametrize(
    "text",
    [
        replaced("max_trials: 1", "max_trials: 0"),
        replaced("limits: {max_trials: 1}", "limits: 3"),
        replaced("metric: loss, goal: minimize", "metric: 3, goal: minimize"),
        replaced("{type: float", "{type: colour"),
        replaced("script: train.py", "script: ../train.py"),
        replaced("script: train.py", "script: 3"),
        trial("source: nowhere"),
        trial("inputs: {data: 3}"),
        f"strategy: {{name: list}}\n{GOOD}",
        f"strategy: [1]\n{GOOD}",
        f"constants: {{lr: 1}}\n{GOOD}",
        f"foo: bar\n{GOOD}",
        trial("args: ['{{rate}}']"),
    ],
)
def test_nothing_is_found_that_follows_from_a_mistake(tmp_path: Path, text: str) -> None:
    result = check(tmp_path, text)
    assert result.problems
    assert paths(result) == []


def test_a_study_for_a_service_is_checked_for_what_any_provider_needs(tmp_path: Path) -> None:
    settings = "providers: {sagemaker: {limits: {max_trials: 3}}}\n"
    text = trial("resources: {gpus: 4096}, inputs: {data: {local: data, sagemaker: 's3://b/d'}}")
    text = text.replace("limits: {max_trials: 1}\n", settings)
    result = check(tmp_path, text.replace("train.py", "trian.py"))
    assert paths(result) == ["trial.script", "trial.inputs.data"]
    assert "--on PROVIDER" in str(result.notes[-1])
    image = "objective: {metric: loss, goal: minimize}\nparameters: {a: {type: bool}}\n"
    assert paths(check(tmp_path, image + settings)) == []


@pytest.mark.parametrize("on", [(), ("local",)])
def test_the_settings_of_all_installed_providers_are_checked(
    tmp_path: Path, on: tuple[str, ...]
) -> None:
    names = registry.names()
    blocks = ", ".join(f"{name}: {{nonsense: 1}}" for name in names)
    result = check(tmp_path, f"{GOOD}providers: {{{blocks}}}\n", *on)
    found = {problem.path for problem in result.problems}
    assert found == {f"providers.{name}.nonsense" for name in names}
    assert {problem.line for problem in result.problems} == {GOOD.count("\n") + 1}


def test_a_wrong_limit_of_a_provider_is_one_mistake(tmp_path: Path) -> None:
    text = f"{GOOD}providers: {{slurm: {{limits: {{parallel_trials: 0}}}}}}\n"
    found = [problem.path for problem in check(tmp_path, text, "local").problems]
    assert found == ["providers.slurm.limits.parallel_trials"]


def test_several_providers_are_checked_in_one_pass(tmp_path: Path) -> None:
    text = replaced("train.py", "trian.py").replace("max: 0.1", "max: 0.0001")
    text += "providers: {sagemaker: {regoin: us}, vertex: {loction: us}}\n"
    result = check(tmp_path, text, "sagemaker", "vertex", "local")
    assert [problem.path for problem in result.problems] == [
        "parameters.lr.min",
        "providers.sagemaker.regoin",
        "providers.vertex.loction",
    ]
    assert paths(result) == ["trial.script"]
    for provider in ("sagemaker", "vertex"):
        assert "trial.script" in paths(result, provider)
        assert not {"providers.sagemaker.region", "providers.vertex.location"} & {
            *paths(result, provider)
        }


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)
@given(st.data())
def test_any_mixture_of_mistakes_is_checked(tmp_path: Path, data: st.DataObject) -> None:
    """The parts that are valid can always be planned."""
    blocks: dict[str, list[Any]] = {
        "objective": [None, "loss", {"metric": "loss", "goal": "min"}, []],
        "parameters": [
            {"a": {"type": "float", "min": 1, "max": 0}},
            {"a": {"type": "int", "min": 0, "max": 9, "when": {"b": [1]}}, "b": {"type": "bool"}},
            {"a": {"type": "colour"}, "b": {"type": "int", "min": 1, "max": 3, "when": {"a": 1}}},
            {"a": {"type": "float", "min": 0, "max": 1, "when": {"a": [1]}}},
            3,
        ],
        "strategy": ["grid", "list", "hyperband", "hyperbnd", {"name": "random", "method": "tpe"}],
        "initial_trials": [[{"a": 3}], [3], {}],
        "constants": [{"a": 1}, 3],
        "limits": [{"max_trials": 0}, {"max_trials": 3}, 3, {"timeout": 3}],
        "early_stopping": ["median", "medain", {"rule": "bandit", "slack": -1}],
        "warm_start": [{"from": "a:b"}, {"from": 3}],
        "trial": [
            {"script": "train.py", "args": ["{{a}}", "{{c}}"]},
            {"module": "a.b", "switches": {"a": "--a"}},
            {"command": ["{{a}}"], "metrics": {"loss": "loss"}, "inputs": {"d": "e"}},
            {"script": "a", "module": "b", "source": 3, "resources": {"gpus": 1000}},
        ],
        "providers": [{"local": {"grace": "x"}}, {"local": 3}, {"nowhere": {}}, 3],
    }
    study: dict[str, Any] = {}
    for key, values in blocks.items():
        if data.draw(st.booleans()):
            study[key] = data.draw(st.sampled_from(values))
    result = check(tmp_path, json.dumps(study))
    assert not any(plan.broken for plan in result.plans)
