"""Where the log of a trial is."""

from __future__ import annotations

from urllib.parse import quote

from cloudtune.provider import JobContext, Plan


def log_address(plan: Plan, context: JobContext, job: str) -> str | None:
    """Return the page of a job in the dashboard, or the emulator's file with its log."""
    if context.emulator is None:
        return f"{plan.facts.data['address']}/#/jobs/{quote(job)}"
    file = context.emulator_folder / "session" / "logs" / f"job-driver-{job}.log"
    return str(file) if file.is_file() else None
