"""The command that lists runs: status."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any, cast

import click

from cloudtune.cli.messages import echo_summary_line
from cloudtune.cli.options import examples, filter_option, json_option, run_argument

_LAST = 10
_STATES = (
    *("pending", "running", "interrupted", "completed", "failed", "cancelled", "refused"),
    *("damaged", "unknown"),
)


@examples(
    "cloudtune status",
    "cloudtune status k7f2",
    "cloudtune status --all --state failed --state interrupted",
    "cloudtune status --last 3 --on vertex --json",
)
@click.command()
@run_argument
@click.option(
    "--last",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Only the last N runs.  [default: {_LAST}; all with --json]",
)
@click.option("--all", "all_runs", is_flag=True, help="All runs.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(_STATES),
    help="Only runs with a job in this state (repeatable).",
)
@filter_option
@json_option
def status(
    run: str | None,
    last: int | None,
    states: tuple[str, ...],
    on: tuple[str, ...],
    *,
    all_runs: bool,
    as_json: bool,
) -> None:
    """List the last runs, newest first, or show the state of one RUN.

    The exit code is 1 if one of these runs is damaged.
    """
    from cloudtune.ledger.home import state_folder
    from cloudtune.reporting.sanitize import sanitize_line, sanitize_lines
    from cloudtune.runs.status import read_status
    from cloudtune.study.quantities import format_count

    if all_runs and last is not None:
        raise click.UsageError("--all contradicts --last")
    if run is not None and (all_runs or last or states or on):
        raise click.UsageError("--all, --last, --state and --on do not apply to one run")
    limit = None if all_runs or as_json or run is not None else _LAST
    limit = limit if last is None else last
    rows = read_status(
        run,
        last=None if limit is None else limit + 1,
        states=states,
        on=on,
        notify=lambda text: click.echo(sanitize_lines(text), err=True),
    )
    any_more = limit is not None and len(rows) > limit
    rows = rows[:limit]
    if as_json:
        click.echo(json.dumps(rows))
    elif rows:
        _print_rows(rows, with_jobs=run is not None)
        if run is not None and rows[0]["state"] != "damaged":
            _print_jobs(rows[0])
        if run is None:
            for row in rows:
                for job in row["jobs"]:
                    if job["misread"]:
                        echo_summary_line(f"{row['run']} on {job['provider']}: {job['misread']}")
            more = f"the last {len(rows)} runs" if any_more else format_count(len(rows), "run")
            hint = "; --all lists all" if any_more else ""
            click.echo(sanitize_line(f"{more} in {state_folder()}{hint}"), err=True)
    else:
        such = "such runs" if states or on else "runs"
        hint = "start one with `cloudtune run STUDY`"
        click.echo(sanitize_line(f"no {such} in {state_folder()}; {hint}"))
    if any(row["state"] == "damaged" for row in rows):
        raise SystemExit(1)


def _print_rows(rows: list[dict[str, Any]], *, with_jobs: bool) -> None:
    from cloudtune.reporting.console.tables import print_table

    print_table([{key: _format(key, row[key]) for key in row if key != "jobs"} for row in rows])
    if with_jobs and len(rows[0]["jobs"]) > 1:
        click.echo()
        hidden = {"reason", "decision", "waiting", "proposals", "misread"}
        print_table(
            [
                {key: _format(key, job[key]) for key in job if key not in hidden}
                for job in rows[0]["jobs"]
            ]
        )


def _print_jobs(row: dict[str, Any]) -> None:
    """Print how each job of a run is doing, and what to do next."""
    from cloudtune import api
    from cloudtune.reporting.console.status_page import format_status
    from cloudtune.study.quantities import format_count

    jobs = {job["provider"]: job for job in row["jobs"]}
    for result in api.find_run(row["run"]).results():
        job = jobs[result.provider]
        click.echo()
        lines = format_status(job["state"], replace(result, reason=job["reason"]))
        for line in lines:
            echo_summary_line(line)
        if count := job["proposals"]:
            click.echo(f"{format_count(count, 'proposal')} not started")


def _format(key: str, value: Any) -> Any:
    if key == "created":
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(value))
    if key == "trials":
        return ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in value.items())
    if key == "best" and isinstance(value, list):
        return cast("list[float]", value)[0]
    return value
