"""A flipped bit anywhere in a ledger: no silent loss, and no silently changed value."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudtune.errors import CloudtuneError, LedgerError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_results
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.results.events import Ended, Event, Measured, Started
from cloudtune.results.model import Trial
from cloudtune.runs.status import read_status

PAGE = 4096
RUNS = ("first", "other")
TRIALS = 12
PARTS = 10
"""Of the many bits: a busy machine takes minutes for all."""
STUDY: dict[str, Any] = {
    "objective": {"metric": "score", "goal": "maximize"},
    "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
}
PLAN: dict[str, Any] = {
    "mode": "driven",
    "findings": [],
    "facts": {"source_hash": None, "seed": 1, "own": {}},
}


def events() -> list[Event]:
    return [
        event
        for number in range(1, TRIALS + 1)
        for event in (
            Started(number, 10.0 + number, {"x": number / 100}, memory={"note": "m" * 100}),
            Measured(number, 11.0 + number, 1, {"score": number / 10}),
            Ended(number, 12.0 + number, "completed"),
        )
    ]


@dataclass(frozen=True)
class Content:
    """All that can be read from a ledger."""

    latest: str
    records: dict[str, RunRecord]
    trials: dict[str, list[Trial]]


@dataclass
class Copy:
    """A ledger whose bits are flipped, one at a time."""

    path: Path
    good: bytes
    expected: Content

    def root_page(self) -> int:
        """Return the number of the first byte of the events' root page."""
        with closing(sqlite3.connect(self.path)) as db:
            query = "SELECT rootpage FROM sqlite_master WHERE name='events'"
            return (int(db.execute(query).fetchone()[0]) - 1) * PAGE

    def problem(self, bit: int) -> str | None:
        """Return what is wrong with how a flipped bit is reported; None if nothing is."""
        damaged = bytearray(self.good)
        damaged[bit // 8] ^= 1 << bit % 8
        self.path.write_bytes(damaged)
        errors: list[LedgerError] = []
        try:
            content = read(self.path.parent, errors)
        except CloudtuneError:
            return None
        finally:
            self.path.write_bytes(self.good)
        if not errors:
            return None if content == self.expected else f"bit {bit} is silent"
        if any("record" in str(error) for error in errors):
            return None
        for run, trials in content.trials.items():
            if any(trial not in self.expected.trials[run] for trial in trials):
                return f"bit {bit}: a changed trial of {run} is shown"
        return None

    def problems(self, bits: Iterable[int]) -> list[str]:
        """Return what is wrong with the reports of flipped bits."""
        return [problem for bit in bits if (problem := self.problem(bit))]


def read(folder: Path, errors: list[LedgerError]) -> Content:
    with Ledger(folder) as ledger:
        latest, ids = ledger.find_run_id(), ledger.run_ids()
        records = {run: ledger.run(run, on_damage=errors.append) for run in ids}
    trials = {
        run: [
            trial
            for _, trials in read_results(run, folder, on_damage=errors.append)
            for trial in trials
        ]
        for run in ids
    }
    return Content(latest, records, trials)


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path))
    with Ledger(tmp_path, create=True) as ledger:
        for run in RUNS:
            job = JobRecord(run, "local", PLAN, "completed", "", None, False)
            ledger.create_run(RunRecord(run, 1.0, "name", STUDY, None, "/base", (job,)))
            ledger.append(run, "local", *events())
    path = tmp_path / "ledger.db"
    expected = read(tmp_path, [])
    assert [len(trials) for trials in expected.trials.values()] == [TRIALS, TRIALS]
    return Copy(path, path.read_bytes(), expected)


def test_the_type_of_the_root_page_is_noticed(copy: Copy) -> None:
    """With this bit, an inner page looks like a leaf, and SQLite finds no events without error."""
    damaged = bytearray(copy.good)
    damaged[copy.root_page()] ^= 1 << 3
    copy.path.write_bytes(damaged)
    messages: list[str] = []
    rows = read_status(notify=messages.append)
    assert [row["state"] for row in rows] == ["damaged", "damaged"]
    assert "36 of 36 events are damaged or missing" in messages[0]


@pytest.mark.slow
def test_flipped_bits_are_not_silent(copy: Copy) -> None:
    root, size = copy.root_page(), len(copy.good)
    header = range(root * 8, (root + 12) * 8)
    chance = random.Random(1)
    rest = [chance.randrange(root * 8, (root + PAGE) * 8) for _ in range(60)]
    anywhere = [chance.randrange(size * 8) for _ in range(60)]
    assert copy.problems([*header, *rest, *anywhere]) == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_many_flipped_bits_are_not_silent(copy: Copy, part: int) -> None:
    root, chance = copy.root_page() * 8, random.Random(2)
    anywhere = [chance.randrange(len(copy.good) * 8) for _ in range(600)]
    assert copy.problems([*range(root, root + PAGE * 8, 11), *anywhere][part::PARTS]) == []
