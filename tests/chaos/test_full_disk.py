"""A full disk: it is reported, nothing written is lost, and the run can be resumed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Home

pytestmark = pytest.mark.slow

LIMITED = """\
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from cloudtune.cli import main
main(sys.argv[2:])
"""
"""cloudtune with a limit on the size of every file, including the ledger."""
MOUNTED = """\
mount -t tmpfs -o size=1m none small
export CLOUDTUNE_HOME=$PWD/small
"$@" run study.yaml --set limits.max_trials=300 > output 2>&1
echo $? > code
"$@" status > status
"$@" results --format jsonl > before
mount -o remount,size=90m small
"$@" resume --set limits.max_trials=20
"$@" results --format jsonl > after
"""
"""cloudtune on a disk that is full soon, and later has room."""


FEW_FILES = """\
mount -t tmpfs -o size=40m,nr_inodes=90 none small
export CLOUDTUNE_HOME=$PWD/small
"$@" run study.yaml > output 2>&1
echo $? > code
"$@" results --format jsonl > before
mount -o remount,nr_inodes=9000 small
"$@" resume
"$@" results --format jsonl > after
"""
"""cloudtune on a disk with space on which soon no file can be created, and later more can."""

FILLED_BY_SCRIPT = """\
mount -t tmpfs -o size=2m none small
mkdir other
mount -t tmpfs -o size=2m none other
"$@" run study.yaml > output 2>&1
echo $? > code
"$@" results --format jsonl > before
mount -o remount,size=90m $FULL
"$@" resume
"$@" results --format jsonl > after
"""
"""A script that fills a disk; later, the disk has room."""


def limited(size: int) -> tuple[str, ...]:
    return (sys.executable, "-c", LIMITED, str(size))


def assert_kept(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    completed = [trial for trial in before if trial["state"] == "completed"]
    numbers = {trial["number"] for trial in completed}
    assert [trial for trial in after if trial["number"] in numbers] == completed
    assert [trial["number"] for trial in after] == list(range(1, len(after) + 1))


@pytest.mark.parametrize("size", [8_000, 60_000, 80_000, 120_000])
def test_a_file_size_limit_is_reported_and_nothing_written_is_lost(home: Home, size: int) -> None:
    process = home.begin("run", "study.yaml", "--set", "limits.max_trials=60", main=limited(size))
    out, err = process.communicate(timeout=100)
    assert process.returncode in {1, 3}, out + err
    assert "the disk is full or" in out + err or "limit of the size of files" in out + err
    assert "Traceback" not in err
    count = err.count("] trial ")
    if size == 120_000:
        assert count
        before = home.results()
        assert sum(trial["state"] == "completed" for trial in before) >= count
        home.call("resume")
        assert_kept(before, home.results())
        assert sum(trial["state"] == "completed" for trial in home.results()) == 60


def can_mount(folder: Path) -> bool:
    """Return whether a small disk can be mounted, which not every system allows users."""
    if not shutil.which("unshare"):
        return False
    words = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(folder)]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


def test_a_full_disk_is_reported_and_nothing_written_is_lost(home: Home) -> None:
    (home.path / "small").mkdir()
    if not can_mount(home.path / "small"):
        pytest.skip("cannot mount a disk; the limits above replace this test")
    home.call(sys.executable, "-m", "cloudtune", main=["unshare", "-rm", "sh", "-c", MOUNTED, "sh"])
    output, code, status, before, after = (
        (home.path / name).read_text("utf-8")
        for name in ("output", "code", "status", "before", "after")
    )
    assert code.strip() in {"1", "3"}, output
    assert "the disk is full" in output + status
    assert "Traceback" not in output
    assert output.count("] trial ") > 3
    trials = [json.loads(line) for line in before.splitlines()]
    later = [json.loads(line) for line in after.splitlines()]
    assert sum(trial["state"] == "completed" for trial in trials) >= output.count("] trial ")
    assert_kept(trials, later)
    assert sum(trial["state"] == "completed" for trial in later) >= 20


def test_a_disk_without_room_for_files_costs_no_trial(home: Home) -> None:
    (home.path / "small").mkdir()
    if not can_mount(home.path / "small"):
        pytest.skip("cannot mount a disk")
    main = ["unshare", "-rm", "sh", "-c", FEW_FILES, "sh"]
    home.call(sys.executable, "-m", "cloudtune", main=main)
    output, code, before, after = (
        (home.path / name).read_text("utf-8") for name in ("output", "code", "before", "after")
    )
    assert code.strip() == "3", output
    assert "cannot be started" in output
    assert "No space left on device; free space or inodes there" in output
    assert "Traceback" not in output
    trials, later = ([json.loads(line) for line in text.splitlines()] for text in (before, after))
    assert {trial["state"] for trial in trials} == {"completed", "cancelled"}
    assert_kept(trials, later)
    completed = [trial for trial in later if trial["state"] == "completed"]
    assert len(completed) == 24
    again = {trial["replaces"]: trial["parameters"] for trial in later if trial.get("replaces")}
    assert again == {t["number"]: t["parameters"] for t in later if t["state"] == "cancelled"}


@pytest.mark.parametrize("full", ["small", "other"])
def test_a_disk_that_the_script_fills_costs_no_trial(home: Home, full: str) -> None:
    (home.path / "small").mkdir()
    if not can_mount(home.path / "small"):
        pytest.skip("cannot mount a disk")
    folder = "." if full == "small" else home.path / "other"
    (home.path / "train.py").write_text(
        "import os\n"
        "from cloudtune.trial import params, report\n"
        f"with open(os.path.join({str(folder)!r}, f'model-{{os.getpid()}}'), 'wb') as file:\n"
        "    file.write(bytes(400_000))\n"
        "report(score=params()['x'])\n",
        "utf-8",
    )
    state = home.path / ("small" if full == "small" else ".cloudtune")
    home.env |= {"FULL": full, "CLOUDTUNE_HOME": str(state)}
    main = ["unshare", "-rm", "sh", "-c", FILLED_BY_SCRIPT, "sh"]
    home.call(sys.executable, "-m", "cloudtune", main=main)
    output, code, before, after = (
        (home.path / name).read_text("utf-8") for name in ("output", "code", "before", "after")
    )
    assert code.strip() in ({"1", "3"} if full == "small" else {"3"}), output  # 1 for the ledger
    assert "free space or inodes there" in output or "the disk is full" in output
    trials, later = ([json.loads(line) for line in text.splitlines()] for text in (before, after))
    assert "failed" not in {trial["state"] for trial in trials + later}
    assert_kept(trials, later)
    assert sum(trial["state"] == "completed" for trial in later) == 24
