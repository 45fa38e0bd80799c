"""The operations of the services: their method, their path, and what carries them out.

The names are the emulator's own, for fault plans; IBM's REST APIs have none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudtune.emulator_kit import Context, Delays, FaultPlan, Response, Route, app
from cloudtune_watson.emulator.assets import Assets
from cloudtune_watson.emulator.deployment_jobs import DeploymentJobs
from cloudtune_watson.emulator.errors import unavailable
from cloudtune_watson.emulator.hypersearch import Hypersearch
from cloudtune_watson.emulator.keys import Keys
from cloudtune_watson.emulator.models import PATH as _MODELS
from cloudtune_watson.emulator.models import Models
from cloudtune_watson.emulator.platform import Platform
from cloudtune_watson.emulator.script_jobs import FILES_ONLY, Jobs
from cloudtune_watson.emulator.storage import Files, Volume
from cloudtune_watson.emulator.trainings import Trainings
from cloudtune_watson.emulator.tuner import Tuner
from cloudtune_watson.emulator.wire import Call


class Operations(app.Operations[Jobs, Tuner]):
    """Carries out operations on the resources of one emulator."""

    def __init__(self, folder: Path, delays: Delays, faults: FaultPlan, keys: Keys) -> None:
        lock = threading.RLock()
        jobs = Jobs(delays, lock)
        super().__init__(Context(folder, delays, faults, jobs, lock))
        volume = Volume(folder / "volume")
        self.platform = Platform(keys)
        self.assets = Assets(volume, keys)
        self.files = Files(volume)
        self.models = Models()
        self.trainings = Trainings(volume, self.assets, self.context)
        self.deployment_jobs = DeploymentJobs(self.assets, keys, self.context)
        self.deployments = self.deployment_jobs.deployments
        self.searches = Hypersearch(volume, self.tuners, self.context)

    def carry_out(self, operation: Operation, call: Call) -> Response:
        """Return the response to a call.

        Raises:
            ServiceError: If the service would refuse.
        """
        try:
            with self.context.lock:
                return operation.carry_out(self)(call)
        except OSError as error:  # scripts may change the files meanwhile
            raise unavailable(f"The volume: {error.strerror}.") from error


@dataclass(frozen=True)
class Operation(Route):
    """A route, and what carries it out."""

    carry_out: Callable[[Operations], Callable[[Call], Response]]


EFFECTS = (FILES_ONLY,)
"""Effects on a trial that only this emulator has."""
NOT_DRIVEN: Mapping[str, str] = {
    "stop_early": "Watson Machine Learning does not stop trainings early"
}
NOT_MANAGED: Mapping[str, str] = {
    FILES_ONLY: "a search reads the metrics of its trials in their files"
}
"""Effects that are impossible for trainings, and for trials of a search, and why."""
_ASSET = "/v2/assets/{id}"
_ATTACHMENT = f"{_ASSET}/attachments/{{attachment}}"
_SPECIFICATIONS = "/v2/(?P<kind>hardware|software)_specifications"
_DEPLOYMENTS, _JOBS = "/ml/v4/deployments", "/ml/v4/deployment_jobs"
_JOB_RUN = "/v2/jobs/{id}/runs/{run}"
_WMLA = "/platform/rest/deeplearning/v1"
_SEARCH = f"{_WMLA}/hypersearch/{{name}}"
_EXEC = f"{_WMLA}/execs/{{exec}}"

OPERATIONS: Mapping[str, Operation] = {
    "Authorize": Operation("POST", "/icp4d-api/v1/authorize", lambda o: o.platform.authorize),
    "GetToken": Operation("POST", "/identity/token", lambda o: o.platform.exchange_key),
    "Logon": Operation("GET", "/auth/v1/logon", lambda o: o.platform.logon),
    "GetVersion": Operation(
        "GET", "/ml/wml_services(?:/v2)?/version", lambda o: o.platform.version
    ),
    "ListSpaces": Operation("GET", "/v2/spaces", lambda o: o.platform.list_spaces),
    "GetSpace": Operation("GET", "/v2/spaces/{id}", lambda o: o.platform.get_space),
    "GetProject": Operation("GET", "/v2/projects/{id}", lambda o: o.platform.get_project),
    "ListSpecifications": Operation(
        "GET", _SPECIFICATIONS, lambda o: o.platform.list_specifications
    ),
    "CreateSpecification": Operation(
        "POST", _SPECIFICATIONS, lambda o: o.platform.create_specification
    ),
    "GetSpecification": Operation(
        "GET", f"{_SPECIFICATIONS}/{{id}}", lambda o: o.platform.get_specification
    ),
    "ListTaskCredentials": Operation(
        "GET", "/v1/task_credentials", lambda o: o.platform.list_task_credentials
    ),
    "GetInstance": Operation("GET", "/ml/v4/instances/{id}", lambda o: o.platform.get_instance),
    "CreateAsset": Operation("POST", "/v2/assets", lambda o: o.assets.create),
    "GetAsset": Operation("GET", _ASSET, lambda o: o.assets.get),
    "DeleteAsset": Operation("DELETE", _ASSET, lambda o: o.assets.delete),
    "SearchAssets": Operation("POST", "/v2/asset_types/{type}/search", lambda o: o.assets.search),
    "CreateAttachment": Operation("POST", f"{_ASSET}/attachments", lambda o: o.assets.attach),
    "GetAttachment": Operation("GET", _ATTACHMENT, lambda o: o.assets.get_attachment),
    "CompleteAttachment": Operation("POST", f"{_ATTACHMENT}/complete", lambda o: o.assets.complete),
    "GetFile": Operation("GET", "/v2/asset_files/{*}", lambda o: o.files.read),
    "HeadFile": Operation("HEAD", "/v2/asset_files/{*}", lambda o: o.files.head),
    "PutFile": Operation("PUT", "/v2/asset_files/{*}", lambda o: o.files.put),
    "DeleteFile": Operation("DELETE", "/v2/asset_files/{*}", lambda o: o.files.delete),
    "CreateTraining": Operation("POST", "/ml/v4/trainings", lambda o: o.trainings.create),
    "ListTrainings": Operation("GET", "/ml/v4/trainings", lambda o: o.trainings.list),
    "GetTraining": Operation("GET", "/ml/v4/trainings/{id}", lambda o: o.trainings.get),
    "DeleteTraining": Operation("DELETE", "/ml/v4/trainings/{id}", lambda o: o.trainings.delete),
    "CreateModel": Operation("POST", _MODELS, lambda o: o.models.create),
    "ListModels": Operation("GET", _MODELS, lambda o: o.models.list),
    "GetModel": Operation("GET", f"{_MODELS}/{{id}}", lambda o: o.models.get),
    "DeleteModel": Operation("DELETE", f"{_MODELS}/{{id}}", lambda o: o.models.delete),
    "CreateDeployment": Operation("POST", _DEPLOYMENTS, lambda o: o.deployments.create),
    "ListDeployments": Operation("GET", _DEPLOYMENTS, lambda o: o.deployments.list),
    "GetDeployment": Operation("GET", f"{_DEPLOYMENTS}/{{id}}", lambda o: o.deployments.get),
    "DeleteDeployment": Operation(
        "DELETE", f"{_DEPLOYMENTS}/{{id}}", lambda o: o.deployments.delete
    ),
    "CreateDeploymentJob": Operation("POST", _JOBS, lambda o: o.deployment_jobs.create),
    "ListDeploymentJobs": Operation("GET", _JOBS, lambda o: o.deployment_jobs.list),
    "GetDeploymentJob": Operation("GET", f"{_JOBS}/{{id}}", lambda o: o.deployment_jobs.get),
    "DeleteDeploymentJob": Operation(
        "DELETE", f"{_JOBS}/{{id}}", lambda o: o.deployment_jobs.delete
    ),
    "GetJobRun": Operation("GET", _JOB_RUN, lambda o: o.deployment_jobs.get_run),
    "DeleteJobRun": Operation("DELETE", _JOB_RUN, lambda o: o.deployment_jobs.delete_run),
    "GetJobRunLogs": Operation("GET", f"{_JOB_RUN}/logs", lambda o: o.deployment_jobs.run_logs),
    "StartSearch": Operation("POST", f"{_WMLA}/hypersearch", lambda o: o.searches.start),
    "ListSearches": Operation("GET", f"{_WMLA}/hypersearch", lambda o: o.searches.list),
    "DeleteSearches": Operation("DELETE", f"{_WMLA}/hypersearch", lambda o: o.searches.delete_all),
    "ListAlgorithms": Operation(
        "GET", f"{_WMLA}/hypersearch/algorithm", lambda o: o.searches.algorithms
    ),
    "GetSearch": Operation("GET", _SEARCH, lambda o: o.searches.get),
    "StopSearch": Operation("PUT", _SEARCH, lambda o: o.searches.stop),
    "ForceStopSearch": Operation("PUT", f"{_SEARCH}/force", lambda o: o.searches.force_stop),
    "DeleteSearch": Operation("DELETE", _SEARCH, lambda o: o.searches.delete),
    "ListExecs": Operation("GET", f"{_WMLA}/execs/?", lambda o: o.searches.list_execs),
    "GetExec": Operation("GET", _EXEC, lambda o: o.searches.get_exec),
    "GetExecLog": Operation("GET", f"{_EXEC}/log", lambda o: o.searches.exec_log),
    "GetExecResult": Operation("GET", f"{_EXEC}/result", lambda o: o.searches.exec_result),
    "StopExec": Operation("POST", f"{_EXEC}/stop", lambda o: o.searches.stop_exec),
}
