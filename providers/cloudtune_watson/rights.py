"""The calls that a run makes on a cluster, and the role that each needs.

IBM's APIs have no permissions for single calls: a collaborator of a space or project is a Viewer,
who may read, or an Editor, who may also create and delete assets and run jobs (pages "Deployment
space collaborator roles and permissions" of 5.4 and "Project collaborator roles and permissions" of
5.1, read 2026-11-27). A test compares the table with the calls of whole runs on the emulator, whose
names the calls have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["anyone", "Viewer", "Editor", "user of WML Accelerator"]


@dataclass(frozen=True)
class Call:
    """A call of one operation."""

    operation: str
    role: Role
    purpose: str
    unseen: str = ""
    """Why no run on the emulator of the test makes it; empty if runs do."""


WML: Sequence[Call] = (
    Call("Authorize", "anyone", "sign in"),
    Call("GetVersion", "anyone", "IBM's package reads the version"),
    Call("GetSpace", "Viewer", "IBM's package reads the space, or the project"),
    Call("SearchAssets", "Viewer", "find a model definition by its name"),
    Call("CreateAsset", "Editor", "store the code as a model definition"),
    Call("CreateAttachment", "Editor", "store the code"),
    Call("PutFile", "Editor", "store the code, by a signed address"),
    Call("CompleteAttachment", "Editor", "store the code"),
    Call("GetAsset", "Viewer", "read the model definition"),
    Call(
        "GetAttachment",
        "Viewer",
        "compare the stored code after an interruption",
        unseen="only after a kill between the storage of the code and the first trial",
    ),
    Call("DeleteAsset", "Editor", "remove the model definition, by clean --remote"),
    Call("CreateTraining", "Editor", "start a trial"),
    Call("ListTrainings", "Viewer", "find the trials of a run"),
    Call("GetTraining", "Viewer", "follow a trial"),
    Call("DeleteTraining", "Editor", "stop a trial"),
    Call("GetFile", "Viewer", "read what trials measured and printed"),
)
"""The calls of runs with trainings of Watson Machine Learning."""
JOBS: Sequence[Call] = (
    Call("GetToken", "anyone", "sign in"),
    Call("Authorize", "anyone", "sign in", unseen="only on a cluster"),
    Call("ListDeployments", "Viewer", "find the deployment by its name"),
    Call("SearchAssets", "Viewer", "find the script and results by their names"),
    Call("ListSpecifications", "Viewer", "read the id of the software specification"),
    Call("CreateAsset", "Editor", "store the code as a script"),
    Call("CreateAttachment", "Editor", "store the code"),
    Call("PutFile", "Editor", "store the code, by a signed address"),
    Call("CompleteAttachment", "Editor", "store the code"),
    Call("CreateDeployment", "Editor", "deploy the script"),
    Call("GetDeployment", "Viewer", "wait until the deployment is ready"),
    Call("CreateDeploymentJob", "Editor", "start a trial"),
    Call("ListDeploymentJobs", "Viewer", "follow the trials"),
    Call(
        "GetDeploymentJob",
        "Viewer",
        "read a trial that cannot be stopped",
        unseen="only after a refused stop",
    ),
    Call(
        "GetJobRunLogs",
        "Viewer",
        "read the log of a trial that runs",
        unseen="only with cloudtune logs",
    ),
    Call("DeleteJobRun", "Editor", "stop a trial up to version 5.1", unseen="only on a cluster"),
    Call("DeleteDeploymentJob", "Editor", "stop a trial, and delete it after its end"),
    Call("GetAsset", "Viewer", "read the results of a trial"),
    Call("GetAttachment", "Viewer", "read the results of a trial"),
    Call("GetFile", "Viewer", "read the results of a trial, by a signed address"),
    Call("DeleteAsset", "Editor", "delete results and the script"),
    Call("DeleteDeployment", "Editor", "delete the deployment after the run"),
)
"""The calls of runs with deployment jobs of watsonx.ai Runtime."""
WMLA: Sequence[Call] = (
    Call("Authorize", "anyone", "sign in"),
    Call("StartSearch", "user of WML Accelerator", "start the search with the code"),
    Call("GetSearch", "user of WML Accelerator", "follow the search and its trials"),
    Call("StopSearch", "user of WML Accelerator", "stop the search"),
    Call("GetExecLog", "user of WML Accelerator", "read the log of a trial"),
)
"""The calls of runs with searches of WML Accelerator."""


def calls_of(backend: str | None) -> Sequence[Call]:
    """Return the calls of runs with a back end."""
    return {"wml": WML, "jobs": JOBS}.get(backend or "", WMLA)
