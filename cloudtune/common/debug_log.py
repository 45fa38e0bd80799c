"""The debug log: with ``CLOUDTUNE_LOG=debug`` cloudtune logs to stderr what it does.

The loggers are those of `logging`, named after their modules. Without the variable, a process that
does not use `logging` does not even import it.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    import logging

T = TypeVar("T")

_LEVEL = os.environ.get("CLOUDTUNE_LOG", "").lower()
_ENABLED = _LEVEL == "debug"
_OFF = frozenset(["", "0", "off", "no", "none", "false"])
_FORMAT = "%(asctime)s.%(msecs)03d [%(threadName)s] %(name)s: %(message)s"
_masks: list[Callable[[str], str]] = []
if not _ENABLED and _LEVEL not in _OFF:
    print(  # noqa: T201 - as the log itself
        f"note: CLOUDTUNE_LOG={os.environ['CLOUDTUNE_LOG']!r} has no effect; the only level is "
        "debug",
        file=sys.stderr,
    )


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module; one that does nothing while nothing can be logged."""
    if not _ENABLED and "logging" not in sys.modules:
        return cast("logging.Logger", _NullLogger())
    import logging

    if _ENABLED:
        _configure(name.partition(".")[0])
    return logging.getLogger(name)


def add_mask(mask: Callable[[str], str]) -> None:
    """Pass each further line through a function that hides the secrets of a study."""
    if _ENABLED:
        _masks.append(mask)


def log_calls(service: T, name: str, log: logging.Logger) -> T:
    """Return a client whose calls are logged with their durations; the client itself otherwise."""
    return cast("T", _LoggedCalls(service, name, log)) if _ENABLED else service


class _NullLogger:
    def debug(self, *_: object) -> None:
        """Do nothing."""


class _LoggedCalls:
    """Logs the calls of an object's methods."""

    def __init__(self, target: object, name: str, log: logging.Logger) -> None:
        self._target = target
        self._name = name
        self._log = log

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._target, attribute)
        if not callable(value):
            return value

        @functools.wraps(value)
        def call(*args: Any, **options: Any) -> Any:
            start, outcome = time.perf_counter(), "done"
            try:
                return value(*args, **options)
            except Exception as error:
                outcome = f"{type(error).__name__}: {error}"
                raise
            finally:
                seconds = time.perf_counter() - start
                self._log.debug("%s.%s: %.3f s, %s", self._name, attribute, seconds, outcome)

        return call


@functools.cache
def _configure(root: str) -> None:
    """Send what the loggers below a root log to stderr."""
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = self.format(record)
            for mask in _masks:
                text = mask(text)
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - the live view redirects it

    handler = Handler()
    handler.setFormatter(logging.Formatter(_FORMAT, datefmt="%H:%M:%S"))
    logger = logging.getLogger(root)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    logger.propagate = False
