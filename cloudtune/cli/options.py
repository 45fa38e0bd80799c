"""Options and arguments that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def _complete_providers(_c: click.Context, _p: click.Parameter, typed: str) -> list[str]:
    from cloudtune.provider import registry

    return [name for name in registry.names() if name.startswith(typed)]


def _complete_runs(_c: click.Context, _p: click.Parameter, typed: str) -> list[str]:
    from cloudtune.errors import CloudtuneError
    from cloudtune.ledger.home import state_folder
    from cloudtune.ledger.ledger import Ledger

    try:
        with Ledger(state_folder()) as ledger:
            return [run for run in ledger.run_ids() if run.startswith(typed)]
    except CloudtuneError:
        return []


def _on(words: str) -> Callable[[Any], Any]:
    return click.option(
        "--on",
        multiple=True,
        metavar="PROVIDER",
        shell_complete=_complete_providers,
        help=words,
    )


study_argument = click.argument("study", type=click.Path(path_type=str))
run_argument = click.argument("run", required=False, shell_complete=_complete_runs)
runs_argument = click.argument("runs", nargs=-1, metavar="[RUN]...", shell_complete=_complete_runs)
on_option = _on("Where it runs; may be given several times. Without it: local.")
check_option = _on(
    "What it cannot hold, too, and whether it finds the script; may be given several times. "
    "Without it, only what the study says is looked at."
)
job_option = _on("Only the job there; may be given several times. Without it: all jobs of the run.")
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Override one field of the study, as limits.max_trials=50.",
)
strict_option = click.option(
    "--strict", is_flag=True, help="Take anything approximated or dropped as an error."
)
emulate_option = click.option(
    "--emulate",
    is_flag=True,
    help="On the services' emulators on this machine: real scripts, no account, no cost.",
)


def _finite(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter("give a number above 0")
    return value


speed_option = click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    callback=_finite,
    metavar="N",
    help="Divide the emulated service's own delays by N; the script's time is never changed.",
)
faults_option = click.option(
    "--faults",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="What the emulated service does wrong, as a YAML file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


def examples(*lines: str) -> Callable[[Any], Any]:
    """Return a decorator that adds examples to a command's help."""

    def add(command: click.Command) -> click.Command:
        command.epilog = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
        return command

    return add
