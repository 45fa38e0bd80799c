"""Rules of the values that go to a trial as hyperparameters: their names, lengths and number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cloudtune.diagnostics import Finding
from cloudtune.fitting.fit import FittedStudy
from cloudtune.provider.facts import Facts
from cloudtune.study.schema import CategoricalParameter, Mode
from cloudtune.study.search_space import count_values, format_value, list_nodes
from cloudtune_sagemaker.request.parameters import MOST, OBJECTIVE, OWN, branches, constants_of
from cloudtune_sagemaker.settings import SageMakerSettings

LONGEST_TUNED = 256
LONGEST_STATIC = 2500


def value_rules(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding]:
    """Yield the names and values that no hyperparameter can have, and too many of them."""
    study = fitted.study
    for name in {**study.parameters, **fitted.fixed_values}:
        yield from _name(f"parameters.{name}", name)
    for name, value in study.constants.items():
        yield from _name(f"constants.{name}", name)
        yield from _value(f"constants.{name}", format_value(value), LONGEST_STATIC)
    if study.strategy.resource:
        yield from _name("strategy.resource", study.strategy.resource)
    yield from _choices(fitted, mode)
    count = _count(fitted, mode, settings, facts)
    if count > MOST:
        reason = (
            f"parameters, constants and what SageMaker and cloudtune add are {count} "
            f"hyperparameters, and a training job takes at most {MOST}"
        )
        yield Finding("refused", "parameters", reason)


def _name(path: str, name: str) -> Iterator[Finding]:
    if name.startswith(OWN) or name == OBJECTIVE:
        reason = f"names that begin with {OWN}, and {OBJECTIVE}, are SageMaker's own; rename it"
        yield Finding("refused", path, reason)


def _choices(fitted: FittedStudy, mode: Mode) -> Iterator[Finding]:
    definitions = fitted.original.parameters
    places: Mapping[str, int] = {}
    for node in list_nodes(fitted.original):
        place = places.get(node.name, 0)
        places = {**places, node.name: place + 1}
        if node.key not in fitted.names or not isinstance(node.parameter, CategoricalParameter):
            continue
        path = f"parameters.{node.name}"
        if len(definitions[node.name]) > 1:
            path = f"{path}.{place}"
        tuned = mode == "managed" and count_values(node.parameter) != 1 and node.name != fitted.root
        for value in node.parameter.values:
            yield from _value(
                f"{path}.values", format_value(value), LONGEST_TUNED if tuned else LONGEST_STATIC
            )


def _value(path: str, said: str, longest: int) -> Iterator[Finding]:
    if len(said) > longest:
        reason = f"a value has {len(said)} characters, and SageMaker takes at most {longest}"
        yield Finding("refused", path, reason)
    if "\n" in said or "\r" in said:
        yield Finding("refused", path, "SageMaker takes values of one line alone")


def _count(fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts) -> int:
    """Return how many hyperparameters a training job has at most."""
    if mode == "managed":
        parts = branches(fitted, settings, facts)
        return max(len(part.tuned) + len(part.static) + 1 for part in parts)
    resource = 1 if fitted.study.strategy.resource else 0
    constants = constants_of(fitted, settings, facts, facts.job_name)
    return len(fitted.study.parameters) + len(constants) + resource
