"""SQLite files that mean harm: they end no command, run nothing, and fail in words."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Timer

import optuna
import pytest

from cloudtune.errors import CloudtuneError, UsageError
from cloudtune.formats import run_readers, sqlite
from cloudtune.formats.optuna.storage import read_storage
from cloudtune.formats.run_reader import RunChoice
from cloudtune.formats.sqlite import ERRORS, Database
from tests.cloudtune.formats.tool_runs.test_folders import SCHEMA

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"


def optuna_file(path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    study = optuna.create_study(storage=storage, study_name="s")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    storage.engine.dispose()


def mlflow_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SCHEMA)


def attach(tool: str, path: Path) -> None:
    run = run_readers.get(tool).read(str(path), RunChoice(metric="loss", goal="minimize"))
    assert list(run.trials)


def import_optuna(_tool: str, path: Path) -> None:
    assert read_storage(str(path))


READS = pytest.mark.parametrize(
    ("tool", "create", "read"),
    [
        ("optuna", optuna_file, attach),
        ("optuna", optuna_file, import_optuna),
        ("mlflow", mlflow_file, attach),
    ],
)
Create = Callable[[Path], None]
Read = Callable[[str, Path], None]


@READS
@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            "ALTER TABLE {0} RENAME TO t; CREATE VIEW {0} AS " + ENDLESS + " * FROM n, t",
            "(view|table)",
        ),
        ("CREATE VIRTUAL TABLE evil USING fts5(a)", "table evil"),
        ("CREATE TABLE evil (a, b GENERATED ALWAYS AS (hex(zeroblob(a))) VIRTUAL)", "table evil"),
        ("CREATE TABLE evil (a, b AS (hex(zeroblob(a))))", "table evil"),
    ],
)
def test_what_could_run_code_is_refused(
    tmp_path: Path, *, tool: str, create: Create, read: Read, change: str, what: str
) -> None:
    path = tmp_path / "x.db"
    create(path)
    read(tool, path)
    table = "trials" if tool == "optuna" else "runs"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(change.format(table))
    with pytest.raises(UsageError, match=rf"its {what}.*could run code"):
        read(tool, path)


@READS
def test_what_runs_on_writing_only_is_read(
    tmp_path: Path, tool: str, create: Create, read: Read
) -> None:
    path = tmp_path / "x.db"
    create(path)
    with closing(sqlite3.connect(path)) as db:  # both as MLflow 3.17 creates them
        db.executescript(
            "CREATE TABLE secrets (id, name);"
            "CREATE TRIGGER prevent_secrets_aad_mutation BEFORE UPDATE ON secrets FOR EACH ROW "
            "WHEN OLD.id != NEW.id BEGIN SELECT RAISE(ABORT, 'immutable'); END;"
            "CREATE TABLE spans (a BIGINT, b BIGINT GENERATED ALWAYS AS (a - 1) STORED);"
        )
    read(tool, path)


@READS
def test_a_truncated_database_is_called_that(
    tmp_path: Path, tool: str, create: Create, read: Read
) -> None:
    path = tmp_path / "x.db"
    create(path)
    content = path.read_bytes()
    for size in (len(content) - 1, len(content) // 2, 4096, 101):
        path.write_bytes(content[:size])
        with pytest.raises(UsageError, match="truncated SQLite database"):
            read(tool, path)
        with pytest.raises(UsageError, match="truncated SQLite database"):
            run_readers.detect(path)


@pytest.mark.slow
@READS
def test_damaged_bytes_are_errors_of_the_user(
    tmp_path: Path, tool: str, create: Create, read: Read
) -> None:
    path, chance = tmp_path / "x.db", random.Random(1)
    create(path)
    content = path.read_bytes()
    for _ in range(30):
        damaged = bytearray(content)
        for _ in range(chance.choice([1, 8, 64])):
            damaged[chance.randrange(8192)] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            run_readers.detect(path)
            read(tool, path)
        except (CloudtuneError, AssertionError):
            continue


def test_queries_end_after_as_much_work_as_the_size_allows(tmp_path: Path) -> None:
    mlflow_file(tmp_path / "x.db")
    database = Database(tmp_path / "x.db")
    with closing(database.connect()) as db, pytest.raises(ERRORS) as caught:
        db.execute(f"{ENDLESS} max(i) FROM n").fetchone()
    assert "may never end" in database.reason(caught.value)


def test_ctrl_c_ends_a_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_STEPS", 10**15)
    mlflow_file(tmp_path / "x.db")
    database = Database(tmp_path / "x.db")

    def query() -> None:
        with closing(database.connect()) as db:
            Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                db.execute(f"{ENDLESS} max(i) FROM n").fetchone()
            except ERRORS as error:
                database.reason(error)

    with pytest.raises(KeyboardInterrupt):
        query()
