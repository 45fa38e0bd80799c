from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from cloudtune.execution import reaper
from cloudtune.provider.models import Lost
from cloudtune.results.events import Ended, Measured, Observation, Started
from cloudtune.study.schema import Resources
from cloudtune_local.runner import LocalRunner


class Job:
    """A job of the local provider whose source is a folder that tests write."""

    def __init__(self, folder: Path, name: str) -> None:
        self.run = f"run{os.getpid()}{name}"
        self.folder = folder / "job"
        self.folder.mkdir()
        self.source = folder / "source"
        self.source.mkdir()
        self._inbox: SimpleQueue[Measured | Ended] = SimpleQueue()
        self.seen: list[Measured | Ended] = []
        self.messages: list[str] = []
        self.request: dict[str, Any] = {
            "source": str(self.source),
            "script": "train.py",
            "python": sys.executable,
            "args": [],
            "arguments": "flags",
            "constants": {},
            "resource": None,
            "parameters": [],
            "inputs": {},
            "env": {},
            "metrics": {},
            "cpus": None,
            "gpus": [],
            "gpus_per_trial": 0,
            "parallel": 1,
            "grace": 100.0,
        }
        self._runner: LocalRunner | None = None
        self.resources: Callable[[Started], Resources] | None = None

    def _collect(self, *events: Observation | Lost, inline: bool = False) -> None:
        for event in events:
            assert isinstance(event, Measured | Ended)
            self._inbox.put(event)

    def write(self, code: str) -> None:
        (self.source / "train.py").write_text(textwrap.dedent(code))

    @property
    def runner(self) -> LocalRunner:
        if self._runner is None:
            self._runner = LocalRunner(
                self.request,
                self.run,
                self.folder,
                self._collect,
                self.messages.append,
                resources=self.resources,
            )
        return self._runner

    def start(self, number: int = 1, **changes: Any) -> None:
        changes.setdefault("parameters", {})
        self.runner.start(Started(number=number, time=time.time(), **changes))

    def next(self) -> Measured | Ended:
        event = self._inbox.get(timeout=200)
        self.seen.append(event)
        return event

    def end(self) -> Ended:
        while not isinstance(event := self.next(), Ended):
            pass
        return event

    def run_one(self, number: int = 1, **changes: Any) -> str:
        """Run a trial to its good end and return what it printed."""
        self.start(number, **changes)
        ended = self.end()
        assert ended.state == "completed", ended
        return (self.folder / "trials" / str(number) / "log.txt").read_text()

    def measured(self) -> list[tuple[int, dict[str, float]]]:
        return [(e.step, dict(e.metrics)) for e in self.seen if isinstance(e, Measured)]

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()
            self._runner = None


@pytest.fixture
def job(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Job]:
    instance = Job(tmp_path, f"{hash(request.node.nodeid) & 0xFFFFFFFF:x}")
    yield instance
    instance.close()
    assert reaper.find_processes(instance.run) == []
