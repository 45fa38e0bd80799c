"""Rules of hyperparameters: their names, lengths and number."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import (
    CategoricalParameter,
    Facts,
    Finding,
    FittedStudy,
    Mode,
    count_values,
    format_value,
)
from cloudtune_sagemaker.request.parameters import (
    MAX_HYPERPARAMETERS,
    OBJECTIVE_PARAMETER,
    RESERVED_PREFIX,
    list_definitions,
    static_values,
)
from cloudtune_sagemaker.request.run_part import toolkit_parameters
from cloudtune_sagemaker.rules.settings import parameter_paths
from cloudtune_sagemaker.settings import SageMakerSettings

MAX_TUNED_LENGTH = 256
MAX_STATIC_LENGTH = 2500


def value_rules(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding]:
    """Yield the names and values that no hyperparameter can have, and too many of them."""
    study = fitted.study
    for name in {**study.parameters, **fitted.fixed_values}:
        yield from _name(f"parameters.{name}", name)
    for name, value in study.constants.items():
        yield from _name(f"constants.{name}", name)
        yield from _value(f"constants.{name}", format_value(value), MAX_STATIC_LENGTH)
    if study.strategy.resource:
        yield from _name("strategy.resource", study.strategy.resource)
    yield from _choices(fitted, mode)
    count = _count_hyperparameters(fitted, mode, settings, facts)
    if count > MAX_HYPERPARAMETERS:
        reason = (
            f"parameters, constants and those that SageMaker and cloudtune add are {count} "
            f"hyperparameters: a training job accepts at most {MAX_HYPERPARAMETERS}"
        )
        yield Finding("refused", "parameters", reason)


def _name(path: str, name: str) -> Iterator[Finding]:
    if name.startswith(RESERVED_PREFIX) or name == OBJECTIVE_PARAMETER:
        reason = f"SageMaker reserves {RESERVED_PREFIX}... and {OBJECTIVE_PARAMETER}: rename it"
        yield Finding("refused", path, reason)


def _choices(fitted: FittedStudy, mode: Mode) -> Iterator[Finding]:
    for path, node in parameter_paths(fitted.original):
        if node.key not in fitted.names or not isinstance(node.parameter, CategoricalParameter):
            continue
        tuned = mode == "managed" and count_values(node.parameter) != 1 and node.name != fitted.root
        max_length = MAX_TUNED_LENGTH if tuned else MAX_STATIC_LENGTH
        for value in node.parameter.values:
            yield from _value(f"{path}.values", format_value(value), max_length)


def _value(path: str, value: str, max_length: int) -> Iterator[Finding]:
    if len(value) > max_length:
        reason = f"a value has {len(value)} characters: SageMaker accepts at most {max_length}"
        yield Finding("refused", path, reason)
    if "\n" in value or "\r" in value:
        yield Finding("refused", path, "SageMaker accepts only values of one line")


def _count_hyperparameters(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> int:
    """Return the maximum number of hyperparameters of a training job."""
    study, added = fitted.study, len(toolkit_parameters(fitted, settings, facts, ""))
    if mode == "managed":
        return added + max(
            len(each.tuned) + len(static_values(study, each)) + 1
            for each in list_definitions(fitted, settings.definition_names)
        )
    resource = 1 if study.strategy.resource else 0
    return added + len(study.parameters) + len(study.constants) + resource
