"""The command that prints results."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.messages import echo_lines
from cloudtune.cli.options import examples, json_option, runs_argument

if TYPE_CHECKING:
    from cloudtune.errors import LedgerError
    from cloudtune.results.model import StudyResult, Trial

    _Job = tuple[StudyResult, Iterable[Trial]]


_FORMS = ("json", "jsonl", "csv", "parquet")
"""The formats of files; each is also a file ending."""
_MAX_REASON = 60
"""Characters of the reason of a proposal in the table; `--trial` prints all."""
_NO_BEST = "no completed trial measured the objective"
_NONE_KEEPS = f"{_NO_BEST} and kept the constraints; `cloudtune results` shows what each breaks"
_NONE_TAKEN = (
    "no trial can be taken, since those that were repeated break a constraint; `cloudtune results "
    "--top 10` lists the best of the search"
)


@examples(
    "cloudtune results",
    "cloudtune results --best",
    "cloudtune results --top 10",
    "cloudtune results --sort -seconds",
    "cloudtune results --trial 7",
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
    help="The format.  [default: by the ending of the file, else table]",
)
@click.option(
    "--best",
    "only_best",
    is_flag=True,
    help="Only the best trial of each job, or its Pareto front. Of a confirmed run, the trial to "
    "take.",
)
@click.option(
    "--top", type=click.IntRange(min=1), metavar="N", help="Only the N best trials of the search."
)
@click.option(
    "--sort",
    metavar="COLUMN",
    help="Sort the trials of each job by a metric, a parameter, or another column such as seconds; "
    "-COLUMN in descending order.",
)
@click.option(
    "--trial", type=click.IntRange(min=1), metavar="N", help="Only this trial, with all its values."
)
@click.option(
    "--as",
    "value_format",
    type=click.Choice(["args", "yaml", "json", "env"]),
    help="With --best or --trial: only the parameters, with --best those of the best trial of all "
    "jobs; args and env are quoted.",
)
@click.option(
    "-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file."
)
@json_option
def results(
    runs: tuple[str, ...],
    form: str | None,
    *,
    only_best: bool,
    top: int | None,
    sort: str | None,
    trial: int | None,
    value_format: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Print the trials of each RUN (the latest by default).

    json is the complete results, grouped by job. jsonl is one line, csv and parquet are one row for
    each trial. The exit code is 1 if a part of them is damaged; the rest is printed. It is also 1
    with --best if no completed trial measured the objective.
    """
    from cloudtune.errors import UsageError

    if value_format and not only_best and trial is None:
        raise UsageError("--as requires --best or --trial")
    options = {"--best": only_best, "--top": top is not None, "--trial": trial is not None}
    used = [name for name, is_used in options.items() if is_used]
    if len(used) > 1 or (sort is not None and trial is not None):
        raise UsageError(
            f"{' and '.join([*used, *(['--sort'] if sort else [])])} contradict each other"
        )
    with _damage_on_exit() as on_damage:
        if only_best:
            from cloudtune.runs.confirmations import confirmed_run
            from cloudtune.runs.confirmed_best import prefer_confirmed

            runs = tuple(dict.fromkeys(confirmed_run(run) for run in runs or (None,)))
            jobs = prefer_confirmed(
                _read_jobs(runs, on_damage), lambda reason: click.echo(f"note: {reason}", err=True)
            )
        else:
            jobs = _read_jobs(runs, on_damage)
        if trial is not None:
            jobs = _select_trial(jobs, trial)
        elif only_best:
            jobs = _select_best(jobs)
        _write_results(
            _order(jobs, top, sort),
            form,
            one_trial=trial is not None,
            value_format=value_format,
            output=output,
            as_json=as_json,
        )
    if output and not value_format:  # a script may read the best parameters
        from cloudtune.ledger.outputs import record_outputs

        record_outputs(output)


@contextmanager
def _damage_on_exit() -> Generator[Callable[[LedgerError], None]]:
    """Provide a function that prints damage; at the end, exit with 1 if there was any."""
    from cloudtune.reporting.sanitize import sanitize_lines

    errors: list[LedgerError] = []

    def on_damage(error: LedgerError) -> None:
        errors.append(error)
        click.echo(sanitize_lines(str(error)), err=True)

    yield on_damage
    if errors:
        raise SystemExit(1)


def _read_jobs(runs: tuple[str, ...], on_damage: Callable[[LedgerError], None]) -> Iterator[_Job]:
    from cloudtune.ledger.reader import read_results

    for run in runs or (None,):
        yield from read_results(run, on_damage=on_damage)


def _write_results(
    jobs: Iterator[_Job],
    form: str | None,
    *,
    one_trial: bool,
    value_format: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    from cloudtune.errors import UsageError

    if value_format:
        _write([_format_values(jobs, value_format, one_trial=one_trial), "\n"], output)
        return
    form = _choose_format(form, output, as_json=as_json)
    if form == "table":
        _print_trials(jobs) if one_trial else _print_table(jobs)
        return
    if form == "parquet":
        from cloudtune.results.dataframes import to_parquet, trial_rows

        if output is None:
            raise UsageError("parquet requires a file: add -o trials.parquet")
        to_parquet((row for result, trials in jobs for row in trial_rows(result, trials)), output)
        return
    parts = _iter_text(jobs, form)
    first = next(parts, "")  # raises before the file is created if there is no such run
    _write(chain([first], parts), output)


def _order(jobs: Iterator[_Job], top: int | None, sort: str | None) -> Iterator[_Job]:
    """Yield jobs with their best trials only, or with their trials in order."""
    from cloudtune.results.selection import sort_trials, top_trials

    for result, trials in jobs:
        chosen = trials if top is None else top_trials(result, trials, top)
        yield result, chosen if sort is None else sort_trials(result, chosen, sort)


def _select_best(jobs: Iterable[_Job]) -> Iterator[_Job]:
    """Return the jobs with their best trials.

    Raises:
        UsageError: If no job has one.
    """
    from cloudtune.errors import UsageError

    best = [(result, result.chosen_trials(trials)) for result, trials in jobs]
    if not any(trials for _, trials in best):
        if any(result.decision for result, _ in best):
            raise UsageError(_NONE_TAKEN)
        is_constrained = any(result.study.constraints for result, _ in best)
        raise UsageError(_NONE_KEEPS if is_constrained else _NO_BEST)
    return iter(best)


def _select_trial(jobs: Iterable[_Job], number: int) -> Iterator[_Job]:
    """Yield the jobs that have a trial of this number, with only this trial.

    Raises:
        UsageError: If no job has one.
    """
    from cloudtune.errors import UsageError

    any_selected = False
    for result, trials in jobs:
        if selected := [trial for trial in trials if trial.number == number]:
            any_selected = True
            yield result, selected
    if not any_selected:
        raise UsageError(f"there is no trial {number}; `cloudtune results` lists the trials")


def _print_trials(jobs: Iterable[_Job]) -> None:
    """Print all that is known of each trial, one value on each line."""
    from cloudtune.reporting.console.trial_page import format_trial

    for index, (result, trials) in enumerate(jobs):
        for trial in trials:
            has_log = _has_log(result, trial)
            lines = [*([""] if index else []), *format_trial(result, trial, has_log=has_log)]
            echo_lines("\n".join(lines))


def _has_log(result: StudyResult, trial: Trial) -> bool:
    """Return whether a trial may have a log; one that was never started has none."""
    from cloudtune.errors import CloudtuneError
    from cloudtune.runs.logs import FileLog, find_log

    try:
        log = find_log(result.run, trial.number, result.provider)
    except CloudtuneError:
        return False
    return isinstance(log, FileLog) or bool(log.address or trial.word)


def _write(parts: Iterable[str], output: Path | None) -> None:
    with output.open("w", encoding="utf-8") if output else nullcontext(sys.stdout) as file:
        file.writelines(parts)


def _choose_format(form: str | None, output: Path | None, *, as_json: bool) -> str:
    from cloudtune.errors import UsageError

    if as_json and form not in {None, "json"}:
        raise UsageError(f"--json contradicts --format {form}")
    if form == "table" and output:
        raise UsageError(f"a file cannot be a table; use --format {', '.join(_FORMS)}")
    if form or as_json:
        return form or "json"
    if output is None:
        return "table"
    ending = output.suffix.lower().removeprefix(".")
    if ending not in _FORMS:
        endings = ", ".join(f".{each}" for each in _FORMS)
        raise UsageError(
            f"unknown format of {output}: use one of the endings {endings}, or add --format"
        )
    return ending


def _format_values(jobs: Iterable[_Job], form: str, *, one_trial: bool) -> str:
    """Return the parameter values of the one best trial of all jobs, or of the one trial."""
    from cloudtune.errors import UsageError
    from cloudtune.ledger.home import state_folder
    from cloudtune.reporting.assignment import format_assignment
    from cloudtune.results.aggregate import best_of_jobs

    winners = (
        [(result, trial) for result, trials in jobs for trial in trials]
        if one_trial
        else best_of_jobs(jobs)
    )
    if not winners:
        raise UsageError(_NO_BEST)
    if len(winners) > 1 and one_trial:
        raise UsageError("several jobs have this trial; name one run with one job")
    if len(winners) > 1:
        raise UsageError(
            f"the Pareto front has {len(winners)} trials; list them with --best --format json"
        )
    ((result, trial),) = winners
    if result.emulated:
        click.echo("note: this trial ran on an emulator", err=True)
    source = state_folder() / "runs" / result.run / result.provider / "source"
    return format_assignment(result.study, trial, form, str(source))


def _iter_text(jobs: Iterable[_Job], form: str) -> Iterator[str]:
    from cloudtune.results.dataframes import to_columns, trial_rows
    from cloudtune.results.model import iter_json, trial_json_line

    if form == "jsonl":
        for result, trials in jobs:
            for trial in trials:
                yield trial_json_line(result, trial) + "\n"
    elif form == "json":
        for index, (result, trials) in enumerate(jobs):
            yield "," if index else "["
            yield from iter_json(result, trials)
        yield "]\n"
    else:
        columns = to_columns(row for result, trials in jobs for row in trial_rows(result, trials))
        line = io.StringIO()
        writer = csv.writer(line, lineterminator="\n")
        for values in chain([columns], zip(*columns.values(), strict=True)):
            writer.writerow(values)
            yield line.getvalue()
            line.seek(0)
            line.truncate()


def _print_table(jobs: Iterable[_Job]) -> None:
    from cloudtune.reporting.console.tables import print_columns
    from cloudtune.results.dataframes import to_columns, trial_rows

    columns = to_columns(row for result, trials in jobs for row in trial_rows(result, trials))
    if not columns:
        return
    titles = _column_titles(columns.keys())
    table = {
        title: columns[key]
        for title, key in (("run", "run"), ("on", "provider"), ("emulated", "emulated"))
        if len(set(columns[key])) > 1 or (key == "emulated" and any(columns[key]))
    }
    table["trial"] = columns["number"]
    table["state"] = [state.replace("_", " ") for state in columns["state"]]
    for prefix in ("objective.", "parameters."):
        table |= {titles[key]: columns[key] for key in columns if key.startswith(prefix)}
    for name in ("resource", "seed"):
        if any(columns.get(name, ())):
            table[name] = columns[name]
    if "seconds" in columns:
        table["seconds"] = [None if s is None else round(s, 2) for s in columns["seconds"]]
    if "broken" in columns:
        table["breaks"] = columns["broken"]
    if "proposal" in columns:
        reasons = columns.get("why") or [None] * len(columns["proposal"])
        proposals = zip(columns["proposal"], reasons, strict=True)
        table["proposed"] = [id_ and _clip(why or "yes") for id_, why in proposals]
    if "reason" in columns:
        table["reason"] = columns["reason"]
    print_columns(table)


def _clip(text: str) -> str:
    return text if len(text) <= _MAX_REASON else f"{text[: _MAX_REASON - 1]}\N{HORIZONTAL ELLIPSIS}"


def _column_titles(keys: Iterable[str]) -> dict[str, str]:
    """Return the titles of objectives and parameters, without prefixes unless ambiguous."""
    counts = Counter(
        [
            *("run", "on", "emulated", "trial", "state", "resource", "seed", "seconds"),
            *("breaks", "proposed", "reason"),
            *keys,
        ]
    )
    short = {
        key: key.partition(".")[2] for key in keys if key.startswith(("objective.", "parameters."))
    }
    counts.update(short.values())
    return {key: name if counts[name] == 1 else key for key, name in short.items()}
