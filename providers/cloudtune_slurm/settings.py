"""Settings under ``providers.slurm``. None of them is a secret."""

from __future__ import annotations

from pydantic import Field

from cloudtune.provider import CloudSettings, MoneyAmount, Seconds, SettingsPart, Text

NAME = "slurm"
POLL_SECONDS = 2.0
POLL_SECONDS_SSH = 15.0
"""With a login node: each poll is a connection, unless OpenSSH shares one."""
QUEUE_SECONDS = 30.0
"""Sites limit calls of squeue; users report limits from 30 s (mil-ad/stui, issue 15) to 120 s
(mathworks/matlab-parallel-slurm-plugin, issue 11; read 2026-11-27)."""


class Prices(SettingsPart):
    """Your prices, if your cluster bills you."""

    hour: MoneyAmount = Field(description="One hour of one trial, such as 0.40 USD.")


class SlurmSettings(CloudSettings):
    """The cluster, the resources of a job, and how its environment is set up."""

    host: Text | None = Field(
        default=None,
        description="Login node, as ssh names it, such as an alias in ~/.ssh/config. Default: "
        "Slurm's commands on this machine.",
    )
    folder: Text | None = Field(
        default=None,
        description="Folder on a file system that the login node and the compute nodes share. "
        "Default: the run's folder in the state folder; required with host.",
    )
    partition: Text | None = Field(default=None, description="sbatch --partition.")
    account: Text | None = Field(default=None, description="sbatch --account.")
    qos: Text | None = Field(default=None, description="sbatch --qos.")
    constraint: Text | None = Field(default=None, description="sbatch --constraint.")
    gpu_type: Text | None = Field(
        default=None, description="Type of the GPUs in --gres, such as a100. Default: any."
    )
    setup: list[Text] = Field(
        default=[],
        description="Lines of bash before each trial, such as module load python/3.12.",
    )
    python: Text | None = Field(
        default=None,
        description="Python of the trials on the cluster. Default: python3 after setup lines or "
        "with host, else that of the active environment.",
    )
    grace: Seconds = Field(
        default=30.0, description="Time between asking a script to exit and killing it."
    )
    poll_interval: Seconds | None = Field(
        default=None,
        description="Time between two looks at the trials' files. Default: 2s, with host 15s.",
    )
    queue_interval: Seconds = Field(
        default=QUEUE_SECONDS,
        description="Time between two calls of squeue, one for all trials; sites ask for up "
        "to 120 s.",
    )
    prices: Prices | None = Field(default=None, description="Your prices.")
