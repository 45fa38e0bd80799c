"""Reads a tuning job of AI Platform as a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloudtune.formats.ai_platform.names import (
    HOME,
    INPUT,
    SEARCH,
    STUDY,
    read_algorithm,
    read_goal,
    read_scale,
)
from cloudtune.formats.ai_platform.optimizer import read_study
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import DocumentReader, StudyDraft, compact, read_named, report_call
from cloudtune.formats.values import describe_value, rising_numbers, unique_values
from cloudtune.formats.vizier.names import camel_case, restore_paths
from cloudtune.formats.vizier.parameters import read_bounds
from cloudtune.study.yaml_reader import is_list, is_map

DEFAULT_TAG = "training/hptuning/metric"
"""``hyperparameterMetricTag`` where the job has none."""
_OUTPUT = (
    *("trainingOutput", "state", "createTime", "startTime", "endTime", "errorMessage", "etag"),
    "jobPosition",
)
"""What only the service sets."""
_BOUNDS = ("minValue", "maxValue")
_LISTS = {"CATEGORICAL": "categoricalValues", "DISCRETE": "discreteValues"}
_KINDS = {"DOUBLE": "float", "INTEGER": "int"}


def read_job(document: Fields) -> StudyDraft:
    """Return the study of a job, or of a configuration of the Optimizer, in either spelling."""
    names: dict[str, str] = {}
    whole: Json = camel_case(dict(document.original), names)
    fields = Fields(whole, document.report)
    draft = read_study(fields) if STUDY in whole else _JobReader(fields).draft()
    draft.origins = restore_paths(document.report, draft.origins, names)
    return draft


class _JobReader(DocumentReader):
    def __init__(self, job: Fields) -> None:
        super().__init__(job)
        self._input = job.map(INPUT) if INPUT in job else job
        self._search = self._input.map(SEARCH)

    def draft(self) -> StudyDraft:
        job, data, search = self._document, self._data, self._search
        data["name"] = job.text("jobId")
        if added := [key for key in _OUTPUT if job.take(key) is not None]:
            job.note(added[0], f"left out what the service adds: {', '.join(added)}")
        if not search.original:
            self._input.mistake(SEARCH, "absent: this job trains once, and tunes nothing")
            return StudyDraft(data)
        data["parameters"] = self._parameters()
        self._objective()
        data["strategy"] = read_algorithm(search)
        self._origins["strategy"] = search.at("algorithm")
        if search.flag("enableTrialEarlyStopping"):
            data["early_stopping"] = "auto"
        self._limits()
        if "resumePreviousJobId" in search:
            text = f"the trials of the job {search.peek('resumePreviousJobId')} are not read"
            search.report.drop(search.at("resumePreviousJobId"), text)
        data["trial"] = self._code()
        return self._finish(HOME)

    def _objective(self) -> None:
        search = self._search
        goal, metric = read_goal(search), search.text("hyperparameterMetricTag")
        if not metric:
            text = f"absent, so AI Platform's default {DEFAULT_TAG}"
            search.note("hyperparameterMetricTag", text)
            metric = DEFAULT_TAG
        search.warn(
            "hyperparameterMetricTag",
            "the script reports it with hypertune or as a summary of TensorFlow, which other "
            f"services do not read: add {report_call(metric)} to the script",
        )
        if goal:
            self._data["objective"] = {"metric": metric, "goal": goal}
        self._origins["objective"] = search.at("hyperparameterMetricTag")

    def _limits(self) -> None:
        search = self._search
        trials = search.integer("maxTrials")
        if not trials:
            search.note("maxTrials", "absent, so AI Platform's default 1")
        failed = search.integer("maxFailedTrials")
        if not failed:
            text = "0 or absent, with which the service decides: limits.max_failed_trials is absent"
            search.note("maxFailedTrials", text)
        self._set_limits(
            compact(
                max_trials=trials or 1,
                parallel_trials=search.integer("maxParallelTrials") or None,
                max_failed_trials=failed - 1 if failed else None,
            ),
            max_trials=search.at("maxTrials"),
            parallel_trials=search.at("maxParallelTrials"),
            max_failed_trials=search.at("maxFailedTrials"),
        )

    def _parameters(self) -> Json:
        params: Any = self._search.peek("params")
        if is_map(params):
            text = "is one parameter, and must be a list of them"
            self._search.mistake("params", text, "put - before it")
            return {}
        if not params:
            hint = "indent them below hyperparameters" if "params" in self._input else ""
            self._search.mistake("params", "a tuning job needs parameters", hint)
        return read_named(self._search, "params", "parameterName", _parameter, self._origins)

    def _code(self) -> Json:
        job = self._input
        master = job.peek("masterConfig")
        image = master.get("imageUri") if is_map(master) else None
        packages: Any = job.peek("packageUris")
        elsewhere = "to run it elsewhere, name it with trial.source and trial.script"
        if image:
            job.warn("masterConfig.imageUri", f"the code is in the image {image}; {elsewhere}")
        elif packages:
            first = packages[0] if is_list(packages) else packages
            text = f"the code is in the package {first}; {elsewhere}, or for Vertex AI with "
            job.warn("packageUris", f"{text}trial.source.vertex and trial.module")
        else:
            text = "absent: gcloud names the code by options; name it with trial.script"
            job.warn("pythonModule", text)
        args: Any = job.peek("args")
        if is_list(args) and not any("{{" in str(word) for word in args):
            return compact(args=[str(word) for word in job.items("args")])
        return {}


def _parameter(fields: Fields) -> Json | None:
    kind = fields.word("type")
    if kind in _KINDS:
        return _range(fields, str(kind))
    if kind not in _LISTS:
        text = f"must be DOUBLE, INTEGER, CATEGORICAL or DISCRETE, {describe_value(kind)}"
        fields.mistake("type", text)
        return None
    key = _LISTS[str(kind)]
    others = _other_keys(fields, str(kind), (key,))
    values = fields.items(key)
    if not values:
        found = f", not {' and '.join(others)}" if others else ""
        fields.mistake(key, f"a {kind} parameter needs its values here{found}")
        return None
    if kind == "CATEGORICAL":
        fields.take("scaleType")
        return {"type": "categorical", "values": unique_values(list(map(str, values)))}
    numbers = rising_numbers(values)
    if numbers is None:
        fields.mistake(key, "the values of a DISCRETE parameter must be numbers")
        return None
    return {"type": "discrete", "values": numbers, **read_scale(fields)}


def _range(fields: Fields, kind: str) -> Json | None:
    others = _other_keys(fields, kind, _BOUNDS)
    if others and not any(key in fields for key in _BOUNDS):
        fields.mistake(
            others[0], f"does not belong to a {kind} parameter", "use minValue, maxValue"
        )
        return None
    bounds = read_bounds(fields, whole=kind == "INTEGER")
    if bounds is None:
        return None
    for key in _BOUNDS:
        if fields.original.get(key) is None:
            fields.note(key, "absent, which is 0 in the JSON of the service")
    return {"type": _KINDS[kind], **bounds, **read_scale(fields)}


def _other_keys(fields: Fields, kind: str, own: Sequence[str]) -> list[str]:
    """Return the keys with values that belong to other types, which are kept with a warning."""
    keys = [key for key in (*_BOUNDS, *_LISTS.values()) if key not in own]
    found = [key for key in keys if fields.peek(key) not in (None, [], 0)]
    if any(key in fields for key in own):
        for key in found:
            fields.warn(key, f"kept, but a {kind} parameter has no such key")
    return found
