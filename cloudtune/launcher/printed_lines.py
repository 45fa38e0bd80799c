"""The lines that a script prints on two streams, in the order in which they were printed."""

from __future__ import annotations

from cloudtune.launcher.output import displayed_text, is_edited, may_contain, strip_ansi
from cloudtune.launcher.tracebacks import TracebackFilter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

READ_BYTES = 64 * 1024
"""Bytes that are read from a stream at a time."""
MAX_LINE_BYTES = 64 * 1024
"""Bytes of a line that are searched."""
_COLOR = rb"\x1b\[[0-?]*[ -/]*[@-~]"
"""The most frequent terminal sequences. They never span lines, so a block of lines is quick."""


class Line:
    """A line as a terminal shows it, and what was read in it before it was complete."""

    def __init__(
        self, text: bytes, read: dict[int, list[str]], *, is_complete: bool, as_service: bool
    ) -> None:
        if is_edited(text):  # perhaps within a text that an expression requires
            shown = text[:MAX_LINE_BYTES].decode("utf-8", "replace")
            text = (strip_ansi(shown) if as_service else displayed_text(shown)).encode()
        self.content = text
        self.is_complete = is_complete
        self.read = read

    @property
    def text(self) -> str:
        """The line as text, without what is too long to be searched."""
        return self.content[:MAX_LINE_BYTES].decode("utf-8", "replace")

    def new_numbers(
        self, reader: int, numbers: list[tuple[float, int | None]]
    ) -> list[tuple[float, int | None]]:
        """Return those of a reader's numbers that it did not read before."""
        texts = [repr(number) for number in numbers]
        before = self.read.get(reader, [])
        self.read[reader] = texts
        return numbers[len(before) :] if texts[: len(before)] == before else numbers


class PrintedLines:
    """The lines of standard output and error that may match an expression.

    Those of tracebacks are left out. A line without an end, such as that of a progress bar, counts
    before what the other stream prints next.
    """

    def __init__(self, texts: Sequence[bytes], *, as_service: bool = False) -> None:
        """Start without output.

        Args:
            texts: What the expressions require; see `metrics.required_text`.
            as_service: Whether lines are those of a service that searches the log itself: they
                count when they end, also in tracebacks.
        """
        self._as_service = as_service
        self._streams = [_Stream(texts, as_service=as_service) for _ in range(2)]
        self._by_age = [*self._streams]
        """The streams, the one with the latest output last."""

    def feed(self, data: bytes, stream: int) -> list[Line]:
        """Return the lines that ``data`` completes in its stream, 0 or 1."""
        if not data:
            return []
        latest = self._streams[stream]
        if latest is self._by_age[0]:
            self._by_age.reverse()
        lines = latest.feed(data)
        unfinished = self._by_age[0].unfinished() if lines and not self._as_service else []
        return unfinished + lines

    def finish(self, *, failed: bool) -> list[Line]:
        """Return the last lines.

        If the process has ``failed``, the lines after a last traceback belong to its message.
        """
        return [line for each in self._by_age for line in each.finish(failed=failed)]


class _Stream:
    def __init__(self, texts: Sequence[bytes], *, as_service: bool) -> None:
        self._texts = texts
        self._as_service = as_service
        self._tracebacks = None if as_service else TracebackFilter()
        self._rest = b""
        """The line that is not complete."""
        self._is_cut = self._skips = False
        """Whether that may end within a number; whether it is too long."""
        self._searched = 0
        """How much of it was searched already."""
        self._read: dict[int, list[str]] = {}
        """The numbers in that part, by reader."""

    def feed(self, data: bytes) -> list[Line]:
        pending = self._rest + data
        end = max(pending.rfind(b"\n"), pending.rfind(b"\r")) + 1
        complete, self._rest = pending[:end], pending[end:]
        self._is_cut = len(data) >= READ_BYTES
        lines: list[Line] = []
        if complete:
            read = self._read_before(complete)
            self._read, self._searched = {}, 0
            lines = self._complete(complete, read)
            self._skips = False
        if len(self._rest) > MAX_LINE_BYTES:
            if not self._skips:
                lines += self._lines([self._rest], self._read_before(self._rest))
            self._read, self._searched, self._skips, self._rest = {}, 0, True, b""
        return lines

    def unfinished(self) -> list[Line]:
        """Return the incomplete line unless it was returned already."""
        rest = self._rest
        is_new = len(rest) > self._searched and not self._is_cut and not self._skips
        if not is_new or not may_contain(rest, self._texts) or not self._passes(rest):
            return []
        read = self._read_before(rest)
        self._searched = len(rest)
        if read is None:
            return []
        self._read = read
        return [Line(rest, self._read, is_complete=False, as_service=self._as_service)]

    def finish(self, *, failed: bool) -> list[Line]:
        lines = self.feed(b"\n")
        held = self._tracebacks.finish(failed=failed) if self._tracebacks else []
        return lines + self._lines(held, {})

    def _complete(self, output: bytes, read: dict[int, list[str]] | None) -> list[Line]:
        import re

        if b"\x1b" in output:
            output = re.sub(_COLOR, b"", output)
        if not may_contain(output, self._texts) and self._passes(output):
            return []
        lines = output.replace(b"\r", b"\n").split(b"\n")[self._skips :]
        lines = [line for line in lines if line]
        return self._lines(self._tracebacks.feed(lines) if self._tracebacks else lines, read)

    def _lines(self, texts: Sequence[bytes], read: dict[int, list[str]] | None) -> list[Line]:
        """Return lines, given what was read in the first one; None if nothing is new in that."""
        lines = [Line(t, {}, is_complete=True, as_service=self._as_service) for t in texts]
        if read and lines:
            lines[0].read = read
        return lines[1:] if read is None else lines

    def _passes(self, output: bytes) -> bool:
        return self._tracebacks is None or self._tracebacks.passes(output)

    def _read_before(self, output: bytes) -> dict[int, list[str]] | None:
        """Return what was read in the first line of an output; None if nothing was added to it."""
        more = output[self._searched :].replace(b"\r", b"\n").partition(b"\n")[0].rstrip(b"\b")
        if self._searched and not strip_ansi(more.decode("utf-8", "replace")).strip():
            return None
        return {} if b"\b" in more else self._read
