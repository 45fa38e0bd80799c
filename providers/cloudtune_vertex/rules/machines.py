"""Rules of the machines, their accelerators and their scheduling."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cloudtune.provider import (
    Finding,
    Mode,
    Note,
    Study,
    did_you_mean,
)
from cloudtune_vertex.native.names import NUMBERS
from cloudtune_vertex.rules.settings import SETTINGS, refuse
from cloudtune_vertex.settings import NAME, VertexSettings

ACCELERATORS = (*NUMBERS["acceleratorType"].values(),)
"""AcceleratorType in TYPES."""
DISK_GB = range(100, 64_001)
"""Sizes of boot disks: google-cloud-aiplatform 2.7.0, training_jobs.py, read 2026-11-27."""
DISK_REASON = f"must be {DISK_GB[0]} to {DISK_GB[-1]:,} GB"
USUAL_CPUS = 20
"""The default quota that users report for custom_model_training_cpus, 20 or 42 by region, in
https://github.com/GoogleCloudPlatform/training-data-analyst/issues/2457 (2023-10); Google publishes
no defaults. The names of the quotas are those of its messages, as in GoogleCloudPlatform/
vertex-ai-samples issues 700 and 3479, read 2026-11-27; names of other machines and accelerators are
derived from these."""
NO_TPUS = "tuning jobs do not support TPUs"
"""In TUNING."""
_UNSUPPORTED_ACCELERATOR = "NVIDIA_TESLA_K80"
"""No longer supported, in TYPES."""
_RESOURCE_ID = re.compile(r"[a-z][a-z0-9-]{0,127}")
_MACHINE = re.compile(r"cloud-tpu|[a-z]+[0-9]+[a-z]*-[a-z]+-[0-9]+[gt]?(?:-[a-z0-9]+)*")
"""For example n1-standard-4, a2-ultragpu-1g or ct5lp-hightpu-4t: the machine types in
https://docs.cloud.google.com/vertex-ai/docs/training/configure-compute, read 2026-11."""
_TPU_MACHINE = re.compile(r"cloud-tpu|(ct|tpu)[0-9][a-z0-9]*-.+")


def has_tpus(machine_type: str) -> bool:
    """Return whether a machine type has TPUs, for example ct5lp-hightpu-4t or tpu7x-standard-4t.

    Read 2026-11: https://docs.cloud.google.com/vertex-ai/docs/training/configure-compute and
    .../predictions/use-tpu, https://docs.cloud.google.com/kubernetes-engine/docs/concepts/plan-tpus.
    """
    return _TPU_MACHINE.fullmatch(machine_type) is not None


def machine_rules(study: Study, mode: Mode, settings: VertexSettings) -> Iterator[Finding | Note]:
    """Yield the findings and notes on the machines."""
    machine_type = settings.machine_type or ""
    if machine_type and not _MACHINE.fullmatch(machine_type):
        reason = "must be a machine type, FAMILY-KIND-SIZE, for example n1-standard-4"
        yield refuse("machine_type", reason)
    elif has_tpus(machine_type) and mode == "managed":
        yield refuse("machine_type", NO_TPUS)
    if settings.disk_gb is not None and settings.disk_gb not in DISK_GB:
        yield refuse("disk_gb", DISK_REASON)
    yield from _accelerator(mode, settings)
    if settings.spot and settings.flex_start:
        yield refuse("flex_start", "set only one of spot and flex_start")
    elif settings.max_wait is not None and not settings.flex_start:
        yield Finding("dropped", f"{SETTINGS}.max_wait", "applies only with flex_start: true")
    yield from _persistent_resource(study, mode, settings)
    if settings.spot:
        text = (
            "Google may reclaim the machine of a trial, which then starts again: save its progress "
            "in checkpoint_dir(), which is kept"
        )
        yield Note(f"{SETTINGS}.spot", text)


def _persistent_resource(
    study: Study, mode: Mode, settings: VertexSettings
) -> Iterator[Finding | Note]:
    """Yield what a persistent resource saves and costs.

    "The job will be run on existing machines held by the PersistentResource ... The network and
    CMEK configs on the job should be consistent with those on the PersistentResource, otherwise,
    the job will be rejected" (CustomJobSpec of google-cloud-aiplatform 2.7.0, read 2026-11-27).
    """
    path = f"{SETTINGS}.persistent_resource"
    if settings.persistent_resource is None:
        return
    if mode == "managed":
        reason = "that trials of Vertex AI's tuner run on a persistent resource is not verified"
        yield Finding("dropped", path, reason)
        return
    if not _RESOURCE_ID.fullmatch(settings.persistent_resource):
        reason = "must be the ID of a persistent resource in the same project and location"
        yield refuse("persistent_resource", reason)
    for name in ("spot", "flex_start"):
        if getattr(settings, name):
            reason = f"the machines already exist: remove {name} or persistent_resource"
            yield refuse("persistent_resource", reason)
    yield Note(
        path,
        "trials start on existing machines, without waiting for new ones; the resource must have "
        "machines of machine_type, and the same network and kms_key; it is billed until you delete "
        "it, also while no trial runs",
    )
    for name in study.limits.amounts():
        text = "does not count the time in which no trial runs on the persistent resource"
        yield Note(f"limits.{name}", f"{text}, which you pay until you delete it")


@dataclass(frozen=True)
class QuotaNeed:
    """What the trials at one time need of a quota of the project in a location."""

    amount: int
    unit: str
    metric: str
    """Without the service, such as ``custom_model_training_cpus``."""

    def __str__(self) -> str:
        return f"{self.amount} {self.unit} ({self.metric})"


def quota_needs(study: Study, settings: VertexSettings) -> Iterator[QuotaNeed]:
    """Yield what the trials at one time need; spot capacity has quotas of its own.

    Those of spot capacity have ``preemptible`` in their names, as in public reports of
    custom_model_training_preemptible_nvidia_l4_gpus (read 2026-11-27).
    """
    parallel = study.limits_for(NAME).parallel_trials or 1
    family, _, rest = (settings.machine_type or "").partition("-")
    size = re.match(r"[a-z]+-([0-9]+)$", rest)
    spot = "preemptible_" if settings.spot else ""
    if size:
        kind = "" if family in {"n1", "e2"} else f"{family}_"
        metric = f"custom_model_training_{spot}{kind}cpus"
        yield QuotaNeed(int(size[1]) * parallel, "CPUs", metric)
    accelerator = settings.accelerator_type or ""
    if accelerator.startswith("NVIDIA_"):
        name = accelerator.lower().replace("tesla_", "")
        count = (settings.accelerator_count or 1) * parallel
        yield QuotaNeed(count, "accelerators", f"custom_model_training_{spot}{name}_gpus")


def quota_notes(study: Study, settings: VertexSettings) -> Iterator[Note]:
    """Yield the quotas of the project that the trials at one time may exceed."""
    parallel = study.limits_for(NAME).parallel_trials or 1
    needs = [
        str(need)
        for need in quota_needs(study, settings)
        if need.unit != "CPUs" or need.amount > USUAL_CPUS
    ]
    if needs:
        yield Note(
            "limits.parallel_trials" if parallel > 1 else f"{SETTINGS}.machine_type",
            f"{' and '.join(needs)} at a time: the default quota in a location is often only "
            f"{USUAL_CPUS} CPUs of N1 and E2, and no accelerators; look at IAM & Admin, Quotas",
            "warning",
        )


def _accelerator(mode: Mode, settings: VertexSettings) -> Iterator[Finding | Note]:
    name = settings.accelerator_type
    if name is None:
        if settings.accelerator_count:
            yield refuse("accelerator_count", "requires accelerator_type")
    elif name not in ACCELERATORS:
        suggestion = did_you_mean(name, ACCELERATORS) or "for example NVIDIA_TESLA_T4"
        yield refuse("accelerator_type", f"unknown accelerator {name}; {suggestion}")
    elif name.startswith("TPU_") and mode == "managed":
        yield refuse("accelerator_type", NO_TPUS)
    elif name == _UNSUPPORTED_ACCELERATOR:
        yield Note(f"{SETTINGS}.accelerator_type", "Google no longer supports this accelerator")
