"""The connection to the cluster of a plan."""

from __future__ import annotations

import sys

from cloudtune.provider import JobContext, Plan
from cloudtune_slurm.host import Host, LocalHost, SshHost

EMULATED = ("sbatch", "squeue", "scancel", "sinfo", "scontrol")
"""The commands that the emulator has."""
URL_VARIABLE = "CLOUDTUNE_SLURM_URL"
KEY_VARIABLE = "CLOUDTUNE_SLURM_KEY"


def connect(plan: Plan, context: JobContext) -> Host:
    """Return where Slurm's commands run: the emulator's, this machine's, or a login node's.

    Raises:
        ProviderError: If an emulated plan has no emulator, or another plan has one.
    """
    plan.check_context(context)
    if emulator := context.emulator:
        module = [sys.executable, "-m", "cloudtune_slurm.emulator.commands"]
        words = {name: [*module, name] for name in EMULATED}
        return LocalHost(words, {URL_VARIABLE: emulator.url, KEY_VARIABLE: emulator.key})
    host = plan.request["host"]
    return SshHost(host) if host else LocalHost()
