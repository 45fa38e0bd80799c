"""Commands about results: results, clean."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.options import examples, json_option, runs_argument

if TYPE_CHECKING:
    from cloudtune.results import StudyResult, Trial

    _Job = tuple[StudyResult, Iterable[Trial]]


@examples(
    "cloudtune results",
    "cloudtune results --best",
    "cloudtune results --format jsonl | jq .objective",
    "cloudtune results k7f2 --format parquet -o trials.parquet",
)
@click.command()
@runs_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "jsonl", "csv", "parquet"]),
    default="table",
    show_default=True,
)
@click.option("--best", "only_best", is_flag=True, help="Only the best trial, or the Pareto set.")
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Into a file.")
@json_option
def results(
    runs: tuple[str, ...], form: str, *, only_best: bool, output: Path | None, as_json: bool
) -> None:
    """Print the trials of each RUN, the latest when left out.

    json is the whole result, one for each job; jsonl is one line a trial; csv and parquet are flat.
    """
    from cloudtune.errors import UsageError
    from cloudtune.found import found

    jobs: Iterator[_Job] = (job for run in runs or (None,) for job in found(run))
    if only_best:
        jobs = ((result, _best(result, trials)) for result, trials in jobs)
    form = "json" if as_json else form
    if form == "table" and output is None:
        _show(jobs)
        return
    if form == "parquet":
        from cloudtune.tabular import rows, to_parquet

        if output is None:
            raise UsageError("parquet goes into a file: add -o trials.parquet")
        to_parquet((row for result, trials in jobs for row in rows(result, trials)), output)
        return
    parts = _rendered(jobs, form)
    first = next(parts, "")  # where there is no such run, no file is made
    with output.open("w", encoding="utf-8") if output else nullcontext(sys.stdout) as file:
        file.write(first)
        file.writelines(parts)


def _best(result: StudyResult, trials: Iterable[Trial]) -> Sequence[Trial]:
    from cloudtune.results import best, pareto
    from cloudtune.study import Study

    goals = [objective.goal for objective in Study.model_validate(result.study).objectives]
    if len(goals) != 1:
        return pareto(trials, goals)
    found = best(trials, goals[0])
    return [found] if found else []


def _rendered(jobs: Iterable[_Job], form: str) -> Iterator[str]:
    from cloudtune.result_text import json_parts, trial_line
    from cloudtune.tabular import columns, rows

    if form == "jsonl":
        for result, trials in jobs:
            for trial in trials:
                yield trial_line(result, trial) + "\n"
    elif form == "json":
        for place, (result, trials) in enumerate(jobs):
            yield "," if place else "["
            yield from json_parts(result, trials)
        yield "]\n"
    else:
        held = columns(row for result, trials in jobs for row in rows(result, trials))
        line = io.StringIO()
        writer = csv.writer(line, lineterminator="\n")
        for values in chain([held], zip(*held.values(), strict=True)):
            writer.writerow(values)
            yield line.getvalue()
            line.seek(0)
            line.truncate()


def _show(jobs: Iterable[_Job]) -> None:
    from cloudtune.reporting.tables import show_columns
    from cloudtune.tabular import columns, rows

    held = columns(row for result, trials in jobs for row in rows(result, trials))
    if not held:
        return
    names = _column_names(held.keys())
    shown = {
        name: held[key]
        for name, key in (("run", "run"), ("on", "provider"))
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
    show_columns(shown)


def _column_names(keys: Iterable[str]) -> dict[str, str]:
    """Return the columns of objectives and parameters: without the prefix where that is clear."""
    taken = Counter(["run", "on", "trial", "state", "seconds", "reason", *keys])
    short = {
        key: key.partition(".")[2] for key in keys if key.startswith(("objective.", "parameters."))
    }
    taken.update(short.values())
    return {key: name if taken[name] == 1 else key for key, name in short.items()}


@examples("cloudtune clean", "cloudtune clean k7f2 --yes")
@click.command()
@runs_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def clean(runs: tuple[str, ...], *, yes: bool, as_json: bool) -> None:
    """Remove each RUN that ended, with its files and its results; all of them when left out."""
    from cloudtune.errors import UsageError
    from cloudtune.holding import hold, holder
    from cloudtune.ledger import Ledger, state_folder

    with Ledger(state_folder()) as ledger:
        chosen = [ledger.find(run) for run in runs] if runs else ledger.ids()
        held = {run for run in chosen if holder(ledger.run_folder(run)) is not None}
        if runs and held:
            raise UsageError(
                f"{', '.join(sorted(held))} is running; `cloudtune stop` ends it first"
            )
        chosen = [run for run in chosen if run not in held]
        names = ", ".join(chosen)
        if not chosen:
            click.echo("[]" if as_json else "nothing to remove")
            return
        if not yes:
            click.confirm(f"Remove {len(chosen)} runs with their results ({names})?", abort=True)
        for run in chosen:
            with hold(ledger.run_folder(run)):
                ledger.remove(run)
            shutil.rmtree(ledger.run_folder(run), ignore_errors=True)
        click.echo(json.dumps(chosen) if as_json else f"removed {names}")
