"""Python's tracebacks in the output of a script."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MESSAGE_SECONDS = 1.0
"""A process that prints this long after a traceback has caught the exception."""
_MAX_MESSAGE_LINES = 1000
_TRACEBACK = b"Traceback (most recent call last)"
_SYNTAX_ERRORS = (b"SyntaxError", b"IndentationError", b"TabError")
"""The exceptions that Python shows without a header."""
_BOX = ("\u2502".encode(), "\u2570".encode())
"""The left side of the frame that rich draws around a traceback."""


class TracebackFilter:
    """Leaves out the lines of Python's tracebacks, including the messages of the exceptions.

    Where a message of several lines ends is not visible. The lines after its first one are held
    back until the process ends, or prints more after `MESSAGE_SECONDS`. If it fails before that,
    they belong to the message.
    """

    def __init__(self) -> None:
        """Start outside of a traceback."""
        self._state = "output"
        """Also "frames", "stack" (frames without a header), or "message"."""
        self._prefix = b""
        self._in_group = False
        self._held: list[bytes] = []
        self._message_time = 0.0

    def passes(self, output: bytes) -> bool:
        """Return whether `feed` would return all lines of an output."""
        return self._state == "output" and _TRACEBACK not in output and not _is_frame(output)

    def feed(self, lines: Sequence[bytes]) -> list[bytes]:
        """Return the lines of these, and of earlier ones, that belong to no traceback."""
        import time

        now = time.monotonic()
        passed: list[bytes] = []
        is_later = now - self._message_time >= MESSAGE_SECONDS
        if lines and self._state == "message" and is_later:
            passed += self._leave()
        for line in lines:
            before, header, after = line.partition(_TRACEBACK)
            if header and after.strip()[:1] in (b":", b"\xe2"):  # the latter in a frame of rich
                passed += [] if self._is_chained(before) else self._held
                self._state, self._prefix, self._held = "frames", before, []
                self._in_group |= before.endswith(b"+ Exception Group ")
            elif _is_frame(line):
                passed += self._held
                is_bare = self._state == "output" or bool(self._held)
                self._state, self._held = "stack" if is_bare else "frames", []
            else:
                passed += self._feed_other(line, now)
        return passed

    def finish(self, *, failed: bool) -> list[bytes]:
        """Return the lines that were held back, none if the process has ``failed``."""
        held = self._leave()
        return [] if failed else held

    def _feed_other(self, line: bytes, now: float) -> list[bytes]:
        if self._state == "output":
            return [line]
        margin = line.lstrip(b" ")[:2] if self._in_group else b""
        if self._state == "message":
            if margin not in (b"| ", b"+-"):
                self._held.append(line)
            return self._leave() if len(self._held) > _MAX_MESSAGE_LINES else []
        body = line[len(self._prefix) :] if line.startswith(self._prefix) else line
        body = line.lstrip(b" ")[2:] if margin == b"| " else body
        if body[:1].isspace() or body.startswith(_BOX):
            return []
        if self._state == "frames" or body.startswith(_SYNTAX_ERRORS):
            self._state, self._message_time = "message", now
            return []
        return [*self._leave(), line]

    def _is_chained(self, margin: bytes) -> bool:
        """Return whether the lines held back lead to the traceback of another exception."""
        if self._in_group and margin.lstrip(b" ") == b"| ":
            return True
        last = self._held[-1].rstrip() if self._held else b""
        return last.endswith((b"another exception occurred:", b"cause of the following exception:"))

    def _leave(self) -> list[bytes]:
        held, self._held = self._held, []
        self._state, self._in_group = "output", False
        return held


def _is_frame(line: bytes) -> bool:
    return b' File "' in line and b'", line ' in line
