"""A read-only state folder: it can be read, and commands that write report an error."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Home

UNPRIVILEGED = """\
import ctypes, os, sys
if os.geteuid() == 0:
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: to ignore permissions
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""A command for which permissions hold, even where the tests run as root."""
MAIN = (sys.executable, "-c", UNPRIVILEGED, sys.executable, "-m", "cloudtune")
ALLOWED = "import os, sys; print(os.access(sys.argv[1], os.W_OK))"


def forbid(folder: Path) -> None:
    """Take the permission to write from a folder and all that it holds."""
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o500 if path.is_dir() else 0o400)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="folders have other permissions here")
def test_a_read_only_folder_can_be_read_and_writes_are_refused(home: Home) -> None:
    home.call("run", "study.yaml", "--set", "limits.max_trials=3")
    expected = home.results()
    run = home.run
    forbid(home.state)
    try:
        asked = home.call(ALLOWED, str(home.state), main=[*MAIN[:-2], "-c"])
        assert asked.stdout == "False\n", "the folder can be written all the same"
        lines = home.call("results", "--format", "jsonl", main=MAIN).stdout.splitlines()
        assert [json.loads(line) for line in lines] == expected
        (status,) = json.loads(home.call("status", "--json", main=MAIN).stdout)
        assert status["trials"] == {"completed": 3}
        home.call("logs", "1", main=MAIN)
        for words in (["run", "study.yaml"], ["resume"], ["clean", run, "--yes"]):
            err = home.call(*words, code=1, main=MAIN).stderr
            assert "Traceback" not in err
            assert str(home.state) in err.splitlines()[-1]
    finally:
        for path in (home.state, *home.state.rglob("*")):
            path.chmod(0o700)
    assert home.results() == expected
