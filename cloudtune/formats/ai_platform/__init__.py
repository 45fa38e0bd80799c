"""Google's AI Platform: the training input of a tuning job, and a study of its Optimizer.

Follows the reference of its API (cloud.google.com/ai-platform/training/docs/reference/rest/v1/
projects.jobs#HyperparameterSpec as in the generated client google-apis-ml_v1 0.38.0, read
2026-11-27). The service is the predecessor of Vertex AI, so the format is read only.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from cloudtune.formats.ai_platform.names import HOME, INPUT, SEARCH, STUDY
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.model import Format, StudyDraft
from cloudtune.formats.vizier.names import camel_case
from cloudtune.study.yaml_reader import is_list, is_map


class AiPlatformFormat(Format):
    """Tuning jobs and studies of AI Platform, which are only read."""

    name = HOME
    title = "a tuning job of Google's AI Platform"
    source = "google-apis-ml_v1 0.38.0, GoogleCloudMlV1HyperparameterSpec, read 2026-11-27"

    @override
    def matches(self, document: Json) -> bool:
        data = camel_case(document, {})
        search = data.get(SEARCH)
        study = data.get(STUDY)
        found = study.get("parameters") if is_map(study) else None
        parameters = found if is_list(found) else []
        return (
            is_map(data.get(INPUT))
            or (is_map(search) and "params" in search)
            or (
                is_list(parameters)
                and any(is_map(each) and "parameter" in each for each in parameters)
            )
        )

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune.formats.ai_platform.reader import read_job

        return [read_job(document)]
