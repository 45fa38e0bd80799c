"""The command attach: a job or run that was started elsewhere, as a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.convert import print_findings
from cloudtune.cli.options import examples, json_option

if TYPE_CHECKING:
    from cloudtune.formats.run_reader import RunChoice, RunReader
    from cloudtune.study.schema import Goal


@examples(
    "cloudtune attach trials.db --name my-study      # an Optuna study",
    "cloudtune attach optuna:mysql://host/trials",
    "cloudtune attach ray_results/my-experiment --metric loss --goal minimize",
    "cloudtune attach syne-tune/my-experiment",
    "cloudtune attach mlruns --name my-parent-run --metric loss --goal minimize",
    "cloudtune attach wandb.csv --metric loss --goal minimize --parameters lr,depth",
)
@click.command()
@click.argument("source", metavar="SOURCE")
@click.option(
    "--name", metavar="NAME", help="The study, sweep or parent run, if SOURCE has several."
)
@click.option("--metric", metavar="NAME", help="The objective, if the tool does not store it.")
@click.option(
    "--goal",
    type=click.Choice(["maximize", "minimize"]),
    help="What to do with the objective, if the tool does not store it.",
)
@click.option(
    "--parameters",
    metavar="NAME,...",
    help="The columns of a CSV file that are parameters, if it does not say so.",
)
@json_option
def attach(
    source: str,
    name: str | None,
    metric: str | None,
    goal: Goal | None,
    parameters: str | None,
    *,
    as_json: bool,
) -> None:
    """Take over SOURCE, a run that another tool finished: TOOL:LOCATION or a PATH.

    Its trials are in `results`, `report` and `export` like those of any other run.
    """
    from cloudtune.formats.run_reader import RunChoice

    reader, location = _find_reader(source)
    columns = tuple(filter(None, map(str.strip, (parameters or "").split(","))))
    choice = RunChoice(name=name, metric=metric, goal=goal, parameters=columns)
    _attach_finished(reader, location, choice, as_json=as_json)


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


def _attach_finished(reader: RunReader, location: str, choice: RunChoice, *, as_json: bool) -> None:
    from cloudtune.api import find_run
    from cloudtune.cli.runs import print_summary
    from cloudtune.runs.attachment import record_finished

    finished = reader.read(location, choice)
    print_findings(finished.findings)
    run = find_run(record_finished(finished, reader.name))
    results = run.results()
    if as_json:
        click.echo("[" + ",".join(result.to_json() for result in results) + "]")
    else:
        print_summary(results.jobs, run.folder)
