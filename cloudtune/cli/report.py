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
    help="Into a file; its ending (html, md, json, txt) says which form.",
)
@click.option(
    "--as",
    "form",
    type=click.Choice(["text", "html", "markdown", "json"]),
    help="The form, where no file's ending says it. Without it: text.",
)
@json_option
def report(runs: tuple[str, ...], output: Path | None, form: str | None, *, as_json: bool) -> None:
    """Compare the providers of each RUN, the latest when left out, and RUNs with each other.

    The verdict comes first: who found the best objective, who was first near it, who was cheapest,
    and how sure that is. Runs of one study with different seeds count as repetitions, which is what
    makes a verdict sure. html is one file that needs no network; markdown suits a pull request.
    """
    from cloudtune.comparison.load import compare_runs
    from cloudtune.reporting.documents.render import render_report, report_format

    form = "json" if as_json else form or (report_format(output) if output else "text")
    shown = output is None and sys.stdout.isatty()
    room = shutil.get_terminal_size().columns if shown else None
    said = render_report(compare_runs(runs), form, room)
    if output is None:
        sys.stdout.write(said)
        return
    output.write_text(said, "utf-8")
    click.echo(f"wrote {output} ({len(said.encode()) / 1e6:.1f} MB)", err=True)
