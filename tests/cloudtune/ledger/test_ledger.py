from __future__ import annotations

import math
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Timer
from types import SimpleNamespace
from typing import cast

import psutil
import pytest

from cloudtune.errors import LedgerError, UsageError
from cloudtune.ledger import connection
from cloudtune.ledger.home import state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import RunLock, lock_holder
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.ledger.run_ids import new_run_id
from cloudtune.ledger.schema import VERSION
from cloudtune.results.events import Ended, Event, Measured, Started


def record(run: str, created: float = 1.0) -> RunRecord:
    job = JobRecord(run, "local", {"mode": "driven"}, "pending", "", None, False)
    return RunRecord(run, created, "name", {"name": "name"}, None, "/base", (job,))


def test_records_are_read_back(tmp_path: Path) -> None:
    events: list[Event] = [
        Started(1, 2.0, {"a": 1, "b": 1.0, "c": True, "d": "1"}, memory={"k": [1, 2]}),
        Measured(1, 3.0, 1, {"x": math.inf}),
        Ended(1, 4.0, "failed", "exited with code 1", 1, "last\nwords"),
    ]
    with Ledger(tmp_path, create=True) as ledger:
        ledger.create_run(record("abc"))
        ledger.append("abc", "local", events[0])
        ledger.append("abc", "local", *events[1:])
    with Ledger(tmp_path) as ledger:
        assert ledger.run("a") == record("abc")
        read = list(ledger.events("abc", "local"))
        assert [event for _, event in read] == events
        assert [seq for seq, _ in read] == [1, 2, 3]
        assert [seq for seq, _ in ledger.events("abc", "local", after=2)] == [3]
        started = read[0][1]
        assert isinstance(started, Started)
        assert [type(v) for v in started.parameters.values()] == [int, float, bool, str]


def test_a_run_is_created_once(tmp_path: Path) -> None:
    with Ledger(tmp_path, create=True) as ledger:
        ledger.create_run(record("abc"))
        with pytest.raises(UsageError, match="resume abc"):
            ledger.create_run(record("abc"))


def test_runs_are_found_by_a_unique_start_and_the_latest_without_one(tmp_path: Path) -> None:
    with Ledger(tmp_path, create=True) as ledger:
        for index, run in enumerate(["aab", "abb", "b"]):
            ledger.create_run(record(run, float(index)))
        assert ledger.run().id == "b"
        assert ledger.run("ab").id == "abb"
        with pytest.raises(UsageError, match="aab"):
            ledger.run("a")
        with pytest.raises(UsageError, match="not found"):
            ledger.run("zz")
        assert ledger.run_ids() == ["b", "abb", "aab"]


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path, create=True).close()
    db = sqlite3.connect(tmp_path / "ledger.db")
    db.execute(f"PRAGMA user_version={VERSION + 1}")
    db.close()
    with pytest.raises(LedgerError, match="newer cloudtune"):
        Ledger(tmp_path)


@pytest.mark.parametrize("version", [-1, -(2**31), 1, 2, 2**31 - 1])
def test_a_ledger_whose_version_is_damaged_is_refused(tmp_path: Path, version: int) -> None:
    with Ledger(tmp_path, create=True) as ledger:
        ledger.create_run(record("r"))
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
        db.execute(f"PRAGMA user_version={version}")
    with pytest.raises(LedgerError):
        Ledger(tmp_path)


def test_reading_creates_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no runs"):
        Ledger(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_run_has_one_lock_holder_and_a_dead_process_is_none(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from cloudtune.ledger.lock import RunLock\n"
        "with RunLock(Path(sys.argv[1])):\n"
        "    print('held', flush=True); time.sleep(600)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert lock_holder(tmp_path) == f"process {other.pid} on {socket.gethostname()}"
        with pytest.raises(LedgerError, match=f"process {other.pid}"), RunLock(tmp_path):
            pass
        other.kill()
        other.wait()
        assert lock_holder(tmp_path) is None
        with RunLock(tmp_path):
            pass


def test_who_looks_for_a_lock_holder_is_not_taken_for_one(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        pass
    with ThreadPoolExecutor(8) as pool:
        assert {*pool.map(lock_holder, [tmp_path] * 2_000)} == {None}


def test_the_state_folder_is_the_nearest_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDTUNE_HOME", raising=False)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert state_folder(inner) == inner / ".cloudtune"
    (tmp_path / ".cloudtune").mkdir()
    assert state_folder(inner) == tmp_path / ".cloudtune"
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "home"))
    assert state_folder(inner) == tmp_path / "home"


def test_elapsed_time_adds_up_over_processes(tmp_path: Path) -> None:
    with Ledger(tmp_path, create=True) as ledger:
        ledger.create_run(record("abc"))
        ledger.begin_job("abc", "local")
        started = ledger.run("abc").jobs[0].process_started
        assert started is not None
        ledger.append("abc", "local", Started(1, started + 5, {}))
        ledger.begin_job("abc", "local")
        job = ledger.run("abc").jobs[0]
        assert job.earlier_seconds == pytest.approx(5)
        assert job.started == started


def test_ids_are_short_and_differ() -> None:
    ids = {new_run_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(run) == 8 for run in ids)
    assert all(run[0].isalpha() for run in ids), "some may be read as numbers, such as 2e345678"


USES: dict[str, Callable[[Ledger], object]] = {
    "require_new": lambda ledger: ledger.require_new("new"),
    "create_run": lambda ledger: ledger.create_run(record("new")),
    "has_run": lambda ledger: ledger.has_run("abc"),
    "require_run": lambda ledger: ledger.require_run("abc"),
    "run_ids": lambda ledger: ledger.run_ids(),
    "find_run_id": lambda ledger: ledger.find_run_id("abc"),
    "unknown_folders": lambda ledger: ledger.unknown_folders(),
    "run": lambda ledger: ledger.run("abc"),
    "update_study": lambda ledger: ledger.update_study("abc", {}, {"local": {}}, []),
    "begin_job": lambda ledger: ledger.begin_job("abc", "local"),
    "last_event_number": lambda ledger: ledger.last_event_number("abc", "local"),
    "set_job_name": lambda ledger: ledger.set_job_name("abc", "local", "job"),
    "end_job": lambda ledger: ledger.end_job("abc", "local", "failed", "reason"),
    "has_events": lambda ledger: ledger.has_events("abc", "local"),
    "append": lambda ledger: ledger.append("abc", "local", Started(2, 2.0, {})),
    "append several": lambda ledger: ledger.append("abc", "local", *[Started(2, 2.0, {})] * 2),
    "events": lambda ledger: list(ledger.events("abc", "local")),
    "events_by_trial": lambda ledger: list(ledger.events_by_trial("abc", "local")),
    "execute": lambda ledger: ledger.execute("SELECT 1 FROM runs"),
    "remove_run": lambda ledger: ledger.remove_run("abc"),
}
READS = {
    "execute",
    "require_new",
    "has_run",
    "require_run",
    "run_ids",
    "find_run_id",
    "unknown_folders",
    "run",
    "events",
    "events_by_trial",
    "has_events",
    "last_event_number",
}
WRITES = set(USES) - READS


def test_every_method_is_used_below() -> None:
    public = {name for name in vars(Ledger) if not name.startswith("_")}
    assert public - {"atomic", "close", "run_folder", "job_folder", "damage_error"} == {
        name.split()[0] for name in USES
    }


@pytest.mark.parametrize("use", USES)
def test_errors_of_the_database_become_ledger_errors(tmp_path: Path, use: str) -> None:
    with Ledger(tmp_path, create=True) as ledger:
        ledger.create_run(record("abc"))
        other = sqlite3.connect(tmp_path / "ledger.db")
        for table in ("events", "jobs", "runs", "checksums"):
            other.execute(f"ALTER TABLE {table} RENAME TO {table}_gone")
        other.close()
        with pytest.raises(LedgerError, match=r"ledger\.db cannot be used: no such table"):
            USES[use](ledger)


@pytest.mark.parametrize("use", sorted(WRITES))
def test_a_database_lock_held_too_long_is_reported_and_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    monkeypatch.setattr(connection, "LOCK_TIMEOUT", 0.01)
    with Ledger(tmp_path, create=True) as ledger:
        ledger.create_run(record("abc"))
        ledger.append("abc", "local", Started(1, 1.0, {}))
        other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked by another program"):
            USES[use](ledger)
        other.close()
        assert ledger.run("abc") == record("abc")
        USES[use](ledger)


def test_a_short_database_lock_is_waited_for(tmp_path: Path) -> None:
    with Ledger(tmp_path, create=True) as ledger:
        ledger.create_run(record("abc"))
        other = sqlite3.connect(
            tmp_path / "ledger.db", isolation_level=None, check_same_thread=False
        )
        other.execute("BEGIN IMMEDIATE")
        release = Timer(0.2, other.close)
        release.start()
        ledger.append("abc", "local", Started(1, 1.0, {}))
        release.join()
        assert ledger.last_event_number("abc", "local") == 1


def test_an_interrupted_write_changes_nothing(tmp_path: Path) -> None:
    with Ledger(tmp_path, create=True) as ledger:
        ledger.create_run(record("abc"))
        with pytest.raises(TypeError):
            ledger.update_study("abc", {"name": "other"}, {"local": {"not": object()}}, [])
        assert ledger.run("abc") == record("abc")
        ledger.end_job("abc", "local", "failed", "")


@pytest.mark.parametrize(
    ("kind", "mode"), [("ext4", "wal"), ("nfs4", "delete"), ("CIFS", "delete")]
)
def test_the_journal_suits_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, mode: str
) -> None:
    mounts = [
        SimpleNamespace(mountpoint="/", fstype="nfs" if kind == "ext4" else "ext4"),
        SimpleNamespace(mountpoint=str(tmp_path.resolve()), fstype=kind),
    ]

    def partitions(**_: bool) -> list[SimpleNamespace]:
        return mounts

    monkeypatch.setattr(psutil, "disk_partitions", partitions)
    with Ledger(tmp_path / "state", create=True) as ledger:
        ledger.create_run(record("abc"))
    db = sqlite3.connect(tmp_path / "state" / "ledger.db")
    assert db.execute("PRAGMA journal_mode").fetchone() == (mode,)
    db.close()
    with Ledger(tmp_path / "state") as ledger:
        assert ledger.run() == record("abc")


def test_a_new_state_folder_is_private(tmp_path: Path) -> None:
    Ledger(tmp_path / "a" / "new", create=True).close()
    assert (tmp_path / "a" / "new").stat().st_mode & 0o777 == 0o700
    (tmp_path / "old").mkdir(mode=0o755)
    Ledger(tmp_path / "old", create=True).close()
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owner here")
def test_the_state_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDTUNE_HOME", raising=False)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / ".cloudtune").mkdir()
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    assert state_folder(inner) == inner / ".cloudtune"
    with pytest.raises(LedgerError, match="belongs to another user"):
        state_folder(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / ".cloudtune"))
    assert state_folder(tmp_path) == tmp_path / ".cloudtune"


def test_a_nearer_state_folder_of_another_user_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDTUNE_HOME", raising=False)
    inner = tmp_path / "a"
    for folder in (inner, tmp_path):
        (folder / ".cloudtune").mkdir(parents=True)
    stat = Path.stat

    def owned(path: Path, **more: bool) -> os.stat_result:
        status = stat(path, **more)
        if path != inner / ".cloudtune":
            return status
        return os.stat_result([*status[:4], status.st_uid + 1, *status[5:]])

    monkeypatch.setattr(Path, "stat", owned)
    assert state_folder(inner) == tmp_path / ".cloudtune"


def test_an_invalid_event_is_not_recorded(tmp_path: Path) -> None:
    with Ledger(tmp_path, create=True) as ledger:
        ledger.create_run(record("r"))
        valid = Started(1, 1.0, {"x": 1})
        with pytest.raises(LedgerError, match=r"event of trial 1 was not recorded: .* step is"):
            ledger.append("r", "local", valid, Measured(1, 1.0, cast("int", None), {"a": 1.0}))
        assert [*ledger.events("r", "local")] == []
        ledger.append("r", "local", valid)
        assert [*ledger.events("r", "local")] == [(1, valid)]
