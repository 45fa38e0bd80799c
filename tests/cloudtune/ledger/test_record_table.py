"""The tables of runs and jobs."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from cloudtune.ledger.record_table import list_providers, list_runs


def test_an_id_that_damage_made_another_type_is_a_missing_record() -> None:
    with closing(sqlite3.connect(":memory:")) as db:  # without STRICT, which damage ignores
        db.execute("CREATE TABLE runs (id)")
        db.execute("CREATE TABLE jobs (run, provider)")
        db.execute("CREATE TABLE checksums (run, provider)")
        db.executemany("INSERT INTO runs VALUES (?)", [("first",), (None,), (7,), (b"third",)])
        db.executemany("INSERT INTO checksums VALUES (?, '')", [("first",), ("other",)])
        db.executemany("INSERT INTO jobs VALUES ('first', ?)", [("local",), (None,)])
        assert list_runs(db) == (["first"], ["other"])
        assert list_providers(db, "first") == ["local"]
