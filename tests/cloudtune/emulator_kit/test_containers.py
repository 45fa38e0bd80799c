"""Containers as processes of trials, with a stand-in for Docker that runs their commands here."""

from __future__ import annotations

import json
import queue
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cloudtune.emulator_kit import image
from cloudtune.emulator_kit.containers import Container, Runtime, in_container, set_runtime
from cloudtune.execution.process_monitor import ProcessSpec
from cloudtune.execution.process_pool import ProcessPool
from cloudtune.results.events import Ended, Measured
from tests import fake_docker
from tests.waiting import wait_until

GRACE = 1.0
UP = "import time\nprint('loss=1', flush=True)\ntime.sleep(100)\n"
POLITE = """
import signal, sys, time
count = 0
def end(*_):
    global count
    count += 1
signal.signal(signal.SIGTERM, end)
print('loss=1', flush=True)
while not count:
    time.sleep(0.05)
time.sleep(0.5)
print(f'terms={count}')
"""


class Engine:
    """Docker's stand-in, and a pool that starts containers with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "docker"
        fake_docker.install(self.path)
        self.events: queue.Queue[Measured | Ended] = queue.Queue()
        mark = f"containers-{secrets.token_hex(6)}"
        self.pool = ProcessPool(self.events.put, mark, grace=GRACE)

    def start(self, code: str, grace: float = GRACE) -> None:
        """Start Python code in a container."""
        container = Container(
            "own:1", ["-c", code], [sys.executable], {self.folder: "/data"}, hosts=["algo-1"]
        )
        env = {"TEXT": "two\nlines", "SECRET": "hidden", "HOME": "/home/image"}
        spec = ProcessSpec(
            [],
            self.folder,
            env,
            self.folder / "log.txt",
            metrics={"loss": ["loss=(.+)"]},
            grace=grace,
        )
        self.pool.start(1, lambda: in_container(str(self.path), container, spec))

    def end(self) -> Ended:
        while not isinstance(event := self.events.get(timeout=200), Ended):
            pass
        return event

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]

    def running(self) -> list[Path]:
        return list(self.folder.glob("cloudtune-*"))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    created = Engine(tmp_path)
    yield created
    created.pool.close()


def test_a_container_has_its_variables_mounts_and_exit_code(engine: Engine) -> None:
    code = "import os, sys; print([os.environ[n] for n in ('TEXT', 'SECRET', 'HOME')]); sys.exit(3)"
    engine.start(code)
    ended = engine.end()
    assert (ended.state, ended.exit_code) == ("failed", 3)
    log = (engine.folder / "log.txt").read_text()
    assert "['two\\nlines', 'hidden', '/home/image']" in log
    (call,) = engine.calls
    assert call[:3] == ["run", "--rm", "--name"]
    assert "hidden" not in " ".join(call)
    assert f"{engine.folder}:/data" in call
    assert call[call.index("--add-host") + 1] == "algo-1:127.0.0.1"
    assert call[-3:] == ["own:1", "-c", code]
    assert not engine.running()


def test_a_stop_reaches_the_container_once(engine: Engine) -> None:
    engine.start(POLITE, grace=30.0)
    assert isinstance(engine.events.get(timeout=200), Measured)
    engine.pool.stop(1)
    assert engine.end().state == "completed"
    assert "terms=1" in (engine.folder / "log.txt").read_text()
    assert [call[0] for call in engine.calls] == ["run"]


@pytest.mark.parametrize("now", [True, False])
def test_a_kill_and_a_timeout_remove_the_container(engine: Engine, now: bool) -> None:
    engine.start(f"import signal\nsignal.signal(15, signal.SIG_IGN)\n{UP}")
    assert isinstance(engine.events.get(timeout=200), Measured)
    assert engine.running()
    (process,) = [int(path.read_text()) for path in engine.running()]
    engine.pool.stop(1, now=now)
    assert engine.end().state == "failed"

    def gone() -> bool:
        try:
            status = psutil.Process(process).status()
        except psutil.NoSuchProcess:
            return True
        return bool(status == psutil.STATUS_ZOMBIE)

    wait_until(gone)
    wait_until(lambda: any(call[:2] == ["rm", "--force"] for call in engine.calls))


def test_the_image_of_another_python(tmp_path: Path) -> None:
    set_runtime(Runtime(python=sys.executable))
    try:
        python = image.create_image(tmp_path / "image")
        assert Path(python).is_relative_to(tmp_path)
        assert image.site_packages(tmp_path / "image").is_dir()
        assert not image.site_packages(tmp_path / "later").exists()
        set_runtime(Runtime(python=str(tmp_path / "nowhere")))
        with pytest.raises(OSError, match=r"nowhere cannot create"):
            image.create_image(tmp_path / "other")
    finally:
        set_runtime(Runtime())
