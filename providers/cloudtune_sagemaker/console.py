"""Addresses in the AWS console: the page of a job, and the logs of a training job."""

from __future__ import annotations

from cloudtune.provider import JobContext, Plan

_LOG_GROUP = "$252Faws$252Fsagemaker$252FTrainingJobs"
"""The log group of training jobs, as console addresses encode it."""


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


def _console(region: str) -> str:
    domain = "console.aws.amazon.com"
    if region.startswith("cn-"):
        domain = "console.amazonaws.cn"
    elif region.startswith("us-gov-"):
        domain = "console.amazonaws-us-gov.com"
    return f"https://{region}.{domain}"
