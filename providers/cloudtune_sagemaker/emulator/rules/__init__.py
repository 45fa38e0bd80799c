"""The form of the rules that the service model does not hold: tables of small functions.

A rule yields the message of each thing that breaks it and says in its docstring where the service
documents it. The service refuses a request with the first message; so does the emulator. Where a
message could be quoted from somebody who met it, the rule says from where; the others are worded
here.

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
    """Refuse what breaks any of the rules, with the first message.

    Raises:
        ServiceError: A ValidationException.
    """
    for rule in rules:
        for message in rule(subject):
            raise invalid(message)
