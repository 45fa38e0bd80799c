"""The calls that a run makes of WML Accelerator, with the role that each needs."""

from __future__ import annotations

from collections.abc import Sequence

from cloudtune_watson.rights import Call

CALLS: Sequence[Call] = (
    Call("Authorize", "anyone", "sign in"),
    Call("StartSearch", "user of WML Accelerator", "start the search with the code"),
    Call("GetSearch", "user of WML Accelerator", "follow the search and its trials"),
    Call("StopSearch", "user of WML Accelerator", "stop the search"),
    Call("GetExecLog", "user of WML Accelerator", "read the log of a trial"),
)
"""The calls of runs with searches of WML Accelerator."""
