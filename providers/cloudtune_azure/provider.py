"""The Azure provider: connects the files of this folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from cloudtune.provider import ServiceProvider
from cloudtune_azure.capabilities import CAPABILITIES
from cloudtune_azure.request_fields import STUDY_FIELDS
from cloudtune_azure.settings import AzureSettings

if TYPE_CHECKING:
    from cloudtune.formats import Format
    from cloudtune.provider import JobContext, Plan, TrainingJobs


class AzureProvider(ServiceProvider[AzureSettings]):
    """Azure Machine Learning: its sweeps, or command jobs with trials that cloudtune chooses."""

    capabilities = CAPABILITIES
    settings = AzureSettings
    folder = "cloudtune_azure"
    emulator = "cloudtune_azure.emulator"
    connection_settings = ("subscription", "resource_group", "workspace")
    not_verifiable = (
        "its client does not record its calls yet, and cloudtune has no list of Azure's prices, "
        "with which it could keep the 5 USD"
    )
    packages: Mapping[str, Sequence[str]] = {
        "azure": ("azure.core", "azure.identity", "azure.storage.blob"),
        "emulators": ("werkzeug",),
    }
    script_variables = ("AZUREML_", "AZURE_ML_")
    protected_paths = (
        "properties.jobType",
        "properties.codeId",
        "properties.command",
        "properties.tags.cloudtune_*",
        "properties.outputs.trial",
        "properties.trial.codeId",
        "properties.trial.command",
    )
    study_fields = STUDY_FIELDS

    @property
    def formats(self) -> Sequence[Format]:
        """Sweep jobs and AutoML jobs, in the YAML of `az ml`."""
        from cloudtune_azure.native import AzureFormat

        return [AzureFormat()]

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs:
        """Return the jobs of the trials; nothing is sent; raises what the base class names."""
        from cloudtune_azure.training_client import AzureJobs
        from cloudtune_azure.uploads import upload

        client = self.connect(plan, context)
        return AzureJobs(client, plan, context, partial(upload, client, plan, context))
