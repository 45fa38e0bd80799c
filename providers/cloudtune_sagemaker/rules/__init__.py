"""What only SageMaker refuses or does otherwise: every documented limit that a study can break.

Lengths, patterns and enums are those of `cloudtune_sagemaker.capabilities.MODEL`, numbers of trials
those of its QUOTAS; what else holds stands in AWS's developer guide on automatic model tuning, read
2026-11-24.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.diagnostics import Finding, Note
from cloudtune.fitting.fit import FittedStudy
from cloudtune.provider.facts import Facts
from cloudtune.study.schema import Mode
from cloudtune_sagemaker.rules.emulator import emulated_rules
from cloudtune_sagemaker.rules.machines import machine_rules
from cloudtune_sagemaker.rules.settings import settings_rules
from cloudtune_sagemaker.rules.trial import trial_rules
from cloudtune_sagemaker.rules.tuning import tuning_rules
from cloudtune_sagemaker.rules.values import value_rules
from cloudtune_sagemaker.settings import SageMakerSettings


def rules(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> list[Finding | Note]:
    """Return the findings and notes of a study on SageMaker, all at once."""
    return [
        *settings_rules(mode, settings, facts),
        *machine_rules(fitted, mode, settings, facts),
        *trial_rules(fitted, mode, settings, facts),
        *value_rules(fitted, mode, settings, facts),
        *(tuning_rules(fitted, facts) if mode == "managed" else ()),
        *(emulated_rules(fitted.study, settings, facts) if facts.emulated else ()),
        *_native(mode, settings),
    ]


def _native(mode: Mode, settings: SageMakerSettings) -> Iterator[Finding | Note]:
    if not settings.native:
        return
    from importlib.util import find_spec

    path = "providers.sagemaker.native"
    if find_spec("botocore") is None:
        yield Note(
            path, "not checked, since that needs botocore: pip install 'cloudtune[sagemaker]'"
        )
        return
    from cloudtune_sagemaker.rules.native import problems

    for where, reason in problems(mode, settings.native):
        yield Finding("refused", f"{path}.{where}" if where else path, reason)
