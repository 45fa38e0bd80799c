"""The Slurm provider: one batch job for each start of a trial, on the user's own cluster."""

from cloudtune_slurm.provider import SlurmProvider

__all__ = ["SlurmProvider"]
