"""``python -m cloudtune_sagemaker.emulator --folder F``: serve the emulator on loopback."""

from __future__ import annotations

import sys

from cloudtune.emulator_kit import run_emulator
from cloudtune_sagemaker.emulator.app import SageMakerApp, request_handler
from cloudtune_sagemaker.emulator.operations import EFFECTS, OPERATIONS, OTHER_OPERATIONS

NOTE = (
    "SageMaker emulator: trials are chosen by cloudtune's own search, not by the service's; "
    "scripts run here, and images only with --with-images"
)

if __name__ == "__main__":
    sys.exit(
        run_emulator(
            "cloudtune_sagemaker.emulator",
            NOTE,
            SageMakerApp,
            [*OPERATIONS, *OTHER_OPERATIONS],
            handler=request_handler,
            runs_images=True,
            effects=EFFECTS,
        )
    )
