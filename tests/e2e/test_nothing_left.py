"""What commands leave on this machine: nothing but the run, what they were asked for, an emulator.

Each command is a process with its own HOME, TMPDIR, working folder and state folder, all below one
folder. What belongs to it is found by that folder's name, in environments, working folders and
command lines. A folder for temporary files has a path as short as usual, since scripts create Unix
sockets there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.execution import reaper
from cloudtune.testing.provider_contract import stop_emulators
from tests.e2e.test_wrong_values import WAYS
from tests.providers import VERIFIABLE
from tests.waiting import wait_until

SCRIPT = """\
import os, tempfile, time
from multiprocessing.connection import Listener
from cloudtune.trial import output_dir, params, report
if {leaves}:
    Listener(family="AF_UNIX").close()
    open(os.path.join(tempfile.mkdtemp(), "left"), "w").close()
report(loss=params()["x"], step=1)
open({folder!r} + "/began", "w").close()
while not os.path.exists({folder!r} + "/go"):
    time.sleep(0.05)
open(os.path.join(output_dir(), "model"), "w").close()
report(loss=params()["x"], step=2)
"""
"""Waits for a file. At a service it leaves temporary files, which its machine would lose, too."""
ALL: list[tuple[str, dict[str, str]]] = [("local", {}), *WAYS]
FAST = ("local", "azure-driven")
EVERYWHERE = pytest.mark.parametrize(
    ("on", "settings"),
    [
        pytest.param(on, way, id=name, marks=[] if name in FAST else [pytest.mark.slow])
        for on, way in ALL
        for name in ["-".join([on, *way.values()])]
    ],
)


class Place:
    """The folders of a user who runs one study."""

    def __init__(
        self, folder: Path, on: str, settings: Mapping[str, str], *, leaves: bool = True
    ) -> None:
        self.folder, self.on = folder, on
        self.state = folder / "state"
        for name in ("home", "tmp", "work", "shared"):
            (folder / name).mkdir()
        ray = {"storage": str(folder / "shared")} if on == "ray" else {}
        study = {
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"x": {"type": "float", "min": 1, "max": 3}},
            "strategy": {"name": "random", "seed": 5},
            "limits": {"max_trials": 3, "parallel_trials": 2},
            "trial": {"script": "train.py"},
            "providers": {on: {**settings, **ray}},
        }
        script = SCRIPT.format(folder=str(folder), leaves=leaves and on != "local")
        (folder / "work" / "train.py").write_text(script)
        (folder / "work" / "study.yaml").write_text(json.dumps(study))
        self.asked = {"work/train.py", "work/study.yaml"}
        self.emulate = [] if on == "local" else ["--emulate"]
        (folder / "go").touch()

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command."""
        kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        # Other programs on the PATH have files in HOME, such as rustc, whose version pip asks for.
        kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
        places = {"HOME": "home", "TMPDIR": "tmp", "CLOUDTUNE_HOME": "state"}
        with (self.folder / "output.txt").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "cloudtune", *words],
                cwd=self.folder / "work",
                env={**kept, **{key: str(self.folder / name) for key, name in places.items()}},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def finish(self, process: subprocess.Popen[bytes], code: int = 0) -> None:
        """Wait for a command, which must end with this code, and check what it has left."""
        assert process.wait(200) == code, (self.folder / "output.txt").read_text()
        self.check()

    def call(self, *words: str) -> None:
        """Run a command and check what it has left."""
        self.finish(self.start(*words))

    def begin(self) -> subprocess.Popen[bytes]:
        """Start a run, and return when a trial runs that does not end."""
        (self.folder / "go").unlink()
        process = self.start("run", "study.yaml", "--on", self.on, *self.emulate)
        wait_until(lambda: (self.folder / "began").exists() or process.poll() is not None)
        assert process.poll() is None, (self.folder / "output.txt").read_text()
        return process

    def resume(self) -> None:
        """Continue the run to its end."""
        (self.folder / "go").touch()
        self.call("resume")

    def check(self) -> None:
        """Check that nothing is left but what is documented."""
        emulators: dict[int, psutil.Process] = {}
        others: list[psutil.Process] = []

        def is_quiet() -> bool:  # processes that were killed end a moment later
            emulators.clear()
            others.clear()
            for each in self.processes():
                if "--folder" in each.cmdline():
                    emulators[each.pid] = each
                else:
                    others.append(each)
            return all(
                reaper.__file__ in each.cmdline() and each.ppid() in emulators for each in others
            )

        due = time.monotonic() + 100
        while not self._holds(is_quiet):
            assert time.monotonic() < due, others
            time.sleep(0.05)
        assert not emulators or self.on != "local"
        ports = [port for each in [*emulators.values(), *others] for port in _open_ports(each)]
        assert len(ports) == len(emulators)
        self._check_files(has_emulator=bool(emulators))

    def check_end(self) -> None:
        """Check that nothing is left of an emulator that ends."""
        stop_emulators(self.state)
        wait_until(lambda: self.processes() == [])
        self._check_files(has_emulator=False)

    def _check_files(self, *, has_emulator: bool) -> None:
        new = {
            path.relative_to(self.folder).as_posix()
            for name in ("home", "tmp", "work")
            for path in (self.folder / name).rglob("*")
        }
        if has_emulator:  # its folder for the temporary files of jobs
            new -= {each for each in new if each.startswith("tmp/ct-") and each.count("/") == 1}
        assert {each for each in new if not self._is_asked(each)} == set()

    def _is_asked(self, path: str) -> bool:
        return any(path == each or path.startswith(f"{each}/") for each in self.asked)

    def processes(self) -> list[psutil.Process]:
        return [each for each in psutil.process_iter() if self._holds(partial(self._is_of, each))]

    def _is_of(self, process: psutil.Process) -> bool:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        words = [process.cwd(), *process.cmdline(), *process.environ().values()]
        return any(str(self.folder) in each for each in words)

    @staticmethod
    def _holds(condition: Callable[[], bool]) -> bool:
        """Return whether a condition holds; it does not of a process that ends meanwhile."""
        with suppress(psutil.Error):
            return condition()
        return False


def _open_ports(process: psutil.Process) -> list[Any]:
    connections: list[Any] = process.net_connections("inet")
    return [each.laddr for each in connections if each.status == psutil.CONN_LISTEN]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="left-", dir="/tmp") as name:
        path = Path(name).resolve()
        yield path
        stop_emulators(path / "state")


@EVERYWHERE
def test_a_run_leaves_nothing(folder: Path, on: str, settings: Mapping[str, str]) -> None:
    place = Place(folder, on, settings)
    place.call("run", "study.yaml", "--on", on, *place.emulate)
    place.asked.add("work/got")
    place.call("fetch", "--best", "-o", "got")
    if settings != {"backend": "wmla"}:  # it has no driven mode
        place.call("confirm", "--top", "2", "--seeds", "2", "--fixed", *place.emulate)
    place.check_end()


@EVERYWHERE
def test_ctrl_c_leaves_nothing(folder: Path, on: str, settings: Mapping[str, str]) -> None:
    place = Place(folder, on, settings)
    process = place.begin()
    process.send_signal(signal.SIGINT)
    place.finish(process, 130)
    place.check_end()


@EVERYWHERE
def test_a_killed_run_leaves_nothing_once_it_was_resumed(
    folder: Path, on: str, settings: Mapping[str, str]
) -> None:
    place = Place(folder, on, settings)
    process = place.begin()
    process.kill()
    process.wait()
    place.resume()
    place.check_end()


@pytest.mark.slow
@pytest.mark.parametrize(("on", "settings"), WAYS)
def test_a_killed_emulator_leaves_nothing(
    folder: Path, on: str, settings: Mapping[str, str]
) -> None:
    place = Place(folder, on, settings)
    process = place.begin()
    process.kill()
    process.wait()
    emulators = [each for each in place.processes() if "--folder" in each.cmdline()]
    assert emulators
    for each in emulators:
        each.kill()
    wait_until(lambda: place.processes() == [])
    place.check_end()


@EVERYWHERE
def test_the_doctor_leaves_nothing(folder: Path, on: str, settings: Mapping[str, str]) -> None:
    # The doctor runs the scripts of WML Accelerator as on this machine, where they are not cleaned.
    place = Place(folder, on, settings, leaves=settings != {"backend": "wmla"})
    process = place.start("doctor", "study.yaml", "--on", on, *place.emulate)
    assert process.wait(200) in {0, 1}
    place.check_end()


@pytest.mark.slow
@pytest.mark.parametrize("on", VERIFIABLE)
def test_verify_leaves_nothing(folder: Path, on: str) -> None:
    place = Place(folder, on, {})
    place.asked.add(f"work/verify-{on}-emulated")
    place.call("verify", on, "--emulate")
    assert place.processes() == []
    place.check_end()
