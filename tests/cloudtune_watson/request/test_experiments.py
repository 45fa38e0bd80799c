"""The older experiments document: as IBM's own samples wrote it, with what is lost; never sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloudtune.cli.main_group import cloudtune
from cloudtune.diagnostics import Finding
from cloudtune.errors import UsageError
from cloudtune.planning import planner
from cloudtune.provider.models import ServiceDocument
from cloudtune.study.study import Study
from cloudtune_watson.experiments import DESCRIPTION, to_document

OF_IBM: dict[str, Any] = {
    "name": "hand-written-digits",
    "objective": {"metric": "accuracy", "goal": "maximize"},
    "parameters": {
        "learning_rate": {"type": "float", "min": 0.005, "max": 0.01, "step": 0.001},
        "conv_filter_size1": {"type": "int", "min": 5, "max": 6},
        "fc": {"type": "discrete", "values": [512, 1024]},
    },
    "strategy": {"name": "random"},
    "limits": {"max_trials": 4},
    "trial": {"script": "train.py"},
}
"""As tensorflow/hand-written-digit-recognition/meta/experiments-hpo.yaml of
pmservice/wml-sample-models has it; there ``fc`` is an int_range 9 to 10 with power 2."""


def form(base: Path, **over: Any) -> ServiceDocument:
    (base / "train.py").touch()
    study = Study.model_validate({**OF_IBM, **over})
    return to_document(planner.plan(study, "watson", base=base, run_id="3f6k2m9qxt"))


def search(of: ServiceDocument) -> Any:
    (reference,) = of.content["training_references"]
    return reference["hyper_parameters_optimization"]


def kinds(of: ServiceDocument) -> dict[str, str]:
    return {item.path: item.kind for item in of.remarks if isinstance(item, Finding)}


def test_ibms_own_sample_is_written_as_it_was(tmp_path: Path) -> None:
    written = form(tmp_path)
    assert search(written) == {
        "method": {
            "name": "random",
            "parameters": [
                {"name": "objective", "string_value": "accuracy"},
                {"name": "maximize_or_minimize", "string_value": "maximize"},
                {"name": "num_optimizer_steps", "int_value": 4},
            ],
        },
        "hyper_parameters": [
            {
                "name": "learning_rate",
                "double_range": {"min_value": 0.005, "max_value": 0.01, "step": 0.001},
            },
            {"name": "conv_filter_size1", "int_range": {"min_value": 5, "max_value": 6}},
            {"name": "fc", "int_values": [512, 1024]},
        ],
    }
    assert kinds(written) == {}


def test_a_bayesian_search_is_rbfopt_with_the_file_that_it_reads(tmp_path: Path) -> None:
    written = form(tmp_path, strategy={"name": "bayesian", "seed": 3}, early_stopping="median")
    method = search(written)["method"]
    assert method["name"] == "rbfopt"
    assert {"name": "filename", "string_value": "val_dict_list.json"} in method["parameters"]
    assert kinds(written) == {
        "strategy.seed": "dropped",
        "early_stopping": "dropped",
        "limits.max_trials": "approximated",
    }


def test_scales_are_powers_and_types_have_their_fields(tmp_path: Path) -> None:
    parameters = {
        "lr": {"type": "float", "min": 1e-3, "max": 10, "scale": "log"},
        "units": {"type": "int", "min": 1, "max": 8, "scale": "log"},
        "word": {"type": "categorical", "values": ["a", 2]},
        "flag": {"type": "bool"},
        "rate": {"type": "discrete", "values": [0.5, 1]},
    }
    written = form(tmp_path, parameters=parameters, limits={"max_trials": 2, "parallel_trials": 2})
    ranges = {
        each["name"]: {k: v for k, v in each.items() if k != "name"}
        for each in search(written)["hyper_parameters"]
    }
    assert ranges == {
        "lr": {"double_range": {"min_value": -3.0, "max_value": 1.0, "power": 10}},
        "units": {"int_values": [1, 2, 4, 8]},
        "word": {"string_values": ["a", "2"]},
        "flag": {"string_values": ["False", "True"]},
        "rate": {"double_values": [0.5, 1.0]},
    }
    assert kinds(written) == {
        "parameters.units.scale": "approximated",
        "limits.parallel_trials": "approximated",
    }


@pytest.mark.parametrize("strategy", ["grid", "genetic"])
def test_other_strategies_are_refused(strategy: str, tmp_path: Path) -> None:
    written = form(tmp_path, strategy=strategy)
    assert kinds(written)["strategy.name"] == "refused"


def test_no_secret_is_asked_for_or_written(tmp_path: Path) -> None:
    document = form(tmp_path).content
    connection = document["training_data_reference"]["connection"]
    assert set(connection.values()) == {
        "{{endpoint_url}}",
        "{{access_key_id}}",
        "{{secret_access_key}}",
    }


def run_plan(*words: str) -> Any:
    return CliRunner().invoke(cloudtune, ["plan", *words])


@pytest.fixture
def study(tmp_path: Path) -> str:
    (tmp_path / "train.py").touch()
    (tmp_path / "study.yaml").write_text(json.dumps(OF_IBM), "utf-8")
    return str(tmp_path / "study.yaml")


def test_the_command_prints_the_document_alone_and_tells_what_it_is(study: str) -> None:
    done = run_plan(study, "--on", "watson", "--as", "experiments")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["training_references"]
    assert done.stderr.startswith(DESCRIPTION)
    for word in ("2020", "2022", "never sends"):
        assert word in DESCRIPTION


def test_what_is_lost_decides_the_exit_code(study: str) -> None:
    on = (study, "--on", "watson", "--as", "experiments")
    assert run_plan(*on, "--set", "strategy.name=grid").exit_code == 2
    seeded = run_plan(*on, "--set", "strategy.seed=3")
    assert seeded.exit_code == 0
    assert "dropped strategy.seed" in seeded.stderr
    assert run_plan(*on, "--set", "strategy.seed=3", "--strict").exit_code == 2


def test_an_unknown_document_is_refused_with_the_known_ones(study: str, tmp_path: Path) -> None:
    other = run_plan(study, "--on", "watson", "--as", "yaml")
    assert "it has experiments" in str(other.exception)
    none = run_plan(study, "--on", "local", "--as", "experiments")
    assert "local has no other documents" in str(none.exception)
    saved = run_plan(study, "--on", "watson", "--as", "experiments", "-o", str(tmp_path / "p.json"))
    assert isinstance(saved.exception, UsageError)
    assert not (tmp_path / "p.json").exists()
