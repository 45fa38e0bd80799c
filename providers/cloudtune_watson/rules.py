"""What only IBM Watson refuses or does otherwise: every documented limit that a study can break."""

from __future__ import annotations

from cloudtune.capabilities import Finding, Mode, Note
from cloudtune.fit import Fitted
from cloudtune.provider import Facts
from cloudtune_watson.settings import WatsonSettings


def rules(
    fitted: Fitted, mode: Mode, settings: WatsonSettings, facts: Facts
) -> list[Finding | Note]:
    """Return the findings and notes of a study on IBM Watson, all at once."""
    return []
