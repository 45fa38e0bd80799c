"""Reads the facts of an Optuna study as a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune.formats.branches import Definitions
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import DocumentReader, StudyDraft, compact, report_call
from cloudtune.formats.optuna.distributions import (
    merge_distributions,
    parse_distribution,
    read_distribution,
)
from cloudtune.formats.optuna.names import (
    BUDGET,
    HALVING,
    HALVING_ETA,
    HOME,
    HYPERBAND,
    PRUNERS,
    RULES,
    SAMPLERS,
    SIMILAR_SAMPLERS,
    default_metrics,
)
from cloudtune.study.yaml_reader import is_list, is_map

_EXPORTED = ("cloudtune run", "cloudtune export", "study hash")
"""User attributes of a run that cloudtune exported."""


class StudyReader(DocumentReader):
    """Reads one study."""

    def __init__(self, document: Fields) -> None:
        super().__init__(document)
        self._space = Definitions(document.report)
        self._origins = self._space.origins

    def draft(self) -> StudyDraft:
        """Return the study."""
        document = self._document
        self._data["name"] = document.text("study_name")
        self._parameters()
        self._objectives()
        self._strategy()
        self._pruner()
        self._limits()
        self._trials()
        self._attributes()
        return self._finish(HOME)

    def _parameters(self) -> None:
        document = self._document
        distributions = document.map("distributions")
        if not distributions.original and "enqueued_trials" not in document:
            message = "no trial has a distribution yet, so there is no search space"
            document.mistake("distributions", message, "run at least one trial")
        conditions = document.map("conditions")
        for name in list(distributions.original):
            self._origins[f"parameters.{name}"] = distributions.at(name)
            if (definition := self._parameter(name, distributions)) is not None:
                when = self._condition(name, conditions)
                self._space.add(name, definition, distributions.at(name), when)
        self._data["parameters"] = self._space.parameters
        some = document.items("in_some_trials")
        if some:
            names = ", ".join(map(str, some))
            text = (
                f"only some trials have {names}, and no other parameter explains which: always "
                "active in the study; add when if they have a condition"
            )
            document.approximate("distributions", text)

    def _parameter(self, name: str, distributions: Fields) -> Json | None:
        value = distributions.take(name)
        several: list[Any] = value if is_list(value) else [value]
        found: list[Json] = []
        for each in several:
            parsed = parse_distribution(each)
            if parsed is None:
                hint = "write what optuna.distributions.distribution_to_json returns"
                distributions.mistake(name, "must be a distribution", hint)
                return None
            fields = Fields(parsed, distributions.report, distributions.at(name))
            parameter = read_distribution(fields)
            if parameter is None:
                return None
            found.append(parameter)
            if not is_list(value) and (rest := fields.rest()):
                distributions.put(name, rest)
        if not found:
            distributions.mistake(name, "must be a distribution")
            return None
        merged, difference = merge_distributions(found)
        if merged is None:
            distributions.refuse(name, "trials have distributions of different kinds")
        elif difference:
            distributions.approximate(name, difference)
        return merged

    def _condition(self, name: str, conditions: Fields) -> Json | None:
        if name not in conditions.original:
            return None
        value = conditions.take(name)
        if not is_map(value) or not all(is_list(each) for each in value.values()):
            hint = 'write {"parent": [values]}'
            conditions.mistake(name, "must be a map of lists of values", hint)
            return None
        trials = self._document.original.get("trials")
        if trials is not None:
            parents = " and ".join(f"{key} is one of {each}" for key, each in value.items())
            reason = f"conditions are in code; inferred from {trials} trials: active if {parents}"
            conditions.approximate(name, reason)
        return value

    def _objectives(self) -> None:
        document = self._document
        key = "directions" if "directions" in document else "direction"
        directions = (
            document.texts(key) if key == "directions" else list(filter(None, [document.text(key)]))
        )
        if not directions:
            document.note("directions", "absent, so Optuna's default minimize")
            directions = ["minimize"]
        names = document.texts("metric_names")
        metrics = names or default_metrics(len(directions))
        if len(metrics) != len(directions):
            document.mistake("metric_names", f"needs a name for each of {len(directions)}")
            return
        for direction in directions:
            if direction.lower() not in {"minimize", "maximize"}:
                document.mistake(key, f"must be minimize or maximize, not {direction!r}")
                return
        self._set_objectives(metrics, map(str.lower, directions), document.at(key))
        document.warn(
            key,
            "Optuna calls an objective function and takes what it returns; to run it elsewhere, "
            "name a script with trial.source and trial.script that uses "
            f"cloudtune.trial.params() and {report_call(*metrics)}",
        )

    def _strategy(self) -> None:
        document = self._document
        if not is_map(document.peek("sampler")):
            if document.peek("sampler") is not None:
                document.mistake("sampler", "must be a map with name and arguments")
            else:
                document.warn(
                    "sampler",
                    "absent, since Optuna stores no sampler and no pruner; the study is searched "
                    "as bayesian; set strategy and early_stopping",
                )
            return
        sampler = document.map("sampler")
        name = sampler.text("name")
        known = SAMPLERS | SIMILAR_SAMPLERS
        if name not in known:
            reason = f"a study has no sampler {name}; it has {', '.join(SAMPLERS)}"
            sampler.refuse("name", reason)
            return
        if name in SIMILAR_SAMPLERS:
            sampler.put("name", name)
        strategy = dict(known[name])
        arguments = sampler.map("arguments")
        if (seed := arguments.integer("seed")) is not None:
            strategy["seed"] = seed
        for key in arguments.rest():
            arguments.note(key, "kept for Optuna: no other service has this argument")
        self._data["strategy"] = strategy
        self._origins["strategy"] = sampler.path

    def _pruner(self) -> None:
        document = self._document
        if not is_map(document.peek("pruner")):
            if document.peek("pruner") is not None:
                document.mistake("pruner", "must be a map with name and arguments")
            return
        pruner = document.map("pruner")
        name = pruner.text("name") or ""
        arguments = pruner.map("arguments")
        self._origins["early_stopping"] = pruner.path
        if name == HYPERBAND:
            self._hyperband(pruner, arguments)
            return
        if name not in PRUNERS:
            pruner.put("name", name)
            if name != "NopPruner":
                reason = f"kept for Optuna: a study has no rule {name}; elsewhere no trial stops"
                pruner.approximate("name", reason)
            return
        block: Json = {"rule": RULES[name], **_integers(arguments, PRUNERS[name])}
        if name == HALVING:
            block.setdefault("eta", HALVING_ETA)
        for key in arguments.rest():
            arguments.note(key, "kept for Optuna: no other service has this argument")
        self._data["early_stopping"] = block

    def _hyperband(self, pruner: Fields, arguments: Fields) -> None:
        budget = _integers(arguments, {argument: key for key, argument in BUDGET.items()})
        if "max" not in budget:
            reason = "hyperband of a study needs the largest amount; name max_resource"
            arguments.refuse("max_resource", reason)
        strategy = self._data.get("strategy", {})
        if strategy:
            self._document.map("sampler").put("name", self._document.original["sampler"]["name"])
        seed = {"seed": strategy["seed"]} if "seed" in strategy else {}
        self._data["strategy"] = {"name": "hyperband", **budget, **seed}
        pruner.note("name", "Optuna counts the steps that are reported, as a study does")

    def _limits(self) -> None:
        document = self._document
        jobs = document.integer("n_jobs")
        if jobs == -1:
            document.put("n_jobs", jobs)
            document.note("n_jobs", "kept for Optuna: as many as the machine has processors")
            jobs = None
        self._set_limits(
            compact(
                max_trials=document.integer("n_trials"),
                parallel_trials=jobs,
                timeout=document.duration("timeout"),
            ),
            max_trials=document.at("n_trials"),
            parallel_trials=document.at("n_jobs"),
            timeout=document.at("timeout"),
        )

    def _trials(self) -> None:
        document = self._document
        trials = [each for each in document.items("enqueued_trials") if is_map(each)]
        if trials:
            self._data["initial_trials"] = trials
            self._origins["initial_trials"] = document.at("enqueued_trials")
            if not self._data["parameters"]:
                self._data["strategy"] = {"name": "list"}
        count = document.integer("trials")
        if count:
            text = f"the {count} trials of the storage are no part of a study"
            text += "; `cloudtune attach` takes them"
            document.note("trials", text)

    def _attributes(self) -> None:
        attributes = self._document.map("user_attrs")
        if _EXPORTED[0] in attributes.original:
            for key in list(attributes.original):
                attributes.take(key)
            self._document.note("user_attrs", "left out those of a run of cloudtune")
        self._document.take("system_attrs")


def _integers(arguments: Fields, keys: Mapping[str, str]) -> Json:
    """Take the arguments that are no text, such as auto, under the keys of a study."""
    given = (name for name in keys if not isinstance(arguments.peek(name), str))
    return compact(**{keys[name]: arguments.integer(name) for name in given})
