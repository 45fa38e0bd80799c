"""``python -m cloudtune_watson.emulator --folder F``: serve the emulator on loopback."""

from __future__ import annotations

import sys

from cloudtune.emulator_kit import run_emulator
from cloudtune_watson.emulator.app import WatsonApp
from cloudtune_watson.emulator.operations import EFFECTS, OPERATIONS

NOTE = (
    "IBM Watson emulator: trials are chosen by cloudtune's own search, not by the service's; "
    "scripts run here, without IBM's images"
)

if __name__ == "__main__":
    sys.exit(
        run_emulator(
            "cloudtune_watson.emulator", NOTE, WatsonApp, OPERATIONS, secure=True, effects=EFFECTS
        )
    )
