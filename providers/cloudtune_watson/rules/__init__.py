"""What only IBM Watson refuses or does otherwise: every documented limit that a study can break.

Where a limit is from stands in `cloudtune_watson.capabilities` and `cloudtune_watson.versions`.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, FittedStudy, Mode, Note
from cloudtune_watson.prices import SHORTEST, UNIT
from cloudtune_watson.request.tuning_job import algorithm_of
from cloudtune_watson.rules.native import native_rules
from cloudtune_watson.rules.settings import HERE, backend_rules, settings_rules
from cloudtune_watson.rules.training import driven_rules
from cloudtune_watson.rules.trial import trial_rules
from cloudtune_watson.rules.tuning import search_rules
from cloudtune_watson.settings import WatsonSettings

NOT_VERIFIED = (
    "this follows IBM's documents, notebooks and packages; nothing was verified against a live "
    "service of IBM's"
)


def rules(
    fitted: FittedStudy, mode: Mode, settings: WatsonSettings, facts: Facts
) -> list[Finding | Note]:
    """Return the findings and notes of a study on IBM Watson, all at once."""
    if lacking := list(backend_rules(mode, settings)):
        return [*lacking]
    return [
        *settings_rules(settings, facts),
        *trial_rules(fitted.study, settings, facts),
        *(search_rules(fitted.study) if mode == "managed" else driven_rules(fitted.study)),
        *_units(facts),
        *native_rules(mode, settings.native, algorithm_of(fitted.study)),
        *(() if facts.emulated else (Note(HERE, NOT_VERIFIED),)),
    ]


def _units(facts: Facts) -> Iterator[Note]:
    if facts.price and facts.price.currency == UNIT and not facts.emulated:
        text = (
            f"{UNIT} are the capacity-unit hours of IBM's public price list, by which a training "
            f"counts {SHORTEST} s at least; what a cluster of your own costs, you say"
        )
        yield Note(f"{HERE}.prices", text)
