"""The AWS console's pages of jobs and logs, and the logs themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cloudtune.launcher import LAUNCHER
from cloudtune.provider import JobContext, Json, Plan
from cloudtune_sagemaker.errors import AwsError

if TYPE_CHECKING:
    from cloudtune_sagemaker.client import Aws

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
"""The log group of training jobs (developer guide, logging-cloudwatch, read 2026-11-27)."""
_LOG_GROUP = "$252Faws$252Fsagemaker$252FTrainingJobs"
"""The log group of training jobs, as console addresses encode it."""

_LAST_LINES = 50
"""Chosen: lines at the end of a log, after the launcher's own also those of the image."""


def job_url(region: str, job: str, *, driven: bool = False) -> str:
    """Return the page of a tuning job; for a driven job, the list of training jobs."""
    page = "jobs" if driven else f"hyper-tuning-jobs/{job}"
    return f"{_console(region)}/sagemaker/home?region={region}#/{page}"


def log_url(plan: Plan, context: JobContext, job: str) -> str | None:
    """Return the page of a training job's log; on the emulator its file, if it exists."""
    region: str = plan.facts.data["region"]
    if context.emulator is None:
        return (
            f"{_console(region)}/cloudwatch/home?region={region}"
            f"#logsV2:log-groups/log-group/{_LOG_GROUP}$3FlogStreamNameFilter$3D{job}$252F"
        )
    file = context.emulator_folder / "jobs" / region / job / "log.txt"
    return str(file) if file.is_file() else None


def read_log(aws: Aws, job: str) -> Iterator[str]:
    """Yield the lines of a training job's log in CloudWatch, one stream after the other.

    Each start on each instance has a stream, ``JOB/algo-N-TIME`` (developer guide,
    logging-cloudwatch, read 2026-11-27).

    Raises:
        AwsError: If the log does not exist, the caller may not read it, or AWS cannot be reached.
    """
    pages = aws.pages(
        "logs",
        "describe_log_streams",
        ("nextToken", "nextToken"),
        logGroupName=LOG_GROUP,
        logStreamNamePrefix=f"{job}/",
    )
    streams: list[str] = [
        stream["logStreamName"] for page in pages for stream in page.get("logStreams", ())
    ]
    if not streams:
        raise AwsError(f"CloudWatch has no log of {job} yet", code="ResourceNotFoundException")
    for stream in streams:
        if len(streams) > 1:
            yield f"==> {stream} <=="
        token: Json = {}
        while True:
            response = aws.call(
                "logs",
                "get_log_events",
                logGroupName=LOG_GROUP,
                logStreamName=stream,
                startFromHead=True,
                **token,
            )
            for event in response.get("events", ()):
                yield event["message"]
            # At the end of a stream, the service returns the token that it was given.
            following = response.get("nextForwardToken")
            if not following or token.get("nextToken") == following:
                break
            token = {"nextToken": following}


def read_warning(aws: Aws, job: str) -> str | None:
    """Return the launcher's warning at the end of a job's log; None if there is no log yet.

    Raises:
        AwsError: If the caller may not read the log, or AWS cannot be reached.
    """
    group = {"logGroupName": LOG_GROUP}
    response = aws.call(
        "logs", "describe_log_streams", logStreamNamePrefix=f"{job}/algo-1-", **group
    )
    streams: list[Json] = response.get("logStreams") or []
    if not streams:
        return None
    name = streams[-1]["logStreamName"]
    response = aws.call("logs", "get_log_events", logStreamName=name, limit=_LAST_LINES, **group)
    lines: list[str] = [event["message"] for event in response.get("events", ())]
    found = [line.removeprefix(LAUNCHER) for line in lines if line.startswith(LAUNCHER)]
    return found[-1] if found else "" if lines else None


def _console(region: str) -> str:
    domain = "console.aws.amazon.com"
    if region.startswith("cn-"):
        domain = "console.amazonaws.cn"
    elif region.startswith("us-gov-"):
        domain = "console.amazonaws-us-gov.com"
    elif region.startswith("eusc-"):
        domain = "console.amazonaws-eusc.eu"  # docs.aws.eu, endpoints, read 2026-12-01
    return f"https://{region}.{domain}"
