from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cloudtune.execution import reaper
from tests.waiting import wait_until

if TYPE_CHECKING:
    from .conftest import Bench

READY = {"ready": [r"^READY(?P<value>1)$"]}

ENGINE = """
import os, sys, threading
from pathlib import Path
from queue import SimpleQueue
from cloudtune.execution.process_pool import ProcessPool
from cloudtune.execution.process_monitor import ProcessSpec

inbox = SimpleQueue()
processes = ProcessPool(inbox.put, sys.argv[1], grace=float(sys.argv[3]))
folder = Path(sys.argv[2])
ready = {"ready": [r"READY(1)"]}
for number, script in enumerate(sys.argv[4:], 1):
    log = folder / f"{number}.log"
    command = [sys.executable, "-u", "-c", script]
    processes.start(number, ProcessSpec(command, folder, dict(os.environ), log, metrics=ready))
    inbox.get()
print("ALL", flush=True)
threading.Event().wait()
"""
SLEEPER = "import time; print('READY1'); time.sleep(1000)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
RUNAWAY = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; "
    "time.sleep(1000)'], start_new_session=True, stdout=subprocess.DEVNULL); " + SLEEPER
)
STUBBORN_RUNAWAY = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "  # inherited
    + RUNAWAY.replace("; print", "; signal.signal(signal.SIGTERM, signal.SIG_DFL); print")
)
SAVER = (
    "import signal, sys, time, pathlib\n"
    "def end(*_):\n"
    "    pathlib.Path('saved').touch()\n"
    "    sys.exit()\n"
    "signal.signal(signal.SIGTERM, end)\n"
    "print('READY1'); time.sleep(1000)"
)


def reapers(mark: str) -> list[int]:
    pids: list[int] = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if entry.name.isdigit() and f"{mark}.".encode() in words:
            pids.append(int(entry.name))
    return pids


@pytest.mark.parametrize("script", [SLEEPER, STUBBORN, RUNAWAY, STUBBORN_RUNAWAY, SAVER])
def test_killing_the_engine_leaves_no_process(bench: Bench, tmp_path: Path, script: str) -> None:
    grace = "30" if script is SAVER else "0.3"  # which others may use up
    words = [sys.executable, "-c", ENGINE, bench.mark, str(tmp_path), grace, script, SLEEPER]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline() == "ALL\n"
        assert len(bench.alive()) >= 2
        assert len(reapers(bench.mark)) == 1
        engine.kill()
    wait_until(lambda: not bench.alive() and not reapers(bench.mark))
    assert (tmp_path / "saved").exists() == (script is SAVER)


def test_the_reaper_ignores_termination_signals(bench: Bench) -> None:
    bench.start(1, SLEEPER, metrics=READY)
    bench.ready()
    (pid,) = reapers(bench.mark)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    time.sleep(0.05)
    assert reapers(bench.mark) == [pid]
    assert os.getsid(pid) == pid


def test_a_killed_reaper_is_replaced_at_the_next_start(bench: Bench) -> None:
    bench.start(1, SLEEPER, metrics=READY)
    bench.ready()
    (first,) = reapers(bench.mark)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not reapers(bench.mark))
    bench.start(2, SLEEPER, metrics=READY)
    bench.ready(2)
    (second,) = reapers(bench.mark)
    assert second != first
    bench.processes.stop(1)
    bench.processes.stop(2)
    assert {bench.end().number, bench.end().number} == {1, 2}


def test_close_ends_the_reaper(bench: Bench) -> None:
    bench.run("print(1)")
    assert reapers(bench.mark)
    bench.processes.close()
    assert not reapers(bench.mark)


def test_only_processes_of_the_mark_are_found(bench: Bench) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(1000)"],
        env={**os.environ, reaper.MARK_VARIABLE: "other" + bench.mark},
    )
    try:
        bench.start(1, SLEEPER, metrics=READY)
        bench.ready()
        assert len(bench.alive()) == 1
        reaper.kill_processes(bench.mark)
        assert bench.end().reason == "killed by SIGKILL"
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
