"""The study as a model in Python."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cloudtune.diagnostics import Note
from cloudtune.errors import StudyError
from cloudtune.study import quantities
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    FloatParameter,
    FromEnvironment,
    Limits,
    Objective,
    Strategy,
    TrialSpec,
)
from cloudtune.study.study import Study


def test_a_study_can_be_written_in_python() -> None:
    study = Study(
        objective=[Objective(metric="a", goal="maximize")],
        parameters={"lr": [FloatParameter(type="float", min=1, max=2)]},
        strategy=Strategy(name="random"),
    )
    assert study.objectives[0].select == "last"
    assert study.parameters["lr"][0].when is None
    assert study.file is None
    assert study.location("parameters.lr")[1] is None
    assert study.notes == ()


def test_an_interrupt_is_no_error_of_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> float:
        raise KeyboardInterrupt

    study = Study(
        objective=[Objective(metric="a", goal="maximize")],
        parameters={"lr": [FloatParameter(type="float", min=1, max=2)]},
        limits=Limits.model_validate({"timeout": "60s"}),
    )
    monkeypatch.setattr(quantities, "parse_duration", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.to_json()


def test_short_and_long_forms_are_equal() -> None:
    short = Study.model_validate(
        {
            "objective": {"metric": "a", "goal": "minimize"},
            "parameters": {
                "k": {"type": "bool"},
                "p": {"type": "bool", "when": {"k": True}},
            },
            "strategy": "random",
            "early_stopping": "median",
            "trial": {
                "source": ".",
                "metrics": {"a": "(x)", "b": {}},
                "inputs": {"d": "./d", "e": {"local": "./e"}},
            },
            "warm_start": {"from": "run"},
        }
    )
    long = Study.model_validate(
        {
            "objective": [{"metric": "a", "goal": "minimize"}],
            "parameters": {
                "k": [{"type": "bool"}],
                "p": [{"type": "bool", "when": {"k": [True]}}],
            },
            "strategy": {"name": "random"},
            "early_stopping": {"rule": "median"},
            "trial": {
                "source": {"*": "."},
                "metrics": {"a": ["(x)"], "b": []},
                "inputs": {"d": {"*": {"uri": "./d"}}, "e": {"local": {"uri": "./e"}}},
            },
            "warm_start": {"from": ["run"]},
        }
    )
    assert short == long
    assert short.fingerprint() == long.fingerprint()


def test_values_keep_their_types() -> None:
    values = [1, 1.5, "1", True, "true", 2.0]
    study = Study.model_validate({"parameters": {"p": {"type": "categorical", "values": values}}})
    (parameter,) = study.parameters["p"]
    assert isinstance(parameter, CategoricalParameter)
    assert list(map(repr, parameter.values)) == list(map(repr, values))
    again = Study.model_validate(study.to_json())
    assert repr(again) == repr(study)


def test_defaults_are_left_out_of_the_plain_data() -> None:
    assert Study().to_json() == {}
    assert Study.model_validate({"strategy": "bayesian", "limits": {}}).to_json() == {}
    data = {"limits": {"timeout": "1h30m", "max_cost": "2.5 USD"}, "trial": {"script": "a.py"}}
    assert Study.model_validate(data).to_json() == data


def test_labels_do_not_change_the_fingerprint_but_the_order_of_parameters_does() -> None:
    one, two = {"a": {"type": "bool"}}, {"b": {"type": "bool"}}
    study = Study.model_validate({"parameters": one | two})
    named = Study.model_validate({"parameters": one | two, "name": "x", "description": "y"})
    turned = Study.model_validate({"parameters": two | one})
    assert study.fingerprint() == named.fingerprint()
    assert study.fingerprint() != turned.fingerprint()


def test_a_study_is_immutable() -> None:
    study = Study()
    with pytest.raises(ValidationError):
        setattr(study, "name", "x")  # noqa: B010 - type checkers refuse the plain way already


def test_limits_of_a_provider_override_those_of_the_study() -> None:
    study = Study.model_validate(
        {
            "limits": {"max_trials": 5, "timeout": "1h"},
            "providers": {"x": {"limits": {"max_trials": 2}}, "y": {}},
        }
    )
    assert study.limits_for("x") == Limits.model_validate({"max_trials": 2, "timeout": "1h"})
    assert study.limits_for("y") == study.limits_for("z") == study.limits


def test_studies_are_equal_whatever_their_source() -> None:
    study, other = Study(), Study()
    study.set_source(
        "s.yaml",
        {"limits": 3, "providers": 4},
        other_locations={"providers.x": ("team.yaml", 7)},
        notes=[Note("limits", "few")],
    )
    assert study == other
    assert hash(study) == hash(other)
    assert study != Study(name="x")
    assert study.location("limits.max_trials") == ("s.yaml", 3)
    assert study.location("providers.x.role") == ("team.yaml", 7)
    assert study.location("providers.y") == ("s.yaml", 4)
    assert study.location("name") == ("s.yaml", None)
    assert list(map(str, study.notes)) == ["limits: few"]


def test_all_mistakes_between_parts_are_one_study_error() -> None:
    with pytest.raises(StudyError) as caught:
        Study(
            parameters={"p": [BoolParameter(type="bool", when={"q": [1]})]},
            constants={"p": 1},
            trial=TrialSpec(script="a.py", module="b", env={"T": FromEnvironment(from_env="1")}),
        )
    assert [problem.path for problem in caught.value.problems] == [
        "constants.p",
        "parameters.p.when.q",
        "trial.module",
        "trial.env.T.from_env",
    ]
