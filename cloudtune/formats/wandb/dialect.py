"""How a study is written as a sweep of Weights & Biases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from cloudtune.diagnostics import Finding, Note
from cloudtune.dialect.model import Dialect
from cloudtune.dialect.native import Native, map_at, native_of, nested_entries, take_block
from cloudtune.dialect.ranges import RANGES_AND_CHOICES, choice_values, choose_one, logarithm
from cloudtune.dialect.words import Words
from cloudtune.fitting.capabilities import NOTHING
from cloudtune.fitting.fit import FittedStudy
from cloudtune.formats.fields import Json, Report
from cloudtune.formats.kept import read_alone
from cloudtune.formats.model import compact
from cloudtune.formats.nesting import Nesting
from cloudtune.formats.wandb.names import ARGUMENTS, CUSTOM, HOME, INVERSE, LOG_STYLES, METHODS
from cloudtune.formats.wandb.parameters import ParametersReader
from cloudtune.study.schema import FloatParameter, IntParameter, Parameter
from cloudtune.study.search_space import count_values
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_list, is_map

_VALUE = "W&B decides which value of a metric counts"
_CAPABILITIES = replace(
    NOTHING,
    parameters=RANGES_AND_CHOICES,
    steps=True,
    log_steps=False,
    aligned_steps=True,
    adjust=choose_one,  # its schema refuses a range whose min is not less than its max
    objectives=1_000,
    targets=True,
    maps=True,
    early_stopping=frozenset({"auto", "halving"}),
    limits=frozenset({"max_trials"}),
    fields=frozenset(
        [
            *(
                "description",
                "constants",
                "trial.seed_argument",
                "early_stopping.min_step",
                "early_stopping.eta",
            ),
            *("trial.script", "trial.args", "trial.arguments"),
        ]
    ),
    reasons={
        "initial_trials": "a sweep takes no first trials",
        "warm_start": "set prior runs when you create the sweep",
        "limits.parallel_trials": "start that many agents",
        "limits.timeout": "a sweep has no time limit",
        "limits.trial_timeout": "a sweep has no time limit of a run",
        "limits.max_failed_trials": "a sweep has no limit of failed runs",
        "limits.patience": "a sweep does not end without improvement",
        "strategy.seed": "W&B has no seed",
        "objective.select": _VALUE,
        "parameters.when": "W&B has no conditional parameters",
        "early_stopping.interval": "W&B has no interval",
        "early_stopping.min_trials": "W&B has no number of trials",
        "trial.metrics": "W&B reads what wandb.log() writes; add it to the script",
        "trial.select": _VALUE,
        "trial.source": "start the agent in the folder of the code",
        "trial.module": f"put it into providers.{HOME}.native.command",
        "trial.command": f"put it into providers.{HOME}.native.command",
        "trial.env": "set variables where the agent starts",
        "trial.inputs": "a sweep has no inputs; put their paths into command",
        "trial.resources": "a sweep has no resources",
        "trial.requirements": "install them where the agent starts",
        "trial.switches": "W&B passes a boolean as --name=true",
        "trial.retry": "a sweep does not start a failed run again",
    },
)
_MACROS = {style: macro for macro, style in ARGUMENTS.items()} | {"flags": "${args}"}
_WHOLE = {"min", "values", "value"}


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    study, rest = fitted.study, native.rest
    if not _WORDS.means(rest.get("method"), study.strategy):
        rest.pop("method", None)
    return {
        "method": _WORDS.strategy(study.strategy),
        **compact(name=study.name, description=study.description),
        **_code(study, rest),
        **_metrics(study),
        "parameters": _parameters(study, native),
        **compact(early_terminate=_early_terminate(study, rest)),
        **compact(run_cap=study.limits.max_trials),
    }


def _code(study: Study, rest: Json) -> Json:
    trial = study.trial
    if trial.script is None:
        return {}
    macro = _MACROS.get(trial.arguments)
    if "command" in rest or (macro == "${args}" and not trial.args):
        return {"program": trial.script}
    words = ["${env}", "${interpreter}", "${program}", *trial.args, *([macro] if macro else [])]
    return {"program": trial.script, "command": words}


def _metrics(study: Study) -> Json:
    entries = [
        {
            "name": each.metric,
            "goal": each.goal,
            **({} if each.target is None else {"target": each.target}),
        }
        for each in study.objectives
    ]
    if len(entries) > 1:
        return {"metrics": entries}
    return {"metric": entries[0]} if entries else {}


def _early_terminate(study: Study, rest: Json) -> Json:
    stopping = study.early_stopping
    if stopping is None:
        return {}
    counts_backwards = {"max_iter", "s"} <= map_at(rest, "early_terminate").keys()
    first = {} if counts_backwards else {"min_iter": stopping.min_step or 1}
    return {"type": "hyperband", **first, **compact(eta=stopping.eta)}


def _parameters(study: Study, native: Native) -> Json:
    nesting = Nesting(native.block if is_map(native.block) else {}, "parameters")
    found: Json = {}
    for name, variants in study.parameters.items():
        written = _definition(variants[0], native.part(name), is_grid=_is_grid(study))
        nesting.put(found, name, native.written(name, variants[0], written))
    for name, value in study.constants.items():
        nesting.put(found, name, {"value": value} | native.part(name))
    for name, entry in native.extra.items():
        nesting.put(found, name, entry)
    return found


def _is_grid(study: Study) -> bool:
    return study.strategy.name == "grid"


def _definition(parameter: Parameter, kept: Any, *, is_grid: bool) -> Json:
    if not isinstance(parameter, FloatParameter | IntParameter) or (
        is_grid and parameter.step is not None  # a grid of W&B has no max of q_uniform
    ):
        return {"values": choice_values(parameter)}
    style = kept.pop("distribution", None)
    low, high, step = parameter.min, parameter.max, parameter.step
    is_log = parameter.scale == "log"
    if isinstance(parameter, IntParameter) and step is None:
        if not is_log:
            return {"distribution": "int_uniform", "min": low, "max": high}
        step = 1
    if step is None:
        if not is_log:
            return {"distribution": "uniform", "min": low, "max": high}
        name = style if style in LOG_STYLES else "log_uniform_values"
        return {"distribution": name, **_bounds(name, low, high)}
    name = "q_uniform"
    if is_log:
        name = "q_log_uniform" if style == "q_log_uniform" else "q_log_uniform_values"
    return {"distribution": name, **_bounds(name, low, high), "q": step}


def _bounds(distribution: str, low: float, high: float) -> Json:
    if distribution == INVERSE:
        return {"min": -logarithm(high), "max": -logarithm(low)}
    if distribution in {"log_uniform", "q_log_uniform"}:
        return {"min": logarithm(low), "max": logarithm(high)}
    return {"min": low, "max": high}


def _reread(entry: Any, *, is_grid: bool) -> Json | None:
    if not is_map(entry) or not _WHOLE & entry.keys():
        return None
    return read_alone(ParametersReader(Report(), is_grid=is_grid), entry)


def _native(study: Study) -> Native:
    rest = native_of(study, HOME)
    block = take_block(rest, "parameters")
    reread = partial(_reread, is_grid=_is_grid(study))
    native = Native(rest, block, nested_entries(block, "parameters"), reread)
    native.extra = native.take(lambda entry: is_map(entry) and "value" in entry)
    for name, variants in study.parameters.items():
        part = native.part(name)
        if "probabilities" in part and not _has_weights(part, variants[0]):
            del part["probabilities"]
    return native


def _has_weights(part: Json, parameter: Parameter) -> bool:
    """Return whether the kept probabilities are those of as many values as a parameter has."""
    weights: Any = part["probabilities"]
    return is_list(weights) and len(weights) == count_values(parameter)


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study, rest, trial = fitted.study, native.rest, fitted.study.trial
    if len(study.objectives) > 1 and rest.get("method") != CUSTOM:
        yield Finding("refused", "objective", "only the method custom has several metrics")
    if not study.objectives and study.strategy.name == "bayesian":
        yield Note("objective", "absent: the method bayes needs a metric", "warning")
    if trial.script is None:
        if not {"program", "command", "job", "image_uri"} & rest.keys():
            text = "absent: W&B needs a program; add it to the file"
            yield Note(f"providers.{HOME}.native.program", text, "warning")
        for key in ("args", "arguments"):
            reason = f"without trial.script, put them into providers.{HOME}.native.command"
            if getattr(trial, key) not in ([], "flags"):
                yield Finding("dropped", f"trial.{key}", reason)
    elif "command" in rest and trial.args:
        reason = f"the words are those of providers.{HOME}.native.command"
        yield Finding("dropped", "trial.args", reason)
    elif trial.arguments not in _MACROS:
        reason = f"W&B does not pass parameters as {trial.arguments}; read them from wandb.config"
        yield Finding("approximated", "trial.arguments", reason)
    elif trial.arguments == "flags":
        yield Note("trial.arguments", "W&B passes flags as --name=value")
    if trial.arguments != "json":
        reason = "W&B passes a map as one argument; read its parts from wandb.config"
        for name in study.maps:
            yield Finding("approximated", f"parameters.{name}.values", reason)
    block = _native_probabilities(study)
    for name in sorted(block & study.parameters.keys()):
        if "probabilities" not in native.part(name) and not native.whole(
            name, study.parameters[name][0]
        ):
            reason = "the probabilities are those of other values"
            yield Finding("approximated", f"parameters.{name}.values", reason)


def _native_probabilities(study: Study) -> set[str]:
    entries = nested_entries(native_of(study, HOME).get("parameters"), "parameters")
    return {n for n, each in entries.items() if any("probabilities" in map_at(e) for e in each)}


_WORDS = Words(
    strategies={word: {"name": name} for word, name in METHODS.items() if word != CUSTOM},
    similar={CUSTOM: {"name": METHODS[CUSTOM]}},
    plain={"random": "uniform", "bayesian": "gp"},
    rules={"hyperband": "halving"},
    automatic="halving",
)
WANDB = Dialect(
    name=HOME,
    title="W&B",
    capabilities=replace(_CAPABILITIES, strategies=_WORDS.names),
    words=_WORDS,
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
