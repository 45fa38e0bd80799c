"""What a runner observes, without secrets and with the reasons of failures explained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cloudtune.bundle.missing_files import explain_missing_file
from cloudtune.bundle.missing_modules import explain_missing_module
from cloudtune.provider.crash_report import write_crash_report
from cloudtune.provider.models import Lost
from cloudtune.provider.plan import Plan
from cloudtune.provider.secrets import Mask
from cloudtune.results.event_checks import event_problem, valid_end
from cloudtune.results.events import Ended, Measured, Observation, Waiting
from cloudtune.results.failure import explained_end

FAILURE = "failure.txt"
"""The file with the traceback of an unexpected error, in the folder of its job."""


def mask_event(
    event: Observation | Lost, mask: Mask, plan: Plan, folder: Path
) -> Observation | Lost:
    """Return an observation as it is recorded; the driver refuses an invalid one.

    Args:
        event: What the runner observed.
        mask: Hides the secrets of the study.
        plan: The plan of the job.
        folder: The folder of the job.
    """
    if isinstance(event, Ended):
        return mask.end(_explain(mask.end(valid_end(event)), plan, folder))
    if isinstance(event, Lost):
        if event.error is None:
            return event
        report = write_crash_report(event.error, folder / FAILURE, mask.hide)
        return replace(event, reason=f"{report}{event.reason}")
    if event_problem(event):
        return event
    if isinstance(event, Measured):
        return mask.measure(event)
    return mask.wait(event) if isinstance(event, Waiting) else event


def _explain(ended: Ended, plan: Plan, folder: Path) -> Ended:
    ended, source = explained_end(ended), plan.facts.source
    if ended.state != "failed" or source is None:
        return ended
    hint: object = explain_missing_file(ended.log_tail, source, folder / "source")
    if not hint and source.is_dir():
        hint = explain_missing_module(
            ended.log_tail, plan.study.trial, source, plan.facts.base, plan.local_python
        )
    return replace(ended, reason=f"{ended.reason}; {hint}") if hint else ended
