"""The hint to ext4; whether a file system takes it is not ours to say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cloudtune.ledger.apart import keep_apart
from cloudtune.ledger.ledger import Ledger


def is_ext4(folder: Path) -> bool:
    told = subprocess.run(
        ["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=False
    )
    return told.stdout.startswith("ext")


@pytest.mark.skipif(shutil.which("lsattr") is None, reason="nothing here lists the flags")
def test_runs_are_unrelated(tmp_path: Path) -> None:
    with Ledger(tmp_path / "state", create=True):
        pass
    if not is_ext4(tmp_path):
        pytest.skip("this is not ext4")
    listed = subprocess.run(
        ["lsattr", "-d", tmp_path / "state", tmp_path / "state" / "runs"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ["T" in line.split()[0] for line in listed.stdout.splitlines()] == [False, True]


def test_where_it_cannot_be_said_nothing_happens(tmp_path: Path) -> None:
    keep_apart(tmp_path / "nowhere")
    keep_apart(Path("/proc"))
