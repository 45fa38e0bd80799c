"""All rules of IBM Watson, in their order."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, FittedStudy, Mode, Note
from cloudtune_watson.backends import BACKENDS
from cloudtune_watson.prices import MIN_BILLED_SECONDS, UNIT
from cloudtune_watson.rules.settings import backend_rules, settings_rules
from cloudtune_watson.rules.trial import trial_rules
from cloudtune_watson.settings import SETTINGS, WatsonSettings


def study_rules(
    fitted: FittedStudy, mode: Mode, settings: WatsonSettings, facts: Facts
) -> list[Finding | Note]:
    """Return all findings and notes of a study on IBM Watson."""
    findings = list(backend_rules(mode, settings))
    if findings or settings.service is None:
        return [*findings]
    backend = BACKENDS[settings.service]
    return [
        *settings_rules(settings, backend, facts),
        *trial_rules(fitted.study, backend, facts),
        *backend.rules(fitted, settings, facts),
        *(() if facts.emulated else _live_service_notes(facts)),
    ]


def _live_service_notes(facts: Facts) -> Iterator[Note]:
    if facts.price and facts.price.currency == UNIT:
        text = (
            f"{UNIT} are the capacity-unit hours of IBM's public price list, at least "
            f"{MIN_BILLED_SECONDS} s per trial; only you know what one costs you"
        )
        yield Note(f"{SETTINGS}.prices", text)
    text = (
        "based on IBM's documents, notebooks and packages, and not verified against a live service"
    )
    yield Note(SETTINGS, text)
