from __future__ import annotations

import os
import secrets
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from cloudtune.execution import reaper
from cloudtune.execution.process_monitor import ProcessSpec
from cloudtune.execution.process_pool import ProcessPool
from cloudtune.results.events import Ended, Measured


class Bench:
    """Starts small scripts and collects their events."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"test-{secrets.token_hex(6)}"
        self._inbox: SimpleQueue[Measured | Ended] = SimpleQueue()
        self.seen: list[Measured | Ended] = []
        self.processes = ProcessPool(self._inbox.put, self.mark, grace=0.2)

    def spec(self, number: int, code: str, **changes: Any) -> ProcessSpec:
        folder = self.folder / str(number)
        folder.mkdir(exist_ok=True)
        (folder / "script.py").write_text(textwrap.dedent(code))
        spec = ProcessSpec(
            command=[sys.executable, "-u", "script.py"],
            cwd=folder,
            env=dict(os.environ),
            log=folder / "log.txt",
            reports=folder / "reports.jsonl",
            doorbell=folder / "doorbell",
            grace=30,
        )
        return replace(spec, **changes)

    def start(self, number: int, code: str, **changes: Any) -> None:
        self.processes.start(number, self.spec(number, code, **changes))

    def run(self, code: str, **changes: Any) -> Ended:
        self.start(1, code, **changes)
        return self.end()

    def next(self, matches: Callable[[Measured | Ended], bool]) -> Measured | Ended:
        while True:
            event = self._inbox.get(timeout=240)
            self.seen.append(event)
            if matches(event):
                return event

    def end(self) -> Ended:
        event = self.next(lambda event: isinstance(event, Ended))
        assert isinstance(event, Ended)
        return event

    def measured(self, number: int = 1) -> list[tuple[int, dict[str, float]]]:
        return [
            (event.step, dict(event.metrics))
            for event in self.seen
            if isinstance(event, Measured) and event.number == number
        ]

    def log(self, number: int = 1) -> bytes:
        return (self.folder / str(number) / "log.txt").read_bytes()

    def alive(self) -> list[int]:
        return reaper.find_processes(self.mark)

    def ready(self, number: int = 1) -> None:
        """Wait until the script prints READY."""
        self.next(lambda e: isinstance(e, Measured) and e.number == number and "ready" in e.metrics)


READY = {"ready": [r"^READY(?P<value>1)$"]}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    instance = Bench(tmp_path)
    yield instance
    instance.processes.close()
    assert instance.alive() == []
