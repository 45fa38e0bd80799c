"""Where people read what a training job printed."""

from __future__ import annotations

from cloudtune.ledger.home import EMULATOR_FOLDER
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune_sagemaker.lookup import link

_GROUP = "$252Faws$252Fsagemaker$252FTrainingJobs"
"""The log group of training jobs, as addresses of the console spell it."""


def log_of(plan: Plan, context: JobContext, job: str) -> str | None:
    """Return the page of a training job's log, or on the emulator its file if there is one."""
    region: str = plan.facts.data["region"]
    if context.emulator is None:
        console, _, _ = link(region, job).partition("/sagemaker/")
        return (
            f"{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{_GROUP}"
            f"$3FlogStreamNameFilter$3D{job}$252F"
        )
    file = context.folder / EMULATOR_FOLDER / "jobs" / region / job / "log.txt"
    return str(file) if file.is_file() else None
