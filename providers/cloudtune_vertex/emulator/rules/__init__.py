"""The form of the rules that Google's types do not hold: small functions over plain data.

A rule yields the field and the message of each thing that breaks it, and says in its docstring
where the service documents it. The service refuses a request with all of them at once, in the words
"List of found errors" (PrefectHQ/prefect-gcp issue 175); so does the emulator. Messages are worded
here where none could be quoted from somebody who met it.

Sources are cited as: *types*, the documentation in google-cloud-aiplatform 2.7.0's
``aiplatform_v1/types``; *tuning page*, "Create a hyperparameter tuning job" of
docs.cloud.google.com, read 2026-11; issues by repository and number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cloudtune.study.schema import Json
from cloudtune_vertex.emulator.errors import invalid

Wrong = tuple[str, str]
"""A field's path and what is wrong with it."""
Rule = Callable[[Json], Iterator[Wrong]]


def demand(rules: Sequence[Rule], request: Json) -> None:
    """Refuse what breaks any of the rules, with all that is wrong.

    Raises:
        ServiceError: An INVALID_ARGUMENT.
    """
    found = [wrong for rule in rules for wrong in rule(request)]
    if found:
        listed = "".join(
            f"{number}.Field: {field}; Message: {message}\t"
            for number, (field, message) in enumerate(found, start=1)
        )
        raise invalid(f"List of found errors:\t{listed}")
