"""The logs of trainings."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import JobContext, Plan
from cloudtune.results import Trial
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.wml.client import connect


def read_log(plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
    """Return the lines of the log of a training, or None if its path is unknown.

    Raises:
        WatsonError: If it does not exist, or the cluster refuses.
    """
    if trial.log is None:
        return None
    content = connect(plan, context).read(trial.log)
    if content is None:
        raise WatsonError(f"the cluster has no log {trial.log} yet")
    return iter(content.decode("utf-8", "replace").splitlines())
