"""Commands about results: results, clean."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloudtune.cli.options import examples, json_option, runs_argument

if TYPE_CHECKING:
    from cloudtune.results import StudyResult


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
    from cloudtune.runs import results as results_of

    found = [result for run in runs or (None,) for result in results_of(run)]
    if only_best:
        found = [_best(result) for result in found]
    form = "json" if as_json else form
    if form == "parquet":
        _write_parquet(found, output)
    elif form == "table" and output is None:
        _show(found)
    else:
        _write(_rendered(found, form), output)


def _best(result: StudyResult) -> StudyResult:
    from dataclasses import replace

    kept = result.pareto or ((result.best,) if result.best else ())
    if result.best:
        kept = (result.best,)
    return replace(result, trials=kept)


def _rendered(found: list[StudyResult], form: str) -> str:
    from cloudtune.results import trial_lines
    from cloudtune.tabular import rows

    if form == "json":
        return "[" + ",".join(result.to_json() for result in found) + "]\n"
    if form == "jsonl":
        return "".join(line + "\n" for result in found for line in trial_lines(result))
    flat = [row for result in found for row in rows(result)]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _write(text: str, output: Path | None) -> None:
    if output:
        output.write_text(text, "utf-8")
    else:
        sys.stdout.write(text)


def _write_parquet(found: list[StudyResult], output: Path | None) -> None:
    from cloudtune.errors import UsageError
    from cloudtune.tabular import to_parquet

    if output is None:
        raise UsageError("parquet goes into a file: add -o trials.parquet")
    to_parquet(found, output)


def _show(found: list[StudyResult]) -> None:
    from cloudtune.reporting.tables import show_table
    from cloudtune.tabular import rows

    flat = [rows(result) for result in found]
    names = _column_names({key for some in flat for row in some for key in row})
    several = {"run": len({r.run for r in found}) > 1, "on": len({r.provider for r in found}) > 1}
    table: list[dict[str, Any]] = []
    for result, some in zip(found, flat, strict=True):
        for trial, row in zip(result.trials, some, strict=True):
            job = {"run": result.run, "on": result.provider}
            shown: dict[str, Any] = {name: job[name] for name in job if several[name]}
            shown |= {"trial": trial.number, "state": trial.state.replace("_", " ")}
            for prefix in ("objective.", "parameters."):
                shown |= {names[key]: row[key] for key in row if key.startswith(prefix)}
            if trial.seconds is not None:
                shown["seconds"] = round(trial.seconds, 2)
            if trial.reason:
                shown["reason"] = trial.reason
            table.append(shown)
    last = ("seconds", "reason")
    columns = dict.fromkeys(name for row in table for name in row if name not in last)
    columns |= dict.fromkeys(name for name in last if any(name in row for row in table))
    show_table([{name: row.get(name) for name in columns} for row in table])


def _column_names(keys: set[str]) -> dict[str, str]:
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
        records = [ledger.run(run) for run in runs] if runs else ledger.runs()
        held = {record.id for record in records if holder(ledger.run_folder(record.id)) is not None}
        if runs and held:
            raise UsageError(
                f"{', '.join(sorted(held))} is running; `cloudtune stop` ends it first"
            )
        chosen = [record for record in records if record.id not in held]
        names = ", ".join(record.id for record in chosen)
        if not chosen:
            click.echo("[]" if as_json else "nothing to remove")
            return
        if not yes:
            click.confirm(f"Remove {len(chosen)} runs with their results ({names})?", abort=True)
        for record in chosen:
            with hold(ledger.run_folder(record.id)):
                ledger.remove(record.id)
            shutil.rmtree(ledger.run_folder(record.id), ignore_errors=True)
        click.echo(json.dumps([record.id for record in chosen]) if as_json else f"removed {names}")
