"""The fault plan: what an emulator does wrong on purpose, and when.

One form for all emulators::

    seed: 7
    faults:
    - {operation: CreateHyperParameterTuningJob, call: 1, effect: lose_response}
    - {operation: "*", probability: 0.1, effect: throttle}
    - {operation: trial, call: [2, 5], effect: interrupt, after: 3}
    - {operation: trial, call: 3, effect: slow_start, seconds: 600}
    - {provider: vertex, operation: "*", call: 20, effect: crash}

A rule names an operation of the service, ``*`` for each of them, or ``trial`` for the trials, and
either the calls that it concerns, counted from 1, or a probability. Calls of ``*`` are counted over
all operations, trials in the order in which they are made. The first rule that matches counts.

One file serves all emulators of a run. A rule with ``provider`` is for that one alone; one without
is for each that has its operation. Every emulator counts its own calls and trials.

Effects on a call: ``throttle`` (refused, come back later), ``quota`` (refused, a quota is used up),
``error`` (the service failed, nothing was done), ``late_error`` (it is done, and yet the answer is
an error), ``lose_response`` (it is done, and the connection ends before the answer) and ``crash``
(the emulator is killed, and what ran there with it). Effects on
a trial: ``slow_start`` (``seconds`` more of the service's time before it starts), ``fail`` (the
service fails to run it), ``no_metric`` (no metric is found in its output), and, once it has
measured ``after`` times (1 when left out), ``interrupt`` (its spot machine is taken away) and
``stop_early`` (the service's early stopping ends it). A service that sees no measurements of a job
counts the seconds for which it has run. An emulator may have effects of its own.

Chance derives from the seed, the rule's place among those of its emulator and the number of the
call, so the same calls meet the same faults in every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Lock
from typing import Any, Literal, get_args

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.study.yaml_reader import YamlSource, is_list, is_map, parse, read_file

CallEffect = Literal["throttle", "quota", "error", "late_error", "lose_response", "crash"]
TrialEffect = Literal["slow_start", "fail", "no_metric", "interrupt", "stop_early"]
TRIAL = "trial"
"""The operation under which rules for trials stand."""
ANY = "*"
"""Every operation of the service."""

_KEYS = ("operation", "call", "probability", "effect", "seconds", "after")
_EXTRA = {"seconds": ("slow_start",), "after": ("interrupt", "stop_early")}


@dataclass(frozen=True)
class Able:
    """Which faults the emulator of one provider can have."""

    operations: Collection[str]
    """The names of the operations that it has."""
    lacking: Mapping[str, str] = field(default_factory=dict[str, str])
    """Effects that no trial can have, and why."""
    own: Collection[str] = ()
    """Effects on a trial that this emulator alone has."""

    def has(self, operation: object) -> bool:
        """Tell whether rules may stand under this operation."""
        return operation in (TRIAL, ANY, *self.operations)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call or one trial."""

    effect: str
    """A `CallEffect` for a call; for a trial a `TrialEffect`, or one of the emulator's own."""
    seconds: float = 0.0
    """Of ``slow_start``: how much longer the service takes, in its own time."""
    after: int = 1
    """Of ``interrupt`` and ``stop_early``: at which measurement."""


@dataclass(frozen=True)
class Rule:
    """When one fault happens."""

    operation: str
    fault: Fault
    calls: frozenset[int] = frozenset()
    probability: float = 0.0

    def matches(self, place: int, seed: int, call: int) -> bool:
        """Tell whether the call with this number has the fault; ``place`` is the rule's own."""
        if self.calls:
            return call in self.calls
        return Random(f"{seed}:{place}:{call}").random() < self.probability  # noqa: S311


class FaultPlan:
    """Counts calls and trials, and says what goes wrong with each. Safe in threads."""

    def __init__(self, rules: Sequence[Rule] = (), seed: int = 0) -> None:
        self._rules = tuple(rules)
        self._seed = seed
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def of_call(self, operation: str) -> Fault | None:
        """Count a call of an operation, and return what goes wrong with it."""
        return self._next(operation, ANY)

    def of_trial(self) -> Fault | None:
        """Count a trial, and return what goes wrong with it."""
        return self._next(TRIAL)

    def _next(self, *names: str) -> Fault | None:
        with self._lock:
            self._counts.update(names)
            counts = {name: self._counts[name] for name in names}
        for place, rule in enumerate(self._rules):
            if rule.operation in counts and rule.matches(place, self._seed, counts[rule.operation]):
                return rule.fault
        return None


def read_plan(path: Path, able: Able) -> FaultPlan:
    """Return the plan in the file of one emulator, in which no rule names a provider.

    Args:
        path: The file.
        able: What the emulator can do wrong.

    Raises:
        StudyError: If something in it is wrong; every mistake with its line.
    """
    return _alone(read_file(path), able)


def parse_plan(text: str, able: Able, name: str = "faults.yaml") -> FaultPlan:
    """Return the plan in a text; as `read_plan`."""
    return _alone(parse(text, name), able)


def read_shared(
    path: Path, able: Mapping[str, Able], others: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Return, for each of several emulators, the plan that a file holds for it, as plain data.

    Args:
        path: The file.
        able: What the emulators can do wrong, by provider.
        others: Other providers that there are; their rules are for other runs.

    Raises:
        StudyError: If something in it is wrong; every mistake with its line and provider.
    """
    source = read_file(path)
    seed, listed, problems = _outline(source)
    plans: dict[str, dict[str, Any]] = {name: {"seed": seed, "faults": []} for name in able}
    for place, item in enumerate(listed):
        where = f"faults.{place}"
        provider: Any = item.get("provider") if is_map(item) else None
        rule: Any = {k: item[k] for k in item if k != "provider"} if is_map(item) else item
        concerned = _concerned(provider, rule, able)
        if provider is not None and provider not in (*able, *others):
            known = ", ".join(dict.fromkeys([*able, *others]))
            problems.append(_wrong(source, f"{where}.provider", f"must be one of {known}"))
        for name in concerned:
            found = list(_mistakes(rule, able[name]))
            for key, message in found:
                told = f"{name}: {message}"
                problems.append(_wrong(source, where + (f".{key}" if key else ""), told))
            if not found:
                plans[name]["faults"].append(rule)
    if problems:
        raise StudyError(_in_order(problems))
    return plans


def _concerned(provider: Any, rule: Any, able: Mapping[str, Able]) -> list[str]:
    """Return the providers to which a rule applies, or which are to say what is wrong with it."""
    if provider is not None:
        return [provider] if provider in able else []
    if not is_map(rule):
        return list(able)[:1]
    return [name for name, each in able.items() if each.has(rule.get("operation"))] or list(able)


def _alone(source: YamlSource, able: Able) -> FaultPlan:
    seed, listed, problems = _outline(source)
    rules: list[Rule] = []
    for place, item in enumerate(listed):
        found = list(_mistakes(item, able))
        for key, message in found:
            path = f"faults.{place}" + (f".{key}" if key else "")
            problems.append(_wrong(source, path, message))
        if not found:
            rules.append(_rule(item))
    if problems:
        raise StudyError(_in_order(problems))
    return FaultPlan(rules, seed)


def _outline(source: YamlSource) -> tuple[Any, Sequence[Any], list[Problem]]:
    """Return the seed, the rules as they stand, and what is wrong around them."""
    problems = list(source.problems)
    data: Any = {} if source.data is None else source.data
    if not is_map(data):
        problems.append(_wrong(source, "", "a fault plan is a map with the keys seed and faults"))
        return 0, [], problems
    for key in data:
        if key not in {"seed", "faults"}:
            said = "there is no such key; a plan has seed and faults"
            problems.append(_wrong(source, str(key), said))
    seed = data.get("seed", 0)
    if not _is_whole(seed) or seed < 0:
        problems.append(_wrong(source, "seed", "must be a whole number from 0"))
    listed: Any = data.get("faults", [])
    if not is_list(listed):
        problems.append(_wrong(source, "faults", "must be a list of rules"))
        listed = []
    return seed, listed, problems


def _wrong(source: YamlSource, path: str, message: str) -> Problem:
    return Problem(path, message, "", source.name, _line(source, path))


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: problem.line or 0)


def _line(source: YamlSource, path: str) -> int | None:
    while path and path not in source.lines:
        path = path.rpartition(".")[0]
    return source.lines.get(path)


def _mistakes(item: Any, able: Able) -> Iterator[tuple[str, str]]:
    """Yield the key and the message of each mistake in a rule."""
    if not is_map(item):
        yield "", "a rule is a map with the keys operation, effect and call or probability"
        return
    for key in item:
        if key not in _KEYS:
            yield key, f"there is no such key; a rule has {', '.join(_KEYS)}"
    operation, effect = item.get("operation"), item.get("effect")
    if not able.has(operation):
        known = ", ".join(sorted(able.operations))
        yield "operation", f"must be {TRIAL}, {ANY} or one of {known}"
    effects = (*get_args(TrialEffect), *able.own) if operation == TRIAL else get_args(CallEffect)
    if effect not in effects:
        what = "a trial" if operation == TRIAL else "a call"
        yield "effect", f"must be one of {', '.join(effects)} for {what}"
    elif operation == TRIAL and (why := able.lacking.get(str(effect))):
        yield "effect", f"{effect} cannot happen here: {why}"
    if ("call" in item) == ("probability" in item):
        yield "", "needs either call or probability"
    if "call" in item and not _are_places(item["call"]):
        yield "call", "must be a whole number from 1, or a list of them"
    if "probability" in item and not _is_share(item["probability"]):
        yield "probability", "must be a number between 0 and 1"
    for key, owners in _EXTRA.items():
        if key in item and effect not in owners:
            yield key, f"belongs to {' and '.join(owners)}"
    if effect == "slow_start" and not _is_number(item.get("seconds")):
        yield "seconds", "slow_start needs it: a number of seconds of the service's time"
    if "after" in item and not (_is_whole(item["after"]) and item["after"] >= 1):
        yield "after", "must be a whole number from 1"


def _rule(item: Mapping[str, Any]) -> Rule:
    call: Any = item.get("call", [])
    places = call if is_list(call) else [call]
    fault = Fault(item["effect"], float(item.get("seconds", 0.0)), item.get("after", 1))
    calls = frozenset[int](places)
    return Rule(item["operation"], fault, calls, float(item.get("probability", 0.0)))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9


def _is_share(value: object) -> bool:
    return _is_number(value) and isinstance(value, int | float) and value <= 1


def _are_places(value: Any) -> bool:
    places = value if is_list(value) else [value]
    return bool(places) and all(_is_whole(place) and place >= 1 for place in places)
