"""The log of a process: bounded in size, with its last lines as plain text."""

from __future__ import annotations

import os
import re
from pathlib import Path

HEAD_BYTES = 4 * 1024 * 1024
"""Bytes that are written immediately."""
TAIL_BYTES = 1024 * 1024
"""Bytes that are kept of the remaining output."""
_RECENT_BYTES = 16 * 1024
_MAX_TAIL_LINES = 20
_MAX_TAIL_BYTES = 4 * 1024
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class LogFile:
    """Writes the output of a process to a file: the first 4 MiB and, on closing, the last 1 MiB.

    A write error, such as a full disk, does not disturb the process.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the file for appending.

        Raises:
            OSError: If it cannot be opened.
        """
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._head_room = HEAD_BYTES
        self._rest = bytearray()
        self._omitted = 0
        self._recent = b""
        self._stream = 0

    def write(self, data: bytes, stream: int = 0) -> None:
        """Add output of a stream, which does not continue a line of another stream."""
        if data and stream != self._stream:
            within_line = self._recent and not self._recent.endswith(b"\n")
            data, self._stream = (b"\n" if within_line else b"") + data, stream
        self._recent = (self._recent + data)[-_RECENT_BYTES:]
        if self._head_room:
            head, data = data[: self._head_room], data[self._head_room :]
            self._head_room -= len(head)
            self._write(head)
        if data:
            self._rest += data
            if len(self._rest) > 2 * TAIL_BYTES:
                self._trim()

    def close(self) -> None:
        """Write the last part of the output and close the file."""
        self._trim()
        if self._omitted:
            self._write(f"\n[cloudtune omitted {self._omitted:,} bytes here]\n".encode())
        self._write(bytes(self._rest))
        os.close(self._file)

    def tail(self) -> str:
        """Return the last lines as plain text: at most 20 lines and 4 KiB, without escapes."""
        return readable_tail(self._recent)

    def _trim(self) -> None:
        self._omitted += max(0, len(self._rest) - TAIL_BYTES)
        del self._rest[:-TAIL_BYTES]

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._file, view) :]
            except OSError:
                self._head_room = 0
                return


def readable_tail(output: bytes) -> str:
    """Return the last lines of output as plain text that is safe to show in a terminal."""
    from cloudtune.launcher.output import displayed_text

    text = output.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    lines = [_CONTROL.sub("", line).rstrip() for line in displayed_text(text).split("\n")]
    tail = "\n".join([line for line in lines if line][-_MAX_TAIL_LINES:])
    return tail.encode()[-_MAX_TAIL_BYTES:].decode("utf-8", "ignore")
