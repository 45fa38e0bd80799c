"""The rules of Azure: what its jobs refuse or do differently."""

from __future__ import annotations

from cloudtune.provider import Facts, Finding, FittedStudy, Mode, Note
from cloudtune_azure.rules.native import native_rules
from cloudtune_azure.rules.settings import settings_rules
from cloudtune_azure.rules.trial import trial_rules
from cloudtune_azure.rules.tuning import tuning_rules
from cloudtune_azure.settings import AzureSettings


def rules(
    fitted: FittedStudy, mode: Mode, settings: AzureSettings, facts: Facts
) -> list[Finding | Note]:
    """Return all findings and notes of a study on Azure."""
    return [
        *settings_rules(settings, facts),
        *trial_rules(fitted.study, settings, facts),
        *(tuning_rules(fitted) if mode == "managed" else ()),
        *native_rules(settings, fitted.original, mode),
    ]
