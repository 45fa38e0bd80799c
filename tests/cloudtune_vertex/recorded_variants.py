"""Recordings of Vertex AI as it may answer another time, and wrong ones, with their verdicts."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from tests import recorded

_RECORDED = "vertex/custodian_vertexai_custom_job_cancel_and_delete.json"
_LIST = "/v1/projects/PROJECT/locations/us-central1/customJobs"
_SECONDS = {"created": 0, "QUEUED": 1, "PENDING": 2, "RUNNING": 5, "CANCELLING": 8, "CANCELLED": 10}
"""After how many seconds a job enters a state; ``created`` is PENDING, not yet queued."""
Calls = list[dict[str, Any]]
JOB = "projects/cloud-custodian/locations/us-central1/customJobs/6868698075574042624"
SAME = JOB.replace("customJobs", "operations")


def _job(word: str) -> dict[str, Any]:
    """Return the recorded job in a state."""
    known = json.loads((recorded.OWN / _RECORDED).read_text("utf-8"))["sequence"]
    job = {**known[4]["answer"], "state": f"JOB_STATE_{word.replace('created', 'PENDING')}"}
    job["updateTime"] = f"2026-07-08T18:43:{37 + _SECONDS[word]}.012060Z"
    job["endTime"] = job["updateTime"]
    absent = {"created": ("startTime", "endTime", "error"), "CANCELLED": ()}
    for key in absent.get(word, ("endTime", "error")):
        del job[key]
    return job


def sequence(words: str, change: Callable[[Calls], object] = len) -> dict[str, Any]:
    """Return a recording of calls about one job, of which the first creates it.

    A state is that of a description, and in brackets that of a page of a list. Those are ``[]``,
    and with ``+`` if another page follows.
    """
    known: dict[str, Any] = json.loads((recorded.OWN / _RECORDED).read_text("utf-8"))
    create, _, cancel, _, _, _, delete, _, gone, _ = known["sequence"]
    calls: Calls = [create]
    seconds, token = 0, ""
    for word in words.split():
        page, state = word.startswith("["), word.strip("[]+")
        seconds = 14 if state == "delete" else max(seconds, _SECONDS.get(state, 0) + 1)
        if page:
            answer: Any = {"customJobs": [_job(state)]} if state else {}
            answer |= {"nextPageToken": "MASKED"} if "+" in word else {}
            request = {"method": "GET", "path": f"{_LIST}{token}"}
            call = {"operation": "ListCustomJobs", "request": request, "answer": answer}
            token = "?pageToken=MASKED" if "+" in word else ""
        elif state in _SECONDS:
            call = {**gone, "answer": _job(state)}
        else:
            call = {"cancel": cancel, "delete": delete, "gone": gone}[state]
        status = call["status"] if state == "gone" else 200
        calls.append({**copy.deepcopy(call), "status": status, "seconds_after_first": seconds})
    change(calls)
    return {**known, "sequence": calls}


VERDICTS: dict[str, tuple[Any, str]] = {
    "vertex-cancelled-early": (sequence("cancel created QUEUED PENDING CANCELLED delete gone"), ""),
    "vertex-cancelled-unseen": (sequence("cancel CANCELLED"), ""),
    "vertex-cancelled-queued": (sequence("QUEUED cancel QUEUED cancel QUEUED CANCELLED"), ""),
    "vertex-cancelled-running": (sequence("RUNNING cancel RUNNING CANCELLING CANCELLED"), ""),
    "vertex-cancelled-listed": (sequence("[QUEUED] cancel [PENDING] [CANCELLED] delete []"), ""),
    "vertex-last-page-is-empty": (sequence("[QUEUED+] [] cancel [CANCELLED+] []"), ""),
    "vertex-cancelled-then-ran": (
        sequence("QUEUED cancel RUNNING CANCELLED"),
        "GetCustomJob .state: 'JOB_STATE_RUNNING', not ",
    ),
    "vertex-back-in-the-queue": (
        sequence("PENDING QUEUED cancel CANCELLED"),
        "GetCustomJob .state: 'JOB_STATE_QUEUED', not 'JOB_STATE_PENDING'",
    ),
    "vertex-on-two-pages": (
        sequence("[QUEUED+] [QUEUED]"),
        "ListCustomJobs: projects/cloud-custodian/locations/us-central1/customJobs/6868698075574042"
        "624 is listed twice, on two pages",
    ),
    "vertex-operation-number": (
        sequence("cancel CANCELLED delete", lambda calls: calls[-1]["answer"].update(name=JOB)),
        "DeleteCustomJob .name: the form 'projects/*/locations/*/customJobs/*', not",
    ),
    "vertex-operation-of-the-job": (
        sequence("cancel CANCELLED delete", lambda calls: calls[-1]["answer"].update(name=SAME)),
        "operations/6868698075574042624' ends with a name, and",
    ),
    "vertex-two-names": (
        sequence("QUEUED QUEUED", lambda calls: calls[-1]["answer"].update(name=f"{JOB}1")),
        "customJobs/68686980755740426241' is 'projects/",
    ),
    "vertex-row-key": (
        sequence("[QUEUED]", lambda calls: calls[1]["answer"]["customJobs"][0].pop("displayName")),
        "ListCustomJobs .customJobs[].displayName: added",
    ),
}
"""As in ``tests/test_recording_verdicts.py``."""
