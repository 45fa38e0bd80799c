"""The rules of Vertex AI: every documented limit that a study can break.

Sources of the limits, here and in the other files of this folder, all read in 2026-11:

- TYPES, the fields: `cloudtune_vertex.capabilities.TYPES`.
- TUNING, tuning jobs: https://docs.cloud.google.com/gemini-enterprise-agent-platform/
  machine-learning/training/using-hyperparameter-tuning; their search:
  https://docs.cloud.google.com/gemini-enterprise-agent-platform/machine-learning/vizier/overview.
- LABELS, of every resource of Google Cloud: https://cloud.google.com/resource-manager/docs/
  labels-overview; their pattern: googleapis, google/bigtable/admin/v2/instance.proto.
- STORAGE, names of buckets and objects: https://cloud.google.com/storage/docs/naming.
- The file of metrics: hypertune.py of cloudml-hypertune 0.1.0.dev6, its only document.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import (
    Facts,
    Finding,
    FittedStudy,
    Mode,
    Note,
    Study,
)
from cloudtune_vertex.rules.image import image_rules
from cloudtune_vertex.rules.machines import machine_rules, quota_notes
from cloudtune_vertex.rules.native import native_rules
from cloudtune_vertex.rules.settings import settings_rules
from cloudtune_vertex.rules.training import training_rules
from cloudtune_vertex.rules.trial import image_switches, trial_rules
from cloudtune_vertex.rules.tuning import tuning_rules
from cloudtune_vertex.rules.values import value_rules
from cloudtune_vertex.settings import VertexSettings


def rules(
    fitted: FittedStudy, mode: Mode, settings: VertexSettings, facts: Facts
) -> list[Finding | Note]:
    """Return all findings and notes of a study on Vertex AI."""
    study = fitted.study
    managed = mode == "managed"
    return [
        *_job_name(study, facts),
        *settings_rules(mode, settings, facts),
        *image_rules(settings, facts),
        *machine_rules(study, mode, settings),
        *quota_notes(study, settings),
        *trial_rules(study, mode, settings, facts),
        *image_switches(fitted.original),
        *(value_rules(fitted, facts) if managed else ()),
        *(tuning_rules(study, facts) if managed else training_rules(study)),
        *native_rules(fitted, mode, settings, facts),
    ]


def _job_name(study: Study, facts: Facts) -> Iterator[Note]:
    if study.name and facts.job_name.rpartition("-")[0] != study.name:
        text = f"jobs are named {facts.job_name}: lowercase letters, digits and hyphens"
        yield Note("name", text)
