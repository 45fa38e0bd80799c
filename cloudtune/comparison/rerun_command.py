"""The command that repeats a comparison, so that it can be settled."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from cloudtune.comparison.groups import Group

ENOUGH_RUNS = 5
"""Runs of each group after which a difference that matters usually shows."""


def rerun_command(groups: Sequence[Group], asked: Sequence[str]) -> str:
    """Return the line for a shell that runs the groups' study as often as is usually enough.

    Args:
        groups: The groups that are ranked against each other, of one study.
        asked: The words with which the study was run: its file, and ``--set`` with what it set.
    """
    have = min(len(group.jobs) for group in groups)
    seeds = {job.seed for group in groups for job in group.jobs}
    fresh = [str(seed) for seed in range(1, ENOUGH_RUNS + len(seeds) + 1) if seed not in seeds]
    words = ["cloudtune", "run", *asked]
    for provider in dict.fromkeys(group.provider for group in groups):
        words += ["--on", provider]
    if groups[0].emulated:
        words.append("--emulate")
    chosen = " ".join(fresh[: max(1, ENOUGH_RUNS - have)])
    line = shlex.join(words)
    return f"for seed in {chosen}; do {line} --set strategy.seed=$seed; done"
