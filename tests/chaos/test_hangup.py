"""A closed terminal or a lost connection does not end a run."""

from __future__ import annotations

import json
import os
import pty
import signal
import time
from typing import TYPE_CHECKING

import pytest

from .conftest import MAIN, wait_for

if TYPE_CHECKING:
    from .conftest import Home

SCRIPT = """\
import os, time
from cloudtune.trial import params, report
report(score=params()["x"])
while not os.path.exists("{end}"):
    time.sleep(0.01)
"""
"""A trial that lasts until a file exists."""


def start_in_terminal(home: Home, *words: str) -> tuple[int, int]:
    """Start a command in a terminal of its own; return its process and the terminal's end."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(home.path)
        os.execve(MAIN[0], [*MAIN, *words], home.env)
    return pid, terminal


def wait_for_output(terminal: int, text: bytes) -> None:
    output = b""
    due = time.monotonic() + 200
    while text not in output:
        assert time.monotonic() < due, output
        output += os.read(terminal, 4096)


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal")
def test_a_closed_terminal_does_not_end_a_run(home: Home) -> None:
    end = home.path.parent / "end"
    (home.path / "train.py").write_text(SCRIPT.format(end=end), "utf-8")
    pid, terminal = start_in_terminal(home, "run", "study.yaml", "--set", "limits.max_trials=8")
    try:
        wait_for_output(terminal, b" on local")
        assert wait_for(home.trials)
        os.close(terminal)  # the system sends SIGHUP
        end.touch()
        assert wait_for(lambda: home.engine() is None)
        assert [trial["state"] for trial in home.results()] == ["completed"] * 8
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.slow
def test_a_run_after_a_hangup_can_be_stopped(home: Home) -> None:
    (home.path / "train.py").write_text(SCRIPT.format(end="never"), "utf-8")
    engine = home.begin("run", "study.yaml")
    assert wait_for((home.state / "ledger.db").exists)
    assert wait_for(lambda: list(home.state.glob("runs/*/local/trials/*/reports.jsonl")))
    engine.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert engine.poll() is None
    home.call("stop")
    _, err = engine.communicate(timeout=200)
    assert engine.returncode == 130
    assert f"cloudtune resume {home.run}" in err
    (status,) = json.loads(home.call("status", "--json").stdout)
    assert status["state"] == "cancelled"
