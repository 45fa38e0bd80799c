"""Reads a Katib Experiment as a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloudtune.formats.documents import walk
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.katib.collector import collector_kind, read_collector
from cloudtune.formats.katib.names import (
    ALGORITHMS,
    API_VERSION,
    DEFAULT_PARALLEL,
    EXTREMES,
    HOME,
    RULES,
    SIMILAR,
)
from cloudtune.formats.katib.parameters import read_parameter, step_obstacle
from cloudtune.formats.model import DocumentReader, StudyDraft, compact, read_named, report_call
from cloudtune.formats.ranges import keep_whole
from cloudtune.study.yaml_reader import is_map

_CLUSTER_FIELDS = (
    *("creationTimestamp", "resourceVersion", "uid", "generation", "managedFields", "selfLink"),
    *("finalizers", "ownerReferences"),
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class ExperimentReader(DocumentReader):
    """Reads one Experiment."""

    def __init__(self, document: Fields) -> None:
        super().__init__(document)
        self._spec = document.map("spec")

    def draft(self) -> StudyDraft:
        """Return the study."""
        document, spec = self._document, self._spec
        document.take("kind")
        if document.peek("apiVersion") == API_VERSION:
            document.take("apiVersion")
        self._metadata()
        if spec.peek("nasConfig") is not None:
            spec.refuse("nasConfig", "a study has no search for network architectures")
        self._data["parameters"] = self._parameters()
        self._strategy()
        self._early_stopping()
        self._limits()
        trial = self._objective()
        self._data["trial"] = trial
        self._code()
        return self._finish(HOME)

    def _metadata(self) -> None:
        metadata = self._document.map("metadata")
        self._data["name"] = metadata.text("name")
        added = [key for key in _CLUSTER_FIELDS if metadata.take(key) is not None]
        if self._document.take("status") is not None:
            added.append("status")
        annotations = metadata.map("annotations")
        if annotations.take(_LAST_APPLIED) is not None:
            added.append(_LAST_APPLIED)
        if added:
            self._document.note("metadata", f"left out what the cluster adds: {', '.join(added)}")

    def _parameters(self) -> Json:
        parameters = read_named(self._spec, "parameters", "name", read_parameter, self._origins)
        if not self._spec.maps("parameters", "name") and self._spec.peek("nasConfig") is None:
            self._spec.mistake("parameters", "an experiment needs parameters")
        return parameters

    def _objective(self) -> Json:
        objective = self._spec.map("objective")
        metric, kind = objective.text("objectiveMetricName"), objective.word("type")
        if not metric:
            objective.mistake("objectiveMetricName", "an experiment needs a metric to optimize")
            return {}
        if kind not in EXTREMES:
            objective.mistake("type", f"must be minimize or maximize, not {kind!r}")
            return {}
        additional = [each for each in objective.texts("additionalMetricNames") if each != metric]
        strategies = self._metric_strategies(objective, EXTREMES[kind])
        select = strategies.pop(metric, EXTREMES[kind])
        goal: Json = {"metric": metric, "goal": kind}
        if (target := objective.number("goal")) is not None:
            goal["target"] = target
        if select == EXTREMES[kind]:
            goal["select"] = "best"
        elif select != "last":
            reason = f"the worst value of {metric} cannot count in a study that would {kind} it"
            objective.refuse("metricStrategies", reason)
        self._data["objective"] = goal
        self._origins["objective"] = objective.path
        for name in strategies.keys() - set(additional):
            objective.drop("metricStrategies", f"{name} is not a metric of the experiment")
        selects = {name: strategies.get(name, EXTREMES[kind]) for name in additional}
        return compact(metrics=self._collector([metric, *additional]), select=selects)

    def _metric_strategies(self, objective: Fields, extreme: str) -> dict[str, str]:
        strategies: dict[str, str] = {}
        for each in objective.maps("metricStrategies"):
            name, value = each.text("name"), each.word("value")
            if value not in {"min", "max", "latest"}:
                each.mistake("value", f"must be min, max or latest, not {value!r}")
            strategies[name or ""] = "last" if value == "latest" else str(value)
            if value == extreme:
                each.put("name", name)  # an export writes the default, too
        return strategies

    def _strategy(self) -> None:
        algorithm = self._spec.map("algorithm")
        name = algorithm.text("algorithmName")
        settings = algorithm.maps("algorithmSettings", "name")
        if name in {None, ""}:
            algorithm.mistake("algorithmName", "an experiment needs an algorithm")
            return
        if name in SIMILAR:
            algorithm.put("algorithmName", name)
            algorithm.approximate("algorithmName", "other services run it as bayesian with tpe")
            name = "tpe"
        if name not in ALGORITHMS:
            reason = f"a study has no algorithm {name}; it has {', '.join(ALGORITHMS)}"
            algorithm.refuse("algorithmName", reason)
            return
        strategy = dict(ALGORITHMS[str(name)])
        for setting in settings:
            self._setting(str(setting.peek("name")), setting, strategy)
        self._data["strategy"] = strategy
        self._origins["strategy"] = algorithm.path
        self._steps(str(name))

    def _steps(self, algorithm: str) -> None:
        """Report steps that mean something else to an algorithm."""
        for entry in self._spec.maps("parameters", "name"):
            found = self._data["parameters"].get(str(entry.identity), {})
            if "step" in found and (
                obstacle := step_obstacle(found["min"], found["max"], found["step"], algorithm)
            ):
                keep_whole(entry)
                reason = f"{obstacle}; elsewhere, the values are min, min + step and so on"
                entry.approximate("feasibleSpace.step", reason)

    def _setting(self, name: str, setting: Fields, strategy: Json) -> None:
        """Take one setting of the algorithm that a strategy has; others stay."""
        value = setting.peek("value")
        hyperband = {"r_l": "max", "eta": "eta", "resource_name": "resource"}
        if name == "random_state":
            strategy["seed"] = setting.integer("value")
            setting.take("name")
        elif strategy["name"] == "hyperband" and name in hyperband:
            key = hyperband[name]
            strategy[key] = value if key == "resource" else setting.integer("value")
            setting.take("value")
            setting.take("name")
            if key == "resource":
                self._resource(str(value), setting, strategy)
        else:
            setting.note("value", f"kept for Katib: no other service has the setting {name}")

    def _resource(self, name: str, setting: Fields, strategy: Json) -> None:
        """Move the parameter that hyperband sets from the parameters to the strategy."""
        parameter = self._data["parameters"].pop(name, None)
        if parameter is None:
            setting.mistake("value", f"hyperband's resource {name} is not a parameter")
            return
        entries = self._spec.maps("parameters", "name")
        entry = next(each for each in entries if each.identity == name)
        for key, part in entry.original.items():
            entry.put(key, part)
        if parameter.get("type") == "int":
            strategy["min"] = parameter["min"]
        entry.note("name", "hyperband sets it, so it is the resource of the strategy")

    def _early_stopping(self) -> None:
        stopping = self._spec.map("earlyStopping")
        rule = stopping.peek("algorithmName")
        if rule is None:
            return
        if str(rule) not in RULES:
            reason = f"a study has no rule {rule}; it has {', '.join(RULES)}"
            stopping.refuse("algorithmName", reason)
            return
        stopping.take("algorithmName")
        block: Json = {"rule": "median"}
        names = {"min_trials_required": "min_trials", "start_step": "min_step"}
        for setting in stopping.maps("algorithmSettings", "name"):
            if (key := names.get(str(setting.peek("name")))) is not None:
                block[key] = setting.integer("value")
                setting.take("name")
        self._data["early_stopping"] = block
        self._origins["early_stopping"] = stopping.path

    def _limits(self) -> None:
        spec = self._spec
        parallel = spec.integer("parallelTrialCount")
        if parallel is None:
            spec.note("parallelTrialCount", f"absent, so Katib's default {DEFAULT_PARALLEL}")
        self._set_limits(
            compact(
                max_trials=spec.integer("maxTrialCount"),
                parallel_trials=DEFAULT_PARALLEL if parallel is None else parallel,
                max_failed_trials=spec.integer("maxFailedTrialCount"),
            ),
            max_trials=spec.at("maxTrialCount"),
            parallel_trials=spec.at("parallelTrialCount"),
            max_failed_trials=spec.at("maxFailedTrialCount"),
        )

    def _collector(self, metrics: Sequence[str]) -> Json:
        """Return the expressions of the standard output collector, which stays as it is, too."""
        collector: Any = self._spec.peek("metricsCollectorSpec")
        kind = collector_kind(collector)
        if kind != "StdOut":
            self._spec.warn(
                "metricsCollectorSpec",
                f"nothing reads the metrics of the collector {kind} on other services: add "
                f"{report_call(metrics[0])} to the script, or print them and set trial.metrics",
            )
            return {}
        expressions = read_collector(collector, metrics)
        for metric in metrics:
            if metric not in expressions:
                text = f"no expression has two groups of which the first matches {metric}"
                self._spec.warn("metricsCollectorSpec.source.filter.metricsFormat", text)
        return expressions

    def _code(self) -> None:
        template = self._spec.peek("trialTemplate")
        path = self._spec.at("trialTemplate")
        if not is_map(template) or not template:
            text = "an experiment needs a template: name the image of a trial before Katib runs it"
            self._spec.warn("trialTemplate", text)
            self._spec.erase("trialTemplate")
            return
        images = list(
            dict.fromkeys(
                value for where, value in walk(template) if where.endswith("image") and value
            )
        )
        where = f"the image {images[0]}" if images else "the template"
        self._document.report.warn(
            path,
            f"the code is in {where}; to run it elsewhere, name it with trial.source and "
            "trial.script, or an image in the settings of the provider",
        )
        if "goTemplate" in template:
            self._document.note("apiVersion", "an Experiment of an older version of Katib")
