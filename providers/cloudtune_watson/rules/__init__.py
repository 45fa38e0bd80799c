"""The rules of IBM Watson: every documented limit that a study can break.

The sources of the limits are in `cloudtune_watson.capabilities` and `cloudtune_watson.versions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cloudtune.provider import Facts, Finding, FittedStudy, Mode, Note
from cloudtune_watson.jobs.rules import deployment_job_rules
from cloudtune_watson.prices import MIN_BILLED_SECONDS, UNIT
from cloudtune_watson.rules.native import native_rules
from cloudtune_watson.rules.settings import SETTINGS, backend_rules, settings_rules
from cloudtune_watson.rules.trial import trial_rules
from cloudtune_watson.settings import WatsonSettings
from cloudtune_watson.wml.rules import training_rules
from cloudtune_watson.wmla.request import algorithm_name
from cloudtune_watson.wmla.rules import tuning_rules


def rules(
    fitted: FittedStudy, mode: Mode, settings: WatsonSettings, facts: Facts
) -> list[Finding | Note]:
    """Return all findings and notes of a study on IBM Watson."""
    if findings := list(backend_rules(mode, settings)):
        return [*findings]
    return [
        *settings_rules(settings, facts),
        *trial_rules(fitted.study, settings, facts),
        *_service_rules(fitted, settings, facts),
        *native_rules(settings.service, settings.native, algorithm_name(fitted.study)),
        *(() if facts.emulated else _live_service_notes(facts)),
    ]


def _service_rules(
    fitted: FittedStudy, settings: WatsonSettings, facts: Facts
) -> Iterable[Finding | Note]:
    if settings.service == "wmla":
        return tuning_rules(fitted)
    if settings.service == "jobs":
        return deployment_job_rules(fitted.study, settings, facts)
    return training_rules(fitted.study)


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
