"""The command that changes limits of a run: set."""

from __future__ import annotations

import json

import click

from cloudtune.cli.completion import complete_runs
from cloudtune.cli.messages import name_overrides
from cloudtune.cli.options import examples, json_option


@examples(
    "cloudtune set limits.max_trials=80",
    "cloudtune set k7f2 limits.parallel_trials=8 limits.timeout=2h",
    "cloudtune set k7f2 limits.max_cost=40USD",
)
@click.command("set")
@click.argument(
    "words", nargs=-1, required=True, metavar="[RUN] PATH=VALUE...", shell_complete=complete_runs
)
@json_option
def set_(words: tuple[str, ...], *, as_json: bool) -> None:
    """Change limits of RUN (the latest by default), such as limits.max_trials=80.

    A run that goes on has them at once; running trials continue. One that has ended stays as it is,
    and has them when it is resumed. An empty value removes a limit.
    """
    from cloudtune import api
    from cloudtune.reporting.console.status_page import allows_more
    from cloudtune.runs.limits import describe_fields, set_limits

    run = None if "=" in words[0] else words[0]
    overrides = words[run is not None :]
    if not overrides:
        raise click.UsageError("give a limit, such as limits.max_trials=80")
    with name_overrides({each: each for each in overrides}):
        change = set_limits(run, overrides)
    if as_json:
        document = {"run": change.run, "fields": change.fields, "running": change.is_running}
        click.echo(json.dumps(document))
        return
    click.echo(f"run {change.run}: {describe_fields(change.fields) or 'nothing has changed'}")
    if change.fields and change.ended and change.is_running:
        names = " and ".join(change.ended)
        text = f"{names} has ended and stays so; when the others have, continue it with"
        click.echo(f"{text}: cloudtune resume {change.run}", err=True)
    elif change.fields and not change.is_running:
        state = "it has ended and stays so" if change.ended else "it is not running"
        if not change.ended or any(map(allows_more, api.find_run(change.run).results())):
            state += f"; continue it with: cloudtune resume {change.run}"
        click.echo(state, err=True)
