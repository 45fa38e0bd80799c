"""Rules for CreateHyperparameterTuningJob."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudtune.emulator_kit import Json
from cloudtune_vertex.emulator.errors import unimplemented
from cloudtune_vertex.emulator.rules import Rule, Violation, demand, parameters
from cloudtune_vertex.emulator.rules.job import REQUIRED, display_name, label_rules, spec_rules

_TPU_MACHINE = re.compile(r"cloud-tpu$|ct[0-9]\w*-|tpu[0-9]\w*-")
_UNSUPPORTED = ("decayCurveStoppingSpec", "convexAutomatedStoppingSpec")


def required(job: Json) -> Iterator[Violation]:
    """Types, HyperparameterTuningJob and StudySpec: required fields."""
    for field, name in (
        ("maxTrialCount", "max_trial_count"),
        ("parallelTrialCount", "parallel_trial_count"),
    ):
        if not job.get(field, 0) > 0:
            yield name, "It must be greater than 0."
    study: Json = job.get("studySpec", {})
    for field in ("metrics", "parameters"):
        if not study.get(field):
            yield f"study_spec.{field}", REQUIRED


def failures(job: Json) -> Iterator[Violation]:
    """Tuning page: maxFailedTrialCount is at most maxTrialCount."""
    failed, total = job.get("maxFailedTrialCount", 0), job.get("maxTrialCount", 0)
    if not 0 <= failed <= total:
        yield "max_failed_trial_count", f"It must be from 0 to max_trial_count ({total})."


def metrics(job: Json) -> Iterator[Violation]:
    """Types, MetricSpec.metric_id: "must not contain whitespaces and must be unique"."""
    seen: set[str] = set()
    for index, metric in enumerate(job.get("studySpec", {}).get("metrics", ())):
        path = f"study_spec.metrics[{index}].metric_id"
        name: str = metric.get("metricId", "")
        if not name:
            yield path, REQUIRED
        elif any(letter.isspace() for letter in name):
            yield path, f'"{name}" must not contain whitespace.'
        elif name in seen:
            yield path, f'"{name}" must be unique.'
        seen.add(name)


def noise(job: Json) -> Iterator[Violation]:
    """Types, StudySpec.observation_noise: "Not supported by HyperparameterTuningJob"."""
    if "observationNoise" in job.get("studySpec", {}):
        yield (
            "study_spec.observation_noise",
            "Observation noise is not supported by HyperparameterTuningJob.",
        )


def tpus(job: Json) -> Iterator[Violation]:
    """Tuning page: tuning jobs do not support TPUs.

    Names of machines with TPUs: pages "Configure compute resources", "Deploy a model to Cloud TPU
    VMs" and, for all generations, "Plan TPUs" of Kubernetes Engine.
    """
    for index, pool in enumerate(job.get("trialJobSpec", {}).get("workerPoolSpecs", ())):
        machine: Json = pool.get("machineSpec", {})
        if (
            machine.get("acceleratorType", "").startswith("TPU")
            or "tpuTopology" in machine
            or _TPU_MACHINE.match(machine.get("machineType", ""))
        ):
            yield (
                f"trial_job_spec.worker_pool_specs[{index}].machine_spec",
                "TPUs are not supported by HyperparameterTuningJob.",
            )


RULES: tuple[Rule, ...] = (
    display_name,
    label_rules,
    required,
    failures,
    metrics,
    noise,
    *parameters.RULES,
    *spec_rules("trialJobSpec"),
    tpus,
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
