"""Rules that the service model does not have, as tables of small functions.

A rule yields a message for each violation; its docstring cites the source. The service refuses a
request with the first message, and so does the emulator. Messages that a user has reported are
quoted, with their source; the others are worded here.

Sources are cited as: *model*, the documentation in botocore 1.44.8's service model; *guide*, the
developer guide (docs.aws.amazon.com/sagemaker/latest/dg), page by name, read 2026-11-24; *limits*,
its page automatic-model-tuning-limits, read 2026-11-24; issues by repository and number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from cloudtune_sagemaker.emulator.errors import invalid

Subject = TypeVar("Subject")
Rule = Callable[[Subject], Iterator[str]]


def demand(rules: Iterable[Rule[Subject]], subject: Subject) -> None:
    """Refuse a subject that breaks a rule, with the first message.

    Raises:
        ServiceError: A ValidationException.
    """
    for rule in rules:
        for message in rule(subject):
            raise invalid(message)
