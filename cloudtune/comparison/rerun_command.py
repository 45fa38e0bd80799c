"""The command that repeats the runs of a comparison, with other seeds where that is possible."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from cloudtune.bundle.function import MODULE as FUNCTION_MODULE
from cloudtune.comparison.groups import Group
from cloudtune.errors import CloudtuneError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.records import RunRecord
from cloudtune.provider import registry

ENOUGH_RUNS = 5
"""With this many runs in each group, a difference that matters usually shows."""


def rerun_command(groups: Sequence[Group], arguments: Sequence[str]) -> str:
    """Return a shell command that runs the study of these groups until each has `ENOUGH_RUNS`.

    The arguments are those with which the study was run: its file and ``--set`` options. A function
    is run by Python. Seeds are set unless all services draw their own.
    """
    fewest = min(len(group.jobs) for group in groups)
    seeds = {job.seed for group in groups for job in group.jobs}
    unused = [str(seed) for seed in range(1, ENOUGH_RUNS + len(seeds) + 1) if seed not in seeds]
    new = unused[: max(1, ENOUGH_RUNS - fewest)]
    if _is_function(groups[0]):
        call = _tune_call(groups[0], '[f"strategy.seed={seed}"]')
        return f"for seed in [{', '.join(new)}]: {call}"
    command = run_command(groups, arguments)
    if all(group.own_seed for group in groups):
        numbers = " ".join(str(number + 1) for number in range(len(new)))
        return f"for repetition in {numbers}; do {command}; done"
    return f"for seed in {' '.join(new)}; do {command} --set strategy.seed=$seed; done"


def run_command(
    groups: Sequence[Group], arguments: Sequence[str], overrides: Sequence[str] = ()
) -> str:
    """Return a shell command that runs the study of these groups once more; for a function, Python.

    The overrides are further fields of the study as ``PATH=VALUE``; they replace earlier ones.
    """
    if _is_function(groups[0]):
        return _tune_call(groups[0], repr([*overrides]))
    command = ["cloudtune", "run", *arguments[:1]]
    for argument in arguments[1:]:
        replaced = any(_is_within(argument, override) for override in overrides)
        if argument != "--set" and not replaced:
            command += ["--set", argument]
    providers = [
        group.provider
        for group in groups
        if registry.has_mode(group.provider, group.mode) or not group.jobs[0].attached
    ]
    for provider in dict.fromkeys(providers):  # a tool is no provider
        command += ["--on", provider]
    if groups[0].emulated:
        command.append("--emulate")
    for override in overrides:
        command += ["--set", override]
    return shlex.join(command)


def _is_function(group: Group) -> bool:
    return group.jobs[0].study.trial.module == FUNCTION_MODULE


def _tune_call(group: Group, overrides: str) -> str:
    return f"cloudtune.tune({group.jobs[0].study.name}, ..., overrides={overrides})"


def _is_within(override: str, other: str) -> bool:
    """Return whether an override sets a field that another one replaces."""
    path, replaced = (each.partition("=")[0] for each in (override, other))
    return path == replaced or path.startswith(f"{replaced}.")


def load_run_arguments(runs: Iterable[str]) -> dict[str, list[str]]:
    """Return the arguments of `rerun_command` for each run that is in the ledger."""
    try:
        with Ledger() as ledger:
            return {run: _run_arguments(ledger.run(run)) for run in runs if ledger.has_run(run)}
    except CloudtuneError:
        return {}


def _run_arguments(record: RunRecord) -> list[str]:
    """Return the arguments with which a study was run, without its seed.

    The study file itself is not read: it may have changed since.
    """
    if not record.file or record.overrides is None:
        return ["STUDY"]
    file, here = Path(record.file), Path.cwd()
    arguments = [str(file.relative_to(here) if file.is_relative_to(here) else file)]
    for override in record.overrides:
        if not override.startswith("strategy.seed="):
            arguments += ["--set", override]
    return arguments
