"""Who sees the progress of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from cloudtune.provider.plan import Plan
from cloudtune.results.events import Event, Outcome


class Observer(Protocol):
    """Receives the progress of a run; called from several threads."""

    def begin(self, plan: Plan, events: Sequence[Event], elapsed: float) -> None:
        """A job begins or resumes, with its earlier events and the seconds it ran before."""
        ...

    def events(self, provider: str, events: Sequence[Event]) -> None:
        """Events of a job, in order; they are in the ledger."""
        ...

    def end(self, provider: str, outcome: Outcome) -> None:
        """A job ended in this process."""
        ...

    def message(self, text: str) -> None:
        """A line for the user."""
        ...


def safe_observer(observer: Observer | None) -> Observer:
    """Return an observer that passes on calls until one fails: a closed terminal ends no run."""
    return cast("Observer", _SafeObserver(observer))


def observe_all(*observers: Observer) -> Observer:
    """Return an observer that passes each call on to all of these, in their order."""
    return cast("Observer", _AllObservers(observers))


class _AllObservers:
    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*args: Any) -> None:
            for observer in self._observers:
                getattr(observer, name)(*args)

        return call


class _SafeObserver:
    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*args: Any) -> None:
            try:
                if self._observer is not None:
                    getattr(self._observer, name)(*args)
            except Exception:  # noqa: BLE001 - any error here concerns the display only
                self._observer = None

        return call
