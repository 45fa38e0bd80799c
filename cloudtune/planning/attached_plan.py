"""The plan of a job that was started elsewhere, which is followed but not sent."""

from __future__ import annotations

from collections.abc import Sequence

from cloudtune.diagnostics import Finding, Note
from cloudtune.fitting.fit import fit, identity_fit
from cloudtune.provider import registry
from cloudtune.provider.facts import Facts
from cloudtune.provider.plan import Plan
from cloudtune.provider.read_settings import read_settings
from cloudtune.provider.settings import ProviderSettings
from cloudtune.study.study import Study


def attached_plan(
    study: Study, on: str, facts: Facts, findings: Sequence[Finding | Note] = ()
) -> Plan:
    """Return the plan of a job that was started elsewhere.

    Args:
        study: The study of the job.
        on: The provider, or the tool that ran the job, which has no provider.
        facts: The facts with the address of the job in `Facts.attached`.
        findings: The parts of the job that the study does not hold.

    Raises:
        StudyError: If the provider's settings in the study are invalid.
    """
    fitted, settings = identity_fit(study), ProviderSettings.model_validate({})
    if registry.has_mode(on, "managed"):
        provider = registry.get(on)
        fitted = fit(study, provider.capabilities, "managed")
        settings = read_settings(study, on, provider)
    return Plan(
        provider=on,
        mode="managed",
        fitted=fitted,
        settings=settings,
        facts=facts,
        request={},
        findings=tuple(each for each in findings if isinstance(each, Finding)),
        notes=tuple(each for each in findings if isinstance(each, Note)),
        unattended=True,
    )
