"""The calls of a service and its answers, as long as a verification records them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cloudtune.errors import ProviderError

if TYPE_CHECKING:
    from cloudtune.study.schema import Json


@dataclass(frozen=True)
class Call:
    """One call as the service's recordings have it, and its answer; both are plain JSON."""

    operation: str
    request: Json
    status: int
    answer: Any
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Answer:
    """What the calls of a verification answer."""

    question: str
    """A sentence of the provider's page about what is not verified."""
    answer: str
    """What was seen; empty if nothing answers it."""
    missing: str = "no response of the service shows it"
    """Why nothing answers it."""


_recorders: list[list[Call]] = []


@contextmanager
def recorded_calls() -> Generator[list[Call]]:
    """Yield a list to which all calls of this process are added, also those of other threads."""
    calls: list[Call] = []
    _recorders.append(calls)
    try:
        yield calls
    finally:
        _recorders.remove(calls)


def record_call(operation: str, request: Json, status: int, answer: Any) -> None:
    """Record a call, if a verification runs."""
    for calls in _recorders:
        plain: Any = json.loads(json.dumps([request, answer], default=_to_text))
        calls.append(Call(operation, plain[0], status, plain[1]))


@contextmanager
def recorded_call(
    operation: str, request: Json, refusal: Callable[[ProviderError], tuple[int, Any] | None]
) -> Generator[Callable[[Json], Json]]:
    """Yield a function that records an answer and returns it; a refusal is recorded, too.

    Args:
        operation: The service's name of the call.
        request: The request.
        refusal: Returns the status and the answer of an error; None if there was no answer.
    """

    def record(answer: Json) -> Json:
        record_call(operation, request, 200, answer)
        return answer

    try:
        yield record
    except ProviderError as error:
        if answered := refusal(error):
            record_call(operation, request, *answered)
        raise


def _to_text(value: object) -> str:
    if not isinstance(value, datetime):
        return str(value)
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
