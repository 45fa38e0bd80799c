"""The fault plan: what an emulator does wrong on purpose, and when.

One form for all emulators::

    seed: 7
    faults:
    - {operation: CreateHyperParameterTuningJob, call: 1, effect: lose_response}
    - {operation: "*", probability: 0.1, effect: throttle}
    - {operation: trial, call: [2, 5], effect: interrupt, after: 3}
    - {operation: trial, call: 3, effect: slow_start, seconds: 600}

A rule names an operation of the service, ``*`` for each of them, or ``trial`` for the trials, and
either the calls that it concerns, counted from 1, or a probability. Calls of ``*`` are counted over
all operations, trials in the order in which they are made. The first rule that matches counts.

Effects on a call: ``throttle`` (refused, come back later), ``quota`` (refused, a quota is used up),
``error`` (the service failed, nothing was done), ``late_error`` (it is done, and yet the answer is
an error) and ``lose_response`` (it is done, and the connection ends before the answer). Effects on
a trial: ``slow_start`` (``seconds`` more of the service's time before it starts), ``fail`` (the
service fails to run it), ``no_metric`` (no metric is found in its output), and, once it has
measured ``after`` times (1 when left out), ``interrupt`` (its spot machine is taken away) and
``stop_early`` (the service's early stopping ends it). A service that sees no measurements of a job
counts the seconds for which it has run. An emulator may have effects of its own.

Chance derives from the seed, the rule and the number of the call, so the same calls meet the same
faults in every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Lock
from typing import Any, Literal, get_args

from cloudtune.errors import Problem, StudyError
from cloudtune.yaml_source import Source, is_list, is_map, parse, read

CallEffect = Literal["throttle", "quota", "error", "late_error", "lose_response"]
TrialEffect = Literal["slow_start", "fail", "no_metric", "interrupt", "stop_early"]
TRIAL = "trial"
"""The operation under which rules for trials stand."""
ANY = "*"
"""Every operation of the service."""

_KEYS = ("operation", "call", "probability", "effect", "seconds", "after")
_EXTRA = {"seconds": ("slow_start",), "after": ("interrupt", "stop_early")}


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


def read_plan(
    path: Path,
    operations: Collection[str],
    lacking: Mapping[str, str] | None = None,
    *,
    own: Collection[str] = (),
) -> FaultPlan:
    """Return the plan in a file.

    Args:
        path: The file.
        operations: The names of the operations that the emulator has.
        lacking: Effects that no trial can have, and why.
        own: Effects on a trial that this emulator alone has.

    Raises:
        StudyError: If something in it is wrong; every mistake with its line.
    """
    return _plan(read(path), operations, lacking or {}, own)


def parse_plan(text: str, operations: Collection[str], name: str = "faults.yaml") -> FaultPlan:
    """Return the plan in a text; as `read_plan`."""
    return _plan(parse(text, name), operations, {}, ())


def _plan(
    source: Source,
    operations: Collection[str],
    lacking: Mapping[str, str],
    own: Collection[str],
) -> FaultPlan:
    problems = list(source.problems)

    def wrong(path: str, message: str) -> None:
        problems.append(Problem(path, message, "", source.name, _line(source, path)))

    data: Any = {} if source.data is None else source.data
    rules: list[Rule] = []
    seed: Any = 0
    if not is_map(data):
        wrong("", "a fault plan is a map with the keys seed and faults")
    else:
        for key in data:
            if key not in {"seed", "faults"}:
                wrong(key, "there is no such key; a plan has seed and faults")
        seed = data.get("seed", 0)
        if not _is_whole(seed) or seed < 0:
            wrong("seed", "must be a whole number from 0")
        listed: Any = data.get("faults", [])
        if not is_list(listed):
            wrong("faults", "must be a list of rules")
            listed = []
        for place, item in enumerate(listed):
            found = list(_mistakes(item, operations, lacking, own))
            for key, message in found:
                wrong(f"faults.{place}" + (f".{key}" if key else ""), message)
            if not found:
                rules.append(_rule(item))
    if problems:
        raise StudyError(sorted(problems, key=lambda problem: problem.line or 0))
    return FaultPlan(rules, seed)


def _line(source: Source, path: str) -> int | None:
    while path and path not in source.lines:
        path = path.rpartition(".")[0]
    return source.lines.get(path)


def _mistakes(
    item: Any, operations: Collection[str], lacking: Mapping[str, str], own: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield the key and the message of each mistake in a rule."""
    if not is_map(item):
        yield "", "a rule is a map with the keys operation, effect and call or probability"
        return
    for key in item:
        if key not in _KEYS:
            yield key, f"there is no such key; a rule has {', '.join(_KEYS)}"
    operation, effect = item.get("operation"), item.get("effect")
    if operation not in (TRIAL, ANY, *operations):
        yield "operation", f"must be {TRIAL}, {ANY} or one of {', '.join(sorted(operations))}"
    effects = (*get_args(TrialEffect), *own) if operation == TRIAL else get_args(CallEffect)
    if effect not in effects:
        what = "a trial" if operation == TRIAL else "a call"
        yield "effect", f"must be one of {', '.join(effects)} for {what}"
    elif operation == TRIAL and (why := lacking.get(str(effect))):
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
