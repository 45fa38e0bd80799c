"""``python -m cloudtune_watson.emulator --folder F``: serve the emulator on loopback."""

from __future__ import annotations

import sys

from cloudtune.emulator_kit.command_line import run
from cloudtune_watson.emulator.app import WatsonApp
from cloudtune_watson.emulator.operations import EFFECTS, OPERATIONS

NOTE = (
    "IBM Watson emulator: trials are chosen by cloudtune's own search, not by the service's; "
    "scripts run here, without IBM's images"
)


def main(args: list[str] | None = None) -> int:
    """Serve until asked to end; return the exit code."""
    return run(
        "cloudtune_watson.emulator",
        NOTE,
        WatsonApp,
        OPERATIONS,
        secure=True,
        effects=EFFECTS,
        args=args,
    )


if __name__ == "__main__":
    sys.exit(main())
