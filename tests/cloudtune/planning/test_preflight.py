"""What a plan finds on this machine is the same for every provider."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune.fitting.capabilities import DRIVEN, Capabilities
from cloudtune.fitting.fit import fit
from cloudtune.planning.preflight import (
    check_completeness,
    check_lookup,
    check_maps,
    check_secrets,
    engine_notes,
)
from cloudtune.provider.facts import Facts, Lookup
from cloudtune.provider.lookup import (
    code_address,
    environment_variables,
    find_inputs,
    source_files,
)
from cloudtune.study.study import Study


def found(
    base: Path,
    trial: dict[str, Any],
    *,
    emulated: bool = False,
    missing: dict[str, str] | None = None,
) -> list[str]:
    study = Study.model_validate({"trial": {"script": "train.py", **trial}})
    facts = Facts("run", "job", 0, base, source=base, emulated=emulated)
    lookup = Lookup(
        missing_settings=missing or {},
        source=source_files(study, facts),
        variables=environment_variables(study),
        inputs=find_inputs(study, facts, "far", "far://base"),
    )
    facts = replace(facts, lookup=lookup)
    return [str(each) for each in check_lookup(study, "far", facts)]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "train.py").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_a_study_that_lacks_nothing_is_not_found_fault_with(base: Path) -> None:
    assert found(base, {"inputs": {"x": "far://there"}, "source": {"far": "."}}, missing={}) == []


def test_all_that_is_not_here_is_told_at_once(base: Path) -> None:
    trial = {
        "script": "other.py",
        "requirements": "none.txt",
        "source": {"near": "."},
        "inputs": {"a": {"near": "near://b"}, "b": "gone", "c": "empty", "d": "data"},
        "env": {"X": {"from_env": "NOT_SET_ANYWHERE"}},
    }
    assert found(base, trial, missing={"zone": "name it"}) == [
        "refused providers.far.zone: name it",
        "refused trial.source: the code is located only for near: give its folder or an address "
        "under trial.source.far",
        "refused trial.script: no file other.py in the source folder: correct it or trial.source",
        "refused trial.requirements: no file none.txt in the source folder: correct it or "
        "trial.source",
        "refused trial.inputs.a: no address for far: give one under trial.inputs.a.far",
        f"refused trial.inputs.b: nothing found at {base / 'gone'}: create or correct it",
        f"refused trial.inputs.c: nothing found at {base / 'empty'}: create or correct it",
        f"trial.inputs.d: {base / 'data'} is uploaded to far://base/inputs/d",
        "refused trial.env: the variable NOT_SET_ANYWHERE is not set in this shell",
    ]


@pytest.mark.parametrize(("limit", "noted"), [(2, True), (3, False), (None, False)])
@pytest.mark.parametrize(
    ("strategy", "blocks"),
    [
        ("grid", {}),
        ("list", {"initial_trials": [{"x": value} for value in (3, 1, 2)]}),
    ],
)
def test_a_limit_that_cuts_off_the_trials_of_a_strategy_is_noted(
    base: Path, strategy: str, blocks: dict[str, Any], limit: int | None, *, noted: bool
) -> None:
    study = Study.model_validate(
        {
            "objective": {"metric": "m", "goal": "minimize"},
            "parameters": {"x": {"type": "discrete", "values": [1, 2, 3]}},
            "strategy": strategy,
            "limits": {"max_trials": limit},
            "trial": {"script": "train.py"},
            **blocks,
        }
    )
    notes = [str(note) for note in engine_notes(study, Facts("r", "j", 0, base))]
    wanted = f"limits.max_trials: the first 2 of the {strategy}'s 3 trials will run"
    assert (wanted in notes) == noted, notes


def test_on_an_emulator_there_are_stand_ins_and_a_local_input_comes_first(base: Path) -> None:
    trial = {"inputs": {"x": {"far": "far://there", "local": "data"}}}
    assert found(base, trial, emulated=True, missing={"zone": "name it", "key": "name it"}) == [
        "providers.far: the emulator uses stand-ins for: zone, key",
        f"trial.inputs.x: {base / 'data'} is uploaded to far://base/inputs/x",
    ]


@pytest.mark.parametrize(
    ("trial", "unmasked"),
    [
        ({}, ["trial.env.A"]),
        ({"script": "train.py"}, []),
        ({"script": "train.py", "source": {"far": "far://code"}}, ["trial.env.A"]),
    ],
)
def test_without_the_launcher_secrets_are_not_masked_and_maps_are_refused(
    trial: dict[str, Any], unmasked: list[str], base: Path
) -> None:
    env = {"A": {"from_env": "TOKEN"}, "B": "plain"}
    maps = {"type": "categorical", "values": [{"a": 1}, {"a": 2}]}
    study = Study.model_validate({"trial": {**trial, "env": env}, "parameters": {"x": maps}})
    lookup = Lookup(code_address=code_address(study, "far"))
    facts = Facts("run", "job", 0, base, lookup=lookup)
    assert [each.path for each in check_secrets(study, facts)] == unmasked
    refused = ["parameters.x.values"] if unmasked else []
    assert [each.path for each in check_maps(study, facts)] == refused


@pytest.mark.parametrize(
    "parameter",
    [
        {"type": "discrete", "values": [1]},
        {"type": "categorical", "values": ["a"]},
        {"type": "int", "min": 2, "max": 2},
        {"type": "float", "min": 0.5, "max": 0.5},
    ],
)
def test_parameters_with_one_value_are_not_missing(parameter: dict[str, Any]) -> None:
    content = {
        "objective": {"metric": "score", "goal": "maximize"},
        "parameters": {"x": parameter},
        "limits": {"max_trials": 2},
    }
    study = Study.model_validate(content)
    fitted = fit(study, without_single_values(), "driven")
    assert not list(check_completeness(study, fitted.study.limits))
    assert [each.reason for each in fitted.findings if each.kind == "refused"] == [
        "every parameter has only one value, so Odd has nothing to tune"
    ]
    empty = Study.model_validate({**content, "parameters": {}})
    (finding,) = check_completeness(empty, empty.limits)
    assert finding.reason == "the study has no parameters to tune"


def without_single_values() -> Capabilities:
    mode = replace(DRIVEN, single_values=False)
    return Capabilities("odd", "Odd", "offline only", managed=None, driven=mode)
