"""The calls that a run makes of Watson Machine Learning, with the role that each needs."""

from __future__ import annotations

from collections.abc import Sequence

from cloudtune_watson.rights import Call

CALLS: Sequence[Call] = (
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
