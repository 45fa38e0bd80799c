"""Writes a study as a sweep job of Azure, or as the AutoML job from which it was imported."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable
from typing import Any, cast

from cloudtune.formats.azure.code import read_code
from cloudtune.formats.azure.names import ALGORITHMS, HOME, RULES, SCHEMA, is_automl, log_base
from cloudtune.formats.azure.search_space import SpaceReader
from cloudtune.formats.azure.short import is_short, read_short
from cloudtune.formats.branches import Branches, Named, local_name
from cloudtune.formats.fields import Json, Report
from cloudtune.formats.kept import read_alone, take_kept
from cloudtune.formats.model import (
    compact,
    native_block,
    report_arguments,
    report_objectives,
    report_unsupported,
)
from cloudtune.formats.ranges import Range, logarithm, range_or_values
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
    "initial_trials": "a sweep takes no first trials",
    "warm_start": "a sweep does not learn from other jobs",
    "limits.max_failed_trials": "a sweep has no limit of failed trials",
    "limits.patience": "a sweep does not end without improvement",
    "limits.max_cost": "a sweep knows no cost",
    "trial.metrics": "Azure reads metrics from mlflow.log_metric(); add it to the script",
    "trial.select": "Azure decides which value of a metric counts",
    "trial.requirements": "put them into the environment of the job",
    "trial.args": "put them into trial.command of the job",
    "trial.env": "put them into trial.environment_variables of the job",
    "trial.inputs": "put them into inputs of the job",
    "trial.resources": "put them into resources of the job",
    "early_stopping.min_trials": "Azure's policies have no number of trials",
    "early_stopping.eta": "Azure has no halving rule",
}
_NOTHING: Json = {}


def write_job(study: Study, report: Report) -> Json:
    """Return the job of a study, with its ``providers.azure.native`` merged in."""
    return _JobWriter(study, report).write()


class _JobWriter:
    def __init__(self, study: Study, report: Report) -> None:
        self._study = study
        self._report = report
        self._native: Json = native_block(study, HOME)
        self._automl = is_automl(self._native)
        outer: Any = self._native.get("sweep") if self._automl else self._native
        kept = outer.get("sampling_algorithm") if is_map(outer) else None
        self._base = log_base(kept) or math.e
        self._branches = Branches(study, report, "Azure")

    def write(self) -> Json:
        study, native = self._study, self._native
        kept = {"trial.args", "trial.inputs"} if self._keeps_code() else set[str]()
        reasons = {path: why for path, why in _UNSUPPORTED.items() if path not in kept}
        report_unsupported(study, self._report, reasons)
        report_arguments(study, self._report, "the command of the job")
        head: Json = {key: native[key] for key in ("$schema", "type") if key in native}
        job: Json = head if native else {"$schema": SCHEMA}
        job |= {} if self._automl else {"type": "sweep"}
        job |= compact(name=study.name, description=study.description)
        sweep = {
            "sampling_algorithm": self._algorithm(),
            **compact(early_termination=self._early_termination()),
        }
        if self._automl:
            job |= {"sweep": sweep, "search_space": self._alternatives()}
        else:
            job |= {**sweep, "search_space": self._space(self._branches.roots, native)}
        job |= self._objective()
        self._add_limits(job)
        if not self._automl and "trial" not in native:
            job["trial"] = self._trial()
        return cast("Json", merge_json(job, native))

    def _keeps_code(self) -> bool:
        """Return whether the job's own command starts the script of the study as the study does."""
        block, trial = read_code(self._native), self._study.trial
        if block is None:
            return False
        inputs = {name: places.get("*") for name, places in trial.inputs.items()}
        return (
            block.get("script") == trial.script
            and block.get("module") == trial.module
            and tuple(block["args"]) == tuple(trial.args)
            and block.get("inputs", {}) == {n: each and each.uri for n, each in inputs.items()}
        )

    def _algorithm(self) -> str | Json:
        strategy = self._study.strategy
        names = {name: kind for kind, name in ALGORITHMS.items()}
        name = names.get(strategy.name)
        if name is None:
            reason = f"Azure has {', '.join(ALGORITHMS)}, and not {strategy.name}"
            self._report.refuse("strategy.name", reason)
            return "random"
        if strategy.name != "random":
            if strategy.method not in {None, "gp"}:
                reason = f"Azure has no choice of a method such as {strategy.method}"
                self._report.approximate("strategy.method", reason)
            if strategy.seed is not None:
                self._report.drop("strategy.seed", f"Azure has no seed for {name}")
            settings: Json = {}
        else:
            rule = {"uniform": "random", "sobol": "sobol"}.get(strategy.method or "")
            settings = compact(rule=rule)
            settings |= {} if strategy.seed is None else {"seed": strategy.seed}
        before = self._native.get("sweep", {}) if self._automl else self._native
        is_written_as_map = is_map(before) and is_map(before.get("sampling_algorithm"))
        return {"type": name, **settings} if settings or is_written_as_map else name

    def _early_termination(self) -> Json:
        stopping = self._study.early_stopping
        if stopping is None:
            return {}
        kinds = {"auto": "median_stopping"} | {rule: kind for kind, rule in RULES.items()}
        if stopping.rule not in kinds:
            self._report.drop("early_stopping", f"Azure has no rule {stopping.rule}")
            return {}
        policy: Json = {"type": kinds[stopping.rule]}
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

    def _objective(self) -> Json:
        if len(self._study.objectives) != 1:
            self._report.refuse("objective", "a sweep has exactly one objective")
            return {}
        (objective,) = self._study.objectives
        select = "Azure decides which value of a metric counts"
        target = "a sweep does not end at a value"
        report_objectives(self._study, self._report, target=target, select=select)
        if self._automl:
            return {"primary_metric": objective.metric}
        return {"objective": {"goal": objective.goal, "primary_metric": objective.metric}}

    def _add_limits(self, job: Json) -> None:
        limits, native = self._study.limits, self._native
        unit = 60 if self._automl else 1
        counts: Json = compact(
            **{"max_trials" if self._automl else "max_total_trials": limits.max_trials},
            max_concurrent_trials=limits.parallel_trials or (None if self._automl else 1),
        )
        suffix = "_minutes" if self._automl else ""
        times: Json = {}
        for name in ("timeout", "trial_timeout"):
            seconds = getattr(limits, name)
            if seconds is not None:
                times[name + suffix] = self._time(f"limits.{name}", seconds, unit)
        sweep = native.get("sweep")
        if self._automl and is_map(sweep) and "limits" in sweep:
            job["sweep"]["limits"] = counts
            job |= compact(limits=times)
        else:
            job |= compact(limits=counts | times)
        kept = native.get("limits")
        is_changed = limits.parallel_trials != limits.max_trials
        if is_map(kept) and is_changed and kept.get("max_concurrent_trials", 0) is None:
            del kept["max_concurrent_trials"]  # absent in the imported job, but not in the study

    def _time(self, path: str, seconds: float, unit: int) -> int:
        count = -int(-seconds // unit)
        if count * unit != seconds:
            name = "minutes" if unit > 1 else "seconds"
            self._report.approximate(path, f"Azure takes whole {name}; rounded up to {count}")
        return count

    def _trial(self) -> Json:
        study = self._study
        self._report.warn(
            f"providers.{HOME}.native",
            "incomplete: Azure needs an environment in trial and a compute; add them to the file",
        )
        trial, names = study.trial, [name for name, _ in self._branches.roots]
        program = trial.script and ["python", trial.script]
        program = program or (["python", "-m", trial.module] if trial.module else None)
        if program is None:
            return {}
        values = [f"--{name} ${{{{search_space.{name}}}}}" for name in names]
        values += [f"--{name} {shlex.quote(str(value))}" for name, value in study.constants.items()]
        code = (trial.source or {}).get("*")
        return {**compact(code=code or "."), "command": " ".join([shlex.join(program), *values])}

    def _alternatives(self) -> list[Json]:
        """Return the search spaces of an AutoML job, one for each set of values of the root."""
        kept = self._native.pop("search_space", None)
        groups = self._space_groups()
        rests: list[Any] = kept if is_list(kept) else [kept or {}]
        if len(rests) != len(groups):
            rests = [{} for _ in groups]
        return [
            merge_json(
                {
                    **{name: _keep_short(rest.get(name), each) for name, each in root.items()},
                    **self._space(named, {"search_space": rest}),
                },
                {name: each for name, each in rest.items() if is_map(each)},
            )
            for (root, named), rest in zip(groups, rests, strict=True)
        ]

    def _space_groups(self) -> list[tuple[Json, list[Named]]]:
        """Return the definition of the root and the other parameters of each search space."""
        parents = [each for each in self._branches.roots if self._branches.has_children(each[0])]
        if not parents:
            return [({}, self._branches.roots)]
        name, root = parents[0]
        if len(parents) > 1 or not isinstance(root, CategoricalParameter):
            reason = "in AutoML, only one choice can have conditional parameters"
            self._report.refuse(f"parameters.{name}", reason)
            return []
        others = [each for each in self._branches.roots if each[0] != name]
        groups: dict[tuple[str, ...], list[Any]] = {}
        for value in root.values:
            active = tuple(
                f"{child} {definition!r}"
                for child, definition in self._branches.children(name, value)
            )
            groups.setdefault(active, []).append(value)
        return [
            (
                {name: {"type": "choice", "values": values}},
                [*others, *self._branches.children(name, values[0])],
            )
            for values in groups.values()
        ]

    def _space(self, named: Iterable[Named], native: Json) -> Json:
        kept = native.get("search_space")
        kept = kept if is_map(kept) else {}
        return {
            name: self._expression(name, parameter, kept.get(name, {})) for name, parameter in named
        }

    def _expression(self, name: str, parameter: Parameter, kept: Any) -> Any:
        if is_map(kept) and "type" in kept:
            again = read_alone(SpaceReader(Report(), self._base), kept)
            same = take_kept(kept, parameter, again)
            if same is not None:
                return same
        if self._branches.has_children(name) and not self._automl:
            return self._options(name, parameter, kept)
        written = _expression(f"parameters.{name}", parameter, self._report, self._base)
        return _keep_short(kept, written)

    def _options(self, name: str, parameter: Parameter, kept: Any) -> Json:
        """Return the choice of maps of a parameter on which others depend."""
        values: list[Any] = [True, False]
        if isinstance(parameter, CategoricalParameter | DiscreteParameter):
            values = list(parameter.values)
        elif not isinstance(parameter, BoolParameter):
            reason = "in Azure, only a parameter with listed values can have conditional ones"
            self._report.refuse(f"parameters.{name}", reason)
        marker: Any = kept.pop("values", None) if is_map(kept) else None
        before: list[Json] = list(filter(is_map, marker)) if is_list(marker) else []
        key = next(iter(before[0]), None) if before else None
        if key is None:
            key = "name"
            text = f"a choice of maps: the script is given a map with name instead of {name}"
            self._report.approximate(f"parameters.{name}", text)
        options: list[Json] = []
        for value in values:
            option: Json = {key: value}
            rest: Json = next((each for each in before if each.get(key) == value), _NOTHING)
            for child, definition in self._branches.children(name, value):
                fixed = _fixed_value(definition)
                local = local_name(child, name)
                option[local] = (
                    self._expression(child, definition, rest.get(local, {}))
                    if fixed is None
                    else fixed
                )
            options.append(option)
        return {"type": "choice", "values": options}


def _keep_short(kept: Any, written: Json) -> Any:
    """Return a definition as the text of the imported job, unless it has changed."""
    return kept if is_short(kept) and read_short(kept) == written else written


def _fixed_value(parameter: Parameter) -> Any:
    """Return the value of a parameter with one value, None if it has several."""
    if isinstance(parameter, CategoricalParameter) and len(parameter.values) == 1:
        (value,) = parameter.values
        return None if isinstance(value, bool) else value
    return None


def _expression(path: str, parameter: Parameter, report: Report, base: float) -> Json:
    found = range_or_values(path, parameter, report, "Azure")
    if not isinstance(found, Range):
        return {"type": "choice", "values": found}
    low, high, step = found.low, found.high, found.step
    if found.is_int and step is None:
        if low == 0 and not found.is_log:
            return {"type": "randint", "upper": high + 1}
        step = 1
    bounds = (logarithm(low, base), logarithm(high, base)) if found.is_log else (low, high)
    kind = f"{'q' if step is not None else ''}{'log' if found.is_log else ''}uniform"
    quantum = {} if step is None else {"q": step}
    return {"type": kind, "min_value": bounds[0], "max_value": bounds[1], **quantum}
