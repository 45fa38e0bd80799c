"""Stores the code of a run as a script, deploys it, and removes what a run has left in the space.

Each step looks for what an interrupted call may have created, by its name, before it creates
anything: IBM does not document whether names are unique, so two objects can have the same one.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, cast

from cloudtune.provider import (
    SOURCE,
    JobContext,
    Json,
    Plan,
    ProviderError,
    if_found,
    launcher_files,
    pause,
    write_archive,
)
from cloudtune.provider.uploads import Uploads
from cloudtune_watson.documents import part, read_text
from cloudtune_watson.errors import PROVIDER, WatsonError
from cloudtune_watson.jobs import start_script
from cloudtune_watson.jobs.client import RuntimeClient, asset_of, describe_software
from cloudtune_watson.jobs.request import deployment

SCRIPT, DATA = "script", "data_asset"
DEPLOYMENT_SECONDS = 900.0
"""How long a deployment may take. Chosen: those in IBM's notebooks were ready at once."""
POLL_SECONDS, POLL_SECONDS_EMULATED = 5.0, 0.1
_CONTRACT = Path(__file__).with_name("launcher_contract.py")
_WAITING = frozenset({"initializing", "updating", "DEPLOY_IN_PROGRESS"})
_READY = frozenset({"ready", "DEPLOY_SUCCESS"})
"""The states for which ibm-watsonx-ai 1.8.1, deployments.py, waits, and those that end its wait."""
_LINE = 100
"""Characters of a line of the archive."""


def ensure_deployment(runtime: RuntimeClient, plan: Plan, context: JobContext) -> str:
    """Return the id of a run's deployment, which is created unless it exists.

    Raises:
        ProviderError: If the code cannot be read or sent, or the deployment fails.
    """
    name = plan.facts.job_name
    found = runtime.list_deployments(name)
    if found:
        id_ = read_text(found[0], "metadata", "id")
    else:
        script = _ensure_script(runtime, plan, context)
        id_ = _create_deployment(runtime, deployment(plan, script))
    _wait_until_ready(runtime, id_, context)
    return id_


def _ensure_script(runtime: RuntimeClient, plan: Plan, context: JobContext) -> str:
    name = plan.facts.job_name
    path = context.folder / f"{name}.py"
    try:
        write_script(path, plan, context)
        for id_ in runtime.find_assets(SCRIPT, name):
            if _has_content(runtime, id_, path):
                return id_
            runtime.delete_asset(id_)
        return _store_script(runtime, script_asset(runtime, plan), path)
    except OSError as error:
        raise ProviderError(PROVIDER, f"cannot pack the code: {error}") from error
    finally:
        path.unlink(missing_ok=True)


def _store_script(runtime: RuntimeClient, request: Json, path: Path) -> str:
    """Return the id of a new script; if a request fails, what the others have stored is deleted."""
    pauses = runtime.http.pauses()
    while True:
        try:
            id_ = runtime.create_asset(request)
            runtime.upload(id_, SCRIPT, path)
        except WatsonError as error:
            for each in runtime.find_assets(SCRIPT, request["metadata"]["name"]):
                runtime.delete_asset(each)
            if not (error.retryable and next(pauses, False)):
                raise
        else:
            return id_


def _create_deployment(runtime: RuntimeClient, request: Json) -> str:
    """Return the id of a new deployment; after an error, of the one that the call has created."""
    pauses = runtime.http.pauses()
    while True:
        try:
            return runtime.create_deployment(request)
        except WatsonError as error:
            if not (error.retryable and next(pauses, False)):
                raise
            if found := runtime.list_deployments(request["name"]):
                return read_text(found[0], "metadata", "id")


def script_asset(runtime: RuntimeClient, plan: Plan) -> Json:
    """Return the request of a run's script, with its software specification.

    Raises:
        ProviderError: If there is no such specification.
    """
    name = str(plan.facts.data["software_spec"])
    specification = runtime.find_specification("software", name)
    if specification is None:
        raise ProviderError(
            PROVIDER,
            f"the space has no software specification {name}: set providers.watson.software_spec",
        )
    script = {
        "ml_version": "4.0.0",
        "language": {"name": "python3"},
        "software_spec": describe_software(specification),
    }
    metadata = {
        "name": plan.facts.job_name,
        "description": "Trials of cloudtune",
        "asset_type": SCRIPT,
        "origin_country": "us",
        "asset_category": "USER",
    }
    return {"metadata": metadata, "entity": {SCRIPT: script}}


def write_script(target: Path, plan: Plan, context: JobContext) -> None:
    """Write the script of a run: one file that has the code as text.

    Raises:
        OSError: If a file cannot be read or written.
    """
    source = context.folder / "source"
    paths: Mapping[str, str] = plan.facts.data["paths"]
    files = launcher_files(plan.fitted, plan.facts.run_id, paths, contract=_CONTRACT)
    archive = target.with_suffix(".tar.gz")
    try:
        write_archive(archive, source if source.is_dir() else None, SOURCE, files)
        text = base64.b64encode(archive.read_bytes()).decode("ascii")
    finally:
        archive.unlink(missing_ok=True)
    lines = "\n".join(text[start : start + _LINE] for start in range(0, len(text), _LINE))
    code = Path(start_script.__file__).read_text("utf-8")
    target.write_text(
        f'{code}\n\nif __name__ == "__main__":\n    main("""\n{lines}\n""")\n', "utf-8"
    )


def _has_content(runtime: RuntimeClient, asset: str, path: Path) -> bool:
    """Return whether a script was stored completely, with the content of a file."""
    downloaded = path.with_suffix(".downloaded")
    about = runtime.get_asset(asset)
    try:
        if about is None or not runtime.download(about, downloaded):
            return False
        return downloaded.read_bytes() == path.read_bytes()
    except WatsonError as error:  # an incomplete script cannot be downloaded
        if error.retryable or error.affects_all_calls:
            raise
        return False
    finally:
        downloaded.unlink(missing_ok=True)


def _wait_until_ready(runtime: RuntimeClient, id_: str, context: JobContext) -> None:
    poll_seconds = POLL_SECONDS_EMULATED if runtime.emulated else POLL_SECONDS
    due = time.monotonic() + DEPLOYMENT_SECONDS
    while True:
        described = runtime.get_deployment(id_)
        status = part(described, "entity", "status")
        state = str(status.get("state", ""))
        if state in _READY:
            return
        if described is None or state not in _WAITING or time.monotonic() > due:
            reason = _deployment_failure(status) or f"its state is {state or 'unknown'}"
            raise ProviderError(PROVIDER, f"the script cannot be deployed: {reason}")
        if not pause(poll_seconds, context.is_stopping):
            raise WatsonError("stopped before the script was deployed", retryable=True)


def _deployment_failure(status: Json) -> str:
    """Return the texts of a failure, whose errors may be texts or maps."""
    errors = cast("list[Any]", part(status, "failure").get("errors") or [])
    return "; ".join(
        str(cast("Json", error).get("message", "")) if isinstance(error, dict) else str(error)
        for error in errors
    )


class Leftovers:
    """What a run has in its space, as the `Folders` of `Uploads`.

    A folder has the name of the run's job; its objects are ``deployment_jobs/ID``,
    ``deployments/ID``, ``data_asset/ID`` and ``script/ID``.
    """

    def __init__(self, runtime: RuntimeClient) -> None:
        self._runtime = runtime

    def find(self, name: str) -> list[str]:
        """Return the objects of a job's name, in the order to delete them."""
        jobs: list[str] = []
        deployments: list[str] = []
        outputs: list[str] = []
        for described in self._runtime.list_deployments(name):
            id_ = read_text(described, "metadata", "id")
            deployments.append(f"deployments/{id_}")
            for job in self._runtime.list_jobs(id_):
                jobs.append(f"deployment_jobs/{job['metadata']['id']}")
                reference = part(job, "entity", "scoring", "output_data_reference")
                if asset := asset_of(reference):
                    outputs.append(f"{DATA}/{asset}")
        scripts = [f"{SCRIPT}/{each}" for each in self._runtime.find_assets(SCRIPT, name)]
        # A job is the only way to its results, so they are deleted before it.
        return [*outputs, *jobs, *deployments, *scripts]

    def list(self, folder: str) -> dict[str, int]:
        """Return the objects of a run, in the order to delete them; their sizes are unknown, and 0.

        There are none if the space does not exist any more.
        """
        name = folder.rstrip("/").rpartition("/")[2]
        return dict.fromkeys(
            (f"{folder}{each}" for each in if_found(lambda: self.find(name)) or ()), 0
        )

    def delete(self, addresses: Collection[str]) -> None:
        """Delete objects; missing ones are ignored."""
        delete: Mapping[str, Callable[[str], None]] = {
            "deployment_jobs": self._runtime.delete_job,
            "deployments": self._runtime.delete_deployment,
            DATA: self._runtime.delete_asset,
            SCRIPT: self._runtime.delete_asset,
        }
        for address in addresses:
            rest, _, id_ = address.rpartition("/")
            delete[rest.rpartition("/")[2]](id_)


def find_uploads(runtime: RuntimeClient, plan: Plan) -> Uploads:
    """Return what a run has in its space: jobs, deployment, results and script."""
    folder = f"watsonx/{plan.facts.job_name}/"
    return Uploads(Leftovers(runtime), [], [folder], noun="object")
