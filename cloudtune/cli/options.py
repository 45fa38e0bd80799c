"""Options and arguments that commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cloudtune.cli.completion import (
    complete_confirm,
    complete_limits,
    complete_paths,
    complete_providers,
    complete_runs,
)


def _provider_option(help_text: str) -> Callable[[Any], Any]:
    return click.option(
        "--on",
        multiple=True,
        metavar="PROVIDER",
        shell_complete=complete_providers,
        help=help_text,
    )


def _set_option(
    purpose: str, complete: Callable[..., list[str]], example: str = "limits.max_trials=50"
) -> Callable[[Any], Any]:
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="PATH=VALUE",
        shell_complete=complete,
        help=f"{purpose}, such as {example} (repeatable).",
    )


study_argument = click.argument("study", type=click.Path(path_type=str))
run_argument = click.argument("run", required=False, shell_complete=complete_runs)
runs_argument = click.argument("runs", nargs=-1, metavar="[RUN]...", shell_complete=complete_runs)
on_option = _provider_option("The provider to run on (repeatable).  [default: local]")
confirm_option = _provider_option(
    "The provider to run on (repeatable).  [default: that of the best trial]"
)
check_option = _provider_option(
    "The provider to check STUDY and its files for (repeatable).  [default: local]"
)
doctor_option = _provider_option("The provider to check for (repeatable).  [default: local]")
job_option = _provider_option("Only the job on this provider (repeatable).  [default: all jobs]")
filter_option = _provider_option("Only runs with a job on this provider (repeatable).")
set_option = _set_option("Override a field of the study", complete_paths)
place_option = _set_option(
    "Override a setting of the provider", complete_paths, "providers.sagemaker.region=eu-west-1"
)
metric_option = _set_option(
    "Override confirm or trial.metrics of the study",
    complete_confirm,
    "confirm.metric=test_accuracy",
)
limit_option = _set_option("Change a limit", complete_limits)
strict_option = click.option(
    "--strict", is_flag=True, help="Fail if anything is approximated or dropped."
)
emulate_option = click.option(
    "--emulate",
    is_flag=True,
    help="Use emulators of the services on this machine: real trials, no account, no cost.",
)


def _finite(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter("must be a finite number above 0")
    return value


speed_option = click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    callback=_finite,
    metavar="N",
    help="Divide the delays of the emulated service by N; trials keep their speed.",
)
faults_option = click.option(
    "--faults",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="A YAML file with faults that the emulated service injects.",
)
with_images_option = click.option(
    "--with-images",
    is_flag=True,
    help="Run emulated trials in their images, by Docker or Podman.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON to stdout.")


def split_run_and_trial(words: tuple[str, ...]) -> tuple[str | None, int | None]:
    """Return the run and the number of the trial from the words ``[RUN] [TRIAL]``."""
    if len(words) > 2:
        raise click.UsageError("give at most a run and a trial number")
    number = int(words[-1]) if words and words[-1].isdecimal() else None
    run = next((word for word in words[:1] if number is None or len(words) == 2), None)
    return run, number


def examples(*lines: str) -> Callable[[Any], Any]:
    """Return a decorator that adds examples to the help of a command."""

    def add(command: click.Command) -> click.Command:
        command.epilog = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
        return command

    return add
