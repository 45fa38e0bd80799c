"""The capabilities of a Slurm cluster: those of cloudtune's engine.

Slurm has no tuner, so there is no managed mode. Values reach a script with the types of the study,
in a file of the trial's folder.
"""

from __future__ import annotations

from dataclasses import replace

from cloudtune.provider import DRIVEN, Capabilities

CAPABILITIES = Capabilities(
    provider="slurm",
    title="Slurm",
    verified="live on Slurm 24.11.5, 2026-11-27",
    managed=None,
    driven=replace(DRIVEN, memory="trial"),
)
