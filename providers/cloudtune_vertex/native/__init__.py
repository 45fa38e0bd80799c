"""Vertex AI's own files: tuning jobs in the JSON of REST and protobuf, and gcloud's YAML.

Follows google/cloud/aiplatform/v1/{hyperparameter_tuning_job,study,custom_job}.proto as in
google-cloud-aiplatform 1.133.0. Nothing here depends on the request that
`cloudtune_vertex.request` sends.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from cloudtune.formats import Fields, Format, StudyDraft
from cloudtune.provider import Json, is_map
from cloudtune_vertex.native.names import JOB
from cloudtune_vertex.settings import NAME

_JOB_KEYS = (
    *("trialJobSpec", "maxTrialCount", "parallelTrialCount", "maxFailedTrialCount"),
    *("trial_job_spec", "max_trial_count", "parallel_trial_count", "max_failed_trial_count"),
)
"""What a tuning job has, and a study of Vizier has not."""


class VertexFormat(Format):
    """Tuning jobs of Vertex AI."""

    name = NAME
    title = "a Vertex AI tuning job"
    source = "google/cloud/aiplatform/v1/hyperparameter_tuning_job.proto, read 2026-11-24"
    dialect_at = "cloudtune_vertex.dialect:VERTEX"

    @override
    def matches(self, document: Json) -> bool:
        if JOB in document or "hyperparameter_tuning_job" in document:
            return True
        if "trialJobSpec" in document or "trial_job_spec" in document:
            return True
        spec = document.get("studySpec", document.get("study_spec"))
        return is_map(spec) and any(key in document for key in _JOB_KEYS)

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune_vertex.native.reader import read_job

        return [read_job(document)]
