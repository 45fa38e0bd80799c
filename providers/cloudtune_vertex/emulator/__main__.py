"""``python -m cloudtune_vertex.emulator --folder F``: serve the emulator on loopback."""

from __future__ import annotations

import sys

from cloudtune.emulator_kit import run_emulator
from cloudtune_vertex.emulator.app import VertexApp
from cloudtune_vertex.emulator.operations import EFFECTS, OPERATIONS, OTHER_OPERATIONS

NOTE = (
    "Vertex AI emulator: trials are chosen by cloudtune's own search, not by the service's; "
    "scripts run here, and images only with --with-images"
)

if __name__ == "__main__":
    sys.exit(
        run_emulator(
            "cloudtune_vertex.emulator",
            NOTE,
            VertexApp,
            [*OPERATIONS, *OTHER_OPERATIONS],
            runs_images=True,
            effects=EFFECTS,
        )
    )
