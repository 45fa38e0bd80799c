"""Who signs in where: at a cluster as the settings say, at an emulator with its key alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.provider import JobContext, Plan, UsageError
from cloudtune_watson.http import Caller, Way
from cloudtune_watson.settings import WatsonSettings


def way(plan: Plan, context: JobContext) -> Way:
    """Return the way to the cluster of a job, or to its emulator; nothing is sent.

    Raises:
        MissingExtraError: If ``requests`` is not installed.
        UsageError: If the variable with the key is not set.
        ProviderError: If an emulated plan has no emulator, or another one has.
    """
    data, emulator = plan.facts.data, context.emulator
    plan.check_context(context)
    if emulator is not None:
        return Way(
            Caller(
                emulator.url, data["username"], emulator.key, emulator.certificate, emulated=True
            )
        )
    assert isinstance(plan.settings, WatsonSettings)
    variable = plan.settings.key_variable
    key = os.environ.get(variable)
    if not key:
        raise UsageError(
            f"the variable {variable} is not set; it holds the key of {data['username']}, and "
            "providers.watson.key_variable names another one"
        )
    certificate = Path(data["certificate"]) if data["certificate"] else None
    return Way(Caller(str(data["url"]).rstrip("/"), data["username"], key, certificate))


def cluster(plan: Plan, context: JobContext) -> Mapping[str, Any]:
    """Return what is known of the cluster of a job; an emulator hands out its own tokens."""
    data = plan.facts.data
    if context.emulator is not None:
        return {**data, "sign_in_url": context.emulator.url}
    return data
