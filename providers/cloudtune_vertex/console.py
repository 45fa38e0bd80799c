"""Where people read what a custom job printed."""

from __future__ import annotations

from cloudtune.provider import EMULATOR_FOLDER, JobContext, Plan
from cloudtune_vertex.request.layout import job_page


def log_of(plan: Plan, context: JobContext, job: str) -> str | None:
    """Return the page of a custom job, or on the emulator the file of its log if there is one.

    Args:
        plan: Of the run's job.
        context: The folder and the emulator of the job.
        job: The custom job's full name.
    """
    number = job.rpartition("/")[2]
    if context.emulator is None:
        return job_page(plan.facts.data["project"], plan.facts.data["location"], number)
    file = context.folder / EMULATOR_FOLDER / "jobs" / number / "log.txt"
    return str(file) if file.is_file() else None
