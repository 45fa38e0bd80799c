"""Emulators as processes that tests start, reach and stop."""

from __future__ import annotations

import itertools
import json
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.emulator_forks import ForkedEmulator


class Served:
    """An emulator process."""

    def __init__(self, module: str, folder: Path, *words: str) -> None:
        self.folder = folder
        self.names = itertools.count(1)
        self.stack = ExitStack()
        """Closed before the process ends."""
        self.process = ForkedEmulator(module, ("--folder", str(folder), *words), self._errors)

    @property
    def _errors(self) -> Path:
        return self.folder.parent / f"{self.folder.name}.err"

    def reach(self) -> None:
        """Wait until it listens, and read its address."""
        line = self.process.stdout.readline()
        assert line, self._errors.read_text()
        self.address: dict[str, Any] = json.loads(line)
        self.key: str = self.address["key"]
        self.url: str = self.address["url"]

    def name(self) -> str:
        return f"job-{next(self.names)}"

    @staticmethod
    def until(read: Callable[[], Any], is_good: Callable[[Any], bool]) -> Any:
        deadline = time.monotonic() + 200
        while not is_good(value := read()):
            assert time.monotonic() < deadline, value
            time.sleep(0.05)
        return value

    def end(self) -> int:
        """Stop it and return its exit code."""
        self.stack.close()
        self.process.terminate()
        code = self.process.wait(200)
        self.process.stdout.close()
        return code


S = TypeVar("S", bound=Served)


def starting(kind: Callable[..., S], folder: Path) -> Iterator[Callable[..., S]]:
    """Yield a function that starts emulators below a folder, each with a fault plan if given."""
    numbers = itertools.count(1)
    with ExitStack() as stack:

        def start(*words: str, faults: str = "") -> S:
            number = next(numbers)
            if faults:
                plan = folder / f"faults{number}.yaml"
                plan.write_text(textwrap.dedent(faults))
                words = (*words, "--faults", str(plan))
            emulator = kind(folder / f"emulator{number}", "--speed", "3000", *words)
            stack.callback(emulator.end)
            emulator.reach()
            return emulator

        yield start


def emulator_fixtures(kind: Callable[..., S], name: str) -> tuple[Any, Any]:
    """Return a fixture of an emulator that tests share, and one that starts the test's own."""

    @pytest.fixture(scope="session")
    def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S]:
        """An emulator that several tests share; names of jobs differ."""
        for start in starting(kind, tmp_path_factory.mktemp(name)):
            yield start()

    @pytest.fixture
    def own(tmp_path: Path) -> Iterator[Callable[..., S]]:
        """Starts an emulator of the test's own, with a fault plan if it gives one."""
        yield from starting(kind, tmp_path)

    return shared, own


def address_of(module: str, folder: Path, *words: str) -> Iterator[Mapping[str, Any]]:
    """Yield the address of an emulator with these options, which must end without errors."""
    emulator = Served(module, folder, *words)
    try:
        emulator.reach()
        yield emulator.address
    finally:
        assert emulator.end() == 0
