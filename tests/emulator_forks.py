"""Starts emulators as forks of a process that has imported them: imports take most of a start."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_CONTEXT: Any = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.emulator_imports"])


class ForkedEmulator:
    """``python -m MODULE WORDS``, with what tests use of `subprocess.Popen`."""

    def __init__(self, module: str, words: Sequence[str], errors: Path) -> None:
        reader, writer = _CONTEXT.Pipe(duplex=False)
        arguments = ([module, *words], dict(os.environ), Path.cwd(), writer, errors)
        self._process = _CONTEXT.Process(target=_run, args=arguments, daemon=True)
        self._process.start()
        writer.close()
        self.stdout = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")
        reader.close()
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        code: int | None = self._process.exitcode
        return code

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code as soon as it has ended."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("emulator", timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(
    words: list[str],
    environment: dict[str, str],
    folder: Path,
    output: Connection,
    errors: Path,
) -> None:
    os.dup2(output.fileno(), 1)
    output.close()
    with errors.open("wb") as file:
        os.dup2(file.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = words
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    """End this emulator if the process of the tests is killed."""
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
