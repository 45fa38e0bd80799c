"""The emulator of a job: its start, its end, and what is lost when it has ended."""

from __future__ import annotations

from pathlib import Path

from cloudtune.emulation.environment import reconnect
from cloudtune.emulation.process import connect, find_running, is_locked, stop
from cloudtune.ledger.home import EMULATOR_FOLDER
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.records import JobRecord
from cloudtune.provider import registry
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune.results.events import FINAL_JOB_STATES, RESUMABLE_JOB_STATES, Outcome

EMULATOR_ENDED = "the emulator has ended, and its jobs with it"
"""How the reason begins for which a job is lost."""


def lost_emulator(job: JobRecord, folder: Path) -> str:
    """Return why a managed job cannot be followed any more; empty if it can.

    An emulator keeps the state of its jobs in memory, so one that has ended cannot continue them.
    Unless a process follows the run, it ends by itself some time after its last job.
    """
    is_own = job.emulated and not job.facts.emulator
    can_end = job.mode == "managed" and is_own and job.job and job.state not in FINAL_JOB_STATES
    emulator_folder = folder / EMULATOR_FOLDER
    if not can_end or is_locked(emulator_folder):
        return ""
    return (
        f"{EMULATOR_ENDED}; trials that ran while nothing followed the run are not in the results, "
        f"only in {emulator_folder / 'jobs'}; run the study again, or with mode: driven and "
        f"warm_start: {{from: {job.run}}} to build on the results"
    )


def job_context(plan: Plan, ledger: Ledger, job: JobRecord | None = None) -> JobContext:
    """Return the context of a plan's job; its emulator, if any, is running.

    An emulator that is lost with the job is not started again.

    Raises:
        MissingExtraError: If a package that the emulator needs is not installed.
        ProviderError: If the emulator does not start.
    """
    folder = ledger.job_folder(plan.facts.run_id, plan.provider)
    folder.mkdir(parents=True, exist_ok=True)
    module = registry.get(plan.provider).emulator
    is_lost = job is not None and lost_emulator(job, folder)
    if not plan.facts.emulated or module is None or is_lost:
        return JobContext(folder)
    if plan.facts.emulator:
        provider = registry.get(plan.provider)
        emulator = reconnect(plan.provider, provider, plan.settings, plan.facts.emulator)
        return JobContext(folder, emulator)
    return JobContext(folder, connect(plan.provider, module, folder / EMULATOR_FOLDER))


def end_emulator(folder: Path, mode: str, outcome: Outcome) -> None:
    """End a job's emulator, unless the job can be resumed: then it ends by itself when idle.

    The outcome must be in the ledger: the emulator forgets the job.
    """
    can_resume = mode == "driven" and outcome.state in RESUMABLE_JOB_STATES
    if can_resume or outcome.state not in FINAL_JOB_STATES:
        return
    if address := find_running(folder / EMULATOR_FOLDER):
        stop(address)
