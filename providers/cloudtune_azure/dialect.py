"""How a study is written as a sweep job of Azure, or as the AutoML job that was imported."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cloudtune.formats import (
    LINEAR_AND_LOG,
    NOTHING,
    Branches,
    Dialect,
    Native,
    Report,
    Words,
    compact,
    inverse,
    map_at,
    native_of,
    option_entries,
    other_sources,
    read_alone,
    source_address,
    take_block,
)
from cloudtune.provider import (
    Adjustment,
    BoolParameter,
    CategoricalParameter,
    Finding,
    FittedStudy,
    Json,
    Note,
    Parameter,
    Study,
    format_value,
    is_map,
    list_values,
)
from cloudtune_azure.native.code import read_code
from cloudtune_azure.native.names import ALGORITHMS, RULES, SCHEMA, is_automl
from cloudtune_azure.native.search_space import SpaceReader
from cloudtune_azure.native.short import is_short, read_short
from cloudtune_azure.request.space_writer import SpaceWriter, exponent_base, option_key, sweep_of
from cloudtune_azure.settings import NAME

_PARAMETER = r"(\$\{\{\s*search_space\.([^\s{}]+)\s*\}\})"
"""How a command names a parameter."""
_RULES = ("min_step", "interval")
_CAPABILITIES = replace(
    NOTHING,
    parameters={"float": LINEAR_AND_LOG, "int": LINEAR_AND_LOG, "categorical": frozenset()},
    conditions="choices",
    steps=True,
    log_steps=False,
    aligned_steps=True,
    early_stopping=frozenset({"auto", *RULES.values()}),
    limits=frozenset({"max_trials", "parallel_trials", "timeout", "trial_timeout"}),
    fields=frozenset(
        [
            *("description", "constants", "trial.source", "trial.script", "trial.module"),
            *("trial.args", "trial.inputs"),
            *(f"early_stopping.{key}" for key in _RULES),
            *("early_stopping.bandit.slack", "early_stopping.bandit.slack_amount"),
        ]
    ),
    reasons={
        "objective": "a sweep has exactly one objective",
        "objective.target": "a sweep does not end at a value",
        "objective.select": "Azure decides which value of a metric counts",
        "initial_trials": "a sweep takes no first trials",
        "warm_start": "a sweep does not learn from other jobs",
        "limits.max_failed_trials": "a sweep has no limit of failed trials",
        "limits.patience": "a sweep does not end without improvement",
        "limits.max_cost": "a sweep knows no cost",
        "early_stopping.min_trials": "Azure's policies have no number of trials",
        "trial.metrics": "Azure reads metrics from mlflow.log_metric(); add it to the script",
        "trial.select": "Azure decides which value of a metric counts",
        "trial.command": "put it into trial.command of the job",
        "trial.requirements": "put them into the environment of the job",
        "trial.arguments": "the command of the job passes options, such as --lr 0.1",
        "trial.switches": "the command of the job passes values as they are",
        "trial.env": "put them into trial.environment_variables of the job",
        "trial.resources": "put them into resources of the job",
        "trial.retry": "a sweep does not start a trial again",
    },
)
_LIMITS = ("timeout", "trial_timeout")


def _adjust(parameter: Parameter) -> Adjustment | None:
    """Return words instead of booleans, which the schema of a choice does not have."""
    values = list_values(parameter) if isinstance(parameter, BoolParameter) else None
    if values is not None:
        words = ["True", "False"]
        new = CategoricalParameter(type="categorical", values=[*words], when=parameter.when)
        return Adjustment("note", "", "written as the words True and False", new)
    if isinstance(parameter, CategoricalParameter) and any(
        isinstance(value, bool) for value in parameter.values
    ):
        texts = parameter.model_copy(update={"values": [*map(format_value, parameter.values)]})
        reason = "a choice of Azure has no booleans, so all values are written as text"
        return Adjustment("approximated", "values", reason, texts)
    return None


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    study, rest = fitted.study, native.rest
    automl = is_automl(rest)
    head: Json = {key: rest[key] for key in ("$schema", "type") if key in rest}
    job: Json = head if rest or native.block else {"$schema": SCHEMA}
    job |= {} if automl else {"type": "sweep"}
    job |= compact(name=study.name, description=study.description)
    writer = SpaceWriter(study, native)
    sweep: Json = {
        "sampling_algorithm": _algorithm(study, sweep_of(rest)),
        **compact(early_termination=_early_termination(study)),
    }
    if automl:
        job |= {"sweep": sweep, "search_space": writer.alternatives()}
    else:
        job |= {**sweep, "search_space": writer.space(writer.branches.roots)}
    (objective,) = study.objectives
    if automl:
        job["primary_metric"] = objective.metric
    else:
        job["objective"] = {"goal": objective.goal, "primary_metric": objective.metric}
    _add_limits(job, study, rest, automl=automl)
    if not automl and "trial" not in rest:
        job["trial"] = _trial(study, [name for name, _ in writer.branches.roots])
    return job


def _algorithm(study: Study, sweep: Json) -> str | Json:
    strategy, name = study.strategy, _WORDS.strategy(study.strategy)
    settings: Json = {}
    if strategy.name == "random":
        rule = {"uniform": "random", "sobol": "sobol"}.get(strategy.method or "")
        settings = compact(rule=rule)
        settings |= {} if strategy.seed is None else {"seed": strategy.seed}
    is_written_as_map = is_map(sweep.get("sampling_algorithm"))
    return {"type": name, **settings} if settings or is_written_as_map else str(name)


def _early_termination(study: Study) -> Json:
    stopping = study.early_stopping
    if stopping is None:
        return {}
    policy: Json = {"type": inverse(RULES, stopping.rule)}
    if stopping.rule == "bandit":
        if stopping.slack_amount is not None:
            policy["slack_amount"] = stopping.slack_amount
        else:
            policy["slack_factor"] = 0.1 if stopping.slack is None else stopping.slack
    for key, value in (
        ("delay_evaluation", stopping.min_step),
        ("evaluation_interval", stopping.interval),
    ):
        if value is not None:
            policy[key] = value
    return policy


def _add_limits(job: Json, study: Study, rest: Json, *, automl: bool) -> None:
    limits = study.limits
    counts: Json = compact(
        **{"max_trials" if automl else "max_total_trials": limits.max_trials},
        max_concurrent_trials=limits.parallel_trials or (None if automl else 1),
    )
    suffix = "_minutes" if automl else ""
    times: Json = {
        name + suffix: math.ceil(seconds / _unit(rest))
        for name in _LIMITS
        if (seconds := getattr(limits, name)) is not None
    }
    if automl and "limits" in map_at(rest, "sweep"):
        job["sweep"]["limits"] = counts
        job |= compact(limits=times)
    else:
        job |= compact(limits=counts | times)
    kept = map_at(rest, "limits")
    is_changed = limits.parallel_trials != limits.max_trials
    if is_changed and kept.get("max_concurrent_trials", 0) is None:
        del kept["max_concurrent_trials"]  # absent in the imported job, but not in the study


def _unit(rest: Json) -> int:
    """Return the unit of time limits in seconds."""
    return 60 if is_automl(rest) else 1


def _trial(study: Study, names: list[str]) -> Json:
    trial = study.trial
    program = ["python", trial.script] if trial.script else ["python", "-m", str(trial.module)]
    if trial.script is None and trial.module is None:
        return {}
    values = [f"--{name} ${{{{search_space.{name}}}}}" for name in names]
    values += [f"--{name} {shlex.quote(str(value))}" for name, value in study.constants.items()]
    code = source_address(study, NAME) or "."
    return {"code": code, "command": " ".join([shlex.join(program), *values])}


def _native(study: Study) -> Native:
    rest = native_of(study, NAME)
    block, base = take_block(rest, "search_space"), exponent_base(rest)

    def reread(entry: Any) -> Json | None:
        if is_short(entry):
            entry = read_short(entry)
        if not is_map(entry) or "type" not in entry:
            return None
        return read_alone(SpaceReader(Report(), base), entry)

    return Native(rest, block, option_entries(block, "values"), reread)


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study, rest = fitted.study, native.rest
    automl = is_automl(rest)
    if not study.objectives:
        yield Finding("refused", "objective", "a sweep has exactly one objective")
    if study.strategy.name != "random" and study.strategy.seed is not None:
        yield Finding("dropped", "strategy.seed", f"Azure has no seed for {study.strategy.name}")
    for name in _LIMITS:
        seconds, unit = getattr(study.limits, name), _unit(rest)
        if seconds is not None and seconds % unit:
            text = f"Azure takes whole {'minutes' if automl else 'seconds'}; rounded up"
            yield Finding("approximated", f"limits.{name}", text)
    if study.limits.max_trials is None and not automl:
        yield Note("limits.max_trials", "absent: Azure needs max_total_trials; set it", "warning")
    yield from _condition_rules(Branches(study), native, automl=automl)
    yield from other_sources(study, NAME)
    yield from _dangling_references(study, rest)
    yield from _code_rules(study, rest, automl=automl)


def _dangling_references(study: Study, rest: Json) -> Iterator[Note]:
    """Yield what the command of the imported job passes of parameters that the study lacks."""
    command = str(map_at(rest, "trial").get("command", ""))
    for reference, name in dict.fromkeys(re.findall(_PARAMETER, command)):
        if name not in study.parameters:
            text = f"uses {reference}, of a parameter that is gone: remove it"
            yield Note(f"providers.{NAME}.native.trial.command", text, "warning")


def _condition_rules(branches: Branches, native: Native, *, automl: bool) -> Iterator[Finding]:
    parents = [name for name, _ in branches.roots if branches.has_children(name)]
    if automl and len(parents) > 1:
        reason = "in AutoML, only one choice can have conditional parameters"
        yield Finding("refused", f"parameters.{parents[1]}", reason)
    for name in parents if not automl else ():
        if option_key(native, name) == "name" and not native.part(name):
            text = f"a choice of maps: the script is given a map with name instead of {name}"
            yield Finding("approximated", f"parameters.{name}", text)


def _code_rules(study: Study, rest: Json, *, automl: bool) -> Iterator[Finding | Note]:
    trial = study.trial
    if not automl and "trial" not in rest:
        command = "" if trial.script or trial.module else "a command and "
        needs = f"{command}an environment in trial and a compute"
        text = f"incomplete: Azure needs {needs}; add them to the file"
        yield Note(f"providers.{NAME}.native", text, "warning")
    if _keeps_code(study, rest):
        return
    for path, value, place in (
        ("trial.args", trial.args, "trial.command"),
        ("trial.inputs", trial.inputs, "inputs"),
    ):
        if value:
            yield Finding("dropped", path, f"put them into {place} of the job")
    if not automl and "trial" not in rest and (trial.script or trial.module):
        return
    reason = "the code is that of the imported job: change it in the file"
    if not rest:
        reason = "without trial.script, put them into trial.command of the job"
    for path, code in (
        ("constants", study.constants),
        ("trial.source", trial.source),
        ("trial.script", trial.script),
        ("trial.module", trial.module),
    ):
        if code:
            yield Finding("dropped", path, reason)


def _keeps_code(study: Study, rest: Json) -> bool:
    """Return whether the job's own command starts the script of the study as the study does."""
    block, trial = read_code(rest), study.trial
    if block is None:
        return False
    inputs = {name: places.get("*") for name, places in trial.inputs.items()}
    return (
        block.get("script") == trial.script
        and block.get("module") == trial.module
        and tuple(block["args"]) == tuple(trial.args)
        and block.get("inputs", {}) == {n: each and each.uri for n, each in inputs.items()}
    )


_WORDS = Words(
    strategies={word: {"name": name} for word, name in ALGORITHMS.items()},
    plain={"random": "uniform", "bayesian": "gp"},
    by_setting=frozenset({"sobol"}),
    rules=RULES,
    automatic="median",
)
AZURE = Dialect(
    name=NAME,
    title="Azure",
    capabilities=replace(
        _CAPABILITIES,
        strategies=_WORDS.names,
        seeds=True,
        adjust=_adjust,
    ),
    words=_WORDS,
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
