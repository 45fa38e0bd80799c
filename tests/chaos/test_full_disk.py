"""A disk without room: it is told, nothing that was written is lost, and the run goes on later."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Home

LIMITED = """\
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from cloudtune.cli import main
main(sys.argv[2:])
"""
"""cloudtune where no file, the ledger's among them, may be longer than so many bytes."""
MOUNTED = """\
set -e
mount -t tmpfs -o size=$1 none "$2"
cp study.yaml train.py "$2"
cd "$2"
shift 2
CLOUDTUNE_HOME=$PWD/state "$@" run study.yaml --set limits.max_trials=2000 2>told || code=$?
rm -rf state/runs/*/local/trials
export CLOUDTUNE_HOME=$PWD/state
"$@" results --format jsonl | grep -c '"completed"'
"$@" resume --set limits.max_trials=30
"$@" results --format jsonl | wc -l
tail -n 3 told >&2
exit $code
"""


def limited(size: int) -> tuple[str, ...]:
    return (sys.executable, "-c", LIMITED, str(size))


@pytest.mark.parametrize("size", [8_000, 60_000, 120_000])
def test_a_limit_of_the_disk_is_told_and_nothing_written_is_lost(home: Home, size: int) -> None:
    many = ("--set", "limits.max_trials=60")
    told = home.begin("run", "study.yaml", *many, main=limited(size))
    out, err = told.communicate(timeout=100)
    assert told.returncode in {1, 3}, out + err
    assert "the disk is full, or" in out + err
    assert "Traceback" not in err
    if not (home.state / "ledger.db").exists() or "[1/" not in err:
        return
    before = home.results()
    assert sum(trial["state"] == "completed" for trial in before) >= err.count("completed in")
    home.call("resume")
    after = home.results()
    kept = {trial["number"]: trial for trial in before if trial["state"] == "completed"}
    assert {n: trial for n, trial in enumerate(after, 1) if n in kept} == kept
    assert sum(trial["state"] == "completed" for trial in after) == 60
    assert [trial["number"] for trial in after] == list(range(1, len(after) + 1))
