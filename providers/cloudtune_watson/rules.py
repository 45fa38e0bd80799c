"""What only IBM Watson refuses or does otherwise: every documented limit that a study can break.

Where a limit is from stands in `cloudtune_watson.capabilities` and `cloudtune_watson.backends`.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.capabilities import Finding, Mode, Note
from cloudtune.fit import Fitted
from cloudtune.provider import Facts
from cloudtune.study import Study
from cloudtune_watson.native_check import native_rules
from cloudtune_watson.prices import SHORTEST, UNIT
from cloudtune_watson.rules_driven import driven_rules
from cloudtune_watson.rules_search import search_rules
from cloudtune_watson.rules_settings import HERE, backend_rules, settings_rules
from cloudtune_watson.rules_trial import trial_rules
from cloudtune_watson.settings import WatsonSettings

NOT_VERIFIED = (
    "this follows IBM's documents, notebooks and packages; nothing was verified against a live "
    "service of IBM's"
)


def rules(
    fitted: Fitted, mode: Mode, settings: WatsonSettings, facts: Facts
) -> list[Finding | Note]:
    """Return the findings and notes of a study on IBM Watson, all at once."""
    if lacking := list(backend_rules(mode, settings)):
        return [*lacking]
    return [
        *settings_rules(settings, facts),
        *trial_rules(fitted.study, settings, facts),
        *(search_rules(fitted.study) if mode == "managed" else driven_rules(fitted.study)),
        *_cost(fitted.study, mode, facts),
        *native_rules(mode, settings.native),
        *(() if facts.emulated else (Note(HERE, NOT_VERIFIED),)),
    ]


def _cost(study: Study, mode: Mode, facts: Facts) -> Iterator[Finding | Note]:
    if facts.emulated:
        return
    own, path = facts.own, "limits.max_cost"
    budget = study.limits.max_cost
    if own["currency"] == UNIT:
        text = (
            f"{UNIT} are the capacity-unit hours of IBM's public price list, by which a training "
            f"counts {SHORTEST} s at least; what a cluster of your own costs, you say"
        )
        yield Note(f"{HERE}.prices", text)
    if budget is None:
        return
    if own["price_per_second"] is None:
        reason = (
            f"what an hour of a trial costs is not known: give {HERE}.prices.hour, as in 0.40 "
            f"{budget.currency}"
        )
        yield Finding("refused", path, reason)
    elif own["currency"] != budget.currency:
        reason = (
            f"the budget is in {budget.currency} and the price in {own['currency']}: give "
            f"{HERE}.prices in {budget.currency}, or a budget in {own['currency']}"
        )
        yield Finding("refused", path, reason)
    else:
        parallel = study.limits.parallel_trials or 1
        longest = study.limits.trial_timeout
        late = (
            f"by up to {longest * parallel * own['price_per_second']:.3g} {budget.currency}"
            if longest
            else "by what they cost, which trial_timeout would bound"
        )
        text = f"costs count when a trial ends: what then runs may exceed the budget {late}"
        yield Note(path, text)
        if mode == "managed":
            text = (
                "WML Accelerator keeps no budget: cloudtune watches it, as long as it runs itself"
            )
            yield Note(path, text)
