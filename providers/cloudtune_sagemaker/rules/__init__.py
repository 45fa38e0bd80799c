"""The rules of SageMaker: every documented limit that a study can break.

Lengths, patterns and enums come from `cloudtune_sagemaker.capabilities.MODEL`, numbers of trials
from its QUOTAS, and everything else from AWS's developer guide on automatic model tuning, read
2026-11-24.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, FittedStudy, Mode, Note
from cloudtune_sagemaker.rules.image import image_rules
from cloudtune_sagemaker.rules.machines import machine_rules
from cloudtune_sagemaker.rules.settings import SETTINGS, refuse, settings_rules
from cloudtune_sagemaker.rules.trial import trial_rules
from cloudtune_sagemaker.rules.tuning import limit_rules, tuning_rules, warm_start_rules
from cloudtune_sagemaker.rules.values import value_rules
from cloudtune_sagemaker.settings import SageMakerSettings


def rules(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> list[Finding | Note]:
    """Return all findings and notes of a study on SageMaker."""
    return [
        *settings_rules(mode, settings, facts),
        *image_rules(fitted, settings, facts),
        *machine_rules(fitted, mode, settings, facts),
        *trial_rules(fitted, mode, settings, facts),
        *value_rules(fitted, mode, settings, facts),
        *(_tuner_rules(fitted, facts) if mode == "managed" else ()),
        *_native_rules(mode, settings),
    ]


def _tuner_rules(fitted: FittedStudy, facts: Facts) -> Iterator[Finding | Note]:
    yield from limit_rules(fitted.study)
    yield from tuning_rules(fitted)
    yield from warm_start_rules(fitted.study, facts)


def _native_rules(mode: Mode, settings: SageMakerSettings) -> Iterator[Finding | Note]:
    if not settings.native:
        return
    if settings.native.get("Autotune"):
        text = (
            "where the request leaves them out, SageMaker chooses ranges, limits, early stopping, "
            "retries and strategy itself; its choices are in no plan"
        )
        yield Note(f"{SETTINGS}.native.Autotune", text, "warning")
    from importlib.util import find_spec

    if find_spec("botocore") is None:
        text = "not checked: needs botocore, pip install 'cloudtune[sagemaker]'"
        yield Note(f"{SETTINGS}.native", text)
        return
    from cloudtune_sagemaker.rules.native import check_native

    for field, reason in check_native(mode, settings.native):
        yield refuse(f"native.{field}" if field else "native", reason)
