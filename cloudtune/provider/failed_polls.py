"""Polls at which a part of a service fails again and again while the rest of it responds.

An outage of the whole service is waited out; a part that never responds would keep a run asking for
ever.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from cloudtune.errors import ProviderError

MAX_FAILED_POLLS = 15
"""Polls in a row at which a part may fail: about an hour, since the waits between them grow."""


class FailedPolls:
    """Counts the polls in a row at which the reads of a part failed."""

    def __init__(self, part: str) -> None:
        """Create a counter; `part` names what is read, and where, for the message."""
        self._part = part
        self._count = 0

    @contextmanager
    def counted(self) -> Generator[None]:
        """Count whether the calls of one poll fail. The service must have responded before.

        Raises:
            ProviderError: That of the calls, which is not retryable after `MAX_FAILED_POLLS`.
        """
        try:
            yield
        except ProviderError as error:
            self._count += 1
            if not error.retryable or self._count < MAX_FAILED_POLLS:
                raise
            text = str(error).removeprefix(f"{error.provider}: ")
            text += f"; gave up after {self._count} polls in a row, while other calls succeed: "
            raise ProviderError(error.provider, f"{text}check {self._part}") from error
        self._count = 0
