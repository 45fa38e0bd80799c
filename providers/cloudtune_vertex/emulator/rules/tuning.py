"""Rules for CreateHyperparameterTuningJob."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudtune.emulator_kit import Json
from cloudtune_vertex.emulator.errors import unimplemented
from cloudtune_vertex.emulator.rules import (
    REQUIRED,
    FieldRule,
    Rule,
    Violation,
    check_fields,
    demand,
    has_no_whitespace,
    parameters,
    select,
)
from cloudtune_vertex.emulator.rules.job import JOB_RULES, spec_rules

_TPU_MACHINE = re.compile(r"cloud-tpu$|ct[0-9]\w*-|tpu[0-9]\w*-")
_UNSUPPORTED = ("decayCurveStoppingSpec", "convexAutomatedStoppingSpec")


def _is_positive(number: int | None) -> bool:
    return (number or 0) > 0


def _has_no_tpu(machine: Json | None) -> bool:
    machine = machine or {}
    return not (
        machine.get("acceleratorType", "").startswith("TPU")
        or "tpuTopology" in machine
        or _TPU_MACHINE.match(machine.get("machineType", ""))
    )


_FIELDS: tuple[FieldRule, ...] = (
    # Types, HyperparameterTuningJob and StudySpec: required fields.
    ("maxTrialCount", _is_positive, "It must be greater than 0."),
    ("parallelTrialCount", _is_positive, "It must be greater than 0."),
    ("studySpec.metrics", bool, REQUIRED),
    ("studySpec.parameters", bool, REQUIRED),
    # Types, MetricSpec.metric_id: "must not contain whitespaces and must be unique".
    ("studySpec.metrics[].metricId", bool, REQUIRED),
    ("studySpec.metrics[].metricId", has_no_whitespace, '"{}" must not contain whitespace.'),
    # Types, StudySpec.observation_noise: "Not supported by HyperparameterTuningJob".
    (
        "studySpec.observationNoise",
        lambda noise: noise is None,
        "Observation noise is not supported by HyperparameterTuningJob.",
    ),
    # Tuning page: tuning jobs do not support TPUs. Names of machines with TPUs: pages "Configure
    # compute resources", "Deploy a model to Cloud TPU VMs" and, for all generations, "Plan TPUs" of
    # Kubernetes Engine.
    (
        "trialJobSpec.workerPoolSpecs[].machineSpec",
        _has_no_tpu,
        "TPUs are not supported by HyperparameterTuningJob.",
    ),
)


def failures(job: Json) -> Iterator[Violation]:
    """Tuning page: maxFailedTrialCount is at most maxTrialCount."""
    failed, total = job.get("maxFailedTrialCount", 0), job.get("maxTrialCount", 0)
    if not 0 <= failed <= total:
        yield "max_failed_trial_count", f"It must be from 0 to max_trial_count ({total})."


def unique_metrics(job: Json) -> Iterator[Violation]:
    """Types, MetricSpec.metric_id: "must be unique"."""
    seen: set[str | None] = {None}
    for field, name in select(job, "studySpec.metrics[].metricId"):
        if name in seen and name:
            yield field, f'"{name}" must be unique.'
        seen.add(name)


RULES: tuple[Rule, ...] = (
    *JOB_RULES,
    check_fields(_FIELDS),
    failures,
    unique_metrics,
    parameters.check,
    *spec_rules("trialJobSpec"),
)


def check(job: Json) -> None:
    """Refuse a tuning job that breaks rules, or needs what this emulator does not have.

    Raises:
        ServiceError: INVALID_ARGUMENT with all reasons, or UNIMPLEMENTED.
    """
    demand(RULES, job)
    study: Json = job["studySpec"]
    for field in _UNSUPPORTED:
        if field in study:
            raise unimplemented(f"This emulator does not have {field}.")
    if any("safetyConfig" in metric for metric in study["metrics"]):
        raise unimplemented("This emulator does not have safetyConfig.")
