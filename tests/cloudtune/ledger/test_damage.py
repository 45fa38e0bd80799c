"""A ledger that is damaged, older, newer or out of reach: recovered or refused, never empty."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloudtune.cli.main_group import cloudtune
from cloudtune.errors import LedgerError, UsageError
from cloudtune.ledger import record_table, schema
from cloudtune.ledger.checksums import record_checksum
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import RunLock
from cloudtune.ledger.reader import read_results
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.results.events import Ended, Event, Measured, Started
from cloudtune.results.model import Trial

RUNS = ("first", "other")
TRIALS = 40
PLAN: dict[str, Any] = {
    "mode": "driven",
    "findings": [],
    "facts": {"source_hash": None, "seed": 1, "own": {}},
}
STUDY: dict[str, Any] = {
    "objective": {"metric": "score", "goal": "maximize"},
    "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
}
VERSION_1 = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY, created REAL NOT NULL, name TEXT NOT NULL, study TEXT NOT NULL,
    file TEXT, base TEXT NOT NULL{overrides}
) STRICT;
CREATE TABLE jobs (
    run TEXT NOT NULL REFERENCES runs(id), provider TEXT NOT NULL, plan TEXT NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, job TEXT, emulated INTEGER NOT NULL,
    started REAL, begun REAL, spent REAL NOT NULL, ended REAL, PRIMARY KEY (run, provider)
) STRICT;
CREATE TABLE events (
    run TEXT NOT NULL, provider TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (run, provider, seq)
) STRICT, WITHOUT ROWID;
PRAGMA user_version=1;
"""


def events(trials: int = TRIALS) -> list[Event]:
    return [
        event
        for number in range(1, trials + 1)
        for event in (
            Started(number, 10.0 + number, {"x": number / 100}, memory={"note": "m" * 200}),
            Measured(number, 11.0 + number, 1, {"score": number / 10}),
            Ended(number, 12.0 + number, "completed"),
        )
    ]


def fill(folder: Path) -> None:
    with Ledger(folder, create=True) as ledger:
        for run in RUNS:
            job = JobRecord(run, "local", PLAN, "completed", "", None, False)
            ledger.create_run(RunRecord(run, 1.0, "name", STUDY, None, "/base", (job,)))
            ledger.append(run, "local", *events())
            ledger.run_folder(run).mkdir(parents=True)


def read(folder: Path) -> dict[str, list[Trial]]:
    """Return all that can be had from a ledger, by every way to it."""
    with Ledger(folder) as ledger:
        ids = ledger.run_ids()
        assert ledger.unknown_folders() == []
        for run in ids:
            assert len(list(ledger.events(run, "local"))) == ledger.last_event_number(run, "local")
    return {run: trials_of(run, folder) for run in ids}


def trials_of(run: str, folder: Path) -> list[Trial]:
    return [trial for _, trials in read_results(run, folder) for trial in trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    fill(folder)
    return folder


@pytest.fixture
def state(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "state"))


def overwrite(path: Path, place: int, what: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(what)


def cut(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])


HARMS: dict[str, Callable[[Path], None]] = {
    "header": lambda path: overwrite(path, 0, b"x" * 16),
    "no header": lambda path: overwrite(path, 0, b"\0" * 100),
    "first page": lambda path: overwrite(path, 0, random.Random(1).randbytes(4096)),
    "empty": lambda path: cut(path, 0),
    "stub": lambda path: cut(path, 50),
    "one page": lambda path: cut(path, 4096),
    "half": lambda path: cut(path, path.stat().st_size // 2),
    "end": lambda path: cut(path, path.stat().st_size - 4096),
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_damaged_ledger_is_refused_and_left_as_it_is(
    state: Path, harm: Callable[[Path], None]
) -> None:
    path = state / "ledger.db"
    harm(path)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=r"ledger\.db") as refused:
        read(state)
    assert "move it away" in str(refused.value)
    assert path.read_bytes() == before


def test_no_damaged_page_leads_to_silent_omissions(state: Path, whole: Path) -> None:
    path = state / "ledger.db"
    good, expected = path.read_bytes(), read(whole)
    refused = 0
    for page in range(1, len(good) // 4096):
        for harm in (b"\0" * 4096, random.Random(page).randbytes(4096)):
            path.write_bytes(good)
            overwrite(path, page * 4096, harm)
            try:
                assert read(state) == expected
            except LedgerError:
                refused += 1
    assert refused > len(good) // 4096


def test_a_flipped_bit_that_hides_an_event_is_detected(state: Path, whole: Path) -> None:
    """Whoever looks for the events of a run stops at the first that seems to be another run's."""
    path = state / "ledger.db"
    good, expected = path.read_bytes(), read(whole)
    keys = [match.start() for match in re.finditer(b"firstlocal", good)]
    refused = 0
    for place in keys[1::4]:
        path.write_bytes(good)
        overwrite(path, place, b"g")
        for ask in (lambda: trials_of("first", state), lambda: events_of("first", state)):
            try:
                assert len(ask()) >= TRIALS
            except LedgerError:
                refused += 1
        assert trials_of("other", state) == expected["other"]
    assert refused > len(keys) / 8


def events_of(run: str, folder: Path) -> list[Event]:
    with Ledger(folder) as ledger:
        return [event for _, event in ledger.events(run, "local")]


@pytest.mark.parametrize(
    "what", [b"CREATE TABLE runs", b"CREATE TABLE jobs", b"sqlite_autoindex_jobs_1"]
)
def test_a_damaged_schema_is_detected(state: Path, what: bytes) -> None:
    path = state / "ledger.db"
    overwrite(path, path.read_bytes().index(what) + 8, b"\xed")
    with pytest.raises(LedgerError, match=r"ledger\.db is damaged"):
        read(state)


_LOST_IN_TRIAL_2 = "1 of 120 events .* trial 2 among them; 39 trials can be read"


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE runs SET study='no JSON' WHERE id='first'", "cannot be read"),
        ("UPDATE runs SET study='[]' WHERE id='first'", "cannot be read"),
        ("UPDATE jobs SET plan='{' WHERE run='first'", "cannot be read"),
        ("UPDATE jobs SET plan='{}' WHERE run='first'", "job on local was changed"),
        ("DELETE FROM jobs WHERE run='first'", "part of its record is missing"),
        ("UPDATE events SET body='{' WHERE run='first' AND seq=5", _LOST_IN_TRIAL_2),
        ("UPDATE events SET kind='ate' WHERE run='first' AND seq=5", _LOST_IN_TRIAL_2),
        ("UPDATE events SET seq=500 WHERE run='first' AND seq=5", "1 of 120 events"),
        ("DELETE FROM events WHERE run='first' AND seq=5", "1 of 120 events"),
        ("DELETE FROM events WHERE run='first' AND seq=1", "1 of 120 events"),
        ("DELETE FROM events WHERE run='first'", "120 of 120 events.*; 0 trials can be read"),
        ("DELETE FROM checksums WHERE run='first'", "was changed"),
        ("UPDATE checksums SET events=7 WHERE run='first' AND provider='local'", "count of its"),
        ("UPDATE jobs SET state='comqleted' WHERE run='first'", "was changed"),
        ("UPDATE runs SET name='nome' WHERE id='first'", "its record was changed"),
        (
            'UPDATE events SET kind=\'measured\', body=\'{"number": 1, "time": 1, "step": 1,'
            " \"metrics\": {}}' WHERE run='first' AND seq=1",
            "1 of 120 events are damaged or missing, those of trial 1 among them; 39 trials can",
        ),
    ],
)
def test_a_damaged_run_is_named_and_the_others_are_read(
    state: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, statement: str, what: str
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(state))
    with closing(sqlite3.connect(state / "ledger.db")) as db, db:
        db.execute(statement)
    with pytest.raises(LedgerError, match=what) as refused:
        trials_of("first", state)
    assert "run first is damaged" in str(refused.value)
    assert "cloudtune clean first" in str(refused.value)
    status = CliRunner().invoke(cloudtune, ["status", "--json"])
    assert status.exit_code == 1
    for words in (["--json"], ["--best"], ["--format", "jsonl"], ["--best", "--as", "args"]):
        results = CliRunner().invoke(cloudtune, ["results", "first", *words])
        assert results.exit_code == 1
        assert "run first is damaged" in results.output or isinstance(
            results.exception, LedgerError
        )
    assert {row["run"]: row["state"] for row in json.loads(status.stdout)} == {
        "first": "damaged",
        "other": "completed",
    }
    assert "run first is damaged" in status.stderr
    assert CliRunner().invoke(cloudtune, ["clean", "first", "--yes"]).exit_code == 0
    assert read(state) == {"other": read(whole)["other"]}


def test_intact_trials_of_a_damaged_run_are_shown(
    state: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(state))
    with closing(sqlite3.connect(state / "ledger.db")) as db, db:
        # Trial 40 is the best. An event of trial 7 is lost, and also from the index.
        db.execute("UPDATE events SET body=replace(body, 'score', 'scare') WHERE seq=119")
        db.execute("DELETE FROM events WHERE run='first' AND seq=20")
    shown = CliRunner().invoke(cloudtune, ["results", "first", "--format", "jsonl"])
    assert shown.exit_code == 1
    numbers = [json.loads(line)["number"] for line in shown.stdout.splitlines()]
    assert numbers == [n for n in range(1, TRIALS + 1) if n not in {7, 40}]
    assert "2 of 120 events are damaged or missing, those of trials 7, 40" in shown.stderr
    best = CliRunner().invoke(cloudtune, ["results", "first", "--best", "--as", "json"])
    assert (best.exit_code, json.loads(best.stdout)) == (1, {"x": 0.39})
    (row,) = json.loads(CliRunner().invoke(cloudtune, ["status", "first", "--json"]).stdout)
    assert (row["state"], row["trials"], row["best"]) == ("damaged", {"completed": 38}, 3.9)
    log = state / "runs" / "first" / "local" / "trials" / "7" / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_text("the output of trial 7")
    logs = CliRunner().invoke(cloudtune, ["logs", "first", "7"])
    assert (logs.exit_code, logs.stdout) == (0, "the output of trial 7")
    with pytest.raises(LedgerError, match="2 of 120"):
        trials_of("first", state)


def test_a_run_that_is_missing_from_its_table_is_reported(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(state))
    with closing(sqlite3.connect(state / "ledger.db")) as db, db:
        db.execute("DELETE FROM runs WHERE id='other'")
    status = CliRunner().invoke(cloudtune, ["status", "--json"])
    states = {row["run"]: row["state"] for row in json.loads(status.stdout)}
    assert (status.exit_code, states) == (1, {"first": "completed", "other": "damaged"})
    with Ledger(state) as ledger, pytest.raises(LedgerError, match=r"other is damaged.*name a run"):
        ledger.find_run_id()
    assert CliRunner().invoke(cloudtune, ["results", "first"]).exit_code == 0
    assert CliRunner().invoke(cloudtune, ["results", "other"]).exit_code == 1


def test_invalid_utf_8_is_detected(state: Path) -> None:
    with closing(sqlite3.connect(state / "ledger.db")) as db, db:
        db.execute("UPDATE events SET body=CAST(x'ff00' AS TEXT) WHERE run='first' AND seq=3")
    with pytest.raises(LedgerError, match=r"1 of 120 events .*trial 1 among them"):
        trials_of("first", state)


def test_a_ledger_without_its_write_ahead_log_is_not_a_new_one(tmp_path: Path) -> None:
    """Writes are in ledger.db-wal until SQLite moves them into the ledger."""
    with Ledger(tmp_path / "state", create=True) as ledger:
        job = JobRecord("first", "local", PLAN, "running", "", None, False)
        ledger.create_run(RunRecord("first", 1.0, "name", STUDY, None, "/base", (job,)))
        ledger.run_folder("first").mkdir(parents=True)
        copy = Path(shutil.copytree(tmp_path / "state", tmp_path / "copy"))
    (copy / "ledger.db-wal").unlink()
    for create in (False, True):
        with pytest.raises(LedgerError, match=r"is empty, but .*ledger\.db-wal"):
            Ledger(copy, create=create)


def test_a_missing_ledger_is_detected(state: Path) -> None:
    (state / "ledger.db").unlink()
    with pytest.raises(UsageError, match=r"is missing, but .*first.*restore the ledger"):
        Ledger(state)


def test_an_empty_ledger_is_not_called_missing(state: Path) -> None:
    with Ledger(state) as ledger:
        for run in RUNS:
            ledger.remove_run(run)
        with pytest.raises(UsageError, match=r"is empty, but .*first"):
            ledger.find_run_id()


def test_a_run_missing_from_the_ledger_is_detected(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(state))
    (state / "runs" / "lost").mkdir()
    status = CliRunner().invoke(cloudtune, ["status", "--json"])
    assert len(json.loads(status.stdout)) == 2
    assert "not in the ledger: lost" in status.stderr
    with pytest.raises(UsageError, match="it has a folder, but is not in"):
        trials_of("lost", state)


@pytest.mark.parametrize("overrides", [True, False], ids=["version 1", "before it"])
def test_an_older_ledger_is_migrated_and_a_copy_is_kept(
    tmp_path: Path, whole: Path, overrides: bool
) -> None:
    """Ledgers from before version 1 have one column less and the same number."""
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as old, old:
        old.executescript(VERSION_1.format(overrides=", overrides TEXT NOT NULL" * overrides))
        old.execute("ATTACH ? AS new", (str(whole / "ledger.db"),))
        words = ["id, created, name, study, file, base", "overrides"][: 1 + overrides]
        old.execute(f"INSERT INTO runs SELECT {', '.join(words)} FROM new.runs")
        old.execute(
            "INSERT INTO jobs SELECT run, provider, plan, state, reason, job, emulated, started, "
            "begun, spent, ended FROM new.jobs"
        )
        old.execute("INSERT INTO events SELECT run, provider, seq, kind, body FROM new.events")
        old.execute("UPDATE events SET body='damaged' WHERE run='other' AND seq=7")
    before = (tmp_path / "ledger.db").read_bytes()
    with Ledger(tmp_path) as ledger:
        assert ledger.run("first").overrides == (() if overrides else None)
        assert [event for _, event in ledger.events("first", "local")] == events()
        by_trial = ledger.events_by_trial("first", "local")
        assert [event for trial in by_trial for event in trial] == events()
        with pytest.raises(LedgerError, match="event 7"):
            list(ledger.events("other", "local"))
        ledger.end_job("first", "local", "completed", "", ran=5.0)
        job = JobRecord("new", "local", PLAN, "pending", "", None, False)
        ledger.create_run(RunRecord("new", 1.0, "name", STUDY, None, "/base", (job,)))
        assert ledger.find_run_id() == "new"
    with closing(sqlite3.connect(tmp_path / "ledger-version-1.db")) as copy:
        assert copy.execute("PRAGMA user_version").fetchone() == (1,)
        assert copy.execute("SELECT count(*) FROM events").fetchone() == (2 * 3 * TRIALS,)
    assert (tmp_path / "ledger-version-1.db").read_bytes()[100:] == before[100:]


VERSION_2 = {
    "runs": "id created name study file base overrides",
    "jobs": "run provider plan state reason job emulated started begun spent ended ran",
    "events": "run provider seq number kind body",
}
VERSION_3 = {
    **VERSION_2,
    "events": f"{VERSION_2['events']} checksum",
    "checksums": "run provider record events numbers checksum",
}
"""The tables and columns of these versions."""


def to_version_2(path: Path) -> None:
    """Remove the checksums from a ledger, and all that later versions have added."""
    with closing(sqlite3.connect(path)) as db, db:
        keep_only(VERSION_2, db)
        db.execute("PRAGMA user_version=2")


def to_version_3(path: Path) -> None:
    """Remove from a ledger all that later versions have added."""
    with closing(sqlite3.connect(path)) as db, db:
        keep_only(VERSION_3, db)
        for table, provider in (("runs", "''"), ("jobs", "provider")):
            key, *columns = VERSION_3[table].split()
            query = f"SELECT {key}, {provider}, {', '.join((key, *columns))} FROM {table}"
            for run, name, *row in db.execute(query).fetchall():
                new = (record_checksum(row), run, name)
                db.execute("UPDATE checksums SET record=? WHERE run=? AND provider=?", new)
        db.execute("PRAGMA user_version=3")


def keep_only(tables: dict[str, str], db: sqlite3.Connection) -> None:
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall():
        if table not in tables:
            db.execute(f"DROP TABLE {table}")
            continue
        for _, column, *_ in db.execute(f"PRAGMA table_info({table})").fetchall():
            if column not in tables[table].split():
                db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")


def add_column(db: sqlite3.Connection, _old: Path) -> None:
    db.execute("ALTER TABLE jobs ADD COLUMN note TEXT")


@pytest.mark.parametrize("adds_column", [False, True])
def test_after_a_migration_damage_is_still_detected_and_the_rest_is_intact(
    state: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, *, adds_column: bool
) -> None:
    wanted = read(whole)["other"]
    to_version_3(state / "ledger.db")
    with closing(sqlite3.connect(state / "ledger.db")) as db, db:
        db.execute("UPDATE jobs SET reason='?' WHERE run='first'")
    if adds_column:
        monkeypatch.setitem(schema.MIGRATIONS, schema.VERSION, add_column)
        monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
        columns = (*record_table.COLUMNS["jobs"], "note")
        monkeypatch.setitem(record_table.COLUMNS, "jobs", columns)
    assert trials_of("other", state) == wanted
    with pytest.raises(LedgerError, match="its job on local was changed"):
        trials_of("first", state)


@pytest.mark.parametrize(
    ("change", "trial"),
    [
        ("replace(body, 'completed', 'comqleted') WHERE seq=6", 2),
        ('replace(body, \'{"score": 0.2}\', \'{"score": "0.2"}\') WHERE seq=5', 2),
        ("replace(body, '{\"x\": 0.02}', '{\"x\": null}') WHERE seq=4", 2),
        ("replace(body, '\"step\": 1', '\"step\": 1.5') WHERE seq=8", 3),
    ],
)
def test_events_without_checksums_are_validated(
    state: Path, whole: Path, change: str, trial: int
) -> None:
    to_version_2(state / "ledger.db")
    with closing(sqlite3.connect(state / "ledger.db")) as db, db:
        db.execute(f"UPDATE events SET body={change} AND run='first'")
        assert db.execute("SELECT changes()").fetchone() == (1,)
    with pytest.raises(LedgerError, match=f"1 of 120 .* trial {trial} among them; 39 trials"):
        trials_of("first", state)
    assert trials_of("other", state) == read(whole)["other"]


def test_a_damaged_job_does_not_prevent_the_migration(state: Path, whole: Path) -> None:
    path = state / "ledger.db"
    to_version_2(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("VACUUM")
    content = path.read_bytes()
    root = content.index(b'"number":') // 4096
    leaf = content.index(b'"number":', (root + 1) * 4096) // 4096
    overwrite(path, leaf * 4096, b"\xff" * 4096)
    with pytest.raises(LedgerError, match="the number of its events is unknown"):
        trials_of("first", state)
    assert trials_of("other", state) == read(whole)["other"]


def test_the_migration_notices_a_root_page_that_hides_events(state: Path) -> None:
    path = state / "ledger.db"
    to_version_2(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT rootpage FROM sqlite_master WHERE name='events'"
        root = int(db.execute(query).fetchone()[0])
    content = path.read_bytes()
    overwrite(path, (root - 1) * 4096, bytes([content[(root - 1) * 4096] ^ 8]))
    with pytest.raises(LedgerError, match="120 of 120 events are damaged or missing"):
        trials_of("first", state)


def test_an_older_ledger_in_a_read_only_folder_is_read(
    state: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_version_2(state / "ledger.db")
    before = (state / "ledger.db").read_bytes()

    def access(_path: Path, mode: int) -> bool:
        return mode != os.W_OK

    monkeypatch.setattr(os, "access", access)
    assert read(state) == read(whole)
    assert (state / "ledger.db").read_bytes() == before
    assert not (state / "ledger-version-2.db").exists()


def test_a_failed_migration_leaves_the_old_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as old:
        old.executescript(VERSION_1.format(overrides=", overrides TEXT NOT NULL"))
        old.execute("ALTER TABLE events RENAME COLUMN body TO words")
    before = (tmp_path / "ledger.db").read_bytes()
    with pytest.raises(LedgerError, match="no such column"):
        Ledger(tmp_path)
    assert (tmp_path / "ledger.db").read_bytes() == before


def test_an_older_ledger_with_a_running_run_is_not_migrated(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as old:
        old.executescript(VERSION_1.format(overrides=", overrides TEXT NOT NULL"))
    refused = pytest.raises(LedgerError, match=r"older cloudtune: process \d+ .* first")
    with RunLock(tmp_path / "runs" / "first"), refused:
        Ledger(tmp_path)
    Ledger(tmp_path).close()


def test_a_file_of_another_program_is_not_a_ledger(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as other, other:
        other.execute("CREATE TABLE things (name TEXT)")
    with pytest.raises(LedgerError, match="not a ledger of cloudtune"):
        Ledger(tmp_path, create=True)
