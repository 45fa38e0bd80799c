"""The log of a process: bounded, its beginning and its end, and its last lines made readable."""

from __future__ import annotations

import os
import re
from pathlib import Path

HEAD_BYTES = 4 * 1024 * 1024
"""Bytes that are written as they come."""
TAIL_BYTES = 1024 * 1024
"""Bytes that are kept of the rest."""
_RECENT = 16 * 1024
_TAIL_LINES = 20
_TAIL_BYTES = 4 * 1024
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class LogFile:
    """Writes what a process prints to a file: the first 4 MiB, and at the end the last 1 MiB.

    A disk that cannot take the log does not disturb the process.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the file; what it holds stays in front.

        Raises:
            OSError: If it cannot be opened.
        """
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._room = HEAD_BYTES
        self._rest = bytearray()
        self._left_out = 0
        self._recent = b""

    def write(self, data: bytes) -> None:
        """Take what was printed."""
        self._recent = (self._recent + data)[-_RECENT:]
        if self._room:
            head, data = data[: self._room], data[self._room :]
            self._room -= len(head)
            self._put(head)
        if data:
            self._rest += data
            if len(self._rest) > 2 * TAIL_BYTES:
                self._left_out += len(self._rest) - TAIL_BYTES
                del self._rest[:-TAIL_BYTES]

    def close(self) -> None:
        """Write the end of what was printed and close the file."""
        if len(self._rest) > TAIL_BYTES:
            self._left_out += len(self._rest) - TAIL_BYTES
            del self._rest[:-TAIL_BYTES]
        if self._left_out:
            self._put(f"\n[cloudtune left out {self._left_out:,} bytes here]\n".encode())
        self._put(bytes(self._rest))
        os.close(self._file)

    def tail(self) -> str:
        """Return the last lines as plain text: about twenty, at most 4 KB, no terminal escapes."""
        return readable_tail(self._recent)

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._file, view) :]
            except OSError:
                self._room = 0
                return


def readable_tail(data: bytes) -> str:
    """Return the last lines of what was printed, fit to be shown in a terminal."""
    from cloudtune.trial import plain

    said = plain(data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n"))
    lines = [_CONTROL.sub("", line).rstrip() for line in said.split("\n")]
    kept = "\n".join([line for line in lines if line][-_TAIL_LINES:])
    return kept.encode()[-_TAIL_BYTES:].decode("utf-8", "ignore")
