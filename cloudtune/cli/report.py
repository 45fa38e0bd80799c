"""The command that compares runs: report."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from cloudtune.cli.options import examples, json_option, runs_argument


@examples(
    "cloudtune report",
    "cloudtune report k7f2 -o report.html",
    "cloudtune report k7f2 m3qd x8wn -o report.md",
    "cloudtune report --json | jq '.verdicts[].best'",
)
@click.command()
@runs_argument
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to a file; its ending (html, md, json, txt) determines the format.",
)
@click.option(
    "--as",
    "form",
    type=click.Choice(["text", "html", "markdown", "json"]),
    help="The format, if no file ending determines it.  [default: text]",
)
@json_option
def report(runs: tuple[str, ...], output: Path | None, form: str | None, *, as_json: bool) -> None:
    """Show what each RUN (the latest by default) found, and compare providers and RUNs.

    For one job, the best trial comes first, what it gained, and what to run next. For several, the
    verdict: which one found the best objective, which one came close first, which one was
    cheapest, and how certain that is. Runs of one study with different seeds count as repetitions,
    which make a verdict certain. An HTML report is one file that needs no network; Markdown suits a
    pull request.
    """
    from cloudtune import api
    from cloudtune.runs.confirmations import confirmed_run

    ids = dict.fromkeys(confirmed_run(run) for run in runs or (None,))
    results = [api.find_run(run).results() for run in ids]
    width = None
    if output is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    text = api.report(results, output, "json" if as_json else form, width)
    if output is None:
        sys.stdout.write(text)
    else:
        click.echo(f"wrote {output} ({len(text.encode()) / 1e3:,.0f} kB)", err=True)
