"""``python -m cloudtune_azure.emulator --folder F``: serve the emulator on loopback."""

from __future__ import annotations

import sys

from cloudtune.emulator_kit import run_emulator
from cloudtune_azure.emulator.app import AzureApp
from cloudtune_azure.emulator.operations import OPERATIONS

NOTE = "Azure emulator: jobs run here, as processes with this Python instead of their environment"

if __name__ == "__main__":
    sys.exit(run_emulator("cloudtune_azure.emulator", NOTE, AzureApp, OPERATIONS))
