"""The back ends by name: the only place that chooses one."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.provider import Plan, UsageError
from cloudtune_watson.backend import Backend
from cloudtune_watson.jobs.backend import DEPLOYMENT_JOBS
from cloudtune_watson.settings import SETTINGS
from cloudtune_watson.versions import CHOOSE_BACKEND, BackendName
from cloudtune_watson.wml.backend import TRAININGS
from cloudtune_watson.wmla.backend import SEARCHES

BACKENDS: Mapping[BackendName, Backend] = {
    "jobs": DEPLOYMENT_JOBS,
    "wml": TRAININGS,
    "wmla": SEARCHES,
}


def backend_of(plan: Plan) -> Backend:
    """Return the back end of a plan.

    Raises:
        UsageError: If its settings do not decide which one that is.
    """
    name: BackendName | None = plan.facts.data["backend"]
    if name is None:
        raise UsageError(f"{SETTINGS}.backend: {CHOOSE_BACKEND}")
    return BACKENDS[name]
