"""The command that lists runs: status."""

from __future__ import annotations

import json
import time
from typing import Any, cast

import click

from cloudtune.cli.options import examples, json_option, run_argument


@examples("cloudtune status", "cloudtune status --json", "cloudtune status k7f2")
@click.command()
@run_argument
@json_option
def status(run: str | None, as_json: bool) -> None:
    """List all runs, newest first, or show the state of one RUN.

    The exit code is 1 if a run is damaged.
    """
    from cloudtune import api
    from cloudtune.reporting.sanitize import sanitize_lines

    rows = api.status(run, notify=lambda text: click.echo(sanitize_lines(text), err=True))
    if as_json:
        click.echo(json.dumps(rows))
    elif rows:
        _print_rows(rows, with_jobs=run is not None)
    else:
        click.echo("no runs yet; start one with `cloudtune run STUDY`")
    if any(row["state"] == "damaged" for row in rows):
        raise SystemExit(1)


def _print_rows(rows: list[dict[str, Any]], *, with_jobs: bool) -> None:
    from cloudtune.reporting.console.tables import print_table

    print_table([{key: _format(key, row[key]) for key in row if key != "jobs"} for row in rows])
    if with_jobs and len(rows[0]["jobs"]) > 1:
        click.echo()
        print_table([{key: _format(key, job[key]) for key in job} for job in rows[0]["jobs"]])


def _format(key: str, value: Any) -> Any:
    if key == "created":
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(value))
    if key == "trials":
        return ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in value.items())
    if key == "best" and isinstance(value, list):
        return cast("list[float]", value)[0]
    return value
