"""The sweeper ends when it is closed, whenever that is."""

from __future__ import annotations

import threading

import pytest

from cloudtune.execution import sweeper as module
from cloudtune.execution.sweeper import Sweeper


def test_a_close_right_before_a_search_ends_the_sweeper(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = threading.Event()

    class LateRequests(threading.Event):
        def clear(self) -> None:
            closing.set()  # as close() does, in the order of close()
            self.set()
            super().clear()
            closed.set()

    monkeypatch.setattr(module, "_PAUSE", 0.001)
    sweeper = Sweeper("no such mark", lambda _: False)
    closing = threading.Event()
    monkeypatch.setattr(sweeper, "_requested", LateRequests())
    monkeypatch.setattr(sweeper, "_closing", closing)
    sweeper.request()
    thread: threading.Thread = vars(sweeper)["_thread"]  # it may have ended already
    assert closed.wait(200)
    thread.join(200)
    assert not thread.is_alive()
