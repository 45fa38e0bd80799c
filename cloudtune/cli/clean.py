"""The command that removes runs: clean."""

from __future__ import annotations

import json

import click

from cloudtune.cli.options import examples, json_option, runs_argument


@examples("cloudtune clean", "cloudtune clean k7f2 --yes")
@click.command()
@runs_argument
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
def clean(runs: tuple[str, ...], *, yes: bool, as_json: bool) -> None:
    """Remove each RUN (all by default) with its files and results, unless it is running."""
    from cloudtune.runs.cleanup import find_removable_runs, remove_run
    from cloudtune.study.quantities import format_count

    removable = find_removable_runs(runs)
    names = ", ".join(removable)
    if not removable:
        click.echo("[]" if as_json else "nothing to remove")
        return
    question = f"Remove {format_count(len(removable), 'run')} with all results ({names})?"
    if not yes and not _confirm(question):
        click.echo("nothing was removed; use --yes to remove without confirmation", err=True)
        raise SystemExit(1)
    for run in removable:
        if folder := remove_run(run):
            click.echo(f"some files could not be removed: {folder}", err=True)
    click.echo(json.dumps(removable) if as_json else f"removed {names}")


def _confirm(question: str) -> bool:
    """Return whether the user confirms; without a terminal, no."""
    try:
        return click.confirm(question, err=True)
    except click.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise
        return False
