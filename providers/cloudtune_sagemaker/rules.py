"""What only SageMaker refuses or does otherwise: every documented limit that a study can break.

Lengths, patterns and enums are those of `cloudtune_sagemaker.capabilities.MODEL`, numbers of trials
those of its QUOTAS; what else holds stands in AWS's developer guide on automatic model tuning, read
2026-11-24.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.capabilities import Finding, Mode, Note
from cloudtune.cost import changes_machines
from cloudtune.fit import Fitted
from cloudtune.provider import Facts
from cloudtune_sagemaker.prices import MACHINES
from cloudtune_sagemaker.rules_emulated import emulated_rules
from cloudtune_sagemaker.rules_machine import machine_rules
from cloudtune_sagemaker.rules_settings import settings_rules
from cloudtune_sagemaker.rules_trial import trial_rules
from cloudtune_sagemaker.rules_tuning import tuning_rules
from cloudtune_sagemaker.rules_values import value_rules
from cloudtune_sagemaker.settings import SageMakerSettings


def rules(
    fitted: Fitted, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> list[Finding | Note]:
    """Return the findings and notes of a study on SageMaker, all at once."""
    return [
        *settings_rules(mode, settings, facts),
        *machine_rules(fitted, mode, settings, facts),
        *trial_rules(fitted, mode, settings, facts),
        *value_rules(fitted, mode, settings, facts),
        *(tuning_rules(fitted, facts) if mode == "managed" else ()),
        *(emulated_rules(fitted.study, settings, facts) if facts.emulated else ()),
        *_cost(fitted, mode, settings, facts),
        *_native(mode, settings),
    ]


def _cost(
    fitted: Fitted, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding | Note]:
    budget = fitted.study.limits.max_cost
    if budget is None or facts.emulated:
        return
    path, own = "limits.max_cost", facts.own
    if own["price_per_second"] is None and changes_machines(settings.native, MACHINES):
        yield Finding(
            "refused",
            path,
            "native changes the instances, so what an hour of a trial costs is not known: give "
            "providers.sagemaker.prices.hour for all of them together, as in 0.40 "
            f"{budget.currency}",
        )
    elif own["price_per_second"] is None:
        yield Finding(
            "refused",
            path,
            f"what {' or '.join(own['instance_types'])} costs in {own['region']} is not known: "
            f"give providers.sagemaker.prices.hour, as in 0.40 {budget.currency}",
        )
    elif own["currency"] != budget.currency:
        yield Finding(
            "refused",
            path,
            f"the budget is in {budget.currency} and the price in {own['currency']}; give "
            f"providers.sagemaker.prices.hour in {budget.currency}",
        )
    else:
        parallel = fitted.study.limits.parallel_trials or 1
        longest = fitted.study.limits.trial_timeout or own["longest_trial"]
        late = f"by up to {longest * parallel * own['price_per_second']:.3g} {budget.currency}"
        if mode == "managed":
            yield Note(
                path,
                "SageMaker keeps no budget: cloudtune counts what trials have cost so far and "
                f"stops the job, while it runs itself; else trials may exceed it {late} and more",
            )
        else:
            yield Note(
                path,
                f"costs count when a trial ends: what then runs may exceed the budget {late}",
            )


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
    from cloudtune_sagemaker.native_check import problems

    for where, reason in problems(mode, settings.native):
        yield Finding("refused", f"{path}.{where}" if where else path, reason)
