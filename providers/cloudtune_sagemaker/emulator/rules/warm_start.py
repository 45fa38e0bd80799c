"""Rules for a warm start: how it may differ from its parents.

Source: guide, automatic-model-tuning-warm-start, read 2026-11-24, and the cited issues.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cloudtune.emulator_kit import Json
from cloudtune_sagemaker.emulator import search_space
from cloudtune_sagemaker.emulator.rules import Rule, demand
from cloudtune_sagemaker.emulator.state import Store, TuningJob, TuningRequest

MAX_CHANGES = 10
_STRATEGIES = ("Bayesian", "Random")
_CHANGEABLE = (
    *("AlgorithmSpecification", "InputDataConfig", "OutputDataConfig", "StaticHyperParameters"),
    *("RoleArn", "ResourceConfig", "StoppingCondition", "VpcConfig"),
    *("EnableManagedSpotTraining", "CheckpointConfig", "HyperParameterTuningResourceConfig"),
    *("DefinitionName", "TuningObjective", "HyperParameterRanges"),
)
_SWITCHES = ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption")


@dataclass
class Pair(TuningRequest):
    """A requested tuning job and one of its parents."""

    parent: TuningJob

    @property
    def definition(self) -> Json:
        """The new job's definition."""
        return self.definitions[0]

    @property
    def is_identical(self) -> bool:
        """Whether the job must have the parent's data and algorithm."""
        return bool(self.request["WarmStartConfig"]["WarmStartType"] == "IdenticalDataAndAlgorithm")


def ended(pair: Pair) -> Iterator[str]:
    """Parents must be in a terminal state."""
    if not pair.parent.is_over:
        yield (
            f"The parent hyperparameter tuning job {pair.parent.name} must be in a terminal state, "
            f"and is {pair.parent.state}."
        )


def one_algorithm(pair: Pair) -> Iterator[str]:
    """Parents must tune one algorithm, too."""
    if len(pair.parent.definitions) > 1:
        yield f"The parent {pair.parent.name} tunes more than one algorithm."


def same_objective(pair: Pair) -> Iterator[str]:
    """The objective metric must be the parents'."""
    own = search_space.objective_of(pair.config, pair.definition)
    before = search_space.objective_of(pair.parent.config, pair.parent.definitions[0])
    if own != before:
        yield (
            "The objective metric of the hyperparameter tuning job must be that of its parent "
            f"{pair.parent.name}: {before['Type']} {before['MetricName']}."
        )


def same_names(pair: Pair) -> Iterator[str]:
    """Issue aws/amazon-sagemaker-examples 861."""
    own = _names(pair.config, pair.definition)
    if own != _names(pair.parent.config, pair.parent.definitions[0]):
        yield (
            "The set of tunable plus static HyperParameter names is not the same across current "
            "and parent tuning jobs"
        )


def same_types(pair: Pair) -> Iterator[str]:
    """The type of a hyperparameter must not change."""
    before = _kinds(pair.parent.config, pair.parent.definitions[0])
    for name, kind in _kinds(pair.config, pair.definition).items():
        if before.get(name, kind) != kind:
            yield f"The hyperparameter {name} has another type in the parent {pair.parent.name}."


def few_changes(pair: Pair) -> Iterator[str]:
    """At most 10 changes of static hyperparameters; a changed value counts as two.

    Those that start with ``sagemaker_`` change with each upload of a script. Whether the service
    counts them is not known; the emulator does not.
    """
    own: dict[str, str] = pair.definition.get("StaticHyperParameters", {})
    before: dict[str, str] = pair.parent.definitions[0].get("StaticHyperParameters", {})
    names = {name for name in {*own, *before} if not name.startswith("sagemaker_")}
    changes = sum(
        2 if name in own and name in before else 1
        for name in names
        if own.get(name) != before.get(name)
    )
    if changes > MAX_CHANGES:
        yield (
            f"The number of changes of static hyperparameters must not exceed {MAX_CHANGES}, and "
            f"is {changes}."
        )


def same_rest(pair: Pair) -> Iterator[str]:
    """Issue aws/sagemaker-python-sdk 3693."""
    own, before = pair.definition, pair.parent.definitions[0]
    for key in sorted({*own, *before} - {*_CHANGEABLE}):
        default: Any = False if key in _SWITCHES else {}
        if own.get(key, default) != before.get(key, default):
            yield (
                "Only the following fields in TrainingJobDefinition are allowed to change: "
                "[algorithmSpecification, inputDataConfig, outputDataConfig, "
                "staticHyperParameters, roleArn, resourceConfig, stoppingCondition, vpcConfig, "
                "enableManagedSpotTraining, checkpointConfig]"
            )
            return


def same_data_and_algorithm(pair: Pair) -> Iterator[str]:
    """IdenticalDataAndAlgorithm: the same input data and the same image."""
    if not pair.is_identical:
        return
    own, before = pair.definition, pair.parent.definitions[0]
    if own.get("InputDataConfig", []) != before.get("InputDataConfig", []):
        yield f"The input data must be that of the parent {pair.parent.name}."
    for key in ("TrainingImage", "AlgorithmName"):
        value = own["AlgorithmSpecification"].get(key)
        if value != before["AlgorithmSpecification"].get(key):
            yield f"The {key} must be that of the parent {pair.parent.name}."


RULES: tuple[Rule[Pair], ...] = (
    ended,
    one_algorithm,
    same_objective,
    same_names,
    same_types,
    few_changes,
    same_rest,
    same_data_and_algorithm,
)


def strategies(request: Json) -> Iterator[str]:
    """Warm start works with Bayesian and random search."""
    strategy = TuningRequest(request).strategy
    if strategy not in _STRATEGIES:
        yield f"Warm start is not supported with the {strategy} strategy."


def unique_parents(request: Json) -> Iterator[str]:
    """Each parent has a name, which is unique."""
    names: list[str] = [
        parent.get("HyperParameterTuningJobName", "").lower()
        for parent in request["WarmStartConfig"]["ParentHyperParameterTuningJobs"]
    ]
    if "" in names:
        yield "Each parent needs its HyperParameterTuningJobName."
    if len(set(names)) < len(names):
        yield "A parent hyperparameter tuning job is named more than once."


def check(request: Json, region: str, store: Store) -> None:
    """Refuse a warm start that breaks a rule.

    Raises:
        ServiceError: With the first reason; ResourceNotFound if a parent does not exist.
    """
    demand((strategies, unique_parents), request)
    for parent in request["WarmStartConfig"]["ParentHyperParameterTuningJobs"]:
        job = store.tuning(region, parent["HyperParameterTuningJobName"])
        demand(RULES, Pair(request, job))


def _names(config: Json, definition: Json) -> set[str]:
    return {*_kinds(config, definition), *definition.get("StaticHyperParameters", {})}


def _kinds(config: Json, definition: Json) -> dict[str, str]:
    ranges = search_space.ranges_of(config, definition)
    return {each["Name"]: kind for kind in search_space.KINDS for each in ranges.get(kind, ())}
