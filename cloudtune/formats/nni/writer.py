"""Writes a study as an experiment of NNI, in the spelling of the imported file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from cloudtune.formats.branches import Branches, Named, local_name
from cloudtune.formats.fields import Json, Report
from cloudtune.formats.kept import read_alone, take_kept
from cloudtune.formats.model import compact, native_block, report_objectives, report_unsupported
from cloudtune.formats.nni.names import (
    ALGORITHM_NAMES,
    BUDGETS,
    COMBINED,
    GOALS,
    HOME,
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
from cloudtune.formats.ranges import Range, range_or_values
from cloudtune.study.merge import merge_json
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    Parameter,
)
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_list, is_map

_UNSUPPORTED = {
    "warm_start": "NNI does not learn from other experiments",
    "limits.max_failed_trials": "NNI has no limit of failed trials",
    "limits.patience": "an experiment does not end without improvement",
    "limits.max_cost": "NNI knows no cost",
    "early_stopping.interval": "NNI checks every result",
    "early_stopping.min_trials": "NNI has no number of trials",
    "trial.metrics": "NNI reads nni.report_final_result(); add it to the script",
    "trial.select": "NNI has one metric",
    "trial.requirements": "install them where NNI starts",
    "trial.arguments": "NNI passes values to nni.get_next_parameter()",
    "trial.args": "put them into the command of a trial",
    "trial.env": "set variables where NNI starts",
    "trial.inputs": "put their paths into the command of a trial",
    "trial.resources": "set the GPUs of a trial in the file",
}


def write_experiment(study: Study, report: Report) -> Json:
    """Return the experiment of a study, with its ``providers.nni.native`` merged in.

    A study without an objective that comes from a search space alone is written as one.
    """
    return _ExperimentWriter(study, report).write()


class _ExperimentWriter:
    def __init__(self, study: Study, report: Report) -> None:
        self._study = study
        self._report = report
        self._native: Json = native_block(study, HOME)
        self._branches = Branches(study, report, "NNI")
        self._index = spelling_of(self._native)
        self._older = self._index == 2

    def write(self) -> Json:
        study, native, report = self._study, self._native, self._report
        report_unsupported(study, report, _UNSUPPORTED)
        space_key = self._key("space")
        if not study.objectives and not study.is_written("strategy") and not study.limits.as_dict():
            return cast("Json", merge_json(self._space(self._branches.roots, native), native))
        experiment: Json = compact(**{self._key("name"): study.name})
        if study.description:
            if self._older:
                experiment["description"] = study.description
            else:
                report.drop("description", "an experiment has no description")
        if study.strategy.name == "list":
            trials = list(study.initial_trials)
            experiment[space_key] = {COMBINED: {"_type": "choice", "_value": trials}}
        else:
            if study.initial_trials:
                report.drop("initial_trials", "NNI takes no first trials")
            kept: Any = native.get(space_key)
            experiment[space_key] = self._space(self._branches.roots, kept)
        if self._older:
            text = "older experiments have it in a file: move it there, and set searchSpacePath"
            report.warn(f"providers.{HOME}.native", f"{space_key}: {text}")
        experiment |= self._limits()
        experiment |= self._algorithms()
        if study.trial.script and not {"trial", "trialCommand", "trial_command"} & native.keys():
            command = ("trialCommand", "trial_command")[self._index]
            experiment[command] = f"python3 {study.trial.script}"
            text = "incomplete: NNI needs a training service; add it to the file"
            report.warn(f"providers.{HOME}.native", text)
        return cast("Json", merge_json(experiment, native))

    def _key(self, name: str) -> str:
        return SPELLINGS[name][self._index]

    def _limits(self) -> Json:
        limits = self._study.limits
        found: Json = {self._key("parallel"): limits.parallel_trials or 1}
        if self._native and limits.parallel_trials is None:
            found = {}
        found |= compact(**{self._key("trials"): limits.max_trials})
        for name, seconds in (
            ("duration", limits.timeout),
            ("trial_duration", limits.trial_timeout),
        ):
            if seconds is not None:
                found[self._key(name)] = _duration(seconds)
        return found

    def _algorithms(self) -> Json:
        study, native = self._study, self._native
        kind = "advisor" if is_map(native.get("advisor")) else "tuner"
        name = self._tuner_name(kind)
        arguments = self._arguments(name)
        key = ALGORITHM_NAMES[kind] if self._older else "name"
        found: Json = {kind: {key: name, **compact(**{self._key("arguments"): arguments})}}
        stopping = study.early_stopping
        if stopping is None:
            return found
        if stopping.rule not in {"auto", "median"}:
            self._report.drop("early_stopping", f"NNI has only Medianstop, not {stopping.rule}")
            return found
        settings: Json = compact(start_step=stopping.min_step)
        if not self._native and study.objectives:
            settings = {"optimize_mode": study.objectives[0].goal} | settings
        key = ALGORITHM_NAMES["assessor"] if self._older else "name"
        rule = {key: "Medianstop", **compact(**{self._key("arguments"): settings})}
        return found | {"assessor": rule}

    def _tuner_name(self, kind: str) -> str:
        """Return the tuner of the strategy: the imported one if it has not changed."""
        strategy, report = self._study.strategy, self._report
        kept: Any = self._native.get(kind)
        for key in ("name", ALGORITHM_NAMES[kind]):
            before = kept.get(key) if is_map(kept) else None
            known = built_in_tuner(str(before))
            if known is not None and (TUNERS | SIMILAR)[known]["name"] == strategy.name:
                return known
            if before is not None:
                del kept[key]
        for name, like in TUNERS.items():
            if like["name"] == strategy.name and like.get("method") in {None, strategy.method}:
                if strategy.method not in {like.get("method"), None, "uniform"}:
                    reason = f"NNI runs {name}, not {strategy.method}"
                    report.approximate("strategy.method", reason)
                return name
        similar = {"bayesian": "TPE", "genetic": "Evolution"}
        if strategy.name not in similar:
            report.refuse("strategy.name", f"NNI has no tuner for {strategy.name}")
            return ""
        name = similar[strategy.name]
        if strategy.name == "genetic" or strategy.method is not None:
            report.approximate("strategy", f"NNI runs {name}")
        return name

    def _arguments(self, name: str) -> Json:
        study, report = self._study, self._report
        strategy = study.strategy
        arguments: Json = {}
        if len(study.objectives) > 1:
            report.refuse("objective", "an experiment has exactly one objective")
        target = "an experiment does not end at a value"
        report_objectives(study, report, target=target, select="NNI takes the final result")
        for objective in study.objectives:
            mode = self._take_mode()
            if mode is None and objective.goal == GOALS.get(name.lower()):
                pass
            elif name not in WITHOUT_GOAL or mode:
                arguments["optimize_mode"] = objective.goal
            elif not self._native:
                report.drop("objective.goal", f"NNI's {name} has no goal")
            if objective.metric != METRIC:
                text = f"NNI's metric is named {METRIC}; report {objective.metric} under this name"
                report.approximate("objective.metric", text)
        if strategy.seed is not None:
            arguments["seed"] = strategy.seed
        if name in BUDGETS:
            for key, argument in [*BUDGETS[name].items(), ("eta", "eta")]:
                if (value := getattr(strategy, key)) is not None:
                    arguments[argument] = value
            if strategy.resource != RESOURCE:
                text = f"NNI passes the resource as the parameter {RESOURCE}"
                report.approximate("strategy.resource", text)
        return arguments

    def _take_mode(self) -> Any:
        """Take the kept goal of the tuner: None if the imported tuner has its default goal."""
        for kind in ("advisor", "tuner"):
            tuner: Any = self._native.get(kind)
            key = self._key("arguments")
            kept = tuner.get(key) if is_map(tuner) else None
            if is_map(kept):
                mode: Any = kept.pop("optimize_mode", "")
                if not kept:
                    del tuner[key]
                return mode
        return ""

    def _space(self, named: Iterable[Named], kept: Any, parent: str = "") -> Json:
        kept = kept if is_map(kept) else {}
        space: Json = {}
        for name, parameter in named:
            local = local_name(name, parent) if parent else name
            before = kept.get(local)
            same: Json | None = None
            if is_map(before) and "_type" in before:
                same = take_kept(before, parameter, read_alone(SpaceReader(Report()), before))
            if same is not None:
                space[local] = same
            elif self._branches.has_children(name):
                space[local] = self._options(name, parameter, before)
            else:
                space[local] = _strategy(f"parameters.{name}", parameter, self._report)
        if not parent:
            for name, value in self._study.constants.items():
                space[name] = {"_type": "choice", "_value": [value]}
        return space

    def _options(self, name: str, parameter: Parameter, kept: Any) -> Json:
        values: list[Any] = [True, False]
        if isinstance(parameter, CategoricalParameter | DiscreteParameter):
            values = list(parameter.values)
        elif not isinstance(parameter, BoolParameter):
            reason = "in NNI, only a parameter with listed values can have conditional ones"
            self._report.refuse(f"parameters.{name}", reason)
        rests: Any = kept.pop("_value", None) if is_map(kept) else None
        rests = list(filter(is_map, rests)) if is_list(rests) else []
        options: list[Json] = []
        for value in values:
            rest: Json | None = next((each for each in rests if each.get("_name") == value), None)
            children = self._branches.children(name, value)
            options.append({"_name": value, **self._space(children, rest, name)})
        return {"_type": "choice", "_value": options}


def _strategy(path: str, parameter: Parameter, report: Report) -> Json:
    found = range_or_values(path, parameter, report, "NNI")
    if not isinstance(found, Range):
        return {"_type": "choice", "_value": found}
    low, high, step = found.low, found.high, found.step
    if found.is_int and step is None:
        if not found.is_log:
            return {"_type": "randint", "_value": [low, high + 1]}
        step = 1
    kind = "loguniform" if found.is_log else "uniform"
    if step is None:
        return {"_type": kind, "_value": [low, high]}
    return {"_type": f"q{kind}", "_value": [low, high, step]}


def _duration(seconds: float) -> str:
    """Return a duration in the largest unit that gives a whole number."""
    for unit, size in reversed(UNITS.items()):
        if seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds}s"
