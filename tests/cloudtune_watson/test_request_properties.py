"""Properties of all requests: parameters are complete, and values are restored from text."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.fitting.fit import restore
from cloudtune.study.schema import FloatParameter
from cloudtune.study.search_space import Space, format_value, match_value
from cloudtune.study.study import Study
from cloudtune.study.validation.option_values import LOST_TEXT
from cloudtune_watson.layout import COMMAND
from cloudtune_watson.wml.request import training_command
from tests.cloudtune_watson import support

NAMES = st.text("abcXYZ_-.09", min_size=1, max_size=6).filter(lambda name: name[0].isalpha())
WORDS = st.one_of(
    st.text("abc e1.-07", min_size=1, max_size=5).filter(lambda text: text != LOST_TEXT),
    st.booleans(),
    st.integers(-9, 9),
)


@st.composite
def ints(draw: st.DrawFn) -> dict[str, Any]:
    scale = draw(st.sampled_from(["linear", "log", "auto"]))
    low = draw(st.integers(1 if scale == "log" else -1000, 1000))
    high = low + draw(st.integers(0, 100_000))
    step = draw(st.one_of(st.none(), st.integers(1, high - low))) if high > low else None
    return {"type": "int", "min": low, "max": high, "scale": scale, "step": step}


@st.composite
def floats(draw: st.DrawFn) -> dict[str, Any]:
    scale = draw(st.sampled_from(["linear", "log", "auto"]))
    smallest = 1e-12 if scale == "log" else -1e6
    low = draw(st.floats(smallest, 1e6, allow_subnormal=False))
    high = draw(st.floats(low, 1e7, allow_subnormal=False))
    parameter: dict[str, Any] = {"type": "float", "min": low, "max": high, "scale": scale}
    steps = draw(st.one_of(st.none(), st.integers(1, 50)))
    if steps and high - low > 1e-3:
        parameter["step"] = float(f"{(high - low) / steps:.3g}")
        if not 0 < parameter["step"] <= high - low:
            del parameter["step"]
    return parameter


DISCRETE = st.lists(st.integers(-50, 50), min_size=1, max_size=5, unique=True).map(
    lambda values: {"type": "discrete", "values": sorted(values)}
)
CATEGORICAL = st.lists(WORDS, min_size=1, max_size=5, unique_by=format_value).map(
    lambda values: {"type": "categorical", "values": values}
)
PARAMETERS = st.dictionaries(
    NAMES,
    st.one_of(ints(), floats(), DISCRETE, CATEGORICAL, st.just({"type": "bool"})),
    min_size=1,
    max_size=5,
)


def plan_of(parameters: dict[str, Any]) -> tuple[Study, Any]:
    study = support.study_of("wmla", {"parameters": parameters, "trial": {"command": ["x"]}})
    return study, support.plan_of(study, Path(__file__).parent / "golden")


@pytest.mark.slow
@given(PARAMETERS)
@settings(max_examples=150, deadline=None)
def test_a_search_has_every_parameter_once(parameters: dict[str, Any]) -> None:
    _, plan = plan_of(parameters)
    sent = [each["name"] for each in plan.request["data"]["hyperParams"]]
    refused = {
        f.path.split(".step")[0].removeprefix("parameters.")
        for f in plan.findings
        if f.kind == "refused"
    }
    assert sorted([*sent, *plan.fitted.fixed_values]) == sorted(parameters)
    for each in plan.request["data"]["hyperParams"]:
        if each["name"] in refused:
            continue
        if each["type"] == "Range":
            kind = "Int" if each["dataType"] == "INT" else "Db"
            assert each[f"min{kind}Val"] < each[f"max{kind}Val"]
        else:
            (values,) = (value for key, value in each.items() if key.startswith("disc"))
            assert values
            assert len(values) == len(set(map(format_value, values)))
    assert json.loads(json.dumps(plan.request)) == plan.request


@pytest.mark.slow
@given(PARAMETERS, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_returned_text_is_a_value_of_its_parameter(parameters: dict[str, Any], chance: Any) -> None:
    study, plan = plan_of(parameters)
    raw: dict[str, str] = {}
    for each in plan.request["data"]["hyperParams"]:
        raw[each["name"]] = _drawn(each, chance)
    if plan.refused:
        return
    values = restore(plan.fitted, raw)
    assert set(values) == set(parameters)
    for node in Space.from_study(study).nodes:
        assert match_value(node.parameter, values[node.name]) == values[node.name]
        assert type(values[node.name]) is type(match_value(node.parameter, values[node.name]))


def _drawn(each: dict[str, Any], chance: Any) -> str:
    """Return a value as the Accelerator draws it, and its bounds often; as text, as it answers."""
    if each["type"] == "Discrete":
        (values,) = (value for key, value in each.items() if key.startswith("disc"))
        return str(chance.choice(values)) if values else ""
    whole = each["dataType"] == "INT"
    low, high = (
        (each["minIntVal"], each["maxIntVal"]) if whole else (each["minDbVal"], each["maxDbVal"])
    )
    if "step" in each:
        step = float(each["step"])
        drawn = low + step * chance.randint(0, math.floor((high - low) / step * (1 + 1e-12)))
    else:
        drawn = chance.choice([low, high, chance.uniform(low, high)])
    if whole:
        return str(round(drawn))
    return str(float(each["power"]) ** drawn if "power" in each else drawn)


@given(floats())
@settings(max_examples=200, deadline=None)
def test_bounds_of_a_log_range_are_restored_exactly(parameter: dict[str, Any]) -> None:
    if parameter["min"] <= 0 or parameter["max"] / parameter["min"] < 1.001:
        return  # what is closer than a rounding counts as equal
    given_ = FloatParameter.model_validate({**parameter, "scale": "log", "step": None})
    _, plan = plan_of({"x": given_.model_dump(exclude_none=True)})
    (each,) = plan.request["data"]["hyperParams"]
    for end, exponent in ((given_.min, each["minDbVal"]), (given_.max, each["maxDbVal"])):
        back = restore(plan.fitted, {"x": str(10.0**exponent)})["x"]
        assert isinstance(back, float)
        assert given_.min <= back <= given_.max
        assert math.isclose(back, end, rel_tol=1e-9)


@given(
    st.dictionaries(NAMES, st.text(max_size=8).filter(lambda text: "\0" not in text), max_size=5)
)
def test_a_command_is_split_into_its_words(given_: dict[str, str]) -> None:
    program, *words = shlex.split(training_command(given_))
    assert program == COMMAND
    assert words == [f"--{name}={value}" for name, value in given_.items()]


LISTED = st.one_of(
    DISCRETE,
    CATEGORICAL,
    st.just({"type": "bool"}),
    st.just({"type": "float", "min": 0.1, "max": 0.7, "step": 0.2, "scale": "log"}),
    st.just({"type": "int", "min": 1, "max": 9, "step": 4}),
)


@given(st.lists(LISTED, min_size=1, max_size=3), st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_grid_is_restored_as_its_trials(listed: list[dict[str, Any]], conditional: bool) -> None:
    parameters: dict[str, Any] = {f"p{index}": each for index, each in enumerate(listed)}
    if conditional:
        parameters = {"on": {"type": "bool"}, **parameters}
        parameters["p0"] = {**parameters["p0"], "when": {"on": True}}
    over = {"parameters": parameters, "strategy": "grid", "limits": {}}
    study = support.study_of("wmla", {**over, "trial": {"command": ["x"]}})
    plan = support.plan_of(study, Path(__file__).parent / "golden")
    trials = [
        {each["name"]: str(each["fixedVal"]) for each in experiment["hyperParams"]}
        for experiment in plan.request["data"]["experiments"]
    ]
    assert [restore(plan.fitted, trial) for trial in trials] == list(Space.from_study(study).grid())
