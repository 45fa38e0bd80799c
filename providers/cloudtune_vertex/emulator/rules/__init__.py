"""Rules that Google's types do not have, as small functions over plain data.

A rule yields the field and a message for each violation; its docstring cites the source. The
service refuses a request with all of them at once, as "List of found errors" (PrefectHQ/prefect-gcp
issue 175), and so does the emulator. Messages that a user has reported are quoted; the others are
worded here.

Sources are cited as: *types*, the documentation in google-cloud-aiplatform 2.7.0's
``aiplatform_v1/types``; *tuning page*, "Create a hyperparameter tuning job" of
docs.cloud.google.com, read 2026-11; issues by repository and number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cloudtune.emulator_kit import Json
from cloudtune_vertex.emulator.errors import invalid

Violation = tuple[str, str]
"""A field's path and a message."""
Rule = Callable[[Json], Iterator[Violation]]


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
        raise invalid(f"List of found errors:\t{errors}")
