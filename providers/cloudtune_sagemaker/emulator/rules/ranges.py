"""Rules for the ranges of a definition of a tuning job."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from cloudtune.emulator_kit import Json
from cloudtune_sagemaker.emulator.rules import Rule

MAX_TUNED = 30
MAX_HYPERPARAMETERS = 100
OBJECTIVE = "_tuning_objective_metric"


@dataclass(frozen=True)
class Ranges:
    """The ranges of a definition, and its static hyperparameters."""

    ranges: Json
    static: Json

    @property
    def integers(self) -> list[Json]:
        """The ranges of integers."""
        return list(self.ranges.get("IntegerParameterRanges", ()))

    @property
    def continuous(self) -> list[Json]:
        """The ranges of real numbers."""
        return list(self.ranges.get("ContinuousParameterRanges", ()))

    @property
    def categorical(self) -> list[Json]:
        """The categorical ranges."""
        return list(self.ranges.get("CategoricalParameterRanges", ()))

    @property
    def names(self) -> list[str]:
        """The tuned hyperparameters."""
        return [each["Name"] for each in (*self.integers, *self.continuous, *self.categorical)]

    @property
    def combinations(self) -> float:
        """The number of different trials."""
        if self.continuous:
            return math.inf
        integers = (int(each["MaxValue"]) - int(each["MinValue"]) + 1 for each in self.integers)
        return math.prod([*integers, *(len(each["Values"]) for each in self.categorical)])


def at_least_one(subject: Ranges) -> Iterator[str]:
    """Inferred: no tuning job without ranges is documented."""
    if not subject.names:
        yield "At least one hyperparameter range is required."


def max_tuned(subject: Ranges) -> Iterator[str]:
    """Limits; model, ParameterRanges: the sum over all kinds."""
    if len(subject.names) > MAX_TUNED:
        yield (
            f"The sum of the hyperparameters in all ranges must not exceed {MAX_TUNED}, and is "
            f"{len(subject.names)}."
        )


def max_hyperparameters(subject: Ranges) -> Iterator[str]:
    """Guide, automatic-model-tuning-define-ranges: 100, including the objective."""
    count = len({*subject.names, *subject.static, OBJECTIVE})
    if count > MAX_HYPERPARAMETERS:
        yield (
            f"The total number of hyperparameters, including the added {OBJECTIVE}, must "
            f"not exceed {MAX_HYPERPARAMETERS}, and is {count}."
        )


def names(subject: Ranges) -> Iterator[str]:
    """Inferred: a name has one value in a trial's hyperparameters."""
    for name in sorted({n for n in subject.names if subject.names.count(n) > 1}):
        yield f"The hyperparameter {name} has more than one range."
    for name in sorted(set(subject.names) & set(subject.static)):
        yield f"The hyperparameter {name} is both static and in a range."


def bounds(subject: Ranges) -> Iterator[str]:
    """Guide, define-ranges; issue aws/amazon-sagemaker-feedback 195: no range of one value."""
    for kind, ranges in ((int, subject.integers), (float, subject.continuous)):
        noun = "an integer" if kind is int else "a finite number"
        for each in ranges:
            limits: list[float] = []
            for key in ("MinValue", "MaxValue"):
                try:
                    limits.append(kind(each[key]))
                except ValueError:
                    yield f"{key} {each[key]!r} of the hyperparameter {each['Name']} is not {noun}."
            if not all(map(math.isfinite, limits)):
                yield f"The bounds of the hyperparameter {each['Name']} must be finite."
            elif len(limits) == 2 and not limits[0] < limits[1]:
                yield (
                    f"MinValue {each['MinValue']} of the hyperparameter {each['Name']} must be "
                    f"less than MaxValue {each['MaxValue']}."
                )


def scaling(subject: Ranges) -> Iterator[str]:
    """Guide, define-ranges: where logarithmic scales can be used."""
    for each in (*subject.integers, *subject.continuous):
        kind, low, high = each.get("ScalingType"), float(each["MinValue"]), float(each["MaxValue"])
        if kind == "Logarithmic" and low <= 0:
            yield (
                f"Logarithmic scaling of the hyperparameter {each['Name']} works only for ranges "
                "that have only values greater than 0."
            )
        if kind == "ReverseLogarithmic" and (low < 0 or high >= 1):
            yield (
                f"Reverse logarithmic scaling of the hyperparameter {each['Name']} works only for "
                "ranges that are entirely within the range 0 <= x < 1.0."
            )
    for each in subject.integers:
        if each.get("ScalingType") == "ReverseLogarithmic":
            yield (
                f"Reverse logarithmic scaling is not supported for integer hyperparameter ranges, "
                f"and {each['Name']} has it."
            )


def unique_values(subject: Ranges) -> Iterator[str]:
    """Issue aws/amazon-sagemaker-feedback 195: unique values."""
    for each in subject.categorical:
        values: list[str] = each["Values"]
        for value in sorted({v for v in values if values.count(v) > 1}):
            yield f"The hyperparameter {each['Name']} has the value {value!r} more than once."


RULES: tuple[Rule[Ranges], ...] = (
    at_least_one,
    max_tuned,
    max_hyperparameters,
    names,
    bounds,
    scaling,
    unique_values,
)
