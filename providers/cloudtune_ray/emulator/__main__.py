"""``python -m cloudtune_ray.emulator --folder F``: serve the emulator on loopback."""

from __future__ import annotations

import sys

from cloudtune.emulator_kit import run_emulator
from cloudtune_ray.emulator.app import RayApp
from cloudtune_ray.emulator.operations import EFFECTS, OPERATIONS

NOTE = "Ray emulator: jobs run here, one after the other or together, without Ray's scheduler"

if __name__ == "__main__":
    sys.exit(run_emulator("cloudtune_ray.emulator", NOTE, RayApp, OPERATIONS, effects=EFFECTS))
