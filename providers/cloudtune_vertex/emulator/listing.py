"""Lists of jobs: filtered and divided into pages as at the service.

The filter language is that of <https://google.aip.dev/160>, limited to what the documentation of
ListHyperparameterTuningJobsRequest, ListCustomJobsRequest and ListTrainingPipelinesRequest (types
of google-cloud-aiplatform 2.7.0) has: ``display_name``, ``state``, ``create_time`` and ``labels``,
with AND, OR and NOT. OR binds more closely than AND.
"""

from __future__ import annotations

import base64
import fnmatch
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from cloudtune_vertex.emulator.errors import ServiceError, invalid
from cloudtune_vertex.emulator.state import AnyJob, Job
from cloudtune_vertex.emulator.times import parse_time

PAGE_SIZE = 100
"""The default and the maximum here; neither is documented."""
_MAX_DEPTH = 50
"""Nested brackets and NOTs of a filter here; no limit is documented."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<word>AND|OR|NOT)(?=[\s(])|(?P<bracket>[()])|
    (?P<field>[A-Za-z_][\w.-]*)\s*(?P<sign><=|>=|!=|=|<|>|:)\s*
    (?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s()"]+)))""",
    re.VERBOSE,
)
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SIGNS: Mapping[str, frozenset[str]] = {
    "display_name": frozenset(["=", "!=", ":"]),
    "state": frozenset(["=", "!="]),
    "create_time": frozenset(_COMPARISONS),
    "labels": frozenset(["=", ":"]),
}

T = TypeVar("T")
_Test = Callable[[Job], bool]


def matching(jobs: Sequence[AnyJob], query: Mapping[str, str]) -> list[AnyJob]:
    """Return the jobs that the filter of a request lets through.

    Raises:
        ServiceError: If the filter is invalid.
    """
    text = query.get("filter")
    test = _Filter(text).test() if text else None
    return [job for job in jobs if test is None or test(job)]


def page(rows: Sequence[T], query: Mapping[str, str]) -> tuple[list[T], str | None]:
    """Return the rows of the requested page, and the token of the next page.

    A negative size is refused (<https://google.aip.dev/158>), as is an invalid token.

    Raises:
        ServiceError: If token or size is invalid.
    """
    try:
        start = int(base64.urlsafe_b64decode(query["pageToken"])) if query.get("pageToken") else 0
        size = min(int(query.get("pageSize") or 0) or PAGE_SIZE, PAGE_SIZE)
    except ValueError:
        raise invalid("Invalid page token or page size.") from None
    if start < 0 or size < 0:
        raise invalid("Invalid page token or page size.")
    end = start + size
    token = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(rows) else None
    return list(rows[start:end]), token


class _Filter:
    """Parses one filter."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._tokenize())
        self._index = 0
        self._depth = 0

    def test(self) -> _Test:
        """Return the test that jobs have to pass."""
        test = self._all()
        if self._index < len(self._tokens):
            raise self._error()
        return test

    def _tokenize(self) -> Iterator[re.Match[str]]:
        position = 0
        text = self._text.rstrip()
        while position < len(text):
            token = _TOKEN.match(text, position)
            if token is None:
                raise self._error()
            yield token
            position = token.end()

    def _error(self) -> ServiceError:
        return invalid(f"Invalid list filter: {self._text}")

    def _accept(self, word: str) -> bool:
        token = self._tokens[self._index] if self._index < len(self._tokens) else None
        if token is None or word not in (token["word"], token["bracket"]):
            return False
        self._index += 1
        return True

    def _all(self) -> _Test:
        tests = [self._any()]
        while self._accept("AND"):
            tests.append(self._any())
        return lambda job: all(test(job) for test in tests)

    def _any(self) -> _Test:
        tests = [self._one()]
        while self._accept("OR"):
            tests.append(self._one())
        return lambda job: any(test(job) for test in tests)

    def _one(self) -> _Test:
        if self._accept("NOT"):
            test = self._nested(self._one)
            return lambda job: not test(job)
        if self._accept("("):
            test = self._nested(self._all)
            if not self._accept(")"):
                raise self._error()
            return test
        token = self._tokens[self._index] if self._index < len(self._tokens) else None
        if token is None or token["field"] is None:
            raise self._error()
        self._index += 1
        value = token["plain"] if token["quoted"] is None else token["quoted"]
        return self._comparison(token["field"], token["sign"], value)

    def _nested(self, parse: Callable[[], _Test]) -> _Test:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error()
        test = parse()
        self._depth -= 1
        return test

    def _comparison(self, field: str, sign: str, value: str) -> _Test:
        name, _, key = field.partition(".")
        if sign not in _SIGNS.get(name, ()) or bool(key) != (name == "labels"):
            raise self._error()
        if name == "labels":
            if sign == ":":
                if value != "*":
                    raise self._error()
                return lambda job: key in job.request.get("labels", {})
            return lambda job: bool(job.request.get("labels", {}).get(key) == value)
        if name == "create_time":
            try:
                time = parse_time(value)
            except ValueError:
                raise self._error() from None
            return lambda job: _COMPARISONS[sign](job.created, time)
        if sign == ":":
            pattern = re.sub(r"[?[]", r"[\g<0>]", value)  # only * is a wildcard
            return lambda job: fnmatch.fnmatchcase(job.request["displayName"], pattern)
        property_of: Callable[[Job], str] = (
            (lambda job: job.state) if name == "state" else (lambda job: job.request["displayName"])
        )
        return lambda job: _COMPARISONS[sign](property_of(job), value)
