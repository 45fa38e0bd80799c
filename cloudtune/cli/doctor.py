"""The command doctor: what can be known of a run before it costs money."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING

import click

from cloudtune.cli.messages import echo_lines
from cloudtune.cli.options import (
    doctor_option,
    examples,
    json_option,
    set_option,
)

if TYPE_CHECKING:
    from cloudtune.study.study import Study


@examples(
    "cloudtune doctor study.yaml",
    "cloudtune doctor study.yaml --on sagemaker --on vertex",
    "cloudtune doctor --on sagemaker    # only the account",
    "cloudtune doctor study.yaml --on sagemaker --policy",
)
@click.command()
@click.argument("study", required=False, type=click.Path(path_type=str))
@doctor_option
@set_option
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True, max=86400),
    default=60,
    show_default=True,
    metavar="N",
    help="Seconds that each start of the script may run.",
)
@click.option(
    "--emulate", is_flag=True, help="Check the accounts of emulators, not those of the services."
)
@click.option(
    "--policy",
    is_flag=True,
    help="Print the smallest policies that a run needs instead. Sends nothing.",
)
@click.option("--strict", is_flag=True, help="Also fail for warnings.")
@json_option
def doctor(
    study: str | None,
    on: tuple[str, ...],
    overrides: tuple[str, ...],
    *,
    seconds: float,
    emulate: bool,
    policy: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Find what would make the first run of STUDY fail: in its script, account and bundle.

    The script runs on this machine as the services would run it. Calls to a service are read-only
    and free. Without STUDY, only accounts are checked. The exit code is 1 if anything is an error.
    """
    from cloudtune.cli.convert import load_study
    from cloudtune.doctor.diagnosis import diagnose, load_settings
    from cloudtune.doctor.first_run import remember
    from cloudtune.errors import UsageError
    from cloudtune.provider import registry
    from cloudtune.reporting.console.diagnosis import check_rows, format_checks

    if policy and not on:
        raise UsageError("--policy needs a provider: name it with --on")
    if study is None and not on:
        raise UsageError("give a study, or the account to check with --on")
    loaded = load_study(study, overrides) if study else load_settings(overrides)
    if policy:
        _print_policies(loaded, on, as_json=as_json)
        return
    notify = _print_progress if sys.stderr.isatty() else _ignore
    diagnosis = diagnose(loaded, on or ["local"], seconds=seconds, emulate=emulate, notify=notify)
    notify("")
    if loaded.file and on and not emulate:
        remember(loaded.file, on)
    if as_json:
        click.echo(json.dumps(check_rows(diagnosis.checks), indent=2))
    else:
        for line in format_checks(diagnosis.checks, shutil.get_terminal_size().columns):
            echo_lines(line)
        for name in on if not emulate else ():
            if any(registry.get(name).verify(())):
                text = f"What is not verified about {name}, small jobs there show: "
                click.echo(f"{text}cloudtune verify {name}", err=True)
    if diagnosis.has_errors or (strict and any(c.severity == "warning" for c in diagnosis.checks)):
        raise SystemExit(1)


def _print_progress(text: str) -> None:
    """Replace the last line of a terminal; an empty text removes it."""
    width = max(1, shutil.get_terminal_size().columns - 1)
    click.echo(f"\r{text[:width]:{width}}" if text else f"\r{'':{width}}\r", err=True, nl=False)


def _ignore(_text: str) -> None: ...


def _print_policies(study: Study, on: tuple[str, ...], *, as_json: bool) -> None:
    """Print the rights that a run needs: documents, and the commands that grant them."""
    from cloudtune.doctor.policies import find_policies

    policies = find_policies(study, on)
    if as_json:
        rows = [{"provider": name, **vars(each)} for name, own in policies.items() for each in own]
        click.echo(json.dumps(rows, indent=2))
        return
    for provider, own in policies.items():
        for each in own:
            click.echo(f"# {provider}: {each.title}\n{each.text}\n")
            for command in each.commands:
                click.echo(f"{command}\n")
