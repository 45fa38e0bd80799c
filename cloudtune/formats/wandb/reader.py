"""Reads a sweep of Weights & Biases as a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import DocumentReader, StudyDraft, compact, report_call
from cloudtune.formats.wandb.names import ARGUMENTS, CUSTOM, DEFAULT_COMMAND, ETA, HOME, METHODS
from cloudtune.formats.wandb.parameters import ParametersReader
from cloudtune.study.yaml_reader import is_list, is_map

_STARTS = frozenset(["${env}", "${interpreter}", "python", "python3", "/usr/bin/env"])
"""What can come before the program in a command that is a Python script."""


class SweepReader(DocumentReader):
    """Reads one sweep."""

    def draft(self) -> StudyDraft:
        """Return the study."""
        document = self._document
        self._data["name"] = document.text("name")
        self._data["description"] = document.text("description")
        self._parameters()
        self._strategy()
        self._objectives()
        self._early_stopping()
        if (cap := document.integer("run_cap")) is not None:
            self._data["limits"] = {"max_trials": cap}
            self._origins["limits.max_trials"] = document.at("run_cap")
        self._data["trial"] = self._code()
        return self._finish(HOME)

    def _parameters(self) -> None:
        is_grid = self._document.peek("method") == "grid"
        reader = ParametersReader(self._document.report, is_grid=is_grid)
        value = self._document.peek("parameters")
        if not is_map(value) or not value:
            message = "a sweep needs a map of parameters" if value else "a sweep needs parameters"
            hint = "for example {lr: {min: 0.001, max: 0.1}}"
            self._document.mistake("parameters", message, hint)
            return
        parameters = self._document.map("parameters")
        reader.read(parameters)
        self._data["parameters"] = reader.parameters
        self._data["constants"] = reader.constants
        self._origins |= reader.origins

    def _strategy(self) -> None:
        document = self._document
        method = document.word("method")
        hint = "W&B has bayes, grid, random and custom"
        if method is None:
            document.mistake("method", "a sweep needs a method: bayes, grid or random")
            return
        if method not in METHODS:
            document.mistake("method", f"unknown method {method!r}", hint)
            return
        if method == CUSTOM:
            scheduler: Any = document.peek("scheduler")
            engine = scheduler.get("engine") if is_map(scheduler) else None
            if engine not in ("optuna", "ax") or "source" in scheduler:
                reason = "a scheduler outside of W&B chooses the trials, which a study cannot name"
                document.refuse("method", reason)
                return
            document.put("method", method)
            document.approximate("scheduler", f"elsewhere, bayesian search instead of {engine}")
        self._data["strategy"] = {"name": METHODS[str(method)]}
        self._origins["strategy"] = document.at("method")

    def _objectives(self) -> None:
        document = self._document
        several = document.maps("metrics", "name")
        if several:
            found = [self._objective(fields) for fields in several]
            self._data["objective"] = [each for each in found if each]
            self._origins["objective"] = document.at("metrics")
            return
        if not is_map(document.peek("metric")):
            if "metric" in document:
                document.mistake("metric", "must be a map with name and goal")
            elif self._data.get("strategy", {}).get("name") == "bayesian":
                document.mistake("metric", "the method bayes needs a metric with name and goal")
            else:
                text = "absent: name the objective of the study before a run"
                document.warn("metric", text)
            return
        if objective := self._objective(document.map("metric")):
            self._data["objective"] = objective
            self._origins["objective"] = document.at("metric")

    def _objective(self, metric: Fields) -> Json | None:
        name, goal = metric.text("name"), metric.word("goal")
        if not name:
            metric.mistake("name", "a metric needs a name")
            return None
        if goal is None:
            metric.note("goal", "absent, so W&B's default minimize")
            goal = "minimize"
        if goal not in {"minimize", "maximize"}:
            metric.mistake("goal", f"must be minimize or maximize, not {goal!r}")
            return None
        target = metric.number("target")
        for key in ("impute", "impute_while_running"):
            if key in metric:
                metric.note(key, "kept for W&B: failed trials have no value elsewhere")
        metric.warn(
            "name",
            "W&B reads the metric from wandb.log(); nothing reads this on other services: add "
            f"{report_call(name)} to the script, or print the metric and set trial.metrics",
        )
        return {
            "metric": name,
            "goal": goal,
            **({} if target is None else {"target": target}),
        }

    def _early_stopping(self) -> None:
        document = self._document
        value = document.peek("early_terminate")
        if value is None:
            return
        if not is_map(value):
            message = f"must be a map, not {value!r}"
            hint = "for example {type: hyperband, min_iter: 3}"
            document.mistake("early_terminate", message, hint)
            return
        rule = document.map("early_terminate")
        kind = rule.peek("type")
        if kind != "hyperband":
            rule.mistake("type", f"must be hyperband, not {kind!r}")
            return
        if "objective" not in self._data and not document.report.problems:
            rule.mistake("type", "early termination needs a metric")
        rule.take("type")
        eta = self._eta(rule)
        block: Json = {"rule": "halving", **({} if eta is None else {"eta": eta})}
        if "max_iter" in rule and ("s" in rule or "min_iter" not in rule):
            block["min_step"] = _first_band(rule, eta or ETA)
        else:
            block |= compact(min_step=rule.integer("min_iter"))
            if "min_step" not in block:
                rule.mistake("min_iter", "hyperband needs min_iter, or max_iter and s")
        if rule.peek("strict") is not None:
            rule.note("strict", "kept for W&B: no other service has this setting")
        self._data["early_stopping"] = block
        self._origins["early_stopping"] = rule.path

    @staticmethod
    def _eta(rule: Fields) -> int | None:
        eta = rule.number("eta")
        if eta is None:
            return None
        if eta <= 1:
            rule.mistake("eta", f"must be greater than 1, not {eta}")
        elif eta != int(eta) or eta < 2:
            rule.put("eta", eta)
            whole = max(2, round(eta))
            rule.approximate("eta", f"a study has whole numbers from 2: elsewhere {whole}")
            return whole
        return int(eta)

    def _code(self) -> Json:
        """Return the script if the program is here; else it stays as it is."""
        document = self._document
        program, command = document.peek("program"), document.peek("command")
        words = command if is_list(command) else list(DEFAULT_COMMAND)
        where = f"the program {program}" if program else "the command"
        if not (program or command or document.peek("job") or document.peek("image_uri")):
            document.warn("program", "absent: name the script of the study with trial.script")
            return {}
        if isinstance(program, str) and self._is_here(program) and _is_script(words):
            document.take("program")
            path = document.at("command")
            document.note("program", "is here: write the study to the same folder")
            return {"script": program, **self._arguments(words, path)}
        document.warn(
            "program" if program else "command",
            f"the code is in {where}, which is not here or no Python script; to run it elsewhere, "
            "name it with trial.source and trial.script",
        )
        return {}

    def _is_here(self, program: str) -> bool:
        file = self._document.report.file
        try:
            return (
                file is not None
                and not program.startswith(("/", "~"))
                and program.endswith(".py")
                and (file.parent / program).is_file()
            )
        except (OSError, ValueError):
            return False

    def _arguments(self, words: Sequence[Any], path: str) -> Json:
        style = next((ARGUMENTS[word] for word in words if word in ARGUMENTS), None)
        report = self._document.report
        if "${args_no_boolean_flags}" in words:
            report.approximate(path, "elsewhere, true is passed as --name=True")
            style = "equals"
        if style is None:
            style = "none"
            text = "has no ${args}: the script gets its parameters from params() of cloudtune.trial"
            report.warn(path, text)
        fixed = [word for word in words if isinstance(word, str) and not word.startswith("${")]
        fixed = [word for word in fixed if word not in _STARTS]
        return {"arguments": style, **compact(args=fixed)}


def _is_script(words: Sequence[Any]) -> bool:
    """Return whether a command starts Python with the program."""
    if "${program}" not in words or not all(isinstance(word, str) for word in words):
        return False
    return all(word in _STARTS for word in words[: words.index("${program}")])


def _first_band(rule: Fields, eta: int) -> int:
    """Return the first step at which W&B stops trials, of ``max_iter`` and ``s``."""
    last, count = rule.integer("max_iter"), rule.number("s")
    if last is None or count is None:
        rule.mistake("s", "max_iter needs s, the number of steps at which trials are stopped")
        return 1
    rule.put("max_iter", last)
    rule.put("s", count)
    band = float(last)
    for _ in range(min(int(count), 100)):
        if band / eta < 1:
            break
        band /= eta
    first = max(1, int(band))
    text = (
        f"kept for W&B; elsewhere, trials are stopped from step {first}, also after the last band"
    )
    rule.approximate("max_iter", text)
    return first
