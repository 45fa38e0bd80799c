"""Sweep jobs of Azure Machine Learning, and the sweeps of its AutoML jobs.

Follows the reference of the command line's YAML (``reference-yaml-job-sweep``,
``reference-automl-images-cli-classification``) and the schemas of azure-ai-ml
(``azure/ai/ml/_schema/_sweep``), read 2026-11-27. The code of a trial is a shell command in an
environment of Azure, so ``trial`` stays in ``providers.azure.native``.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from cloudtune.formats import Fields, Format, StudyDraft, refusals
from cloudtune.provider import Json
from cloudtune_azure.native.names import is_rest, sweep_steps
from cloudtune_azure.settings import NAME


class AzureFormat(Format):
    """Sweep jobs and AutoML jobs of Azure Machine Learning."""

    name = NAME
    title = "an Azure Machine Learning sweep job"
    source = (
        "https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-sweep, "
        "read 2026-11-27"
    )
    dialect_at = "cloudtune_azure.dialect:AZURE"
    syntax = "yaml"

    @override
    def matches(self, document: Json) -> bool:
        if sweep_steps(document) or is_rest(document):
            return True
        kind = str(document.get("type", "")).lower()
        schema = str(document.get("$schema", ""))
        if kind in {"sweep", "sweep_job"} or "sweepJob" in schema:
            return "jobs" not in document
        if kind == "automl" or "autoMLJob" in schema or "automl_job" in kind:
            return "jobs" not in document
        objective = document.get("objective")
        return (
            "search_space" in document
            and isinstance(objective, dict)
            and "primary_metric" in objective
        )

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune_azure.native.reader import JobReader
        from cloudtune_azure.request.rest import from_rest

        for name in sweep_steps(document.original):
            reason = "a step of a pipeline: write the step into a file of its own, with type: sweep"
            document.refuse(f"jobs.{name}", reason)
        if refusals(document.report):
            return []
        if is_rest(document.original):
            properties = document.original["properties"]
            title = properties.get("displayName") or document.original.get("name")
            document = Fields({**from_rest(properties), "display_name": title}, document.report)
        return [JobReader(document).draft()]
