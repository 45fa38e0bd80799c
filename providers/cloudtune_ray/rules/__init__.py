"""The rules of Ray: what its Jobs API refuses or does differently."""

from __future__ import annotations

from cloudtune.provider import Facts, Finding, FittedStudy, Mode, Note
from cloudtune_ray.rules.native import native_rules
from cloudtune_ray.rules.settings import settings_rules
from cloudtune_ray.rules.training import training_rules
from cloudtune_ray.rules.trial import trial_rules
from cloudtune_ray.settings import NAME, RaySettings


def rules(
    fitted: FittedStudy, _mode: Mode, settings: RaySettings, facts: Facts
) -> list[Finding | Note]:
    """Return all findings and notes of a study on Ray."""
    return [
        *settings_rules(settings, facts),
        *trial_rules(fitted.study, settings, facts),
        *training_rules(fitted.study, settings),
        *native_rules(settings.native, fitted.original.providers.get(NAME, {})),
    ]
