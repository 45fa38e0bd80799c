"""Fault plans: what an emulator does wrong on purpose, and when.

One format for all emulators::

    seed: 7
    faults:
    - {operation: CreateHyperParameterTuningJob, call: 1, effect: lose_response}
    - {operation: "*", probability: 0.1, effect: throttle}
    - {operation: trial, call: [2, 5], effect: interrupt, after: 3}
    - {operation: trial, call: 3, effect: slow_start, seconds: 600}
    - {provider: vertex, operation: "*", call: 20, effect: crash}

A rule names an operation of the service, ``*`` for all of them, or ``trial`` for the trials, and
either the calls that it applies to, counted from 1, or a probability. Calls of ``*`` are counted
over all operations, trials in the order of their creation. The first rule that matches applies.

One file serves all emulators of a run. A rule with ``provider`` applies to that provider only; a
rule without one applies to each that has its operation. Every emulator counts its own calls and
trials.

Effects on a call: ``throttle`` (refused, retry later), ``quota`` (refused, a quota is used up),
``error`` (the service failed, nothing was done), ``late_error`` (it is done, but the response is an
error), ``lose_response`` (it is done, and the connection ends before the response), ``deny`` (the
caller lacks the right), ``expire`` (the caller's credentials have expired) and ``crash`` (the
emulator is killed, with everything that runs there). Effects on a trial: ``slow_start``
(``seconds`` more of the service's time before it starts), ``fail`` (the service fails to run it),
``no_metric`` (no metric is found in its output), and, once it has measured ``after`` times (default
1), ``interrupt`` (its spot machine is taken away), ``lose`` (its machine fails, and the service
gives it up) and ``stop_early`` (the service's early stopping ends it). A service that sees no
measurements of a job counts the seconds for which it has run. An emulator may have effects of its
own.

Chance derives from the seed, the rule's index among those of its emulator and the number of the
call, so the same calls meet the same faults in every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from threading import Lock
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.study.messages import translate_error
from cloudtune.study.yaml_builder import YamlSource
from cloudtune.study.yaml_reader import is_list, is_map, read_file

CallEffect = Literal[
    "throttle", "quota", "error", "late_error", "lose_response", "deny", "expire", "crash"
]
TrialEffect = Literal["slow_start", "fail", "no_metric", "interrupt", "lose", "stop_early"]
TRIAL = "trial"
"""The operation of rules for trials."""
ANY = "*"
"""Every operation of the service."""

ModelT = TypeVar("ModelT", bound=BaseModel)
_Number = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class SupportedFaults:
    """The faults that the emulator of one provider supports."""

    operations: Collection[str]
    """The names of its operations."""
    impossible: Mapping[str, str] = field(default_factory=dict[str, str])
    """Effects that no trial can have, and why."""
    extra: Collection[str] = ()
    """Effects on a trial that only this emulator has."""

    def has_operation(self, operation: object) -> bool:
        """Return whether rules can name this operation."""
        return operation in (TRIAL, ANY, *self.operations)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call or one trial."""

    effect: str
    """A `CallEffect` for a call; for a trial a `TrialEffect`, or one of the emulator's own."""
    seconds: float = 0.0
    """For ``slow_start``: the delay, in the service's own time."""
    after: int = 1
    """For ``interrupt``, ``lose`` and ``stop_early``: the number of the measurement."""


class Rule(BaseModel):
    """When one fault happens. Validated with `SupportedFaults` as the context."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    operation: str
    effect: str
    call: _Number | Annotated[list[_Number], Field(min_length=1)] | None = None
    probability: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, validate_default=True, description="a number between 0 and 1, unless call is set"
    )
    seconds: Annotated[float, Field(ge=0, lt=1e9)] | None = Field(
        None, validate_default=True, description="seconds of the service's time for slow_start"
    )
    after: _Number | None = None

    @field_validator("operation")
    @classmethod
    def _check_operation(cls, operation: str, info: ValidationInfo) -> str:
        supported = _context(info)
        if not supported.has_operation(operation):
            known = ", ".join(sorted(supported.operations))
            raise ValueError(f"must be {TRIAL}, {ANY} or one of {known}")
        return operation

    @field_validator("effect")
    @classmethod
    def _check_effect(cls, effect: str, info: ValidationInfo) -> str:
        supported = _context(info)
        if info.data.get("operation") == TRIAL:
            effects, what = (*get_args(TrialEffect), *supported.extra), "a trial"
            if reason := supported.impossible.get(effect):
                raise ValueError(f"{effect} cannot happen here: {reason}")
        else:
            effects, what = get_args(CallEffect), "a call"
        if effect not in effects:
            raise ValueError(f"must be one of {', '.join(effects)} for {what}")
        return effect

    @field_validator("probability")
    @classmethod
    def _check_when(cls, probability: float | None, info: ValidationInfo) -> float | None:
        if info.data.get("call") is not None and probability is not None:
            raise ValueError("set either call or probability")
        if "call" in info.data and info.data["call"] is None and probability is None:
            raise PydanticCustomError("missing", "missing")
        return probability

    @field_validator("seconds")
    @classmethod
    def _check_seconds(cls, seconds: float | None, info: ValidationInfo) -> float | None:
        slow = info.data.get("effect") == "slow_start"
        if slow and seconds is None:
            raise PydanticCustomError("missing", "missing")
        if not slow and seconds is not None:
            raise ValueError("applies to slow_start only")
        return seconds

    @field_validator("after")
    @classmethod
    def _check_after(cls, after: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("effect") not in ("interrupt", "lose", "stop_early"):
            raise ValueError("applies to interrupt, lose and stop_early only")
        return after

    @property
    def fault(self) -> Fault:
        """What happens."""
        return Fault(self.effect, self.seconds or 0.0, self.after or 1)

    def matches(self, index: int, seed: int, call: int) -> bool:
        """Return whether the call with this number has the fault; ``index`` is the rule's own."""
        if self.probability is not None:
            return Random(f"{seed}:{index}:{call}").random() < self.probability  # noqa: S311
        return call in self.call if isinstance(self.call, list) else call == self.call


def _context(info: ValidationInfo) -> SupportedFaults:
    supported: Any = info.context
    assert isinstance(supported, SupportedFaults)
    return supported


class _Outline(BaseModel):
    """A fault plan with unchecked rules."""

    model_config = ConfigDict(extra="forbid", strict=True)

    seed: Annotated[int, Field(ge=0)] = 0
    faults: list[Any] = []


class FaultPlan:
    """Counts calls and trials, and decides what goes wrong with each. Thread-safe."""

    def __init__(self, rules: Sequence[Rule] = (), seed: int = 0) -> None:
        self._rules = tuple(rules)
        self.seed = seed
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def next_call(self, operation: str, *, is_other: bool = False) -> Fault | None:
        """Count a call of an operation, and return its fault.

        Args:
            operation: The operation's name.
            is_other: Whether it belongs to another service than the emulated one, such as its
                identities; rules for any operation do not apply to it.
        """
        return self._next(operation) if is_other else self._next(operation, ANY)

    def denies(self, operation: str) -> bool:
        """Return whether every call of an operation is refused for lack of a right."""
        return any(
            rule.operation == operation and rule.effect == "deny" and rule.probability == 1
            for rule in self._rules
        )

    def next_trial(self) -> Fault | None:
        """Count a trial, and return its fault."""
        return self._next(TRIAL)

    def _next(self, *names: str) -> Fault | None:
        with self._lock:
            self._counts.update(names)
            counts = {name: self._counts[name] for name in names}
        for index, rule in enumerate(self._rules):
            if rule.operation in counts and rule.matches(index, self.seed, counts[rule.operation]):
                return rule.fault
        return None


def read_plan(path: Path, supported: SupportedFaults) -> FaultPlan:
    """Return the plan in the file of one emulator, in which no rule names a provider.

    Args:
        path: The file.
        supported: The faults that the emulator supports.

    Raises:
        StudyError: If the plan has mistakes; all of them, with their lines.
    """
    source = read_file(path)
    seed, items, problems = _check_outline(source)
    rules: list[Rule] = []
    for index, item in enumerate(items):
        rule, mistakes = _check(Rule, item, source, f"faults.{index}", supported)
        problems += mistakes
        rules += [rule] if rule else []
    _raise_problems(problems)
    return FaultPlan(rules, seed)


def read_shared_plan(
    path: Path, supported: Mapping[str, SupportedFaults], others: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Return the plan that a file has for each of several emulators, as plain data.

    Args:
        path: The file.
        supported: The faults that the emulators support, by provider.
        others: Other known providers; their rules are for other runs.

    Raises:
        StudyError: If the plan has mistakes; all of them, with their lines and providers.
    """
    source = read_file(path)
    seed, rules, problems = _check_outline(source)
    plans: dict[str, dict[str, Any]] = {name: {"seed": seed, "faults": []} for name in supported}
    for index, item in enumerate(rules):
        provider: Any = item.get("provider") if is_map(item) else None
        rule: Any = {k: item[k] for k in item if k != "provider"} if is_map(item) else item
        if provider is not None and provider not in (*supported, *others):
            known = ", ".join(dict.fromkeys([*supported, *others]))
            problem = Problem(f"faults.{index}.provider", f"must be one of {known}")
            problems.append(_locate(problem, source))
        for name in _affected_providers(provider, rule, supported):
            _, mistakes = _check(Rule, rule, source, f"faults.{index}", supported[name])
            problems += [replace(each, message=f"{name}: {each.message}") for each in mistakes]
            if not mistakes:
                plans[name]["faults"].append(rule)
    _raise_problems(problems)
    return plans


def _affected_providers(
    provider: Any, rule: Any, supported: Mapping[str, SupportedFaults]
) -> list[str]:
    """Return the providers that a rule applies to; for an unknown operation all of them."""
    if provider is not None:
        return [provider] if provider in supported else []
    if not is_map(rule):
        return list(supported)[:1]
    operation = rule.get("operation")
    return [n for n, each in supported.items() if each.has_operation(operation)] or list(supported)


def _check_outline(source: YamlSource) -> tuple[Any, list[Any], list[Problem]]:
    """Return the seed, the rules as they are in the file, and the mistakes outside the rules."""
    data: Any = {} if source.data is None else source.data
    _, mistakes = _check(_Outline, data, source)
    data = data if is_map(data) else {}
    rules: Any = data.get("faults")
    return data.get("seed", 0), rules if is_list(rules) else [], [*source.problems, *mistakes]


def _check(
    model: type[ModelT], data: Any, source: YamlSource, path: str = "", context: Any = None
) -> tuple[ModelT | None, list[Problem]]:
    """Return data as a model, or the mistakes in it."""
    try:
        return model.model_validate(data, context=context), []
    except ValidationError as error:
        problems = translate_error(error, data, model)
    return None, [
        _locate(replace(each, path=f"{path}.{each.path}".strip(".")), source) for each in problems
    ]


def _locate(problem: Problem, source: YamlSource) -> Problem:
    """Return a problem with file and line; that of the nearest field above a missing one."""
    path = problem.path
    while path and path not in source.lines:
        path = path.rpartition(".")[0]
    return replace(problem, file=source.name, line=source.lines.get(path))


def _raise_problems(problems: Sequence[Problem]) -> None:
    if problems:
        raise StudyError(sorted(problems, key=lambda problem: problem.line or 0))
