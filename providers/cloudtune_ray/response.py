"""The states of Ray's jobs as cloudtune's.

Words and error types as in Ray 2.60.0, dashboard/modules/job/common.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.launcher.memory import OUT_OF_MEMORY
from cloudtune.provider import Json
from cloudtune.results import TrialState
from cloudtune_ray.metrics import Record

STATES: Mapping[str, TrialState] = {
    "PENDING": "waiting",
    "RUNNING": "running",
    "STOPPED": "cancelled",
    "SUCCEEDED": "completed",
    "FAILED": "failed",
}
ENDED = frozenset({"STOPPED", "SUCCEEDED", "FAILED"})
_LOST = frozenset(
    {
        "JOB_SUPERVISOR_ACTOR_DIED",
        "JOB_SUPERVISOR_ACTOR_START_TIMEOUT",
        "JOB_SUPERVISOR_ACTOR_START_FAILURE",
        "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE",
        "JOB_ENTRYPOINT_COMMAND_START_ERROR",  # job_supervisor.py, run: its own error
    }
)
"""The failures of the cluster, through no fault of the script."""
_SETUP = "RUNTIME_ENV_SETUP_FAILURE"
_OLD_MESSAGES = {
    "runtime_env setup failed": _SETUP,
    "Job supervisor actor failed to start within": "JOB_SUPERVISOR_ACTOR_START_TIMEOUT",
    "Failed to start supervisor actor": "JOB_SUPERVISOR_ACTOR_START_FAILURE",
    "Unexpected error occurred": "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE",
}
"""How the messages of failures begin, which are without a type in older versions of Ray
(job_manager.py of 2.9.3 and 2.40.0)."""
_MEMORY = ("NODE_OUT_OF_MEMORY", "running low on memory")
"""How Ray reports that the memory monitor of a node has ended a job's supervisor (raylet)."""
_MAX_REASON = 1_000


def is_over(job: Json, record: Record | None = None) -> bool:
    """Return whether a job has ended, by its status or by its record."""
    return job["status"] in ENDED or (record is not None and _ended_itself(job, record))


def _ended_itself(job: Json, record: Record) -> bool:
    """Return whether the script ended by itself, so that its exit code counts.

    A script also gets a signal when its node is shut down. Only Ray knows who stopped it.
    """
    return record.end is not None and not record.end.get("stopped") and job["status"] != "STOPPED"


def trial_state(job: Json, record: Record) -> TrialState:
    """Return the state of a trial.

    The last line of the job's own program decides: Ray may report good jobs as failed when its head
    is replaced (https://github.com/ray-project/ray/issues/65025, 65608 before 2.60).
    """
    if _ended_itself(job, record):
        return "completed" if record.end_code == 0 else "failed"
    return STATES.get(job["status"], "unknown")


def state_word(job: Json, record: Record) -> str:
    """Return Ray's word for the state of a job, or for what it will be."""
    words = {"cancelled": "STOPPED", "completed": "SUCCEEDED", "failed": "FAILED"}
    return words.get(trial_state(job, record), str(job["status"]))


def is_lost(job: Json, record: Record) -> bool:
    """Return whether a job ended through no fault of the script, such as the loss of its node.

    A good job without an end in its record lost its node before the last measurements were read.
    """
    if job["status"] == "SUCCEEDED":
        return record.end is None
    if _ended_itself(job, record) or job["status"] != "FAILED":
        return False
    message = _message(job)
    if _error_type(job) == _SETUP:  # the package was forgotten before the node read it
        return "_ray_pkg_" in message and "ownload" in message
    return _error_type(job) in _LOST and not _is_memory_kill(job)


def _error_type(job: Json) -> str | None:
    message = _message(job)
    old = (each for start, each in _OLD_MESSAGES.items() if message.startswith(start))
    return job.get("error_type") or next(old, None)


def _is_memory_kill(job: Json) -> bool:
    """Return whether Ray ended a job because its node ran out of memory."""
    return _error_type(job) in _LOST and any(text in _message(job) for text in _MEMORY)


def failure_reason(job: Json, record: Record) -> str:
    """Return why a job failed, what it waits for, or what is doubtful about its metrics."""
    state = trial_state(job, record)
    if state == "waiting":
        return _message(job)[:_MAX_REASON]
    if state != "failed":
        return record.failure if state == "completed" else ""
    if _ended_itself(job, record):
        return record.failure or f"exit code {record.end_code}"
    if _is_memory_kill(job):  # the advice of Ray at the end of its message is long
        return f"{OUT_OF_MEMORY}: {_message(job)[:_MAX_REASON]}"
    return record.failure or _message(job)[-_MAX_REASON:]


def _message(job: Json) -> str:
    return str(job.get("message") or "")


def seconds(milliseconds: int | None) -> float | None:
    """Return a time of Ray in seconds."""
    return milliseconds / 1000 if milliseconds else None
