"""Configurations of Hydra's Optuna sweeper are read as studies, and written back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer
from cloudtune.errors import ConversionError, StudyError
from cloudtune.formats.documents import parse_documents
from cloudtune.formats.hydra.expressions import write_expression
from cloudtune.study.loader import load
from cloudtune.study.schema import CategoricalParameter

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
        "depth": {"type": "float", "min": 1.0, "max": 6.0},
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


@pytest.mark.parametrize(
    ("sweep", "definition"),
    [  # the distribution that hydra-optuna-sweeper 1.3.0 with hydra-core 1.3.8 makes of each
        ("interval(1, 5)", {"type": "float", "min": 1.0, "max": 5.0}),
        ("tag(log, interval(1, 8))", {"type": "float", "min": 1.0, "max": 8.0, "scale": "log"}),
        ("int(interval(0.5, 4.7))", {"type": "int", "min": 0, "max": 4}),
        ("int(tag(log, interval(1, 8)))", {"type": "int", "min": 1, "max": 8, "scale": "log"}),
        ("tag(log, int(interval(1, 8)))", {"type": "int", "min": 1, "max": 8, "scale": "log"}),
        ("tag(log, range(1, 100))", {"type": "int", "min": 1, "max": 100}),
        ("float(range(0, 10, step=2))", {"type": "float", "min": 0.0, "max": 10.0, "step": 2.0}),
        ("shuffle(range(0, 10, 3))", {"type": "categorical", "values": [0, 3, 6, 9]}),
        ("shuffle(range(3))", {"type": "categorical", "values": [0, 1, 2]}),
        ("shuffle(a, b)", {"type": "categorical", "values": ["a", "b"]}),
        ("sort(choice(1, 2), reverse=true)", {"type": "categorical", "values": [1, 2]}),
        ("int(1.5, 2.5)", {"type": "categorical", "values": [1, 2]}),
        ("float(choice(1, 2))", {"type": "categorical", "values": [1.0, 2.0]}),
        (
            "choice(01, 1_000, 1e4, -2, .5)",
            {"type": "categorical", "values": ["01", 1000, 10000.0, -2, 0.5]},
        ),
        (r"choice('C:\\', 'it\'s', b)", {"type": "categorical", "values": ["C:\\", "it's", "b"]}),
        ("choice('1', 'true', 'a b')", {"type": "categorical", "values": [1, True, "a b"]}),
        ("sort('2', '1')", {"type": "categorical", "values": [2, 1]}),
        ("""choice("'1'", "'it\\'s'")""", {"type": "categorical", "values": ["1", "it's"]}),
        ("\"'1', '2'\"", {"type": "categorical", "values": ["1", "2"]}),
        ("'[1, 2], [3, 4]'", {"type": "categorical", "values": ["[1, 2]", "[3, 4]"]}),
        ("[2, 4]", None),
        ("[adam, sgd]", None),
        ("null", None),
    ],
)
def test_a_sweep_is_read_as_the_plugin_reads_it(
    sweep: str, definition: dict[str, Any] | None, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "hydra:\n  sweeper:\n"
        "    _target_: hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper\n"
        f"    params:\n      x: {sweep}\n      y: choice(1, 2)\n"
    )
    imported = importer.read(file)
    parameters = imported.studies[0].data["parameters"]
    assert parameters.get("x") == definition
    assert "x" not in imported.studies[0].data.get("constants", {})
    again = exporter.write(load(imported.studies[0].data), "hydra").document
    if "[" in sweep:
        assert again["hydra"]["sweeper"]["params"]["x"] == yaml_value(sweep)
    found = any(each.path == "hydra.sweeper.params.x" for each in imported.findings)
    assert found == (definition is None or sweep == "tag(log, range(1, 100))")


@pytest.mark.parametrize(
    ("value", "written"),
    [  # what hydra-optuna-sweeper 1.3.0 with hydra-core 1.3.8 passes to a script as this text
        ("1", """choice("'1'")"""),
        ("it's", """choice("'it\\'s'")"""),
        ("C:\\", """choice("'C:\\\\'")"""),
        ('a"b', """choice("'a\\"b'")"""),
        ("a", "choice(a)"),
    ],
)
def test_a_single_text_stays_a_text(value: str, written: str) -> None:
    parameter = CategoricalParameter(type="categorical", values=[value])
    assert write_expression(parameter, [value]) == written


def yaml_value(text: str) -> Any:
    (document,) = parse_documents(f"x: {text}", "config.yaml")
    return document.data["x"]


def test_what_is_written() -> None:
    study = load(
        {
            "name": "digits",
            "objective": {"metric": "accuracy", "goal": "maximize"},
            "parameters": {
                "lr": {"type": "float", "min": 1e-4, "max": 1, "scale": "log"},
                "depth": {"type": "int", "min": 2, "max": 10, "step": 4},
                "width": {"type": "int", "min": 1, "max": 8},
                "units": {"type": "int", "min": 1, "max": 64, "scale": "log"},
                "name": {
                    "type": "categorical",
                    "values": ["a", "it's", "true", "1", "C:\\", "null"],
                },
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
        "width": "int(interval(1, 8))",
        "units": "tag(log, int(interval(1, 64)))",
        "name": "a, 'it\\'s', 'true', '1', 'C:\\\\', null",
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
        ("choice(1, 2, 3)", "int(glob(*))", ConversionError, "a study has no sweep glob"),
        ("choice(1, 2, 3)", "{type: float, low: 1, high: 2}", StudyError, "search_space of Hydra"),
        ("choice(1, 2, 3)", "float(choice(a, b))", StudyError, "needs numbers"),
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
