"""How a study is written as an experiment of NNI, in the spelling of the imported file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from cloudtune.diagnostics import Finding, Note
from cloudtune.dialect.code import other_sources
from cloudtune.dialect.model import Dialect
from cloudtune.dialect.native import Native, map_at, native_of, option_entries, take_block
from cloudtune.dialect.ranges import RANGES_AND_CHOICES, choice_values
from cloudtune.dialect.words import Words
from cloudtune.fitting.capabilities import NOTHING
from cloudtune.fitting.fit import FittedStudy
from cloudtune.formats.branches import Branches, Named, local_name
from cloudtune.formats.fields import Json, Report
from cloudtune.formats.kept import read_alone
from cloudtune.formats.model import compact
from cloudtune.formats.nni.names import (
    ALGORITHM_NAMES,
    BUDGETS,
    COMBINED,
    GOALS,
    HOME,
    MEDIAN_STOP,
    METRIC,
    RESOURCE,
    SIMILAR,
    SPELLINGS,
    TUNERS,
    UNITS,
    WITHOUT_GOAL,
    built_in_tuner,
)
from cloudtune.formats.nni.search_space import SpaceReader
from cloudtune.formats.nni.spelling import spelling_of
from cloudtune.study.schema import FloatParameter, IntParameter, Parameter
from cloudtune.study.search_space import list_values
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_map

_CODE = "put it into the command of a trial"
_CAPABILITIES = replace(
    NOTHING,
    parameters=RANGES_AND_CHOICES,
    conditions="choices",
    steps=True,
    log_steps=False,
    aligned_steps=True,
    seeds=True,
    early_stopping=frozenset({"auto", "median"}),
    limits=frozenset({"max_trials", "parallel_trials", "timeout", "trial_timeout"}),
    initial_trials=True,
    fields=frozenset(
        [
            *("description", "constants", "strategy.resource", "strategy.max", "strategy.eta"),
            *("strategy.min", "early_stopping.min_step", "trial.script"),
        ]
    ),
    reasons={
        "objective": "an experiment has exactly one objective",
        "objective.target": "an experiment does not end at a value",
        "objective.select": "NNI takes the final result",
        "warm_start": "NNI does not learn from other experiments",
        "limits.max_failed_trials": "NNI has no limit of failed trials",
        "limits.patience": "an experiment does not end without improvement",
        "early_stopping.interval": "NNI checks every result",
        "early_stopping.min_trials": "NNI has no number of trials",
        "trial.source": "NNI starts a command in the folder of the code",
        "trial.module": _CODE,
        "trial.command": _CODE,
        "trial.metrics": "NNI reads nni.report_final_result(); add it to the script",
        "trial.select": "NNI has one metric",
        "trial.requirements": "install them where NNI starts",
        "trial.arguments": "NNI passes values to nni.get_next_parameter()",
        "trial.switches": "NNI passes values to nni.get_next_parameter()",
        "trial.args": "put them into the command of a trial",
        "trial.env": "set variables where NNI starts",
        "trial.inputs": "put their paths into the command of a trial",
        "trial.resources": "set the GPUs of a trial in the file",
        "trial.retry": "NNI does not start a trial again",
    },
)
_COMMANDS = ("trialCommand", "trial_command")


def _is_space(study: Study) -> bool:
    """Return whether a study has nothing but a search space, as the file it comes from."""
    return not study.objectives and not study.is_written("strategy") and not study.limits.as_dict()


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    study, rest = fitted.study, native.rest
    if _is_space(study):
        return _SpaceWriter(study, native).space()
    index = spelling_of(rest)
    space = SPELLINGS["space"][index]
    experiment: Json = compact(**{SPELLINGS["name"][index]: study.name})
    experiment |= compact(description=study.description)
    if study.strategy.name == "list":
        trials = list(study.initial_trials)
        experiment[space] = {COMBINED: {"_type": "choice", "_value": trials}}
    else:
        experiment[space] = _SpaceWriter(study, native).space()
    experiment |= _limits(study, rest, index) | _algorithms(study, rest, index)
    if study.trial.script and not _has_code(rest):
        experiment[_COMMANDS[min(index, 1)]] = f"python3 {study.trial.script}"
    return experiment


def _limits(study: Study, rest: Json, index: int) -> Json:
    limits = study.limits
    found: Json = {SPELLINGS["parallel"][index]: limits.parallel_trials or 1}
    if rest and limits.parallel_trials is None:
        found = {}
    found |= compact(**{SPELLINGS["trials"][index]: limits.max_trials})
    for name, seconds in (("duration", limits.timeout), ("trial_duration", limits.trial_timeout)):
        if seconds is not None:
            found[SPELLINGS[name][index]] = _duration(seconds)
    return found


def _algorithms(study: Study, rest: Json, index: int) -> Json:
    kind = "advisor" if is_map(rest.get("advisor")) else "tuner"
    tuner, arguments_key = map_at(rest, kind), SPELLINGS["arguments"][index]
    name = _tuner_name(study, tuner)
    for key in ("name", ALGORITHM_NAMES[kind]):
        if built_in_tuner(str(tuner.get(key))) != name:
            tuner.pop(key, None)
    arguments = _arguments(study, name, rest, arguments_key)
    key = ALGORITHM_NAMES[kind] if index == 2 else "name"
    found: Json = {kind: {key: name, **compact(**{arguments_key: arguments})}}
    stopping = study.early_stopping
    if stopping is None:
        return found
    settings: Json = compact(start_step=stopping.min_step)
    if not rest and study.objectives:
        settings = {"optimize_mode": study.objectives[0].goal} | settings
    key = ALGORITHM_NAMES["assessor"] if index == 2 else "name"
    return found | {"assessor": {key: MEDIAN_STOP, **compact(**{arguments_key: settings})}}


def _tuner_name(study: Study, tuner: Json) -> str:
    """Return the tuner of the strategy: the imported one if it has not changed."""
    for key in ("name", *ALGORITHM_NAMES.values()):
        known = built_in_tuner(str(tuner.get(key)))
        if known is not None and _WORDS.means(known, study.strategy):
            return known
    return _WORDS.strategy(study.strategy) or ""


def _arguments(study: Study, name: str, rest: Json, key: str) -> Json:
    strategy, arguments = study.strategy, dict[str, Any]()
    for objective in study.objectives:
        mode = _take_mode(rest, key)
        is_default = mode is None and objective.goal == GOALS.get(name.lower())
        if not is_default and (name not in WITHOUT_GOAL or mode):
            arguments["optimize_mode"] = objective.goal
    if strategy.seed is not None:
        arguments["seed"] = strategy.seed
    if name in BUDGETS:
        for field, argument in [*BUDGETS[name].items(), ("eta", "eta")]:
            if (value := getattr(strategy, field)) is not None:
                arguments[argument] = value
    return arguments


def _take_mode(rest: Json, key: str) -> Any:
    """Take the kept goal of the tuner: None if the imported tuner has its default goal."""
    for kind in ("advisor", "tuner"):
        if kept := map_at(rest, kind, key):
            mode = kept.pop("optimize_mode", "")
            if not kept:
                del rest[kind][key]
            return mode
    return ""


class _SpaceWriter:
    def __init__(self, study: Study, native: Native) -> None:
        self._study = study
        self._native = native
        self._branches = Branches(study)

    def space(self) -> Json:
        constants = {
            name: {"_type": "choice", "_value": [value]}
            for name, value in self._study.constants.items()
        }
        return self._space(self._branches.roots, "") | constants

    def _space(self, named: Iterable[Named], parent: str) -> Json:
        return {
            local_name(name, parent) if parent else name: self._definition(name, parameter)
            for name, parameter in named
        }

    def _definition(self, name: str, parameter: Parameter) -> Json:
        if not self._branches.has_children(name):
            definition = _strategy(parameter)
            written: Json = self._native.written(name, parameter, definition)
            return written
        options = [
            {"_name": value, **self._space(self._branches.children(name, value), name)}
            for value in list_values(parameter) or ()
        ]
        return {"_type": "choice", "_value": options}


def _strategy(parameter: Parameter) -> Json:
    if not isinstance(parameter, FloatParameter | IntParameter):
        return {"_type": "choice", "_value": choice_values(parameter)}
    low, high, step = parameter.min, parameter.max, parameter.step
    is_log = parameter.scale == "log"
    if isinstance(parameter, IntParameter) and step is None:
        if not is_log:
            return {"_type": "randint", "_value": [low, high + 1]}
        step = 1
    kind = "loguniform" if is_log else "uniform"
    if step is None:
        return {"_type": kind, "_value": [low, high]}
    return {"_type": f"q{kind}", "_value": [low, high, step]}


def _is_rounded(parameter: Parameter) -> bool:
    return str(_strategy(parameter)["_type"]).startswith("q")


def _duration(seconds: float) -> str:
    """Return a duration in the largest unit that gives a whole number."""
    for unit, size in reversed(UNITS.items()):
        if seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds}s"


def _has_code(rest: Json) -> bool:
    return bool({"trial", *_COMMANDS} & rest.keys())


def _native(study: Study) -> Native:
    rest = native_of(study, HOME)
    if _is_space(study):
        return Native({}, rest, option_entries(rest, "_value"), _reread)
    block = take_block(rest, SPELLINGS["space"][spelling_of(rest)])
    return Native(rest, block, option_entries(block, "_value"), _reread)


def _reread(entry: Any) -> Json | None:
    if not is_map(entry) or "_type" not in entry:
        return None
    return read_alone(SpaceReader(Report()), entry)


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study, rest = fitted.study, native.rest
    strategy, index = study.strategy, spelling_of(rest)
    kind = "advisor" if is_map(rest.get("advisor")) else "tuner"
    name = _tuner_name(study, map_at(rest, kind))
    if study.description and index != 2:
        yield Finding("dropped", "description", "an experiment has no description")
    if study.initial_trials and strategy.name != "list":
        yield Finding("dropped", "initial_trials", "NNI takes no first trials")
    if strategy.name == "list" and study.constants:
        reason = "NNI's Batch tuner has only the listed values"
        yield Finding("dropped", "constants", reason)
    if strategy.name == "list" and study.parameters:
        yield Note("parameters", "NNI's Batch tuner has only the listed values, and no ranges")
    if index == 2:
        text = "older experiments have it in a file: move it there, and set searchSpacePath"
        yield Note(f"providers.{HOME}.native", f"{SPELLINGS['space'][2]}: {text}", "warning")
    yield from _goal_rules(study, rest, name)
    branches = Branches(study)
    for each, variants in study.parameters.items():
        if branches.has_children(each):
            text = "NNI passes a map with _name and the parameters that depend on it"
            yield Note(f"parameters.{each}", text, "warning")
        rounded = (v for v in variants if isinstance(v, IntParameter) and _is_rounded(v))
        if any(native.whole(each, variant) is None for variant in rounded):
            reason = "NNI rounds to floats such as 3.0: convert them with int() in the script"
            yield Finding("approximated", f"parameters.{each}", reason)
    if name in BUDGETS:
        if strategy.min is not None and "min" not in BUDGETS[name]:
            yield Finding("dropped", "strategy.min", f"NNI's {name} starts at 1")
        if strategy.resource != RESOURCE:
            text = f"NNI passes the resource as the parameter {RESOURCE}"
            yield Finding("approximated", "strategy.resource", text)
    yield from other_sources(study, HOME)
    if study.trial.script and _has_code(rest):
        reason = "the command is that of the imported file: change it there"
        yield Finding("dropped", "trial.script", reason)
    elif not _has_code(rest):
        command = "" if study.trial.script else "a trialCommand and "
        text = f"incomplete: NNI needs {command}a training service; add it to the file"
        yield Note(f"providers.{HOME}.native", text, "warning")


def _goal_rules(study: Study, rest: Json, name: str) -> Iterator[Finding]:
    for objective in study.objectives:
        if not rest and name in WITHOUT_GOAL:
            yield Finding("dropped", "objective.goal", f"NNI's {name} has no goal")
        if objective.metric != METRIC:
            text = f"NNI's metric is named {METRIC}; report {objective.metric} under this name"
            yield Finding("approximated", "objective.metric", text)


_WORDS = Words(
    strategies=TUNERS,
    similar=SIMILAR,
    plain={"random": "uniform", "bayesian": "tpe"},
    rules={MEDIAN_STOP: "median"},
    automatic="median",
)
NNI = Dialect(
    name=HOME,
    title="NNI",
    capabilities=replace(_CAPABILITIES, strategies=_WORDS.names),
    words=_WORDS,
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
