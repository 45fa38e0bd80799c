"""The search space of a run whose tool stores only the values of its trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudtune.diagnostics import Finding, Note
from cloudtune.formats.fields import Fields, refusals
from cloudtune.formats.run_reader import DERIVED
from cloudtune.formats.tool_runs.conditions import PresencePatterns
from cloudtune.formats.tool_runs.values import (
    flatten,
    is_name,
    is_plain,
    is_secret,
    to_value,
)
from cloudtune.formats.values import choice
from cloudtune.study.quantities import format_list
from cloudtune.study.search_space import Value, format_value
from cloudtune.study.validation.values import comparison_key, fits_64_bits

Json = dict[str, Any]
_MAX_CHOICES = 1_000
_MAX_LISTED = 10
"""Different numbers that are taken for a list; more are a range."""
_MAX_PARAMETERS = 2_000
_SHOWN = 5
"""Names in a message."""


@dataclass
class _Observed:
    """The values of one parameter."""

    count: int = 0
    completed: int = 0
    """The complete trials among those with the parameter."""
    kinds: set[str] = field(default_factory=set[str])
    low: float = 0.0
    high: float = 0.0
    distinct: dict[tuple[str, Value], Value] = field(default_factory=dict[tuple[str, Value], Value])

    def add(self, value: Value) -> None:
        self.kinds.add(type(value).__name__)
        if not isinstance(value, str | bool):
            self.low = value if not self.count else min(self.low, value)
            self.high = value if not self.count else max(self.high, value)
        self.count += 1
        if len(self.distinct) <= _MAX_CHOICES:
            self.distinct.setdefault(comparison_key(value), value)

    def definition(self, *, has_texts: bool) -> Json:
        if not self.kinds <= {"int", "float"}:
            values = list(self.distinct.values())
            return choice(list(map(format_value, values)) if has_texts else values)
        values = sorted(value for value in self.distinct.values() if not isinstance(value, str))
        few = len(values) <= _MAX_LISTED and self.count >= 3 * len(values)
        if "float" not in self.kinds:
            is_dense = self.high - self.low + 1 == len(values)
            if few and not is_dense:
                return {"type": "discrete", "values": [int(value) for value in values]}
            return _scaled({"type": "int", "min": int(self.low), "max": int(self.high)})
        if few:
            return {"type": "discrete", "values": [float(value) for value in values]}
        return _scaled({"type": "float", "min": float(self.low), "max": float(self.high)})


def _scaled(definition: Json) -> Json:
    """Return a range of values with a scale that depends on its width; see `Scale`."""
    wide = definition["min"] > 0 and definition["max"] / definition["min"] >= 100
    return definition | ({"scale": "auto"} if wide else {})


class ObservedSpace:
    """Collects the values of all trials, in bounded memory."""

    def __init__(
        self, tool: str, declared: Mapping[str, Json] | None = None, *, has_texts: bool = False
    ) -> None:
        """Create a space without values.

        Args:
            tool: The tool, for findings.
            declared: The definitions that the tool stores. The others are derived from values.
            has_texts: Whether the tool stores numbers as text: if only some values of a parameter
                look like numbers, none is one.
        """
        self._has_texts = has_texts
        self._tool = tool
        self._declared = dict(declared or {})
        self._observed: dict[str, _Observed] = {}
        self._patterns = PresencePatterns()
        self._trials = 0
        self._as_text: dict[str, None] = {}
        self._secret: dict[str, None] = {}
        self._lost: dict[str, None] = {}

    def declare(self, definitions: Mapping[str, Json | None]) -> None:
        """Add definitions that the tool stores; None stands for one that cannot be used."""
        self._declared |= {
            name: each for name, each in definitions.items() if each is not None and is_name(name)
        }

    def add(self, config: Mapping[str, Any], *, is_complete: bool = True) -> None:
        """Add the parameters of a trial, which may be nested.

        Args:
            config: The parameters.
            is_complete: Whether the trial ran long enough to have all of its parameters.
        """
        assignment = dict(self._values(config))
        if is_complete:
            self._trials += 1
            self._patterns.add(assignment)
        for name, value in assignment.items():
            observed = self._observed.setdefault(name, _Observed())
            observed.add(value)
            observed.completed += is_complete

    def _values(self, config: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
        for name, raw in flatten(config):
            value = to_value(raw)
            too_many = name not in self._observed and len(self._observed) >= _MAX_PARAMETERS
            if value is None or not is_name(name) or too_many:
                self._lost[name[:80]] = None
            elif is_secret(name, value):
                self._secret[name] = None
            else:
                if not is_plain(raw):
                    self._as_text[name] = None
                yield name, value

    def derive(self) -> DerivedSpace:
        """Return the space of all trials that were added."""
        parameters: dict[str, Json] = dict(self._declared)
        constants: dict[str, Value] = {}
        lost, derived = dict(self._lost), False
        for name, observed in self._observed.items():
            if name in parameters:
                continue
            is_constant = observed.completed == self._trials > 1 and len(observed.distinct) == 1
            if is_constant:
                ((_, constants[name]),) = observed.distinct.items()
            elif len(observed.distinct) > _MAX_CHOICES and not observed.kinds <= {"int", "float"}:
                lost[name] = None
            else:
                parameters[name] = observed.definition(has_texts=self._has_texts)
                derived = True
        unexplained = self._add_conditions(parameters)
        return DerivedSpace(
            parameters,
            constants,
            tuple(self._findings(parameters, derived, list(lost), unexplained)),
        )

    def _add_conditions(self, parameters: dict[str, Json]) -> list[str]:
        """Add the conditions of parameters that some trials lack; return those without one."""
        types = {name: each["type"] for name, each in parameters.items()}
        choices = [name for name, kind in types.items() if kind not in {"float", "int"}]
        integers = [name for name, kind in types.items() if kind == "int"]
        found = self._patterns.conditions(choices, integers)
        for name, when in found.items():
            if name in parameters and "when" not in parameters[name]:
                parameters[name] = parameters[name] | {"when": when}
        return [
            name
            for name, observed in self._observed.items()
            if observed.completed < self._trials and "when" not in parameters.get(name, {"when": 1})
        ]

    def _findings(
        self,
        parameters: Mapping[str, Json],
        derived: bool,
        lost: Sequence[str],
        unexplained: Sequence[str],
    ) -> Iterator[Finding | Note]:
        if derived:
            reason = (
                f"{self._tool} stores no ranges that can be read: types and ranges are derived "
                "from the values of the trials"
            )
            yield Finding("approximated", DERIVED, reason)
        if conditional := [name for name, each in parameters.items() if "when" in each]:
            names = format_list(conditional, _SHOWN)
            yield Note("parameters", f"conditions inferred from the trials that have {names}")
        if unexplained:
            reason = (
                f"some trials lack {format_list(unexplained, _SHOWN)}, and no other parameter "
                "explains it: warm starts use only trials with all parameters"
            )
            yield Finding("approximated", f"parameters.{unexplained[0]}", reason)
        if self._as_text:
            names = format_list(self._as_text, _SHOWN)
            reason = f"values of {names} that are lists or null became text"
            yield Finding("approximated", f"parameters.{next(iter(self._as_text))}", reason)
        if self._secret:
            reason = f"{format_list(self._secret, _SHOWN)} left out: looks like a secret"
            yield Finding("dropped", "parameters", reason)
        if lost:
            reason = (
                f"{format_list(lost, _SHOWN)} left out: text that differs in each trial or is too "
                "long, or numbers that are not finite"
            )
            yield Finding("dropped", "parameters", reason)


@dataclass(frozen=True)
class DerivedSpace:
    """Parameters and constants as a study file has them."""

    parameters: Mapping[str, Json]
    constants: Mapping[str, Value]
    findings: tuple[Finding | Note, ...] = ()

    def assignment(self, config: Mapping[str, Any]) -> dict[str, Value]:
        """Return the parameters of a trial with the types of the space, in its order."""
        values = dict(flatten(config))
        typed: dict[str, Value] = {}
        for name, definition in self.parameters.items():
            if name in values and (value := to_value(values[name])) is not None:
                typed[name] = to_type(definition, value)
        return typed


def read_definition(
    fields: Fields, read: Callable[[Fields], Json | None]
) -> tuple[Json | None, list[Finding | Note]]:
    """Return a definition that a tool stores, and how the study differs from it.

    The definition is None if a study cannot hold it: the range is then derived from the values.
    """
    definition = read(fields)
    report = fields.report
    numbers = [each for each in (definition or {}).values() if isinstance(each, int)]
    fits = all(map(fits_64_bits, numbers))
    if definition is not None and fits and not report.problems and not refusals(report):
        findings = (each for each in report.findings if isinstance(each, Finding))
        return definition, list(findings)
    reasons = [] if fits else ["an integer does not fit in 64 bits"]
    reasons += [each.message for each in report.problems]
    reasons += [each.reason for each in refusals(report)]
    reason = (
        f"{'; '.join(reasons) or 'unreadable'}: its range is derived from the values of the trials"
    )
    return None, [Finding("approximated", fields.path, reason)]


def to_type(definition: Json, value: Value) -> Value:
    """Return a number with the type of its parameter; other values as they are."""
    if isinstance(value, str | bool):
        return value
    kind, values = definition["type"], definition.get("values", ())
    if kind == "categorical" and all(isinstance(each, str) for each in values):
        return format_value(value)
    if kind == "float" or (kind == "discrete" and any(isinstance(each, float) for each in values)):
        return float(value)
    return int(value) if kind in {"int", "discrete"} and value == int(value) else value
