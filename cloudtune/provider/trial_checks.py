"""Findings on the code and the arguments of a trial that several providers have."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cloudtune.diagnostics import Finding
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import has_code
from cloudtune.study.schema import CategoricalParameter
from cloudtune.study.search_space import format_value
from cloudtune.study.study import Study


def check_code(study: Study, facts: Facts, without_code: str) -> Iterator[Finding]:
    """Yield why the code of a study cannot be sent.

    Args:
        study: The study.
        facts: What was looked up.
        without_code: Why the provider needs code, and what to do.
    """
    address = facts.lookup.code_address
    if not has_code(study):
        yield Finding("refused", "trial.script", without_code)
    elif address is not None:
        reason = f"trials cannot read {address}: set a folder, which is sent"
        yield Finding("refused", "trial.source", reason)


def check_arguments(
    study: Study,
    *,
    reason: str = "passed as words of a command, which cannot contain a zero byte",
    is_possible: Callable[[str], bool] = lambda text: "\0" not in text,
) -> Iterator[Finding]:
    """Yield the names and values that cannot be part of a command line.

    Args:
        study: The study.
        reason: Why some values are impossible.
        is_possible: Whether a value, as text, can be passed.
    """
    for name, variants in study.parameters.items():
        path = f"parameters.{name}"
        if "=" in name or not name.isprintable():
            text = "passed as --name=value, so the name must not contain = or a line break"
            yield Finding("refused", path, text)
        for parameter in variants:
            if isinstance(parameter, CategoricalParameter) and not all(
                is_possible(format_value(value)) for value in parameter.values
            ):
                yield Finding("refused", f"{path}.values", reason)
