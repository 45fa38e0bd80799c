"""The calls that a run makes of watsonx.ai Runtime, with the role that each needs."""

from __future__ import annotations

from collections.abc import Sequence

from cloudtune_watson.rights import Call

CALLS: Sequence[Call] = (
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
