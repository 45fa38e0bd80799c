"""SageMaker's own files: the request of CreateHyperParameterTuningJob, and what describe returns.

Follows botocore 1.44.8, service model sagemaker 2017-07-24. Nothing here depends on the request
that `cloudtune_sagemaker.request` sends.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from cloudtune.provider import Fields, Format, Json, Report, Study, StudyDraft
from cloudtune_sagemaker.settings import NAME


class SageMakerFormat(Format):
    """Tuning jobs of SageMaker."""

    name = NAME
    title = "a SageMaker tuning job"
    source = "botocore 1.44.8, service model sagemaker 2017-07-24"

    @override
    def matches(self, document: Json) -> bool:
        if "HyperParameterTuningJobConfig" in document:
            return True
        return "ResourceLimits" in document and "Strategy" in document  # the config alone

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune_sagemaker.native.reader import read_job

        return read_job(document)

    @override
    def write(self, study: Study, report: Report) -> Json:
        from cloudtune_sagemaker.native.writer import write_job

        return write_job(study, report)
