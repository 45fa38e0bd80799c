"""Emulators as processes of their own, which tests start, reach and end."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar


class Served:
    """One emulator process, from its start to its end."""

    def __init__(self, module: str, folder: Path, *words: str) -> None:
        self.folder = folder
        self.names = itertools.count(1)
        self.stack = ExitStack()
        """Closed before the process ends."""
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, "--folder", folder, *words],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    @property
    def _errors(self) -> Path:
        return self.folder.parent / f"{self.folder.name}.err"

    def reach(self) -> None:
        """Wait until it listens."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self._errors.read_text()
        self.address: dict[str, Any] = json.loads(line)
        self.key: str = self.address["key"]
        self.url: str = self.address["url"]

    def name(self) -> str:
        return f"job-{next(self.names)}"

    @staticmethod
    def until(look: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
        due = time.monotonic() + 60
        while not good(found := look()):
            assert time.monotonic() < due, found
            time.sleep(0.05)
        return found

    def end(self) -> int:
        """Ask it to end; return its exit code."""
        self.stack.close()
        self.process.terminate()
        code = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


S = TypeVar("S", bound=Served)


def starting(kind: Callable[..., S], folder: Path) -> Iterator[Callable[..., S]]:
    """Yield what starts emulators below a folder, each with a fault plan if it is given one."""
    numbers = itertools.count(1)
    with ExitStack() as stack:

        def start(*words: str, faults: str = "") -> S:
            number = next(numbers)
            if faults:
                plan = folder / f"faults{number}.yaml"
                plan.write_text(textwrap.dedent(faults))
                words = (*words, "--faults", str(plan))
            made = kind(folder / f"emulator{number}", "--speed", "3000", *words)
            stack.callback(made.end)
            made.reach()
            return made

        yield start


def address_of(module: str, folder: Path) -> Iterator[Mapping[str, Any]]:
    """Yield where an emulator of the usual speed can be reached; it must end well."""
    made = Served(module, folder)
    try:
        made.reach()
        yield made.address
    finally:
        assert made.end() == 0
