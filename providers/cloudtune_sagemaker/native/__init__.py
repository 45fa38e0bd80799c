"""SageMaker's own files: the request of CreateHyperParameterTuningJob, and what describe returns.

A state machine of Step Functions with such requests is read, too.

Follows botocore 1.44.8, service model sagemaker 2017-07-24. Nothing here depends on the request
that `cloudtune_sagemaker.request` sends.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from cloudtune.formats import Fields, Format, Report, StudyDraft
from cloudtune.provider import Json
from cloudtune_sagemaker.settings import NAME

_CONTROLLERS = ("sagemaker.services.k8s.aws", "sagemaker.aws.amazon.com")
"""The API groups of AWS's controllers for Kubernetes, the current and the older one."""


class SageMakerFormat(Format):
    """Tuning jobs of SageMaker."""

    name = NAME
    title = "a SageMaker tuning job"
    source = "botocore 1.44.8, service model sagemaker 2017-07-24"
    dialect_at = "cloudtune_sagemaker.dialect:SAGEMAKER"

    @override
    def matches(self, document: Json) -> bool:
        if "HyperParameterTuningJobConfig" in document:
            return True
        if "Resource" in document or ("States" in document and "StartAt" in document):
            from cloudtune_sagemaker.native.state_machine import find_requests

            return any(True for _ in find_requests(document))
        return "ResourceLimits" in document and "Strategy" in document  # the config alone

    @override
    def explain(self, document: Json) -> str | None:
        group = str(document.get("apiVersion")).partition("/")[0]
        if group not in _CONTROLLERS or "tuningjob" not in str(document.get("kind")).lower():
            return None
        return (
            "is a tuning job as a Kubernetes object: import what `aws sagemaker "
            "describe-hyper-parameter-tuning-job` prints for the job that the controller starts"
        )

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune_sagemaker.native.state_machine import read_machine, read_request

        is_machine = "StartAt" in document or "Resource" in document
        return read_machine(document) if is_machine else read_request(document)

    @override
    def join(self, documents: Sequence[Json], report: Report) -> Json:
        from cloudtune_sagemaker.native.joined import join_jobs

        return join_jobs(documents, report)
