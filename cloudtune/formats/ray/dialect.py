"""How a study is written as a tuner of Ray Tune."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cloudtune.diagnostics import Finding, Note
from cloudtune.dialect.model import Dialect
from cloudtune.dialect.native import Native, map_at, native_of, nested_entries, take_block
from cloudtune.dialect.ranges import RANGES_AND_CHOICES, choice_values
from cloudtune.dialect.words import Words
from cloudtune.fitting.capabilities import NOTHING
from cloudtune.fitting.fit import FittedStudy
from cloudtune.formats.fields import Json, Report
from cloudtune.formats.kept import read_alone
from cloudtune.formats.model import compact
from cloudtune.formats.nesting import Nesting
from cloudtune.formats.ray.names import (
    ASHA,
    DEFAULTS,
    HOME,
    HYPERBAND,
    INSTEAD,
    ITERATION,
    MEDIAN,
    MODES,
    SEARCHERS,
    SEEDS,
    SIMILAR,
    TUNER_FIELDS,
    is_domain,
    short_name,
)
from cloudtune.formats.ray.space import SpaceReader
from cloudtune.study.map_values import unfold_values
from cloudtune.study.schema import FloatParameter, IntParameter, Parameter
from cloudtune.study.search_space import count_values
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_map

_CODE = "Ray calls a trainable of your program"
_MIN_TRIALS = 5
"""``min_trials`` of the median rule where a study has none."""
_WORDS = Words(
    strategies=SEARCHERS,
    similar=SIMILAR,
    instead=INSTEAD,
    plain={"random": "uniform"},
    automatic="median",
)
_CAPABILITIES = replace(
    NOTHING,
    parameters=RANGES_AND_CHOICES,
    steps=True,
    log_steps=False,
    aligned_steps=True,
    grid_of_values=True,
    strategies=_WORDS.names | {"grid", "hyperband"},
    seeds=True,
    objectives=1_000,
    early_stopping=frozenset({"auto", "median", "halving"}),
    limits=frozenset({"max_trials", "parallel_trials", "timeout"}),
    initial_trials=True,
    maps=True,
    fields=frozenset(
        [
            *("constants", "trial.seed_argument", "strategy.resource", "strategy.min"),
            *("strategy.max", "strategy.eta", "early_stopping.min_step"),
            *("early_stopping.median.min_trials", "early_stopping.halving.eta"),
        ]
    ),
    reasons={
        "description": "a tuner has no description",
        "warm_start": "Ray continues an experiment with Tuner.restore",
        "parameters.when": "Ray has conditional parameters only in code, with sample_from",
        "strategy.name": "Ray has no listed trials",
        "objective.target": "set stop in run_config",
        "objective.select": "Ray decides which value of a metric counts",
        "limits.trial_timeout": "set stop in run_config",
        "limits.max_failed_trials": "set failure_config in run_config",
        "limits.patience": "set a stopper in run_config",
        "early_stopping.interval": "Ray checks every result",
        "early_stopping.min_trials": "ASHA has no number of trials",
        "trial": _CODE,
    },
)


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    study, kept = fitted.study, map_at(native.rest, "tune_config")
    space = _space(study, native)
    tune: Json = {
        **compact(search_alg=_searcher(study, kept), scheduler=_scheduler(study, kept)),
        **_limits(study, kept, space),
        **_objective(study, kept),
    }
    return {"param_space": space, **compact(tune_config=tune, run_config=compact(name=study.name))}


def _space(study: Study, native: Native) -> Json:
    nesting = Nesting(native.block if is_map(native.block) else {})
    space: Json = {}
    for name, variants in study.parameters.items():
        written = _domain(variants[0], in_grid=study.strategy.name == "grid")
        nesting.put(space, name, native.written(name, variants[0], written))
    for name, value in {**study.constants, **native.extra}.items():
        nesting.put(space, name, value)
    return space


def _domain(parameter: Parameter, *, in_grid: bool) -> Json:
    """Return the function of ``ray.tune`` for a parameter, with its arguments."""
    if not isinstance(parameter, FloatParameter | IntParameter):
        return {"grid_search" if in_grid else "choice": choice_values(parameter)}
    is_int = isinstance(parameter, IntParameter)
    kind = ("log" if parameter.scale == "log" else "") + ("randint" if is_int else "uniform")
    low, high, step = parameter.min, parameter.max, parameter.step
    if step is None or (is_int and step == 1):
        return {kind: [low, high + (1 if is_int else 0)]}
    return {f"q{kind}": [low, high, step]}


def _objective(study: Study, kept: Json) -> Json:
    modes = {goal: mode for mode, goal in MODES.items()}
    metrics = [objective.metric for objective in study.objectives]
    goals = [modes[objective.goal] for objective in study.objectives]
    if not metrics:
        return {}
    found: Json = {"metric": metrics, "mode": goals}
    if len(metrics) == 1:
        found = {"metric": metrics[0], "mode": goals[0]}
    for arguments in _with_metric(kept):
        arguments.update(found)
        found = {}
    return found


def _with_metric(kept: Json) -> list[Json]:
    """Return the arguments of algorithms that name the metric, as older code has it."""
    algorithms = (map_at(kept, key) for key in ("scheduler", "search_alg"))
    arguments = (each for algorithm in algorithms for each in algorithm.values())
    return [each for each in arguments if is_map(each) and "metric" in each]


def _name_of(kept: Json, key: str) -> str | None:
    """Return the name of an algorithm that an imported tuner has."""
    value: Any = kept.get(key)
    name = next(iter(value), None) if is_map(value) else value
    return None if name is None else str(name)


def _searcher_name(study: Study, kept: Json) -> str | None:
    """Return the search algorithm: the imported one if it still fits; None for a random one."""
    strategy, before = study.strategy, _name_of(kept, "search_alg")
    plain = "random" if strategy.name == "grid" else strategy.name
    searched = strategy.model_copy(update={"name": plain})
    known = before is not None and _WORDS.means(short_name(before), searched)
    if strategy.name == "hyperband" or known:
        return before
    name = _WORDS.strategy(searched)
    return None if name == "random" else name


def _searcher(study: Study, kept: Json) -> Any:
    name = _searcher_name(study, kept)
    if name != _name_of(kept, "search_alg"):
        kept.pop("search_alg", None)
    arguments: Json = {}
    if study.strategy.seed is not None:
        arguments[SEEDS[short_name(name or "random")]] = study.strategy.seed
    points = [dict(zip(e, unfold_values(e.values()), strict=True)) for e in study.initial_trials]
    arguments |= compact(points_to_evaluate=points)
    return {name or "random": arguments} if arguments else name


def _scheduler(study: Study, kept: Json) -> Any:
    strategy, stopping = study.strategy, study.early_stopping
    if strategy.name == "hyperband":
        arguments = {"max_t": strategy.max, "reduction_factor": strategy.eta}
        return _named(kept, HYPERBAND, arguments)
    if stopping is None:
        return None
    if stopping.rule == "halving":
        arguments = {"grace_period": stopping.min_step, "reduction_factor": stopping.eta or 3}
        default = DEFAULTS[ASHA]
        return _named(kept, ASHA, {k: v for k, v in arguments.items() if v != default[k]})
    trials = _MIN_TRIALS if stopping.min_trials is None else stopping.min_trials
    arguments = {"min_samples_required": None if trials == 3 else trials}
    if stopping.min_step is not None:
        arguments |= {"grace_period": stopping.min_step}
    if stopping.min_step is not None and not is_map(kept.get("scheduler")):
        return {MEDIAN: {"time_attr": ITERATION, **compact(**arguments)}}
    return _named(kept, MEDIAN, arguments)


def _named(kept: Json, name: str, arguments: Json) -> Any:
    """Return a scheduler with its arguments, under the name that is kept for it."""
    value: Any = kept.get("scheduler")
    before = _name_of(kept, "scheduler")
    if before is not None and short_name(before) == name:
        name = before
    else:
        kept.pop("scheduler", None)
    found = compact(**arguments)
    if is_map(value) and name in value:
        found = {k: v for k, v in found.items() if k not in (value[name] or {})}
    return {name: found} if found else name if not is_map(value) else {name: {}}


def _limits(study: Study, kept: Json, space: Json) -> Json:
    limits: Json = {}
    grids = [each["grid_search"] for each in _domains(space) if "grid_search" in each]
    trials = study.limits.max_trials
    if study.strategy.name != "grid":
        if trials is not None:
            limits["num_samples"] = -(-trials // math.prod(map(len, grids)))
            kept.pop("num_samples", None)
        elif "num_samples" not in kept:
            limits["num_samples"] = -1
    if study.limits.parallel_trials is not None:
        kept.pop("max_concurrent_trials", None)  # null if the imported tuner has none
    limits["max_concurrent_trials"] = study.limits.parallel_trials or 1
    return limits | compact(time_budget_s=study.limits.timeout)


def _domains(space: Any) -> list[Json]:
    """Return the domains in a space, also in nested maps."""
    if is_domain(space):
        return [space]
    return [each for inner in space.values() for each in _domains(inner)] if is_map(space) else []


def _native(study: Study) -> Native:
    whole = native_of(study, HOME)  # the provider ray reads its other fields
    rest = {name: whole[name] for name in TUNER_FIELDS & whole.keys()}
    block = take_block(rest, "param_space")
    entries = nested_entries(block, None, is_domain)
    if study.strategy.name == "grid":
        entries = {
            name: [each for each in several if not is_domain(each) or "grid_search" in each]
            for name, several in entries.items()
        }
    native = Native(rest, block, entries, _reread)
    native.extra = native.take(lambda entry: not is_map(entry))
    return native


def _reread(entry: Any) -> Json | None:
    return read_alone(SpaceReader(Report()), entry) if is_domain(entry) else None


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study, strategy = fitted.study, fitted.study.strategy
    kept = map_at(native.rest, "tune_config")
    if len(study.objectives) > 1 and not _with_metric(kept):
        reason = "only a search algorithm of Ray has several metrics"
        yield Finding("refused", "objective", reason)
    name = short_name(_searcher_name(study, kept) or "random")
    if strategy.seed is not None and name not in SEEDS:
        yield Finding("dropped", "strategy.seed", f"{name} has no seed here")
    if strategy.name == "random" and strategy.method == "sobol":
        yield Finding("approximated", "strategy.method", "Ray draws at random, not by sobol")
    if strategy.name == "hyperband":
        for key in ("resource", "min"):
            if getattr(strategy, key) not in {None, 1}:
                reason = "Ray counts results, from 1 on"
                yield Finding("dropped", f"strategy.{key}", reason)
        if study.early_stopping:
            reason = "Ray has one scheduler, which is that of hyperband"
            yield Finding("dropped", "early_stopping", reason)
    trials = study.limits.max_trials
    if strategy.name == "grid":
        size = math.prod(count_values(each[0]) or 1 for each in study.parameters.values())
        if trials is not None and trials != size:
            reason = f"Ray runs the whole grid of {size} trials"
            yield Finding("approximated", "limits.max_trials", reason)


RAY = Dialect(
    name=HOME,
    title="Ray",
    capabilities=_CAPABILITIES,
    words=_WORDS,
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
