"""The smallest rights that a run needs at each provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cloudtune.errors import UsageError
from cloudtune.planning.planner import plan_run
from cloudtune.provider import registry
from cloudtune.provider.account import Policy
from cloudtune.study.study import Study


def find_policies(study: Study, on: Sequence[str]) -> Mapping[str, Sequence[Policy]]:
    """Return the smallest rights that a run of a study needs, by provider. Sends nothing.

    Raises:
        UsageError: If there is no such provider, or one of them needs no rights.
        StudyError: If a provider's settings in the study are invalid.
    """
    policies: dict[str, Sequence[Policy]] = {}
    for plan in plan_run(study, on):
        if plan.broken:
            raise UsageError(f"{plan.provider} cannot plan this study: {plan.broken}")
        policies[plan.provider] = list(registry.get(plan.provider).policies(plan))
        if not policies[plan.provider]:
            raise UsageError(f"a run on {plan.provider} needs no rights")
    return policies
