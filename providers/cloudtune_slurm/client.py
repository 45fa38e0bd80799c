"""The connection to the cluster of a plan."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from cloudtune.provider import EmulatorEndedError, JobContext, Plan
from cloudtune_slurm.errors import SlurmError
from cloudtune_slurm.host import Host, LocalHost, SshHost
from cloudtune_slurm.settings import NAME

EMULATED = ("sbatch", "squeue", "scancel", "sinfo", "scontrol")
"""The commands that the emulator has."""
URL_VARIABLE = "CLOUDTUNE_SLURM_URL"
KEY_VARIABLE = "CLOUDTUNE_SLURM_KEY"
_ENDED = "the emulator has ended, and its jobs with it"
"""What the emulator's commands print then."""


def connect(plan: Plan, context: JobContext) -> Host:
    """Return where Slurm's commands run: the emulator's, this machine's, or a login node's.

    Raises:
        ProviderError: If an emulated plan has no emulator, or another plan has one.
    """
    plan.check_context(context)
    if emulator := context.emulator:
        module = [sys.executable, "-P", "-m", "cloudtune_slurm.emulator.commands"]
        words = {name: [*module, name] for name in EMULATED}
        return _EmulatedHost(words, {URL_VARIABLE: emulator.url, KEY_VARIABLE: emulator.key})
    host = plan.request["host"]
    return SshHost(host) if host else LocalHost()


class _EmulatedHost(LocalHost):
    """This machine with the commands of an emulator."""

    def run(self, words: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
        """As in `Host`.

        Raises:
            EmulatorEndedError: If the emulator is no longer running.
        """
        try:
            return super().run(words, variables)
        except SlurmError as error:
            if _ENDED in str(error):
                raise EmulatorEndedError(NAME, words[0]) from error
            raise
