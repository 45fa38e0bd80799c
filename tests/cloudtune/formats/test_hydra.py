"""Configurations of Hydra's Optuna sweeper are read as studies, and written back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.errors import ConversionError, StudyError
from cloudtune.study.loader import load

FOLDER = Path(__file__).parent / "hydra"
NAMES = sorted(path.name for path in FOLDER.iterdir())


def read(name: str) -> dict[str, Any]:
    (found,) = importer.read(FOLDER / name).studies
    return found.data


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_comes_back_with_the_same_meaning(name: str, tmp_path: Path) -> None:
    data = read(name)
    exported = exporter.write(load(data), "hydra")
    file = tmp_path / "config.yaml"
    file.write_text(exported.to_text(file))
    (again,) = importer.read(file).studies
    assert again.data["parameters"] == data["parameters"]
    assert {key: value for key, value in again.data.items() if key != "providers"} == {
        key: value for key, value in data.items() if key != "providers"
    }
    assert kept(again.data) == kept(data)


def kept(data: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of a configuration, without what an export adds."""
    native = data.get("providers", {}).get("hydra", {}).get("native", {})
    added = {"defaults", "optimized_metric"}
    return {key: each for key, each in native.items() if key not in added}


def test_what_a_configuration_becomes() -> None:
    data = read("log.yaml")
    assert data["parameters"] == {
        "lr": {"type": "float", "min": 0.00001, "max": 0.1, "scale": "log"},
        "width": {"type": "int", "min": 8, "max": 512, "scale": "log"},
        "depth": {"type": "int", "min": 1, "max": 6},
        "drop": {"type": "int", "min": 0, "max": 4},
        "optimizer": {"type": "categorical", "values": ["adam", "sgd", "ada grad"]},
        "nesterov": {"type": "bool"},
        "layers": {"type": "int", "min": 2, "max": 10, "step": 4},
        "heads": {"type": "categorical", "values": [2, 4, 8]},
    }
    assert data["strategy"] == {"name": "random"}
    assert data["limits"] == {"max_trials": 8, "parallel_trials": 4}
    assert data["trial"] == {"arguments": "assign"}
    assert read("template.yaml")["objective"] == {"metric": "val/acc_best", "goal": "maximize"}
    assert read("sphere.yaml")["constants"] == {"z": 3}
    assert read("sphere.yaml")["strategy"]["seed"] == 123
    assert read("bare.yaml")["limits"] == {"max_trials": 20, "parallel_trials": 2}


def test_what_is_written() -> None:
    study = load(
        {
            "name": "digits",
            "objective": {"metric": "accuracy", "goal": "maximize"},
            "parameters": {
                "lr": {"type": "float", "min": 1e-4, "max": 1, "scale": "log"},
                "depth": {"type": "int", "min": 2, "max": 10, "step": 4},
                "name": {"type": "categorical", "values": ["a", "it's", "true", "1"]},
            },
            "constants": {"epochs": 3, "mode": "no, never"},
            "strategy": {"name": "bayesian", "method": "tpe", "seed": 1},
            "limits": {"max_trials": 9},
            "trial": {"script": "train.py", "arguments": "assign"},
        }
    )
    exported = exporter.write(study, "hydra")
    sweeper = exported.document["hydra"]["sweeper"]
    assert exported.document["optimized_metric"] == "accuracy"
    assert sweeper["sampler"] == {"seed": 1}
    assert exported.document["defaults"] == [
        {"override hydra/sweeper": "optuna"},
        {"override hydra/sweeper/sampler": "tpe"},
    ]
    newer = study.model_copy(
        update={"strategy": study.strategy.model_copy(update={"method": "gp"})}
    )
    written = exporter.write(newer, "hydra")
    assert any("Optuna 2, which has no GPSampler" in str(each) for each in written.findings)
    assert written.document["defaults"][-1] == {"override hydra/sweeper/sampler": "random"}
    sampler = {"_target_": "optuna.samplers.GPSampler", "seed": 1}
    assert written.document["hydra"]["sweeper"]["sampler"] == sampler
    assert sweeper["params"] == {
        "lr": "tag(log, interval(0.0001, 1.0))",
        "depth": "range(2, 10, step=4)",
        "name": "choice(a, 'it\\'s', 'true', '1')",
        "epochs": 3,
        "mode": "'no, never'",
    }
    assert {each.path for each in exported.findings} == {"trial.script"}


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("choice(1, 2, 3)", "glob(*)", ConversionError, "a study has no sweep glob"),
        ("choice(1, 2, 3)", "choice(1, null)", ConversionError, "a study has only strings"),
        ("choice(1, 2, 3)", "interval(a, b)", StudyError, "interval needs numbers"),
        ("choice(1, 2, 3)", "range(5, 1)", StudyError, "range needs numbers in increasing order"),
        ("GridSampler", "MOTPESampler", ConversionError, "a study has no sampler"),
        ("direction: minimize", "direction: down", StudyError, "minimize or maximize"),
    ],
)
def test_what_cannot_be_read_is_named(
    old: str, new: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text((FOLDER / "grid.yaml").read_text().replace(old, new))
    with pytest.raises(error, match=message):
        importer.read(file)
