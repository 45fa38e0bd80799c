"""What a plan needs from outside the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudtune.study.search_space import Value


@dataclass(frozen=True)
class Parent:
    """A finished trial of an earlier run that a warm start builds on."""

    parameters: Mapping[str, Value]
    objective: tuple[float, ...]
    """One value an objective of the study that is planned."""


@dataclass(frozen=True)
class Facts:
    """What a plan needs from outside, gathered before it is made."""

    run_id: str
    job_name: str
    seed: int
    base: Path
    """The folder against which the study's relative paths are read."""
    source: Path | None = None
    """The folder that is bundled; None where no code is sent."""
    source_hash: str | None = None
    """Hash of the bundled files."""
    parents: Sequence[Parent] = ()
    """The trials of the warm start that cloudtune knows."""
    parent_jobs: Sequence[str] = ()
    """What this provider calls the jobs of the warm start."""
    emulated: bool = False
    """Whether the job runs on the provider's emulator on this machine."""
    own: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What this provider looked up: account, bucket, image, interpreter. JSON data.

    The core reads some, where they are known: the price of a trial, as
    `cloudtune.provider.cost.price_facts` puts it; ``longest_trial``, the seconds after which the
    service ends a trial; ``timeout_ends_trials``, the modes in which it does so at the study's
    timeout; ``own_limits``, whether ``native`` has limits; and by mode ``links``, where people look
    at the job, and ``job_links``, the same with ``{job}`` for the end of a known job's id. It finds
    fault with
    ``missing``, the settings that nobody gave, each with what to do about it, and with what
    `cloudtune.provider.lookup` returns of the study's files, inputs and variables.
    """

    @property
    def price_per_second(self) -> float | None:
        """What a second of one trial costs, if that is known."""
        price: float | None = self.own.get("price_per_second")
        return price
