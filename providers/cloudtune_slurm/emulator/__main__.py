"""``python -m cloudtune_slurm.emulator --folder F``: serve the emulator on loopback."""

from __future__ import annotations

import sys

from cloudtune.emulator_kit import run_emulator
from cloudtune_slurm.emulator.app import SlurmApp
from cloudtune_slurm.emulator.operations import EFFECTS, OPERATIONS

NOTE = (
    "Slurm emulator: scripts run here, on nodes that exist only in slurm.conf of the emulator's "
    "folder; sbatch, squeue, scancel, sinfo and scontrol are in its folder bin"
)

if __name__ == "__main__":
    sys.exit(run_emulator("cloudtune_slurm.emulator", NOTE, SlurmApp, OPERATIONS, effects=EFFECTS))
