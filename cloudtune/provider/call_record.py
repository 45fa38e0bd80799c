"""The calls of a service and its answers, as long as a verification records them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
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
    is_at_service: bool = True
    """Whether it was sent to an address of the service's own."""


@dataclass(frozen=True)
class Answer:
    """What the calls of a verification answer."""

    question: str
    """A sentence of the provider's page about what is not verified."""
    answer: str
    """What was seen; empty if nothing answers it."""
    missing: str = "no response of the service shows it"
    """Why nothing answers it."""


READ_LOG = "cloudtune logs"
"""The operation of a call that only says whether a log has what its script printed."""
_STEP = re.compile(r"verify-([a-z]+)-")
_recorders: list[list[Call]] = []


def step_of(job: str) -> str:
    """Return the step of a verification that a job belongs to, by its name; empty if by none."""
    match = _STEP.match(job)
    return match[1] if match else ""


def answer_all(
    checks: Mapping[str, Callable[[Sequence[Call]], str]], calls: Sequence[Call]
) -> Iterator[Answer]:
    """Yield what calls answer of each sentence, also if an answer has a form that is not known.

    Args:
        checks: What answers each sentence; it returns an empty text if the calls do not show it.
        calls: The calls.
    """
    for question, check in checks.items():
        try:
            yield Answer(question, check(calls))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            text = f"a response has another form than cloudtune knows ({error!r}); please send it"
            yield Answer(question, "", text)


def logged(calls: Sequence[Call]) -> str:
    """Return how many logs of trials had what their scripts printed; empty if none was read."""
    found = [call.answer["has_output"] for call in calls if call.operation == READ_LOG]
    return f"{sum(found)} of {len(found)} logs had what their scripts printed" if found else ""


@contextmanager
def recorded_calls() -> Generator[list[Call]]:
    """Yield a list to which all calls of this process are added, also those of other threads."""
    calls: list[Call] = []
    _recorders.append(calls)
    try:
        yield calls
    finally:
        _recorders.remove(calls)


def record_call(
    operation: str, request: Json, status: int, answer: Any, *, is_at_service: bool = True
) -> None:
    """Record a call, if a verification runs."""
    for calls in _recorders:
        plain: Any = json.loads(json.dumps([request, answer], default=_to_text))
        calls.append(Call(operation, plain[0], status, plain[1], is_at_service=is_at_service))


@contextmanager
def recorded_call(
    operation: str,
    request: Json,
    refusal: Callable[[ProviderError], tuple[int, Any] | None],
    *,
    is_at_service: bool = True,
) -> Generator[Callable[[Json], Json]]:
    """Yield a function that records an answer and returns it; a refusal is recorded, too.

    Args:
        operation: The service's name of the call.
        request: The request.
        refusal: Returns the status and the answer of an error; None if there was no answer.
        is_at_service: Whether it is sent to an address of the service's own.
    """

    def record(answer: Json) -> Json:
        record_call(operation, request, 200, answer, is_at_service=is_at_service)
        return answer

    try:
        yield record
    except ProviderError as error:
        if answered := refusal(error):
            record_call(operation, request, *answered, is_at_service=is_at_service)
        raise


def _to_text(value: object) -> str:
    if not isinstance(value, datetime):
        return str(value)
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
