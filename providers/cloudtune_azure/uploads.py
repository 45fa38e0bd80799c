"""The code of a run, its local inputs, and what it leaves in the datastore.

Code is one archive in a container of its own, for which the service signs an address, so cloudtune
reads no account key. A job gets the archive in its working folder.
"""

from __future__ import annotations

from pathlib import Path

from cloudtune.provider import JobContext, Plan, launcher_files, pack_code, packing_errors
from cloudtune.provider.uploads import Uploads, input_folders, upload_inputs
from cloudtune_azure import launcher_contract
from cloudtune_azure.client import AzureClient
from cloudtune_azure.errors import PROVIDER
from cloudtune_azure.request.training_job import (
    ARCHIVE,
    environment_version,
    input_variables,
    outputs_folder,
)
from cloudtune_azure.settings import AzureSettings
from cloudtune_azure.storage import BlobStorage, call, container_client

_FOLDER = "code"


def upload(client: AzureClient, plan: Plan, context: JobContext) -> None:
    """Upload and register what the jobs of a run need and the workspace does not have.

    Raises:
        ProviderError: If a file cannot be read, or a call fails.
    """
    assert isinstance(plan.settings, AzureSettings)
    upload_inputs(BlobStorage(client), plan)
    if image := plan.settings.image:
        version = environment_version(plan.settings, plan.facts)
        client.put_environment(version, image, plan.facts.data.get("conda"))
    if not client.has_code(plan.facts.job_name):
        _upload_code(client, plan, context)


def _upload_code(client: AzureClient, plan: Plan, context: JobContext) -> None:
    contract = Path(launcher_contract.__file__)
    variables = input_variables(plan.facts)
    files = launcher_files(plan.fitted, plan.facts.run_id, variables, contract=contract)
    archive = pack_code(PROVIDER, context, ARCHIVE, files)
    address, signed = client.start_upload(plan.facts.job_name)
    container = container_client(signed, verify=client.http.connection.verify)
    with packing_errors(PROVIDER), archive.open("rb") as content:
        name = f"{_FOLDER}/{ARCHIVE}"
        call("PUT", lambda: container.upload_blob(name, content, overwrite=True))
    client.put_code(plan.facts.job_name, f"{address}/{_FOLDER}")
    archive.unlink(missing_ok=True)


def find_uploads(client: AzureClient, plan: Plan) -> Uploads:
    """Return what a run leaves in the datastore: inputs that runs share, and outputs."""
    assert isinstance(plan.settings, AzureSettings)
    outputs = [f"{outputs_folder(plan.facts, plan.settings)}/"]
    return Uploads(BlobStorage(client), input_folders(plan), outputs=outputs)
