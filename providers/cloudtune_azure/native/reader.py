"""Reads a sweep job or an AutoML job of Azure as a study."""

from __future__ import annotations

import math
from typing import Any

from cloudtune.formats import (
    DocumentReader,
    Fields,
    StudyDraft,
    compact,
    placeholder_names,
    report_call,
)
from cloudtune.provider import Json, is_map
from cloudtune_azure.native.code import read_code
from cloudtune_azure.native.names import (
    ALGORITHMS,
    AUTOML_METRICS,
    MAX_TRIALS,
    MAXIMIZED,
    RULES,
    is_automl,
    log_base,
)
from cloudtune_azure.native.search_space import SpaceReader, read_alternatives
from cloudtune_azure.settings import NAME


class JobReader(DocumentReader):
    """Reads one job."""

    def __init__(self, document: Fields) -> None:
        super().__init__(document)
        self._automl = is_automl(dict(document.original))
        self._sweep = document.map("sweep") if self._automl else document
        """The fields with the sampling algorithm and the early termination policy."""

    def draft(self) -> StudyDraft:
        """Return the study."""
        document = self._document
        name = document.peek("name")  # that of one job: no second one can have it
        self._data["name"] = document.text("display_name") or (str(name) if name else None)
        self._data["description"] = document.text("description")
        self._search_space()
        self._strategy()
        self._early_stopping()
        if self._automl:
            self._automl_objective()
            self._automl_limits()
        else:
            self._objective()
            self._limits()
        self._code()
        if document.peek("type") == "sweep":
            document.take("type")
        return self._finish(NAME)

    def _search_space(self) -> None:
        document = self._document
        base = log_base(self._sweep.peek("sampling_algorithm"))
        if base is None:
            message = "must be e or a number above 0 other than 1"
            self._sweep.mistake("sampling_algorithm.logbase", message)
        reader = SpaceReader(document.report, base or math.e)
        if document.peek("search_space") is None:
            if self._automl:
                reason = "without a search space, AutoML chooses the parameters itself"
                document.refuse("search_space", reason)
            else:
                document.mistake("search_space", "a sweep needs parameters")
        elif self._automl and not is_map(document.peek("search_space")):
            read_alternatives(reader, document)
        else:
            reader.read(document.map("search_space"))
            if not document.original.get("search_space"):
                document.mistake("search_space", "a sweep needs parameters")
        self._data["parameters"] = reader.parameters
        self._origins |= reader.origins

    def _strategy(self) -> None:
        sweep = self._sweep
        value = sweep.peek("sampling_algorithm")
        if value is None:
            if "algorithm" in sweep:
                hint = "older jobs name it algorithm: rename it"
                sweep.mistake("sampling_algorithm", "a sweep needs a sampling algorithm", hint)
            elif not (self._automl and "search_space" not in self._document.original):
                sweep.mistake("sampling_algorithm", "a sweep needs random, grid or bayesian")
            return
        strategy: Json = {}
        if is_map(value):
            fields = sweep.map("sampling_algorithm")
            name = fields.word("type")
            path = fields.at("type")
            strategy = self._random_settings(fields) if str(name).lower() == "random" else {}
            for key in fields.rest().keys() - {"logbase"}:
                fields.note(key, "kept for Azure: no other service has this setting")
            sweep.put("sampling_algorithm", {})  # so that an export writes a map, too
        else:
            name, path = sweep.word("sampling_algorithm"), sweep.at("sampling_algorithm")
        word = str(name).lower()
        if word not in ALGORITHMS:
            sweep.report.mistake(path, f"must be random, grid or bayesian, not {name!r}")
            return
        self._data["strategy"] = {"name": ALGORITHMS[word], **strategy}
        self._origins["strategy"] = path

    def _random_settings(self, fields: Fields) -> Json:
        rule, seed = fields.word("rule"), fields.integer("seed")
        if rule is not None and str(rule).lower() not in {"random", "sobol"}:
            fields.mistake("rule", f"must be random or sobol, not {rule!r}")
        method = {"random": "uniform", "sobol": "sobol"}.get(str(rule).lower())
        return {**compact(method=method), **({} if seed is None else {"seed": seed})}

    def _early_stopping(self) -> None:
        sweep = self._sweep
        if sweep.peek("early_termination") is None:
            return
        policy = sweep.map("early_termination")
        kind = str(policy.peek("type") or "").lower()
        path = policy.at("type")
        if kind == "truncation_selection":
            sweep.report.approximate(
                path,
                "kept for Azure; a study has no rule that stops a percentage of the trials, so "
                "elsewhere none stops early",
            )
            return
        if kind not in RULES:
            hint = "Azure has bandit, median_stopping and truncation_selection"
            sweep.report.mistake(path, f"unknown policy {kind!r}" if kind else "is missing", hint)
            return
        policy.take("type")
        block: Json = {"rule": RULES[kind]}
        if kind == "bandit":
            block |= _slack(policy)
        for key, name in (("delay_evaluation", "min_step"), ("evaluation_interval", "interval")):
            if (number := policy.integer(key)) is not None:
                block[name] = number
                self._origins[f"early_stopping.{name}"] = policy.at(key)
        self._data["early_stopping"] = block
        self._origins["early_stopping"] = policy.path

    def _objective(self) -> None:
        objective = self._document.map("objective")
        metric, goal = objective.text("primary_metric"), objective.word("goal")
        if not metric:
            objective.mistake("primary_metric", "a sweep needs a metric to optimize")
            return
        word = str(goal).lower()
        if word not in {"minimize", "maximize"}:
            objective.mistake("goal", f"must be minimize or maximize, not {goal!r}")
            return
        self._set_objectives([metric], [word], objective.path)
        objective.warn(
            "primary_metric",
            "Azure reads the metric from mlflow.log_metric(); nothing reads this on other "
            f"services: add {report_call(metric)} to the script, or print the metric and set "
            "trial.metrics",
        )

    def _passes_all(self, args: list[str]) -> bool:
        """Return whether a command passes exactly the parameters of the search space."""
        passed = {name for name in placeholder_names(args) if not name.startswith("inputs.")}
        return passed == set(self._data["parameters"])

    def _automl_objective(self) -> None:
        document = self._document
        task = str(document.peek("task") or "").lower()
        metric = document.text("primary_metric")
        if metric is None:
            metric = AUTOML_METRICS.get(task)
            if metric is None:
                document.mistake("primary_metric", "the job needs a metric to optimize")
                return
            document.note("primary_metric", f"absent, so {metric}, the default of {task}")
        if metric.lower() not in MAXIMIZED and "search_space" in document.original:
            document.mistake("primary_metric", f"AutoML's sweeps have no metric {metric}")
            return
        self._set_objectives([metric], ["maximize"], document.at("primary_metric"))

    def _limits(self) -> None:
        limits = self._document.map("limits")
        total = limits.integer("max_total_trials")
        parallel = limits.integer("max_concurrent_trials")
        if parallel is None:
            limits.erase("max_concurrent_trials")
            parallel = total
            count = MAX_TRIALS if total is None else total
            limits.warn(
                "max_concurrent_trials",
                f"absent, so Azure's default: all {count:,} trials run at the same time"
                + ("; a study runs one" if total is None else ""),
            )
        if total is None:
            text = f"absent, so Azure's default {MAX_TRIALS:,}; a study has no limit"
            limits.note("max_total_trials", text)
        self._add_limits(limits, "max_total_trials", total, parallel)

    def _automl_limits(self) -> None:
        outer, inner = self._document.map("limits"), self._sweep.map("limits")
        limits = inner if inner.original else outer
        total, parallel = limits.integer("max_trials"), limits.integer("max_concurrent_trials")
        if limits is inner:
            self._sweep.put("limits", {})  # so that an export writes them there, too
            for key in ("max_trials", "max_concurrent_trials"):
                if key in outer:
                    outer.note(key, "kept for Azure: the limits of the sweep count")
        if total is None:
            limits.note("max_trials", "absent, so AutoML's default 1")
        total = 1 if total is None else total
        self._add_limits(outer, "max_trials", total, parallel)

    def _add_limits(
        self, limits: Fields, count: str, total: int | None, parallel: int | None
    ) -> None:
        suffix, unit = ("_minutes", 60) if self._automl else ("", 1)
        times = {name: f"{name}{suffix}" for name in ("timeout", "trial_timeout")}
        self._set_limits(
            compact(
                max_trials=total,
                parallel_trials=parallel,
                **{name: limits.duration(key, unit) for name, key in times.items()},
            ),
            max_trials=limits.at(count),
            parallel_trials=limits.at("max_concurrent_trials"),
            **{name: limits.at(key) for name, key in times.items()},
        )

    def _code(self) -> None:
        document = self._document
        if self._automl:
            document.warn(
                "task",
                "AutoML chooses and trains the model, which no other service does: to run it "
                "elsewhere, name a script with trial.source and trial.script",
            )
            return
        trial = document.peek("trial")
        if isinstance(trial, str):
            text = f"the code is in the component {trial}; to run it elsewhere, name it with"
            document.warn("trial", f"{text} trial.source and trial.script")
            return
        if not is_map(trial) or not trial.get("command"):
            text = "a sweep needs a command: name it before Azure runs it"
            document.warn("trial.command", text)
            return
        environment: Any = trial.get("environment")
        if is_map(environment):
            environment = environment.get("image") or "of the file"
        code: Any = trial.get("code")
        if is_map(code):
            code = code.get("local_path")
        block = read_code(document.original)
        if block is not None and self._passes_all(block["args"]):
            self._data["trial"] = block
            self._origins |= {"trial": "trial.command", "trial.source": "trial.code"}
            self._origins |= {f"trial.inputs.{name}": f"inputs.{name}" for name in _inputs(block)}
            text = f"elsewhere, the script needs the packages of the environment {environment}"
            document.warn("trial.environment", text)
            return
        where = f"{code}, with the environment {environment}" if code else str(environment)
        document.warn(
            "trial",
            f"the code is in {'' if code else 'the environment '}{where}; to run it elsewhere, "
            "name it with trial.source and trial.script",
        )


def _inputs(block: Json) -> Json:
    inputs: Json = block.get("inputs", {})
    return inputs


def _slack(policy: Fields) -> Json:
    """Return the slack of a bandit policy; 0 counts as absent if the other one is set."""
    factor, amount = policy.number("slack_factor"), policy.number("slack_amount")
    if factor and amount:
        message = "slack_factor and slack_amount are both set; a bandit policy takes one of them"
        policy.mistake("slack_amount", message)
    elif not factor and not amount and not policy.report.problems:
        message = "a bandit policy needs slack_factor or slack_amount, above 0"
        policy.mistake("slack_factor", message)
    return compact(slack=factor or None, slack_amount=amount or None)
