"""Studies of Optuna, in its storages and as JSON: read as studies, and written back alike."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from cloudtune.conversion import exporter, importer
from cloudtune.errors import ConversionError, StudyError, UsageError
from cloudtune.study.loader import load
from tests.cloudtune.formats.foreign_files import ForeignFiles
from tests.document_equality import Equalities


def with_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Read the distributions with Optuna itself, and write out the default direction."""
    data: dict[str, Any] = copy.deepcopy(document)
    if "distributions" not in data:
        plain: dict[str, Any] = {"distributions": data}
        data = plain
    if "direction" in data:
        data["directions"] = [data.pop("direction")]
    data.setdefault("directions", ["minimize"])
    for name, each in data["distributions"].items():
        text = each if isinstance(each, str) else json.dumps(each)
        with warnings.catch_warnings(), contextlib.suppress(ValueError, TypeError, KeyError):
            warnings.simplefilter("ignore")
            data["distributions"][name] = in_current_form(json_to_distribution(text))
    return data


def in_current_form(distribution: BaseDistribution) -> dict[str, Any]:
    """Return a distribution without the classes and arguments of older versions."""
    if isinstance(distribution, FloatDistribution | IntDistribution):
        kind = IntDistribution if isinstance(distribution, IntDistribution) else FloatDistribution
        names = ("low", "high", "log", "step")
        distribution = kind(**{name: getattr(distribution, name) for name in names})
    found: dict[str, Any] = json.loads(distribution_to_json(distribution))
    return found


FILES = ForeignFiles(
    "optuna",
    Equalities(
        markers=("pruner", "sampler"),
        numbers=("timeout",),
        unordered=("distributions.*.attributes.choices",),
    ),
    with_defaults,
)


@pytest.mark.parametrize("name", FILES.names)
def test_a_study_comes_back_with_the_same_meaning(name: str, tmp_path: Path) -> None:
    assert FILES.round_trip(name, tmp_path) == []


@pytest.mark.parametrize("name", FILES.names)
def test_the_comparison_notices_each_change(name: str) -> None:
    missed = FILES.unnoticed(name, ["**.iu.attributes.high", "**.n.high"])
    by_default = ("log", "step", "direction", "directions.0")
    assert [
        (path, kind)
        for path, kind in missed
        if not (kind == "deleted" and path.endswith(by_default))
        and path != "distributions.batch.attributes.high"  # 257 with the step 32 is 256
    ] == []


def test_what_a_study_becomes() -> None:
    data, _ = FILES.read("tpe.json")
    assert data["objective"] == {"metric": "val/acc", "goal": "maximize"}
    assert data["parameters"] == {
        "lr": {"type": "float", "min": 1e-5, "max": 0.1, "scale": "log"},
        "dropout": {"type": "float", "min": 0.0, "max": 0.5, "step": 0.05},
        "x.y-z": {"type": "float", "min": -1.0, "max": 1.0},
        "n_layers": {"type": "int", "min": 1, "max": 4},
        "batch": {"type": "int", "min": 32, "max": 256, "step": 32},
        "units": {"type": "int", "min": 4, "max": 512, "scale": "log"},
        "opt": {"type": "categorical", "values": ["sgd", "adam"]},
        "amsgrad": {"type": "bool"},
    }
    assert data["strategy"] == {"name": "bayesian", "method": "tpe", "seed": 0}
    assert data["early_stopping"] == {
        "rule": "median",
        "min_step": 30,
        "interval": 10,
        "min_trials": 2,
    }
    assert data["limits"] == {"max_trials": 100, "parallel_trials": 4, "timeout": "1h30m"}
    texts = FILES.texts("tpe.json")
    assert 'cloudtune.trial.report({"val/acc": value})' in texts["direction"]
    assert "kept for Optuna" in texts["sampler.arguments.multivariate"]


def test_samplers_and_pruners() -> None:
    assert FILES.read("grid.json")[0]["strategy"] == {"name": "grid"}
    assert FILES.read("several.json")[0]["strategy"] == {
        "name": "genetic",
        "method": "nsga2",
        "seed": 7,
    }
    assert [each["metric"] for each in FILES.read("several.json")[0]["objective"]] == [
        *("values_0", "values_1")
    ]
    assert FILES.read("hyperband.json")[0]["strategy"] == {
        "name": "hyperband",
        "min": 1,
        "max": 81,
        "eta": 3,
        "seed": 1,
    }
    assert FILES.read("halving-auto.json")[0]["early_stopping"] == {"rule": "halving", "eta": 4}
    assert FILES.read("list.json")[0]["strategy"] == {"name": "list"}
    assert "stores no sampler" in FILES.texts("list.json")["sampler"]


def objective(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("rate", 1e-4, 1, log=True)
    if trial.suggest_categorical("model", ["svm", "forest"]) == "forest":
        trial.suggest_int("depth", 2, 4 + trial.number % 2)
    elif trial.suggest_categorical("kernel", ["rbf", "linear"]) == "rbf":
        trial.suggest_float("gamma", 0, 1)
    for layer in range(trial.suggest_int("layers", 1, 3)):
        trial.suggest_int(f"units-{layer}", 4, 64, step=4)
    return rate


@pytest.mark.slow
def test_a_storage_becomes_a_study_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "{odd} name.db"
    engine = f"sqlite:///file:{str(file).replace('{', '%7B').replace('}', '%7D')}?uri=true"
    fill(engine, "demo")
    before = hashlib.sha256(file.read_bytes()).digest()
    imported = importer.read(file)
    assert hashlib.sha256(file.read_bytes()).digest() == before
    assert list(tmp_path.iterdir()) == [file]
    (found,) = imported.studies
    parameters = found.data["parameters"]
    assert found.data["name"] == "demo"
    assert found.data["objective"] == {"metric": "value", "goal": "minimize"}
    assert parameters["depth"] == {"type": "int", "min": 2, "max": 5, "when": {"model": ["forest"]}}
    assert parameters["gamma"]["when"] == {"kernel": ["rbf"]}
    assert parameters["kernel"]["when"] == {"model": ["svm"]}
    assert parameters["units-2"]["when"] == {"layers": [3]}
    assert "when" not in parameters["units-0"]
    assert found.data["initial_trials"] == [{"rate": 0.5}]
    texts = {each.path: str(each) for each in imported.findings}
    assert "bounds differ between trials" in texts["distributions.depth"]
    assert "inferred from 60 trials" in texts["conditions.depth"]
    assert importer.read(f"sqlite:///{file}", "optuna").studies[0].data == found.data


def fill(storage: Any, name: str, trials: int = 60) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.create_study(storage=storage, study_name=name, sampler=sampler)
    study.optimize(objective, n_trials=trials)
    study.enqueue_trial({"rate": 0.5})


def test_a_journal_and_several_studies(tmp_path: Path) -> None:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    file = tmp_path / "journal.log"
    storage = JournalStorage(JournalFileBackend(str(file)))
    fill(storage, "one")
    fill(storage, "two")
    file.chmod(0o444)
    imported = importer.read(file)
    assert [each.name for each in imported.studies] == ["one", "two"]
    assert importer.read(file, definition="two").studies[0].data["name"] == "two"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-20] + b"\n")
    with pytest.raises(UsageError, match=r"line \d+ is no operation of Optuna's journal"):
        importer.read(file)


def test_a_storage_without_trials_or_with_odd_values(tmp_path: Path) -> None:
    file = tmp_path / "empty.db"
    study = optuna.create_study(storage=f"sqlite:///{file}")
    with pytest.raises(StudyError, match="no search space"):
        importer.read(file)
    study.optimize(lambda trial: float(trial.suggest_categorical("c", [None, 1]) or 0), n_trials=1)
    with pytest.raises(ConversionError, match="only strings, numbers and booleans"):
        importer.read(file)
    with pytest.raises(UsageError, match="no such file"):
        importer.read("sqlite:///missing.db")
    with pytest.raises(UsageError, match=r"Optuna cannot open postgresql://host/db") as caught:
        importer.read("postgresql://me:se@cret@host/db", "optuna")
    assert "cret" not in str(caught.value)
    (tmp_path / "other.db").write_bytes(b"SQLite format 3\0" + bytes(1000))
    with pytest.raises(UsageError, match="file is not a database"):
        importer.read(tmp_path / "other.db")


@pytest.mark.parametrize(
    ("distribution", "message"),
    [
        ({"name": "NormalDistribution", "attributes": {}}, "unknown distribution"),
        ({"name": "FloatDistribution", "attributes": {"low": 2, "high": 1}}, "greater than high"),
        ({"name": "FloatDistribution", "attributes": {"low": 2}}, "needs low and high"),
        ({"type": "int", "low": 0, "high": 1, "log": True}, "above 0"),
        ({"type": "float", "low": 1, "high": 2, "log": True, "step": 1}, "no step on a log"),
        ({"type": "float", "low": 1, "high": 2, "step": 0}, "greater than 0"),
        ({"type": "categorical", "choices": []}, "at least one choice"),
        ("{", "must be a distribution"),
        ([], "must be a distribution"),
    ],
)
def test_mistakes_name_the_distribution(distribution: Any, message: str, tmp_path: Path) -> None:
    text = json.dumps({"distributions": {"x": distribution}})
    with pytest.raises(StudyError, match=message) as caught:
        FILES.read_text(text, tmp_path, "study.json")
    assert caught.value.problems[0].path.startswith("distributions.x")


def test_what_optuna_does_not_have() -> None:
    study = load(
        {
            "objective": {"metric": "loss", "goal": "minimize", "target": 1, "select": "best"},
            "parameters": {
                "a": {"type": "float", "min": 0, "max": 1, "scale": "reverse_log"},
                "b": {"type": "discrete", "values": [1, 2.5]},
                "c": {"type": "categorical", "values": [1, True]},
                "d": {"type": "int", "min": 1, "max": 9, "step": 4, "scale": "log"},
            },
            "constants": {"k": "v"},
            "strategy": {"name": "hyperband", "max": 9, "resource": "epochs"},
            "limits": {"trial_timeout": "1h"},
        }
    )
    exported = exporter.write(study, "optuna")
    distributions = exported.document["distributions"]
    assert [distributions[name]["attributes"].get("choices") for name in "abcdk"] == [
        *(None, [1.0, 2.5], ["1", "True"], [1, 5, 9], ["v"])
    ]
    for each in distributions.values():
        json_to_distribution(json.dumps(each))
    assert {each.path for each in exported.findings} == {
        *("objective.target", "objective.select", "parameters.a.scale", "parameters.c"),
        *("parameters.d.step", "constants.k", "strategy.resource", "limits.trial_timeout"),
        *("parameters.b", "parameters.d"),  # a choice has no order
    }


def test_a_storage_of_an_older_version_is_to_be_upgraded_on_a_copy(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    fill(f"sqlite:///{file}", "old", trials=1)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    with pytest.raises(UsageError, match=r"older version of Optuna.*on a copy"):
        importer.read(file)


def test_a_study_can_be_imported_although_another_one_in_its_storage_cannot(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'trials.db'}"

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 1e-3, 1.0, log=True)
        return x + trial.suggest_int("n", 3, 3) + len(trial.suggest_categorical("c", ["only"]))

    optuna.create_study(storage=storage, study_name="empty")
    null = optuna.create_study(storage=storage, study_name="null")
    null.optimize(lambda trial: len(str(trial.suggest_categorical("c", [None, 1]))), n_trials=1)
    study = optuna.create_study(storage=storage, study_name="good")
    study.optimize(objective, n_trials=1)

    imported = importer.read(storage, definition="good")

    assert imported.studies[0].data["parameters"] == {
        "x": {"type": "float", "min": 0.001, "max": 1.0, "scale": "log"},
        "n": {"type": "int", "min": 3, "max": 3},
        "c": {"type": "categorical", "values": ["only"]},
    }
    assert not {each.path.partition(".")[2][0] for each in imported.findings} - {"2"}
    with pytest.raises(ConversionError, match="not null"):
        importer.read(storage, definition="null")
    with pytest.raises(StudyError, match="no trial has a distribution"):
        importer.read(storage, definition="empty")


def test_a_choice_without_such_an_index_is_no_crash(tmp_path: Path) -> None:
    choices = {"name": "CategoricalDistribution", "attributes": {"choices": [1]}}
    value = {"param_name": "x", "param_value_internal": 99, "distribution": json.dumps(choices)}
    logs: list[dict[str, Any]] = [
        {"op_code": 0, "study_name": "j", "directions": [1]},
        {"op_code": 4, "study_id": 0, "datetime_start": "2026-01-01T00:00:00"},
        {"op_code": 5, "trial_id": 0, **value},
    ]
    file = tmp_path / "journal.log"
    file.write_text("".join(json.dumps({"worker_id": "w", **each}) + "\n" for each in logs))
    with pytest.raises(UsageError, match=r"line \d+ is no operation of Optuna's journal"):
        importer.read(file)
