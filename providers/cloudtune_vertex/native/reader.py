"""Reads a tuning job of Vertex AI as a study."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cloudtune.formats import (
    Fields,
    StudyDraft,
    camel_case,
    compact,
    inverse,
    read_parameter_specs,
    restore_paths,
)
from cloudtune.provider import Json, format_duration, is_map
from cloudtune_vertex.native.job_spec import read_job_spec, read_seconds
from cloudtune_vertex.native.names import (
    ALGORITHMS,
    FIELDS,
    GOALS,
    JOB,
    NUMBERS,
    SELECTIONS,
    name_enums,
)
from cloudtune_vertex.settings import NAME

_OUTPUT = (
    *("name", "state", "createTime", "startTime", "endTime", "updateTime", "trials", "error"),
    *("satisfiesPzs", "satisfiesPzi"),
)
"""What only the service sets (hyperparameter_tuning_job.proto)."""
_RUN_LABEL = "cloudtune-run"
_DEFAULT_VALUE = "kept for Vertex AI, which supports it in Vizier only"
_PARENT = re.compile(r"projects/([^/]+)/locations/([^/]+)")


def read_job(document: Fields) -> StudyDraft:
    """Return the study of a tuning job; the document may have either spelling of its fields."""
    names: dict[str, str] = {}
    whole = camel_case(dict(document.original), names)
    report = document.report
    settings: Json = {}
    path = ""
    if JOB in whole:
        parent = _PARENT.match(str(whole.get("parent") or ""))
        if parent:
            settings |= {"project": parent[1], "location": parent[2]}
        inner = Fields(whole, report).map(JOB)
        whole, path = dict(inner.original), JOB
    spec = whole.get("trialJobSpec")
    if is_map(spec):
        whole["trialJobSpec"] = name_enums(spec)
    draft = _JobReader(Fields(whole, report, path), settings).draft()
    draft.origins = restore_paths(report, draft.origins, names)
    return draft


class _JobReader:
    def __init__(self, job: Fields, settings: Json) -> None:
        self._job = job
        self._spec = job.map("studySpec")
        self._settings = settings
        self._data: Json = {}
        self._origins: dict[str, str] = {}

    def draft(self) -> StudyDraft:
        job, data, settings = self._job, self._data, self._settings
        unknown = [key for key in job.original if key not in FIELDS]
        for key in unknown:
            job.warn(key, f"kept, but a tuning job of Vertex AI has no field {key}")
        if not self._spec.original:
            hint = f"it is not read from {', '.join(unknown)}" if unknown else ""
            text = "absent: a tuning job needs its parameters and metrics"
            job.mistake("studySpec", text, hint)
            return StudyDraft(data)
        data["name"] = job.text("displayName")
        if added := [key for key in _OUTPUT if job.take(key) is not None]:
            job.note(added[0], f"left out what the service adds: {', '.join(added)}")
        data["parameters"] = read_parameter_specs(self._spec, self._origins, _DEFAULT_VALUE)
        self._objectives()
        data["strategy"] = {"name": self._enum("algorithm", ALGORITHMS, "bayesian")}
        self._origins["strategy"] = self._spec.at("algorithm")
        self._limits()
        self._stopping()
        trial: Json = {}
        read_job_spec(job, data, trial, settings)
        data["trial"] = trial
        labels = job.entries("labels")
        if labels.pop(_RUN_LABEL, None) is not None:
            job.note("labels", f"left out {_RUN_LABEL}, which belongs to a run of cloudtune")
        encryption = job.map("encryptionSpec")
        settings |= compact(
            kms_key=encryption.text("kmsKeyName"),
            labels={str(key): str(value) for key, value in labels.items()},
        )
        rest = job.rest()
        data["providers"] = {NAME: {**settings, **({"native": {JOB: rest}} if rest else {})}}
        if not data["providers"][NAME]:
            data["providers"] = {}
        return StudyDraft(data, "", self._origins)

    def _enum(self, key: str, values: Mapping[str, str], default: str) -> str:
        """Take the value of an enum, by name or by number."""
        value = self._spec.word(key)
        name: Any = NUMBERS[key].get(value, value) if isinstance(value, int) else value
        if not name:
            return default
        if name not in values:
            hint = f"use {', '.join(values)}"
            self._spec.mistake(key, f"unknown value {value!r}", hint)
            return default
        return values[name]

    def _objectives(self) -> None:
        objectives: list[Json] = []
        select = self._enum("measurementSelectionType", SELECTIONS, "last")
        for fields in self._spec.maps("metrics", "metricId"):
            if "safetyConfig" in fields:
                reason = "a study has no safety metrics: on other services nothing keeps the limit"
                fields.approximate("safetyConfig", reason)
                continue
            metric, value = fields.text("metricId"), fields.word("goal")
            goal = NUMBERS["goal"].get(value) if isinstance(value, int) else value
            if goal in {None, "", "GOAL_TYPE_UNSPECIFIED"}:
                fields.note("goal", "absent, so Vertex AI's default MAXIMIZE")
                goal = inverse(GOALS, "maximize")
            if not metric or goal not in GOALS:
                fields.mistake("goal", "a metric needs an id and a goal MAXIMIZE or MINIMIZE")
                continue
            fields.warn(
                "metricId",
                "Vertex AI takes it from cloudml-hypertune, which nothing reads on other services: "
                f'add cloudtune.trial.report({{"{metric}": value}}) to the script',
            )
            objectives.append(
                {
                    "metric": metric,
                    "goal": GOALS[str(goal)],
                    **({"select": "best"} if select == "best" else {}),
                }
            )
        if not objectives:
            self._spec.mistake("metrics", "a study needs a metric to optimize")
        self._origins["objective"] = self._spec.at("metrics")
        self._data["objective"] = objectives if len(objectives) > 1 else (objectives or [{}])[0]

    def _limits(self) -> None:
        job = self._job
        trials = job.integer("maxTrialCount")
        parallel = job.integer("parallelTrialCount")
        failed = job.integer("maxFailedTrialCount")
        if not trials:
            text = "absent: name limits.max_trials, as gcloud does with --max-trial-count"
            job.warn("maxTrialCount", text)
        if not failed:
            text = (
                "0 or absent, with which Vertex AI decides: it ends the job if the first trial "
                "fails; limits.max_failed_trials is left out"
            )
            job.warn("maxFailedTrialCount", text)
        self._data["limits"] = compact(
            max_trials=trials or None,
            parallel_trials=parallel or None,
            max_failed_trials=failed - 1 if failed else None,
        )
        self._origins["limits.max_trials"] = job.at("maxTrialCount")
        self._origins["limits.parallel_trials"] = job.at("parallelTrialCount")

    def _stopping(self) -> None:
        spec = self._spec
        rule = spec.peek("medianAutomatedStoppingSpec")
        if is_map(rule):
            self._data["early_stopping"] = "median"
            if not rule.get("useElapsedDuration"):
                spec.take("medianAutomatedStoppingSpec")
        for key in ("decayCurveStoppingSpec", "convexAutomatedStoppingSpec"):
            if key in spec:
                spec.approximate(key, "kept for Vertex AI: a study has no such rule")
        config = spec.map("studyStoppingConfig")
        timeout = read_seconds(config.map("maximumRuntimeConstraint"), "maxDuration")
        patience = config.integer("maxNumTrialsNoProgress")
        if timeout or patience:
            if config.peek("shouldStopAsap") is True:
                config.take("shouldStopAsap")
            else:
                config.erase("shouldStopAsap")
        self._data["limits"] |= compact(
            timeout=format_duration(timeout) if timeout else None, patience=patience
        )
