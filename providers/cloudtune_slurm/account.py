"""What read-only commands and the folder show of a cluster before a run."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Check, Plan, account_ok
from cloudtune_slurm.host import Host


def check_account(host: Host, _plan: Plan) -> Iterator[Check]:
    """Yield the checks of a cluster.

    Raises:
        SlurmError: If the login node cannot be reached, or has no Slurm.
    """
    yield account_ok(id="slurm-version", message=host.run(["sbatch", "--version"]).strip())
