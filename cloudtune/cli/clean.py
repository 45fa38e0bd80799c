"""The command that removes runs: clean."""

from __future__ import annotations

import json

import click

from cloudtune.cli.options import examples, json_option, runs_argument


@examples("cloudtune clean", "cloudtune clean k7f2 --yes", "cloudtune clean k7f2 --remote")
@click.command()
@runs_argument
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option(
    "--remote",
    is_flag=True,
    help="Also remove the inputs that only these runs have uploaded, and their code, unless the "
    "service keeps that. Lists them first.",
)
@json_option
def clean(runs: tuple[str, ...], *, yes: bool, remote: bool, as_json: bool) -> None:
    """Remove each RUN (all by default) with its files and results, unless it is running.

    What trials wrote at a service, such as models, checkpoints and logs, stays there.
    """
    from cloudtune.runs.cleanup import find_removable_runs, remove_run
    from cloudtune.runs.remote import remove_run_uploads
    from cloudtune.study.quantities import format_count

    removable = find_removable_runs(runs)
    names = ", ".join(removable)
    if not removable:
        click.echo("[]" if as_json else "nothing to remove")
        return
    if remote:
        removable = _list_uploads(removable)
        names = ", ".join(removable)
    question = f"Remove {format_count(len(removable), 'run')} with all results ({names})?"
    if not yes and not _confirm(question):
        click.echo("nothing was removed; use --yes to remove without confirmation", err=True)
        raise SystemExit(1)
    for run in removable:
        if remote:
            remove_run_uploads(run)
        if folder := remove_run(run):
            click.echo(f"some files could not be removed: {folder}", err=True)
    click.echo(json.dumps(removable) if as_json else f"removed {names}")


def _list_uploads(runs: list[str]) -> list[str]:
    """Print what the runs have uploaded; return those whose uploads can be removed."""
    from cloudtune.errors import CloudtuneError, UsageError
    from cloudtune.reporting.sanitize import sanitize_line
    from cloudtune.runs.remote import list_uploads
    from cloudtune.study.quantities import format_bytes, format_count

    removable: list[str] = []
    for run in runs:
        try:
            jobs = list_uploads(run, runs)
        except (CloudtuneError, OSError) as error:
            unknown = "" if isinstance(error, UsageError) else "its uploads are unknown: "
            click.echo(f"run {run} stays: {unknown}{error}", err=True)
            continue
        removable.append(run)
        for job in jobs:
            for each in job.uploads:
                size = format_count(each.files, each.noun)
                if each.size is not None:
                    size += f", {format_bytes(each.size)}"
                users = format_count(each.other_runs, "other run")
                what = f"stays, used by {users}" if each.other_runs else "will be removed"
                text = f"run {run} on {job.provider}: {each.address} ({size}) {what}"
                click.echo(sanitize_line(text), err=True)
    if not removable:
        raise SystemExit(3)
    return removable


def _confirm(question: str) -> bool:
    """Return whether the user confirms; without a terminal, no."""
    try:
        return click.confirm(question, err=True)
    except click.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise
        return False
