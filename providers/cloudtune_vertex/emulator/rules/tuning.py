"""Rules for CreateHyperparameterTuningJob. See `rule`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudtune.study.schema import Json
from cloudtune_vertex.emulator.errors import unimplemented
from cloudtune_vertex.emulator.rules import Rule, Wrong, demand, parameters
from cloudtune_vertex.emulator.rules.job import REQUIRED, display_name, labels, spec_rules

_TPU_MACHINE = re.compile(r"cloud-tpu$|ct[0-9]\w*-|tpu[0-9]\w*-")
_ABSENT = ("decayCurveStoppingSpec", "convexAutomatedStoppingSpec")


def needed(job: Json) -> Iterator[Wrong]:
    """Types, HyperparameterTuningJob and StudySpec: what is required."""
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


def failures(job: Json) -> Iterator[Wrong]:
    """Tuning page: maxFailedTrialCount is at most maxTrialCount."""
    failed, most = job.get("maxFailedTrialCount", 0), job.get("maxTrialCount", 0)
    if not 0 <= failed <= most:
        yield "max_failed_trial_count", f"It must be from 0 to max_trial_count ({most})."


def metrics(job: Json) -> Iterator[Wrong]:
    """Types, MetricSpec.metric_id: "must not contain whitespaces and must be unique"."""
    seen: set[str] = set()
    for place, metric in enumerate(job.get("studySpec", {}).get("metrics", ())):
        path = f"study_spec.metrics[{place}].metric_id"
        name: str = metric.get("metricId", "")
        if not name:
            yield path, REQUIRED
        elif any(letter.isspace() for letter in name):
            yield path, f'"{name}" must not contain whitespace.'
        elif name in seen:
            yield path, f'"{name}" must be unique.'
        seen.add(name)


def noise(job: Json) -> Iterator[Wrong]:
    """Types, StudySpec.observation_noise: "Not supported by HyperparameterTuningJob"."""
    if "observationNoise" in job.get("studySpec", {}):
        yield (
            "study_spec.observation_noise",
            "Observation noise is not supported by HyperparameterTuningJob.",
        )


def tpus(job: Json) -> Iterator[Wrong]:
    """Tuning page: tuning jobs do not support TPUs.

    What machines with TPUs are called is in the pages "Configure compute resources", "Deploy a
    model to Cloud TPU VMs" and, of all generations, "Plan TPUs" of Kubernetes Engine.
    """
    for place, pool in enumerate(job.get("trialJobSpec", {}).get("workerPoolSpecs", ())):
        machine: Json = pool.get("machineSpec", {})
        if (
            machine.get("acceleratorType", "").startswith("TPU")
            or "tpuTopology" in machine
            or _TPU_MACHINE.match(machine.get("machineType", ""))
        ):
            yield (
                f"trial_job_spec.worker_pool_specs[{place}].machine_spec",
                "TPUs are not supported by HyperparameterTuningJob.",
            )


RULES: tuple[Rule, ...] = (
    display_name,
    labels,
    needed,
    failures,
    metrics,
    noise,
    *parameters.RULES,
    *spec_rules("trialJobSpec"),
    tpus,
)


def check(job: Json) -> None:
    """Refuse a tuning job that breaks a rule, or that asks for what only the service has.

    Raises:
        ServiceError: An INVALID_ARGUMENT with all reasons, or an UNIMPLEMENTED.
    """
    demand(RULES, job)
    study: Json = job["studySpec"]
    for field in _ABSENT:
        if field in study:
            raise unimplemented(f"This emulator does not have {field}.")
    if any("safetyConfig" in metric for metric in study["metrics"]):
        raise unimplemented("This emulator does not have safetyConfig.")
