"""The rules of IBM Watson: every documented limit that a study can break.

The sources of the limits are in `cloudtune_watson.capabilities` and `cloudtune_watson.versions`.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, FittedStudy, Mode, Note
from cloudtune_watson.prices import MIN_BILLED_SECONDS, UNIT
from cloudtune_watson.request.tuning_job import algorithm_name
from cloudtune_watson.rules.native import native_rules
from cloudtune_watson.rules.settings import SETTINGS, backend_rules, settings_rules
from cloudtune_watson.rules.training import training_rules
from cloudtune_watson.rules.trial import trial_rules
from cloudtune_watson.rules.tuning import tuning_rules
from cloudtune_watson.settings import WatsonSettings


def rules(
    fitted: FittedStudy, mode: Mode, settings: WatsonSettings, facts: Facts
) -> list[Finding | Note]:
    """Return all findings and notes of a study on IBM Watson."""
    if findings := list(backend_rules(mode, settings)):
        return [*findings]
    return [
        *settings_rules(settings, facts),
        *trial_rules(fitted.study, settings, facts),
        *(tuning_rules(fitted) if mode == "managed" else training_rules(fitted.study)),
        *native_rules(mode, settings.native, algorithm_name(fitted.study)),
        *(() if facts.emulated else _live_service_notes(facts)),
    ]


def _live_service_notes(facts: Facts) -> Iterator[Note]:
    if facts.price and facts.price.currency == UNIT:
        text = (
            f"{UNIT} are the capacity-unit hours of IBM's public price list, at least "
            f"{MIN_BILLED_SECONDS} s per training; only you know what your cluster costs"
        )
        yield Note(f"{SETTINGS}.prices", text)
    text = (
        "based on IBM's documents, notebooks and packages, and not verified against a live service"
    )
    yield Note(SETTINGS, text)
