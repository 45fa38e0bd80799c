"""Commands that carry results on: results, export."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.options import examples, json_option, runs_argument

if TYPE_CHECKING:
    from cloudtune.results.model import StudyResult, Trial

    _Job = tuple[StudyResult, Iterable[Trial]]


_FORMS = ("json", "jsonl", "csv", "parquet")
"""What a file of results may be, by its ending, too."""


@examples(
    "cloudtune results",
    "cloudtune results --best",
    'eval "python train.py $(cloudtune results --best --as args)"',
    "cloudtune results --format jsonl | jq .objective",
    "cloudtune results k7f2 -o trials.parquet",
)
@click.command()
@runs_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", *_FORMS]),
    help="Without it: what the file's ending says, else table.",
)
@click.option("--best", "only_best", is_flag=True, help="Only the best trial, or the Pareto set.")
@click.option(
    "--as",
    "written_as",
    type=click.Choice(["args", "yaml", "json", "env"]),
    help="With --best: only its values, for the next step. args and env are quoted for a shell.",
)
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Into a file.")
@json_option
def results(
    runs: tuple[str, ...],
    form: str | None,
    *,
    only_best: bool,
    written_as: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Print the trials of each RUN, the latest when left out; several are one table.

    json is the whole result, one for each job; jsonl is one line a trial; csv and parquet are flat.
    """
    from cloudtune.errors import UsageError
    from cloudtune.ledger.reader import read_results

    jobs: Iterator[_Job] = (job for run in runs or (None,) for job in read_results(run))
    if written_as:
        if not only_best:
            raise UsageError("--as writes one trial's values: add --best")
        said = _best_of_all(jobs, written_as)
        with output.open("w", encoding="utf-8") if output else nullcontext(sys.stdout) as file:
            file.write(f"{said}\n")
        return
    if only_best:
        jobs = ((result, result.best_trials(trials)) for result, trials in jobs)
    form = _form(form, output, as_json=as_json)
    if form == "table":
        _show(jobs)
        return
    if form == "parquet":
        from cloudtune.results.dataframes import to_parquet, trial_rows

        if output is None:
            raise UsageError("parquet goes into a file: add -o trials.parquet")
        to_parquet((row for result, trials in jobs for row in trial_rows(result, trials)), output)
        return
    parts = _rendered(jobs, form)
    first = next(parts, "")  # where there is no such run, no file is made
    with output.open("w", encoding="utf-8") if output else nullcontext(sys.stdout) as file:
        file.write(first)
        file.writelines(parts)


def _form(form: str | None, output: Path | None, *, as_json: bool) -> str:
    from cloudtune.errors import UsageError

    if as_json and form not in {None, "json"}:
        raise UsageError(f"--json and --format {form} say two things; leave one out")
    if form == "table" and output:
        raise UsageError(f"a table is for a terminal; give --format {', '.join(_FORMS)} for a file")
    if form or as_json:
        return form or "json"
    if output is None:
        return "table"
    said = output.suffix.lower().removeprefix(".")
    if said not in _FORMS:
        known = ", ".join(f".{each}" for each in _FORMS)
        raise UsageError(
            f"{output} does not say which form it has: end it in one of {known}, or add --format"
        )
    return said


def _best_of_all(jobs: Iterable[_Job], form: str) -> str:
    """Return the parameter values of the one best trial of all jobs."""
    from cloudtune.errors import UsageError
    from cloudtune.ledger.home import state_folder
    from cloudtune.reporting.assignment import format_assignment
    from cloudtune.results.aggregate import best_of_jobs

    winners = best_of_jobs(jobs)
    if not winners:
        raise UsageError("no completed trial measured the objective")
    if len(winners) > 1:
        raise UsageError(
            f"the Pareto front has {len(winners)} trials; list them with --best --format json"
        )
    ((result, trial),) = winners
    if result.emulated:
        click.echo("note: this trial ran on an emulator", err=True)
    source = state_folder() / "runs" / result.run / result.provider / "source"
    return format_assignment(result.study, trial, form, str(source))


def _rendered(jobs: Iterable[_Job], form: str) -> Iterator[str]:
    from cloudtune.results.dataframes import to_columns, trial_rows
    from cloudtune.results.model import iter_json, trial_json_line

    if form == "jsonl":
        for result, trials in jobs:
            for trial in trials:
                yield trial_json_line(result, trial) + "\n"
    elif form == "json":
        for place, (result, trials) in enumerate(jobs):
            yield "," if place else "["
            yield from iter_json(result, trials)
        yield "]\n"
    else:
        held = to_columns(row for result, trials in jobs for row in trial_rows(result, trials))
        line = io.StringIO()
        writer = csv.writer(line, lineterminator="\n")
        for values in chain([held], zip(*held.values(), strict=True)):
            writer.writerow(values)
            yield line.getvalue()
            line.seek(0)
            line.truncate()


def _show(jobs: Iterable[_Job]) -> None:
    from cloudtune.reporting.console.tables import print_columns
    from cloudtune.results.dataframes import to_columns, trial_rows

    held = to_columns(row for result, trials in jobs for row in trial_rows(result, trials))
    if not held:
        return
    names = _column_names(held.keys())
    shown = {
        name: held[key]
        for name, key in (("run", "run"), ("on", "provider"), ("emulated", "emulated"))
        if len(set(held[key])) > 1
    }
    shown["trial"] = held["number"]
    shown["state"] = [state.replace("_", " ") for state in held["state"]]
    for prefix in ("objective.", "parameters."):
        shown |= {names[key]: held[key] for key in held if key.startswith(prefix)}
    if "seconds" in held:
        shown["seconds"] = [None if s is None else round(s, 2) for s in held["seconds"]]
    if "reason" in held:
        shown["reason"] = held["reason"]
    print_columns(shown)


def _column_names(keys: Iterable[str]) -> dict[str, str]:
    """Return the columns of objectives and parameters: without the prefix where that is clear."""
    taken = Counter(["run", "on", "emulated", "trial", "state", "seconds", "reason", *keys])
    short = {
        key: key.partition(".")[2] for key in keys if key.startswith(("objective.", "parameters."))
    }
    taken.update(short.values())
    return {key: name if taken[name] == 1 else key for key, name in short.items()}


@examples(
    "cloudtune export --to optuna -o study.db && optuna-dashboard sqlite:///study.db",
    "cloudtune export k7f2 --to mlflow -o http://localhost:5000",
)
@click.command()
@runs_argument
@click.option("--to", "program", type=click.Choice(["mlflow", "optuna"]), required=True)
@click.option(
    "-o",
    "place",
    metavar="WHERE",
    help="MLflow's tracking address, MLflow's own default when left out; or Optuna's storage, an "
    "address or a file, optuna.db when left out.",
)
def export(runs: tuple[str, ...], program: str, place: str | None) -> None:
    """Write each RUN, the latest when left out, into another program's store of experiments.

    In MLflow each job is a run with its trials as runs below it. In Optuna each job is a study.
    Jobs that are there already stay as they are.
    """
    from cloudtune.errors import AlreadyExportedError
    from cloudtune.formats import mlflow, optuna
    from cloudtune.ledger.reader import read_results

    there: list[AlreadyExportedError] = []
    exported = False
    for result, trials in (job for run in runs or (None,) for job in read_results(run)):
        try:
            if program == "mlflow":
                said = f"the MLflow run {mlflow.export(result, trials, place)}"
            else:
                where = place or "optuna.db"
                said = f"the Optuna study {optuna.export(result, trials, where)!r} in {where}"
        except AlreadyExportedError as error:
            there.append(error)
            continue
        exported = True
        click.echo(f"run {result.run} on {result.provider} is {said}")
    if there and not exported:
        raise there[0]
    for each in there:
        click.echo(str(each), err=True)
