"""Rules that Google's types do not have, as small functions over plain data.

A rule yields the field and a message for each violation; its docstring cites the source. The
service refuses a request with all of them at once, as "List of found errors" with details
(PrefectHQ/prefect issue 5940, prefect-gcp issue 175), and so does the emulator. Messages that a
user has reported are quoted; the others are worded here.

Sources are cited as: *types*, the documentation in google-cloud-aiplatform 2.7.0's
``aiplatform_v1/types``; *tuning page*, "Create a hyperparameter tuning job" of
docs.cloud.google.com, read 2026-11; issues by repository and number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cloudtune.emulator_kit import Json
from cloudtune_vertex.emulator.errors import invalid

Violation = tuple[str, str]
"""A field's path and a message."""
Rule = Callable[[Json], Iterator[Violation]]
FieldRule = tuple[str, Callable[[Any], bool], str]
"""A path as in `select`, the test that its values must pass, and the message if one does not, in
which ``{}`` stands for the value."""
REQUIRED = "Required field is not set."
_NAME = re.compile(r"(\w+)(\?|\*|\[0?\])?\.?(.*)")


def demand(rules: Sequence[Rule], request: Json) -> None:
    """Refuse a request that breaks rules, with all violations.

    Raises:
        ServiceError: An INVALID_ARGUMENT.
    """
    violations = [each for rule in rules for each in rule(request)]
    if violations:
        errors = "".join(
            f"{number}.Field: {field}; Message: {message}\t"
            for number, (field, message) in enumerate(violations, start=1)
        )
        raise invalid(f"List of found errors:\t{errors}", violations)


def check_fields(rules: Sequence[FieldRule], within: str = "") -> Rule:
    """Return one rule for many fields, all of them below the path ``within``."""

    def check(request: Json) -> Iterator[Violation]:
        for path, test, message in rules:
            for field, value in select(request, within + path):
                if not test(value):
                    yield field, message.format("" if value is None else value)

    return check


def select(message: Json, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the fields with a path, each in the service's notation and with its value.

    A name followed by ``[]`` stands for all items of a list, by ``[0]`` for its first one, by ``*``
    for all items without their index. Absent messages count as empty, unless ``?`` follows their
    name; the value of an absent field is None.
    """
    match = _NAME.fullmatch(path)
    assert match is not None
    key, kind, rest = match.groups()
    name = re.sub(r"(?=[A-Z])", "_", key).lower()
    if kind == "?" and key not in message:
        return
    fields: list[tuple[str, Any]] = [(name, message.get(key, {} if rest else None))]
    if kind in ("[]", "[0]"):
        fields = [(f"{name}[{index}]", item) for index, item in enumerate(message.get(key, ()))]
    if kind == "*":
        fields = [(name, item) for item in message.get(key, ())]
    for field, value in fields[:1] if kind == "[0]" else fields:
        if rest:
            yield from ((f"{field}.{below}", each) for below, each in select(value, rest))
        else:
            yield field, value


def at_most(count: int) -> Callable[[Any], bool]:
    """Return the test whether something has at most so many items or characters."""
    return lambda value: len(value or ()) <= count


def has_no_whitespace(text: str | None) -> bool:
    """Return whether a text has no whitespace."""
    return not any(letter.isspace() for letter in text or "")


def find_duplicates(values: Sequence[str]) -> list[str]:
    """Return the sorted values that are in a list more than once."""
    return sorted({value for value in values if values.count(value) > 1})
