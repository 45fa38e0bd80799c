"""The shell command that repeats the runs of a comparison with other seeds."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from cloudtune.comparison.groups import Group

ENOUGH_RUNS = 5
"""With this many runs in each group, a difference that matters usually shows."""


def rerun_command(groups: Sequence[Group], arguments: Sequence[str]) -> str:
    """Return a shell command that runs a study until each group has `ENOUGH_RUNS`.

    Args:
        groups: The groups of one study that are ranked against each other.
        arguments: The arguments with which the study was run: its file and ``--set`` options.
    """
    fewest = min(len(group.jobs) for group in groups)
    seeds = {job.seed for group in groups for job in group.jobs}
    unused = [str(seed) for seed in range(1, ENOUGH_RUNS + len(seeds) + 1) if seed not in seeds]
    command = ["cloudtune", "run", *arguments]
    for provider in dict.fromkeys(group.provider for group in groups):
        command += ["--on", provider]
    if groups[0].emulated:
        command.append("--emulate")
    new_seeds = " ".join(unused[: max(1, ENOUGH_RUNS - fewest)])
    call = f"{shlex.join(command)} --set strategy.seed=$seed"
    return f"for seed in {new_seeds}; do {call}; done"
