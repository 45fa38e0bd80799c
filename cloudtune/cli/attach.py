"""The command attach: a job or run that was started elsewhere, as a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.convert import print_findings
from cloudtune.cli.options import examples, json_option

if TYPE_CHECKING:
    from cloudtune.formats.run_reader import RunReader


@examples(
    "cloudtune attach optuna:sqlite:///trials.db#my-study",
    "cloudtune attach ray_results/my-experiment",
)
@click.command()
@click.argument("source", metavar="SOURCE")
@json_option
def attach(source: str, *, as_json: bool) -> None:
    """Take over SOURCE, a run that another tool finished: TOOL:LOCATION or a PATH.

    Its trials are in `results`, `report` and `export` like those of any other run.
    """
    reader, location = _find_reader(source)
    _attach_finished(reader, location, as_json=as_json)


def _find_reader(source: str) -> tuple[RunReader, str]:
    """Return the reader of a tool and the location that a user named."""
    from cloudtune.errors import UsageError
    from cloudtune.formats import run_readers
    from cloudtune.study.suggestions import did_you_mean

    name, colon, location = source.partition(":")
    if colon and name in run_readers.names():
        return run_readers.get(name), location
    if Path(source).exists():
        return run_readers.detect(Path(source)), source
    known = ", ".join(run_readers.names()) or "no tool"
    hint = did_you_mean(name, run_readers.names()) if colon else ""
    raise UsageError(
        f"{source}: no such file or folder, and no tool of this name"
        f"{f', {hint}' if hint else ''}; cloudtune reads the runs of {known}"
    )


def _attach_finished(reader: RunReader, location: str, *, as_json: bool) -> None:
    from cloudtune.api import find_run
    from cloudtune.cli.runs import print_summary
    from cloudtune.runs.attachment import record_finished

    finished = reader.read(location)
    print_findings(finished.findings)
    run = find_run(record_finished(finished, reader.name))
    results = run.results()
    if as_json:
        click.echo("[" + ",".join(result.to_json() for result in results) + "]")
    else:
        print_summary(results.jobs, run.folder)
