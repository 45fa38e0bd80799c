"""Writes a study as a tuner of Ray Tune, with only what the study says."""

from __future__ import annotations

import math
from typing import Any, cast

from cloudtune.formats.fields import Json, Report
from cloudtune.formats.kept import read_alone, take_kept
from cloudtune.formats.model import compact, native_block, report_objectives, report_unsupported
from cloudtune.formats.nesting import Nesting
from cloudtune.formats.ranges import MAX_LISTED, Range, range_or_values
from cloudtune.formats.ray.names import (
    ASHA,
    DEFAULTS,
    HOME,
    HYPERBAND,
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
from cloudtune.study.merge import merge_json
from cloudtune.study.schema import Parameter
from cloudtune.study.search_space import count_values, list_values
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_map

_CODE = "Ray calls a trainable of your program"
_UNSUPPORTED = {
    "description": "a tuner has no description",
    "warm_start": "Ray continues an experiment with Tuner.restore",
    "limits.trial_timeout": "set stop in run_config",
    "limits.max_failed_trials": "set failure_config in run_config",
    "limits.patience": "set a stopper in run_config",
    "limits.max_cost": "Ray knows no cost",
    "early_stopping.interval": "Ray checks every result",
    "trial": _CODE,
}


def write_tuner(study: Study, report: Report) -> Json:
    """Return the tuner of a study, with its ``providers.ray.native`` merged in."""
    return _TunerWriter(study, report).write()


class _TunerWriter:
    def __init__(self, study: Study, report: Report) -> None:
        self._study = study
        self._report = report
        native: Json = native_block(study, HOME)  # the provider ray reads its other fields
        self._native: Json = {name: native[name] for name in TUNER_FIELDS & native.keys()}
        self._kept: Json = self._native.get("tune_config", {})

    def write(self) -> Json:
        study = self._study
        report_unsupported(study, self._report, _UNSUPPORTED)
        space = self._space()
        searcher, scheduler = self._searcher(), self._scheduler()
        tune: Json = {
            **compact(search_alg=searcher, scheduler=scheduler),
            **self._limits(),
            **self._objective(),
        }
        tuner: Json = {"param_space": space}
        tuner |= compact(tune_config=tune, run_config=compact(name=study.name))
        return cast("Json", merge_json(tuner, self._native))

    def _space(self) -> Json:
        study, report = self._study, self._report
        kept = self._native.get("param_space", {})
        nesting = Nesting(kept)
        space: Json = {}
        for name, variants in study.parameters.items():
            path = f"parameters.{name}"
            if len(variants) > 1 or variants[0].when:
                reason = "Ray has conditional parameters only in code, with sample_from"
                report.refuse(path, reason)
            if study.strategy.name == "grid":
                domain = self._grid(path, variants[0])
            else:
                before = nesting.entry(name)
                again = read_alone(SpaceReader(Report()), before)
                kept_domain = take_kept(before, variants[0], again)
                domain = kept_domain or write_domain(path, variants[0], report)
            nesting.put(space, name, domain)
        for name, value in study.constants.items():
            nesting.put(space, name, value)
        return space

    def _grid(self, path: str, parameter: Parameter) -> Json:
        count = count_values(parameter)
        if count is None or count > MAX_LISTED:
            reason = f"a grid search of Ray lists the values, at most {MAX_LISTED:,}"
            self._report.refuse(path, reason)
            return {}
        return {"grid_search": list(list_values(parameter) or ())}

    def _objective(self) -> Json:
        study, report = self._study, self._report
        modes = {goal: mode for mode, goal in MODES.items()}
        select = "Ray decides which value of a metric counts"
        report_objectives(study, report, target="set stop in run_config", select=select)
        metrics = [objective.metric for objective in study.objectives]
        goals = [modes[objective.goal] for objective in study.objectives]
        if not metrics:
            return {}
        if len(metrics) == 1:
            found: Json = {"metric": metrics[0], "mode": goals[0]}
        else:
            found = {"metric": metrics, "mode": goals}
        for key in ("scheduler", "search_alg"):
            algorithm: Any = self._kept.get(key)
            for arguments in algorithm.values() if is_map(algorithm) else ():
                if is_map(arguments) and "metric" in arguments:
                    arguments.update(found)
                    found = {}
        if len(metrics) > 1 and found:
            report.refuse("objective", "only a search algorithm of Ray has several metrics")
        return found

    def _searcher(self) -> Any:
        strategy, report = self._study.strategy, self._report
        kept: Any = self._kept.get("search_alg")
        before = next(iter(kept), None) if is_map(kept) else kept
        known = short_name(str(before)) if before is not None else ""
        expected = (SEARCHERS | SIMILAR).get(known, {}).get("name")
        wanted = "random" if strategy.name in {"grid", "list"} else strategy.name
        if strategy.name == "hyperband" or expected == wanted:
            name = before
        else:
            if before is not None:
                del self._kept["search_alg"]
            name = self._chosen_searcher(wanted)
            known = name or "random"
        arguments: Json = {}
        if strategy.seed is not None:
            if known in SEEDS:
                arguments[SEEDS[known]] = strategy.seed
                name = name or "random"
            else:
                report.drop("strategy.seed", f"{name or 'hyperband'} has no seed here")
        if self._study.initial_trials:
            arguments["points_to_evaluate"] = list(self._study.initial_trials)
            name = name or "random"
        if strategy.name == "list":
            report.refuse("strategy.name", "Ray has no listed trials")
        return {name: arguments} if arguments else name

    def _chosen_searcher(self, strategy: str) -> str:
        method, report = self._study.strategy.method, self._report
        if strategy == "random":
            if method == "sobol":
                report.approximate("strategy.method", "Ray draws at random, not by sobol")
            return ""
        for name, each in SEARCHERS.items():
            if each["name"] == strategy and method in {None, each.get("method")}:
                return name
        report.approximate("strategy", f"Ray runs optuna, not {method or strategy}")
        return "optuna"

    def _scheduler(self) -> Any:
        strategy, stopping = self._study.strategy, self._study.early_stopping
        if strategy.name == "hyperband":
            if strategy.resource is not None or strategy.min not in {None, 1}:
                reason = "Ray counts results, from 1 on"
                self._report.approximate("strategy.resource", reason)
            arguments = {"max_t": strategy.max, "reduction_factor": strategy.eta}
            return self._named("scheduler", HYPERBAND, arguments)
        if stopping is None:
            return None
        if stopping.rule == "halving":
            arguments = {"grace_period": stopping.min_step, "reduction_factor": stopping.eta or 3}
            if stopping.min_trials is not None:
                self._report.drop("early_stopping.min_trials", "ASHA has no number of trials")
            default = DEFAULTS[ASHA]
            found = {k: v for k, v in arguments.items() if v != default[k]}
            return self._named("scheduler", ASHA, found)
        if stopping.rule in {"median", "auto"}:
            trials = stopping.min_trials
            arguments = {"min_samples_required": None if trials == 3 else trials}
            if stopping.min_step is not None:
                arguments |= {"grace_period": stopping.min_step}
            if not is_map(self._kept.get("scheduler")) and stopping.min_step is not None:
                return {MEDIAN: {"time_attr": ITERATION, **compact(**arguments)}}
            return self._named("scheduler", MEDIAN, arguments)
        self._report.drop("early_stopping", f"Ray has no rule {stopping.rule}")
        return None

    def _named(self, key: str, name: str, arguments: Json) -> Any:
        """Return an algorithm with its arguments, under the name that is kept for it."""
        kept: Any = self._kept.get(key)
        before = next(iter(kept), None) if is_map(kept) else kept
        if before is not None and short_name(str(before)) == name:
            name = str(before)
        elif before is not None:
            del self._kept[key]
        found = compact(**arguments)
        if is_map(kept) and name in kept:
            found = {k: v for k, v in found.items() if k not in (kept[name] or {})}
        return {name: found} if found else name if not is_map(kept) else {name: {}}

    def _limits(self) -> Json:
        study = self._study
        limits: Json = {}
        grid = [
            len(each["grid_search"])
            for each in _domains(self._native.get("param_space", {}))
            if "grid_search" in each
        ]
        trials = study.limits.max_trials
        if study.strategy.name == "grid":
            counts = [count_values(each[0]) or 1 for each in study.parameters.values()]
            if trials is not None and trials != math.prod(counts):
                reason = f"Ray runs the whole grid of {math.prod(counts)} trials"
                self._report.approximate("limits.max_trials", reason)
        elif trials is not None:
            limits["num_samples"] = -(-trials // math.prod(grid))
            self._kept.pop("num_samples", None)
        elif "num_samples" not in self._kept:
            limits["num_samples"] = -1
        if study.limits.parallel_trials is not None:
            self._kept.pop("max_concurrent_trials", None)  # null if the imported tuner has none
        limits["max_concurrent_trials"] = study.limits.parallel_trials or 1
        return limits | compact(time_budget_s=study.limits.timeout)


def _domains(space: Any) -> list[Json]:
    """Return the domains in a space, also in nested maps."""
    if is_domain(space):
        return [space]
    return [each for inner in space.values() for each in _domains(inner)] if is_map(space) else []


def write_domain(path: str, parameter: Parameter, report: Report) -> Json:
    """Return the function of ``ray.tune`` for a parameter, with its arguments."""
    found = range_or_values(path, parameter, report, "Ray")
    if not isinstance(found, Range):
        return {"choice": found}
    kind = ("log" if found.is_log else "") + ("randint" if found.is_int else "uniform")
    if found.step is None or (found.is_int and found.step == 1):
        return {kind: [found.low, found.high + (1 if found.is_int else 0)]}
    return {f"q{kind}": [found.low, found.high, found.step]}
