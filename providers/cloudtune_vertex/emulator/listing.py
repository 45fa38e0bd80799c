"""Lists of jobs: filtered and cut into pages as the service does it.

The language of filters is the one of <https://google.aip.dev/160> as far as the documentation of
ListHyperparameterTuningJobsRequest and ListCustomJobsRequest (types of google-cloud-aiplatform
2.7.0) says that it serves: ``display_name``, ``state``, ``create_time`` and ``labels``, with AND,
OR and NOT. OR binds more closely than AND.
"""

from __future__ import annotations

import base64
import fnmatch
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from cloudtune_vertex.emulator.errors import ServiceError, invalid
from cloudtune_vertex.emulator.state import CustomJob, Job, TuningJob
from cloudtune_vertex.emulator.times import instant

AnyJob = TypeVar("AnyJob", CustomJob, TuningJob)
PAGE = 100
"""Jobs of a page when nothing is said, and the most that a page has; neither is documented."""
_DEEPEST = 50
"""Brackets and NOTs within each other that a filter may have here; no limit is documented."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<word>AND|OR|NOT)(?=[\s(])|(?P<bracket>[()])|
    (?P<field>[A-Za-z_][\w.-]*)\s*(?P<sign><=|>=|!=|=|<|>|:)\s*
    (?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s()"]+)))""",
    re.VERBOSE,
)
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
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
    "create_time": frozenset(_COMPARED),
    "labels": frozenset(["=", ":"]),
}

_Test = Callable[[Job], bool]


def page(jobs: Sequence[AnyJob], query: Mapping[str, str]) -> tuple[list[AnyJob], str | None]:
    """Return the jobs of the page that is asked for, and the token of the next one.

    A negative size is refused (<https://google.aip.dev/158>), and a token that was never given.

    Raises:
        ServiceError: If filter, token or size is not one.
    """
    wanted = query.get("filter")
    test = _Filter(wanted).test() if wanted else None
    kept = [job for job in jobs if test is None or test(job)]
    try:
        begin = int(base64.urlsafe_b64decode(query["pageToken"])) if query.get("pageToken") else 0
        size = min(int(query.get("pageSize") or 0) or PAGE, PAGE)
    except ValueError:
        raise invalid("Invalid page token or page size.") from None
    if begin < 0 or size < 0:
        raise invalid("Invalid page token or page size.")
    end = begin + size
    following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(kept) else None
    return kept[begin:end], following


class _Filter:
    """Reads one filter."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._read())
        self._place = 0
        self._depth = 0

    def test(self) -> _Test:
        """Return what tells whether a job is kept."""
        found = self._all()
        if self._place < len(self._tokens):
            raise self._wrong()
        return found

    def _read(self) -> Iterator[re.Match[str]]:
        place = 0
        text = self._text.rstrip()
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise self._wrong()
            yield found
            place = found.end()

    def _wrong(self) -> ServiceError:
        return invalid(f"Invalid list filter: {self._text}")

    def _takes(self, word: str) -> bool:
        token = self._tokens[self._place] if self._place < len(self._tokens) else None
        if token is None or word not in (token["word"], token["bracket"]):
            return False
        self._place += 1
        return True

    def _all(self) -> _Test:
        tests = [self._any()]
        while self._takes("AND"):
            tests.append(self._any())
        return lambda job: all(test(job) for test in tests)

    def _any(self) -> _Test:
        tests = [self._one()]
        while self._takes("OR"):
            tests.append(self._one())
        return lambda job: any(test(job) for test in tests)

    def _one(self) -> _Test:
        if self._takes("NOT"):
            test = self._deeper(self._one)
            return lambda job: not test(job)
        if self._takes("("):
            test = self._deeper(self._all)
            if not self._takes(")"):
                raise self._wrong()
            return test
        token = self._tokens[self._place] if self._place < len(self._tokens) else None
        if token is None or token["field"] is None:
            raise self._wrong()
        self._place += 1
        value = token["plain"] if token["quoted"] is None else token["quoted"]
        return self._comparison(token["field"], token["sign"], value)

    def _deeper(self, read: Callable[[], _Test]) -> _Test:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong()
        found = read()
        self._depth -= 1
        return found

    def _comparison(self, field: str, sign: str, value: str) -> _Test:
        name, _, key = field.partition(".")
        if sign not in _SIGNS.get(name, ()) or bool(key) != (name == "labels"):
            raise self._wrong()
        if name == "labels":
            if sign == ":":
                if value != "*":
                    raise self._wrong()
                return lambda job: key in job.request.get("labels", {})
            return lambda job: bool(job.request.get("labels", {}).get(key) == value)
        if name == "create_time":
            try:
                when = instant(value)
            except ValueError:
                raise self._wrong() from None
            return lambda job: _COMPARED[sign](job.created, when)
        if sign == ":":
            pattern = re.sub(r"[?[]", r"[\g<0>]", value)  # nothing but * stands for others
            return lambda job: fnmatch.fnmatchcase(job.request["displayName"], pattern)
        told: Callable[[Job], str] = (
            (lambda job: job.state) if name == "state" else (lambda job: job.request["displayName"])
        )
        return lambda job: _COMPARED[sign](told(job), value)
