"""Commands that run: run, resume."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.options import (
    emulate_option,
    examples,
    faults_option,
    job_option,
    json_option,
    on_option,
    run_argument,
    set_option,
    speed_option,
    strict_option,
    study_argument,
)

if TYPE_CHECKING:
    from cloudtune.diagnostics import Note
    from cloudtune.emulation.process import Manner
    from cloudtune.provider.plan import Plan
    from cloudtune.results.model import StudyResult
    from cloudtune.study.schema import Mode


@examples(
    "cloudtune run study.yaml",
    "cloudtune run study.yaml --set limits.max_trials=100 --set strategy=random",
    "cloudtune run plan.json",
    "cloudtune run study.yaml --on sagemaker --emulate",
    "cloudtune run study.yaml --detach && cloudtune watch",
)
@click.command()
@study_argument
@on_option
@set_option
@strict_option
@emulate_option
@speed_option
@faults_option
@click.option("--detach", is_flag=True, help="Return at once; the run goes on in the background.")
@json_option
def run(
    study: str,
    on: tuple[str, ...],
    overrides: tuple[str, ...],
    *,
    strict: bool,
    emulate: bool,
    speed: float | None,
    faults: Path | None,
    detach: bool,
    as_json: bool,
) -> None:
    """Run STUDY, a study file or a plan that was saved, to its end.

    Of several providers those run that can; with --strict none does unless all can hold the study
    exactly.

    Ctrl-C ends it gracefully, and `cloudtune resume` goes on with it.
    """
    from cloudtune.runs.lifecycle import create

    plans, without = _plans(study, on, overrides, emulate=emulate)
    emulation = _emulation(plans, speed, faults)
    _say_what_is_lost(plans, strict=strict)
    saved = bool(without)
    run_id = plans[0].facts.run_id
    with _told_of(run_id):
        create(
            plans,
            without=without,
            overrides=None if saved else overrides,
            saved=saved,
            emulation=emulation,
        )
    if detach:
        from cloudtune.runs.detach import resume_detached

        resume_detached(run_id)
        if as_json:
            click.echo(json.dumps({"run": run_id}))
        else:
            click.echo(f"run {run_id} goes on in the background; cloudtune watch {run_id}")
        return
    _execute(run_id, as_json=as_json)


def _say_what_is_lost(plans: list[Plan], *, strict: bool) -> None:
    """Print findings and notes; raise if nothing is to be run."""
    from cloudtune.reporting.sanitize import sanitize_line, sanitize_lines
    from cloudtune.runs.lifecycle import plan_errors

    against = plan_errors(plans, strict=strict)
    if against and (strict or len(against) == len(plans)):
        *others, last = against.values()
        for error in others:
            click.echo(sanitize_lines(str(error)), err=True)
        raise last
    for each in plans:
        for finding in each.findings:
            click.echo(sanitize_line(f"{each.provider}: {finding}"), err=True)
        if each.provider in against and not each.refused:
            why = str(against[each.provider]).removeprefix(f"{each.provider}: ")
            click.echo(sanitize_line(f"{each.provider}: {why}"), err=True)
    able = [each.provider for each in plans if each.provider not in against]
    of: dict[Note, list[str]] = {}
    for each in plans:
        if each.provider in able:
            for note in each.notes:
                of.setdefault(note, []).append(each.provider)
    for note, names in of.items():
        clear = len(names) == len(able) or note.path.startswith("providers.")
        who = "" if clear else f"{' and '.join(names)}: "
        click.echo(sanitize_line(f"note: {who}{note}"), err=True)
    if against:
        click.echo(
            f"{' and '.join(against)} cannot run this; {' and '.join(able)} can, and will. With "
            "--strict nothing is started then.",
            err=True,
        )


def _emulation(plans: list[Plan], speed: float | None, faults: Path | None) -> Manner:
    """Return how the emulators behave."""
    from cloudtune.emulation.process import Manner, faults_of
    from cloudtune.errors import UsageError

    modes: dict[str, Mode | None] = {
        plan.provider: plan.mode for plan in plans if plan.facts.emulated
    }
    if not modes and (speed is not None or faults):
        raise UsageError("--speed and --faults are for emulated services: add --emulate")
    return Manner(speed, faults_of(faults, modes) if faults else {})


def _plans(
    study: str, on: tuple[str, ...], overrides: tuple[str, ...], *, emulate: bool
) -> tuple[list[Plan], list[Path]]:
    """Return the plans of a study or of a file of plans, and the files that are no source."""
    from cloudtune.errors import UsageError
    from cloudtune.planning.planner import plan_run, restore_plan
    from cloudtune.planning.serialization import read_plan_file
    from cloudtune.study.loader import load

    if study.endswith(".json") and (held := read_plan_file(Path(study))) is not None:
        if on or overrides or emulate:
            raise UsageError(
                "a saved plan is run as it is; --on, --set and --emulate are for studies"
            )
        return [restore_plan(data) for data in held], [Path(study)]
    loaded = load(study, overrides=overrides)
    return plan_run(loaded, on or ["local"], emulated=emulate), []


def _execute(run_id: str, on: tuple[str, ...] = (), *, as_json: bool) -> None:
    """Execute a run with progress, print its summary and leave with its exit code."""
    with _told_of(run_id):
        import gc

        from cloudtune.ledger.home import state_folder
        from cloudtune.ledger.ledger import Ledger
        from cloudtune.reporting.console.plain import create_progress
        from cloudtune.reporting.console.summary import resume_hints
        from cloudtune.runs.lifecycle import execute, exit_code, jobs_on, results

        gc.enable()  # it was off for a quick start
        with Ledger(state_folder()) as ledger:
            names = [job.provider for job in jobs_on(ledger.run(run_id), on)]
        shown = create_progress(names)
        try:
            outcomes = execute(run_id, shown, on=on)
        finally:
            shown.close()

    def read() -> list[StudyResult]:
        return [result for result in results(run_id) if result.provider in names]

    found: list[StudyResult] = []
    try:
        found = read()
        if as_json:
            click.echo("[" + ",".join(result.to_json() for result in found) + "]")
        else:
            summarize(found, state_folder() / "runs" / run_id)
    finally:  # also where one more Ctrl-C comes while that is read or printed
        if any(outcome.state == "cancelled" for outcome in outcomes.values()):
            for line in resume_hints(found or read()):
                click.echo(line, err=True)
    raise SystemExit(exit_code(outcomes, found))


@contextmanager
def _told_of(run_id: str) -> Generator[None]:
    """Say how a run goes on where Ctrl-C comes while nothing listens for it."""
    try:
        yield
    except KeyboardInterrupt:
        from cloudtune.errors import CloudtuneError
        from cloudtune.ledger.home import state_folder
        from cloudtune.ledger.ledger import Ledger

        with suppress(CloudtuneError), Ledger(state_folder()) as ledger:
            if ledger.has_run(run_id):
                click.echo(f"interrupted; go on with: cloudtune resume {run_id}", err=True)
        raise


def summarize(found: list[StudyResult], folder: Path) -> None:
    """Print what each job found, and below that how they did side by side."""
    from cloudtune.reporting.console.summary import format_summary, job_rows
    from cloudtune.reporting.console.tables import print_table
    from cloudtune.reporting.sanitize import sanitize_line

    for result in found:
        click.echo("\n".join(format_summary(result, str(folder))))
        if len(found) > 1:
            click.echo()
    if len(found) > 1:
        print_table(job_rows(found))
    click.echo(sanitize_line(f"run {folder.name}; everything is in {folder}"))


@examples(
    "cloudtune resume",
    "cloudtune resume k7f2 --set limits.max_trials=100",
    "cloudtune resume k7f2 --on vertex",
)
@click.command()
@run_argument
@job_option
@set_option
@json_option
def resume(run: str | None, on: tuple[str, ...], overrides: tuple[str, ...], as_json: bool) -> None:
    """Go on with RUN from where it stopped, toward the same total; limits can be raised."""
    from cloudtune.ledger.home import state_folder
    from cloudtune.ledger.ledger import Ledger
    from cloudtune.runs.resume import prepare

    with Ledger(state_folder()) as ledger:
        record = ledger.run(run)
    with _told_of(record.id):
        prepare(record, overrides)
    _execute(record.id, on, as_json=as_json)
