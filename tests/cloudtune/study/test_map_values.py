"""Values of parameters that are maps."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.errors import StudyError
from cloudtune.launcher.call import command_line, environment
from cloudtune.launcher.values import is_same_value
from cloudtune.study.loader import loads
from cloudtune.study.map_values import MapValue
from cloudtune.study.search_space import Space
from cloudtune.study.study import Study
from cloudtune.study.validation.proposal import check_proposal

SCALARS = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
MAPS = st.dictionaries(st.sampled_from(["name", "a", "b=", "c d"]), SCALARS, min_size=1)
SGD: dict[str, Any] = {"name": "sgd", "momentum": 0.9, "nesterov": True}
STUDY = """
parameters:
  optimizer:
    type: categorical
    values:
    - {name: sgd, momentum: 0.9, nesterov: true}
    - {name: adam}
  warmup: {type: int, min: 1, max: 3, when: {optimizer: {name: adam}}}
initial_trials:
- {optimizer: {nesterov: true, momentum: 0.90, name: sgd}}
- {optimizer: adam, warmup: 2}
"""


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"momentum": 0.9, "name": "sgd"}, "sgd,momentum=0.9"),
        ({"name": "adam"}, "adam"),
        ({"lr": 1.0, "b": False}, "b=False,lr=1"),
        ({"lr": 1e-05}, "lr=1e-05"),
        ({"name": "true"}, 'name="true"'),
        ({"name": "a,b=1"}, 'name="a,b=1"'),
        ({"name": 1}, "name=1"),
        ({"a": "1"}, 'a="1"'),
        ({"a b": "ü\n"}, '"a b"="\\u00fc\\n"'),
    ],
)
def test_the_text_of_a_map(parts: dict[str, Any], text: str) -> None:
    assert MapValue(parts) == text


@given(MAPS, MAPS)
def test_equal_texts_mean_equal_maps(left: dict[str, Any], right: dict[str, Any]) -> None:
    same = left.keys() == right.keys() and all(is_same_value(left[k], right[k]) for k in left)
    assert (MapValue(left) == MapValue(right)) == same
    assert MapValue(dict(reversed(left.items()))) == MapValue(left)
    assert MapValue(left).isprintable()


def test_a_study_keeps_its_maps() -> None:
    study = loads(STUDY)
    again = Study.model_validate(json.loads(json.dumps(study.to_json())))
    for each in (study, again, copy.deepcopy(study), pickle.loads(pickle.dumps(study))):
        assert each.maps == {
            "optimizer": {
                "sgd,momentum=0.9,nesterov=True": {
                    "name": "sgd",
                    "momentum": 0.9,
                    "nesterov": True,
                },
                "adam": {"name": "adam"},
            }
        }
        assert each.fingerprint() == study.fingerprint()


def test_a_search_sees_texts() -> None:
    study = loads(STUDY)
    assert list(Space.from_study(study).grid()) == [
        {"optimizer": "sgd,momentum=0.9,nesterov=True"},
        *({"optimizer": "adam", "warmup": count} for count in (1, 2, 3)),
    ]
    assert study.initial_trials[0] == {"optimizer": "sgd,momentum=0.9,nesterov=True"}


@pytest.mark.parametrize(
    ("values", "more", "path", "words"),
    [
        ("[{betas: [0.9, 0.99]}]", "", "parameters.x.values.0.betas", "not a list"),
        ("[{name: a}, {b: {c: 1}}]", "", "parameters.x.values.1.b", "not a map"),
        ("[{name: }]", "", "parameters.x.values.0.name", "not empty"),
        ("[{name: a}, b]", "", "parameters.x.values.1", "all values of a parameter are maps, or"),
        ("[{}]", "", "parameters.x.values.0", "must not be empty"),
        ("[{' a': 1}]", "", "parameters.x.values.0. a", "start or end with a space"),
        ("[{a=b: 1}]", "", "parameters.x.values.0.a=b", "must not contain ="),
        ("[{a: 1}, {a: 1.0}]", "", "parameters.x.values", "duplicate value 'a=1'"),
        ("[{a: 1}]", "  x.a: {type: bool}", "parameters.x.values.0.a", "x.a is also the name of"),
        ("[{a: 1}]", "constants: {x.a: 1}", "parameters.x.values.0.a", "x.a is also the name of"),
        ("[{a: --}]", "", "parameters.x.values.0.a", "dropped by argparse"),
        ("[{a: 1}]", "constants: {y: {a: 1}}", "constants.y", "not a map"),
        ("[{a: 1}]", "initial_trials: [{x: {a: 2}}]", "initial_trials.0.x", "one of 'a=1', not"),
        (
            "[{a: 1}]",
            "strategy: list\ninitial_trials: [{x: a=1, y: {a: 2}}]",
            "initial_trials.0.y",
            "y has no map as a value",
        ),
        (
            "[{name: a, b: 1}, {name: a}, {name: c}, {name: c, d: 2}]",
            "  y: {type: bool, when: {x.name: a}}",
            "parameters.y.when.x.name",
            "list those of x",
        ),
        (
            "[{name: a, b: 1}, {name: a, b: 2}, {name: c}]",
            "  y: {type: bool, when: {x: {name: a}}}",
            "parameters.y.when.x",
            "write ['a,b=1', 'a,b=2']",
        ),
        ("[{a: 1}]", "constraints: x.a > 0", "constraints", "x is one of several maps"),
        ("[{a: 1}]", "trial: {args: ['{{x}}']}", "trial.args.0", "such as {{x.a}}"),
        (
            "[{a: 1}], when: {y: true}",
            "  y: {type: bool}\n  z: [{type: categorical, values: [{b: 1}], when: {y: true}}, "
            "{type: bool, when: {y: false}}]",
            "parameters.z.1",
            "another definition of z has maps",
        ),
    ],
)
def test_mistakes_name_their_field(values: str, more: str, path: str, words: str) -> None:
    with pytest.raises(StudyError) as caught:
        loads(f"parameters:\n  x: {{type: categorical, values: {values}}}\n{more}")
    (problem,) = caught.value.problems
    assert problem.path == path
    assert problem.line is not None
    assert words in f"{problem.message} {problem.hint}"


CALL = {
    "script": "t.py",
    "maps": {"opt": {"sgd,lr=1": {"name": "sgd", "lr": 1.0}, "adam": {"name": "adam"}}},
    "parameters": ["opt.name", "opt.lr", "C"],
}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({}, ["--opt.name", "sgd", "--opt.lr", "1.0", "--C", "2"]),
        ({"arguments": "equals"}, ["--opt.name=sgd", "--opt.lr=1.0", "--C=2"]),
        ({"arguments": "assign"}, ["opt.name=sgd", "opt.lr=1.0", "C=2"]),
        ({"arguments": "json"}, ['{"opt": {"name": "sgd", "lr": 1.0}, "C": 2}']),
        (
            {"arguments": "json", "args": ["{{opt.lr}}", "{{C}}"]},
            ["1.0", "2", '{"opt": {"name": "sgd"}}'],
        ),
        ({"args": ["-o={{opt.name}}"]}, ["-o=sgd", "--opt.lr", "1.0", "--C", "2"]),
        ({"arguments": "env"}, []),
    ],
)
def test_a_script_gets_the_parts(call: dict[str, Any], words: list[str]) -> None:
    found = command_line({**CALL, **call}, {"opt": "sgd,lr=1", "C": 2}, {}, "py")
    assert found == ["py", "t.py", *words]


def test_a_word_goes_with_a_part_that_the_map_does_not_have() -> None:
    call = {**CALL, "args": ["--rate", "{{opt.lr}}", "--by={{opt.name}}"]}
    assert command_line(call, {"opt": "adam"}, {}, "py")[2:] == ["--by=adam"]


def test_variables_have_the_names_of_the_parts() -> None:
    call = {**CALL, "arguments": "env"}
    env = environment({}, call, {"opt": "sgd,lr=1"}, {}, trial_file="/t", package=None)
    assert (env["opt.name"], env["opt.lr"]) == ("sgd", "1.0")
    assert "opt" not in env


@pytest.mark.parametrize("optimizer", [SGD, dict(reversed(SGD.items())), str(MapValue(SGD))])
def test_a_proposal_has_the_map_or_its_text(optimizer: Any) -> None:
    found = check_proposal(loads(STUDY), {"optimizer": optimizer})
    assert found == {"optimizer": "sgd,momentum=0.9,nesterov=True"}


def test_a_proposal_of_another_map_is_a_mistake() -> None:
    with pytest.raises(StudyError, match="must be one of 'sgd,momentum"):
        check_proposal(loads(STUDY), {"optimizer": {"name": "sgd"}})
    with pytest.raises(StudyError, match="must be one value, not a map with a part"):
        check_proposal(loads(STUDY), {"optimizer": {"name": ["sgd"]}})
