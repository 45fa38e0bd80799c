"""How a study is written as an experiment of IBM's API v3."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from cloudtune.diagnostics import Finding, Note
from cloudtune.dialect.model import Dialect
from cloudtune.dialect.native import Native, map_at, named_entries, native_of, take_block
from cloudtune.dialect.ranges import LINEAR_AND_LOG, list_log_scale, write_power
from cloudtune.dialect.words import Words
from cloudtune.fitting.capabilities import NOTHING
from cloudtune.fitting.fit import FittedStudy
from cloudtune.formats.fields import Json
from cloudtune.formats.ibm_experiments.names import HOME, METHODS, OPTIMIZATION, REFERENCES
from cloudtune.formats.model import compact
from cloudtune.study.merge import merge_json
from cloudtune.study.schema import DiscreteParameter, FloatParameter, IntParameter, Parameter
from cloudtune.study.search_space import format_value, list_values
from cloudtune.study.study import Study

_CODE = "put it into the training definition or its command"
_WORDS = Words(
    strategies={word: {"name": name} for word, name in METHODS.items()},
    plain={"random": "uniform"},
)
_CAPABILITIES = replace(
    NOTHING,
    parameters={
        "float": LINEAR_AND_LOG,
        "int": frozenset({"linear"}),
        "discrete": frozenset({"linear"}),
        "categorical": frozenset(),
    },
    steps=True,
    log_steps=False,
    adjust=partial(list_log_scale, title="an experiment"),
    text_only=True,
    strategies=_WORDS.names,
    limits=frozenset({"max_trials", "parallel_trials"}),
    fields=frozenset({"description"}),
    reasons={
        "constants": _CODE,
        "objective": "an experiment has exactly one objective",
        "objective.target": "an experiment does not end at a target",
        "objective.select": "which measurement IBM compares is not known",
        "early_stopping": "IBM's experiments stop no trials early",
        "initial_trials": "an experiment takes no first trials",
        "warm_start": "an experiment does not learn from others",
        "parameters.when": "an experiment has no conditional parameters",
        "limits.timeout": "an experiment has no time limit",
        "limits.trial_timeout": "an experiment has no time limit",
        "limits.max_failed_trials": "an experiment has no limit for failures",
        "limits.patience": "an experiment does not end without improvement",
        "limits.max_cost": "an experiment knows no cost",
        "strategy.seed": "an experiment has no seed",
        "trial.metrics": "IBM reads a file that the script writes, and no log",
        "trial.select": "IBM keeps the values of other metrics as they are",
        "trial.source": _CODE,
        "trial.script": _CODE,
        "trial.module": _CODE,
        "trial.command": _CODE,
        "trial.args": _CODE,
        "trial.env": _CODE,
        "trial.inputs": "name the training data in the experiment",
        "trial.requirements": _CODE,
        "trial.switches": "values are in config.json as they are",
        "trial.arguments": "values are in config.json",
        "trial.resources": "set compute_configuration",
        "trial.retry": "an experiment does not start a trial again",
    },
)
_NOTHING: Json = {}
_ADDRESS = "training_definition_url"


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    study = fitted.study
    kept = _reference(native.rest)
    reference = {
        **compact(name=kept.get("name") or study.name),
        OPTIMIZATION: _optimization(study, native),
    }
    settings = compact(name=study.name, description=study.description)
    inner = _inner(native.rest)
    others: list[Json] = inner.pop(REFERENCES, None) or [_NOTHING]
    references: list[Json] = [merge_json(reference, others[0]), *others[1:]]
    experiment: Json = {**compact(settings=settings), REFERENCES: references}
    return {"entity": experiment} if "entity" in native.rest else experiment


def _inner(rest: Json) -> Json:
    return map_at(rest, "entity") if "entity" in rest else rest


def _reference(rest: Json) -> Json:
    references: Any = _inner(rest).get(REFERENCES)
    return references[0] if references else {}


def _optimization(study: Study, native: Native) -> Json:
    (objective,) = study.objectives
    values = {"objective": objective.metric, "maximize_or_minimize": objective.goal}
    parameters: list[Json] = [
        {"name": name, "string_value": value} for name, value in values.items()
    ]
    if study.limits.max_trials:
        steps = {"name": "num_optimizer_steps", "int_value": study.limits.max_trials}
        parameters.append(steps)
    return {
        "method": {"name": _WORDS.strategy(study.strategy), "parameters": parameters},
        "hyper_parameters": [
            {"name": name, **native.written(name, variants[0], _parameter(variants[0]))}
            for name, variants in study.parameters.items()
        ],
    }


def _parameter(parameter: Parameter) -> Json:
    match parameter:
        case FloatParameter():
            return _range("double", parameter)
        case IntParameter():
            return _range("int", parameter)
        case DiscreteParameter():
            whole = all(isinstance(value, int) for value in parameter.values)
            return {"int_values" if whole else "double_values": parameter.values}
        case _:
            return {"string_values": list(map(format_value, list_values(parameter) or ()))}


def _range(kind: str, parameter: FloatParameter | IntParameter) -> Json:
    power = write_power(parameter.min, parameter.max) if parameter.scale == "log" else None
    if power is not None:
        base, low, high = power
        return {f"{kind}_range": {"min_value": low, "max_value": high, "power": base}}
    step = parameter.step if kind == "double" or parameter.step != 1 else None
    bounds = {"min_value": parameter.min, "max_value": parameter.max}
    return {f"{kind}_range": {**bounds, **compact(step=step)}}


def _native(study: Study) -> Native:
    rest = native_of(study, HOME)
    block = take_block(_reference(rest), OPTIMIZATION, "hyper_parameters")
    return Native(rest, block, named_entries(block, "name"))


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study = fitted.study
    if not study.objectives:
        yield Finding("refused", "objective", "an experiment has exactly one objective")
    if (study.limits.parallel_trials or 1) > 1:
        reason = "IBM ran the trials of an experiment one at a time"
        yield Finding("dropped", "limits.parallel_trials", reason)
    if _ADDRESS not in _reference(native.rest):
        path = f"providers.{HOME}.native.{REFERENCES}.0.{_ADDRESS}"
        text = "absent: an experiment needs the address of a stored definition"
        yield Note(path, text, "warning")


IBM_EXPERIMENTS = Dialect(
    name=HOME,
    title="IBM's experiments",
    capabilities=_CAPABILITIES,
    words=_WORDS,
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
