"""The archives of this folder, unpacked, and Optuna studies made by Optuna itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from cloudtune.formats import run_readers
from cloudtune.formats.run_reader import FinishedRun, RunChoice
from cloudtune.results.model import Trial

Unpack = Callable[[str], Path]
MakeStudy = Callable[[str], Path]


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    """Unpacks one of the archives, and returns the folder of the run."""

    def unpacks(name: str) -> Path:
        shutil.unpack_archive(Path(__file__).with_name(f"{name}.zip"), tmp_path)
        inner = sorted((tmp_path / name).iterdir())
        return tmp_path / name if name == "mlruns" else inner[0]

    return unpacks


def read(tool: str, place: Path | str, **choice: Any) -> tuple[FinishedRun, list[Trial]]:
    """Return a run and its trials by number."""
    run = run_readers.get(tool).read(str(place), RunChoice(**choice))
    return run, sorted(run.trials, key=lambda trial: trial.number)


def objective(trial: optuna.Trial) -> float:
    """Has conditional parameters, pruned and failed trials, and a curve."""
    kernel = trial.suggest_categorical("kernel", ["linear", "rbf", "poly"])
    value = c = trial.suggest_float("C", 1e-3, 1e3, log=True)
    if kernel != "linear":
        value *= trial.suggest_float("gamma", 1e-4, 1, log=True)
    if kernel == "poly":
        value += trial.suggest_int("degree", 2, 5)
    for step in range(5):
        trial.report(value / (step + 1), step)
        if trial.number % 7 == 3 and step == 2:
            raise optuna.TrialPruned
    if trial.number == 5:
        raise ValueError("boom")
    trial.set_user_attr("acc", 1 / (1 + c))
    trial.set_user_attr("note", "x")
    return value / 5


@pytest.fixture(scope="session")
def storages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The storage of each kind, database and journal, with the studies svm and fronts."""
    folder = tmp_path_factory.mktemp("optuna")
    paths = {"database": folder / "study.db", "journal": folder / "study.log"}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    database = RDBStorage(f"sqlite:///{paths['database']}")
    _fill(database)
    database.engine.dispose()
    _fill(JournalStorage(JournalFileBackend(str(paths["journal"]))))
    optuna.logging.set_verbosity(verbosity)
    return paths


def _fill(storage: RDBStorage | JournalStorage) -> None:
    sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.create_study(storage=storage, study_name="svm", sampler=sampler)
    study.optimize(objective, n_trials=20, catch=(ValueError,))
    study.ask()
    study.enqueue_trial({"kernel": "rbf"})
    fronts = optuna.create_study(
        storage=storage, study_name="fronts", directions=["minimize", "maximize"]
    )
    fronts.optimize(
        lambda trial: (trial.suggest_float("x", 0, 1), trial.suggest_int("n", 1, 9)), n_trials=3
    )


@pytest.fixture
def make_study(storages: Mapping[str, Path], tmp_path: Path) -> MakeStudy:
    """Makes a storage of a kind, as a file of the test's own."""
    return lambda kind: Path(shutil.copy(storages[kind], tmp_path))


def load_study(path: Path, name: str) -> optuna.Study:
    """Return a study as Optuna reads it."""
    if path.suffix == ".db":
        return optuna.load_study(study_name=name, storage=f"sqlite:///{path}")
    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path))))
