"""Requests to stop the jobs of a run, from signals, other processes and budgets."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

from cloudtune.common.debug_log import get_logger
from cloudtune.engine.inbox import Inbox, StopRequest
from cloudtune.ledger.records import JobRecord

_log = get_logger(__name__)


class StopRequests:
    """The inboxes of a run's jobs, which receive all stop requests."""

    def __init__(self, jobs: Sequence[JobRecord]) -> None:
        self.inboxes: dict[str, Inbox] = {job.provider: Inbox() for job in jobs}
        self._attached = {job.provider for job in jobs if job.attached}
        self._stopped: set[str] = set()

    def interrupt(self) -> None:
        """Stop all jobs but those that were started elsewhere, which are left."""
        for name in self.inboxes:
            if name in self._attached:
                self.inboxes[name].put(StopRequest("interrupted", leave=True))
            else:
                self.stop(name)

    def stop(self, provider: str = "") -> None:
        """Stop a job, or all: the first time gracefully, then at once."""
        _log.debug("stop requested: %s", provider or "all jobs")
        for name in [provider] if provider in self.inboxes else self.inboxes:
            self.inboxes[name].put(StopRequest("interrupted", now=name in self._stopped))
            self._stopped.add(name)

    def complete(self, providers: Iterable[str], reason: str) -> None:
        """Stop jobs that have used up their budget."""
        for provider in providers:
            self.inboxes[provider].put(StopRequest(reason, state="completed"))


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Generator[None]:
    """Call a function on SIGINT and SIGTERM in the block, and ignore SIGHUP; main thread only.

    SIGHUP means that the terminal was closed or a connection was lost, which does not end a run.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: Any) -> None:
        if number in {signal.SIGINT, signal.SIGTERM}:
            stop()

    names = ["SIGINT", "SIGTERM", "SIGHUP"]
    signals = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # A function also for SIGHUP: child processes would inherit SIG_IGN.
    before = {each: signal.getsignal(each) for each in signals}
    for each, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(each, handle)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
