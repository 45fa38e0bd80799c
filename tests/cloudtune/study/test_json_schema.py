"""The JSON Schema of the study file, as editors use it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cloudtune.errors import StudyError
from cloudtune.study import yaml_reader
from cloudtune.study.json_schema import json_schema
from cloudtune.study.loader import loads
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study

jsonschema: Any = pytest.importorskip("jsonschema")
VALIDATOR: Any = jsonschema.Draft202012Validator(json_schema())
TYPES = "'bool', 'categorical', 'discrete', 'float', 'int'"


def test_the_schema_has_every_field() -> None:
    schema = json_schema()
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert set(schema["properties"]) == set(Study.model_fields)
    assert schema["additionalProperties"] is False
    assert json.loads(json.dumps(schema)) == schema
    VALIDATOR.check_schema(schema)


def test_the_example_is_a_study() -> None:
    for example in json_schema()["examples"]:
        assert VALIDATOR.is_valid(example)
        Study.model_validate(example)


@pytest.mark.parametrize(
    "text",
    [
        "objective: [{metric: a, goal: minimize}]",
        "objective: {metric: a, goal: minimize, target: 3}",
        "parameters: {p: [{type: bool, when: {q: 1}}, {type: bool, when: {q: 2}}], "
        "q: {type: int, min: 1, max: 2}}",
        "parameters: {p: {type: bool, when: {q: [1, 2.5, true, a]}}, "
        "q: {type: categorical, values: [1, 2.5, true, a]}}",
        "parameters: {p: {type: discrete, values: [1, 2.5], scale: log}}",
        "strategy: random",
        "strategy: {seed: 3}",
        "strategy: {method: gp}",
        "strategy: {name: hyperband, max: 9, eta: 4}",
        "early_stopping: median",
        "limits: {timeout: 1d2h, trial_timeout: 1.5h, max_cost: 0.5 EUR}",
        "warm_start: {from: a}",
        "trial: {source: ../src, metrics: {a: a=(.), b: [b=(.), B=(.)], c: {}}, warm: false}",
        "trial: {inputs: {a: ../a, b: {local: b, vertex: {uri: gs://b, content_type: text/csv}}}}",
        "trial: {env: {A: '1', B: {from_env: B}}}",
        "providers: {local: {grace: 20s}}",
    ],
)
def test_a_valid_study_is_valid(text: str) -> None:
    assert loads(text)
    assert [
        error.message for error in VALIDATOR.iter_errors(yaml_reader.parse(text, "s").data)
    ] == []


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("parameters: {p: {type: floot}}", "parameters.p.type", f"'floot' is not one of [{TYPES}]"),
        ("parameters: {p: {min: 1, max: 2}}", "parameters.p", "'type' is a required property"),
        (
            "parameters: {p: {type: float, min: 0, max: 2, low: 1}}",
            "parameters.p",
            "Additional properties are not allowed ('low' was unexpected)",
        ),
        (
            "parameters: {p: {type: float, min: '1e-5', max: 2}}",
            "parameters.p.min",
            "'1e-5' is not of type 'number'",
        ),
        (
            "parameters: {p: {type: categorical, choices: [a]}}",
            "parameters.p",
            "Additional properties are not allowed ('choices' was unexpected)",
        ),
        (
            "parameters: {p: [{type: int, min: 1}]}",
            "parameters.p.0",
            "'max' is a required property",
        ),
        ("parameters: {p: [1]}", "parameters.p.0", "1 is not of type 'object'"),
        ("strategy: bayes", "strategy", f"'bayes' is not one of {[*STRATEGIES]}"),
        ("strategy: {name: bayes}", "strategy.name", f"'bayes' is not one of {[*STRATEGIES]}"),
        ("strategy: {name: hyperband}", "strategy", "'max' is a required property"),
        (
            "strategy: {name: random, method: tpe}",
            "strategy.method",
            "'tpe' is not one of ['uniform', 'sobol']",
        ),
        (
            "strategy: {max: 9}",
            "strategy",
            "Additional properties are not allowed ('max' was unexpected)",
        ),
        ("objective: accuracy", "objective", "'accuracy' is not of type 'object', 'array'"),
        (
            "objective: {metric: a, goal: max}",
            "objective.goal",
            "'max' is not one of ['maximize', 'minimize']",
        ),
        ("limits: {max_trials: many}", "limits.max_trials", "'many' is not of type 'integer'"),
        ("limits: {timeout: 10}", "limits.timeout", "10 is not of type 'string'"),
        (
            "early_stopping: {slack: 0, rule: bandit}",
            "early_stopping.slack",
            "0 is less than or equal to the minimum of 0",
        ),
        (
            "early_stopping: medan",
            "early_stopping",
            "'medan' is not one of ['auto', 'median', 'bandit', 'halving']",
        ),
        (
            "limit: {max_trials: 3}",
            "",
            "Additional properties are not allowed ('limit' was unexpected)",
        ),
        (
            "trial: {inputs: {a: {local: {path: x}}}}",
            "trial.inputs.a.local",
            "Additional properties are not allowed ('path' was unexpected)",
        ),
        ("trial: {env: {A: 1}}", "trial.env.A", "1 is not of type 'string', 'object'"),
        ("trial: {command: a b}", "trial.command", "'a b' is not of type 'array'"),
    ],
)
def test_a_mistake_is_named_and_not_only_its_place(text: str, path: str, message: str) -> None:
    error = jsonschema.exceptions.best_match(
        VALIDATOR.iter_errors(yaml_reader.parse(text, "s").data)
    )
    assert error is not None
    assert (".".join(map(str, error.absolute_path)), error.message) == (path, message)
    with pytest.raises(StudyError):
        loads(text)


@pytest.mark.parametrize("duration", ["10", "10 minutes", "soon", "", "1h 30m"])
def test_durations_have_a_unit(duration: str) -> None:
    assert not VALIDATOR.is_valid({"limits": {"timeout": duration}})
    with pytest.raises(StudyError):
        loads(f"limits: {{timeout: '{duration}'}}")
