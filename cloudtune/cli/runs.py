"""Commands about runs: run, watch, logs, stop, resume."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.options import (
    emulate_option,
    examples,
    faults_option,
    json_option,
    on_option,
    run_argument,
    set_option,
    speed_option,
    strict_option,
    study_argument,
)

if TYPE_CHECKING:
    from cloudtune.planning import Plan


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

    Ctrl-C ends it gracefully, and `cloudtune resume` goes on with it.
    """
    from cloudtune.reporting.describe import printable
    from cloudtune.runs import create

    plans, without = _plans(study, on, overrides, emulate=emulate)
    emulation = _emulation(plans, speed, faults)
    for each in plans:
        each.require(strict=strict)
        for finding in each.findings:
            click.echo(printable(f"{each.provider}: {finding}"), err=True)
    for each in plans:
        for note in each.notes:
            click.echo(printable(f"note: {note}"), err=True)
    saved = bool(without)
    run_id = create(
        plans,
        without=without,
        overrides=None if saved else overrides,
        saved=saved,
        emulation=emulation,
    )
    if detach:
        _detach(run_id)
        if as_json:
            click.echo(json.dumps({"run": run_id}))
        else:
            click.echo(f"run {run_id} goes on in the background; cloudtune watch {run_id}")
        return
    _execute(run_id, as_json=as_json)


def _emulation(plans: list[Plan], speed: float | None, faults: Path | None) -> list[str]:
    """Return the options of the emulators."""
    from cloudtune.emulation.process import check_faults, options
    from cloudtune.errors import UsageError

    emulated = [plan for plan in plans if plan.facts.emulated]
    words = options(speed, faults)
    if words and not emulated:
        raise UsageError("--speed and --faults are for emulated services: add --emulate")
    if faults:
        for plan in emulated:
            check_faults(plan.provider, faults, plan.mode)
    return words


def _plans(
    study: str, on: tuple[str, ...], overrides: tuple[str, ...], *, emulate: bool
) -> tuple[list[Plan], list[Path]]:
    """Return the plans of a study or of a file of plans, and the files that are no source."""
    from cloudtune.errors import UsageError
    from cloudtune.loading import load
    from cloudtune.planning import from_json, plan_run
    from cloudtune.saved_plan import read_plans

    if study.endswith(".json") and (held := read_plans(Path(study))) is not None:
        if on or overrides or emulate:
            raise UsageError(
                "a saved plan is run as it is; --on, --set and --emulate are for studies"
            )
        return [from_json(data) for data in held], [Path(study)]
    loaded = load(study, overrides=overrides)
    return plan_run(loaded, on or ["local"], emulated=emulate), []


def _detach(run_id: str) -> None:
    """Let a process of its own run the run; return once it does."""
    import os
    import subprocess

    from cloudtune.errors import CloudtuneError
    from cloudtune.holding import holder
    from cloudtune.ledger import Ledger, state_folder

    with Ledger(state_folder()) as ledger:
        folder = ledger.run_folder(run_id)
    with (folder / "progress.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cloudtune", "resume", run_id],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "CLOUDTUNE_HOME": str(folder.parent.parent)},
        )
    while holder(folder) is None and process.poll() is None:
        time.sleep(0.02)
    if process.poll():
        said = (folder / "progress.log").read_text("utf-8", errors="replace")
        raise CloudtuneError(f"the run could not be started in the background:\n{said}")
    process.returncode = 0  # it goes on, and nobody waits for it


def _execute(run_id: str, *, as_json: bool) -> None:
    """Execute a run with progress, print its summary and leave with its exit code."""
    import gc

    from cloudtune.ledger import state_folder
    from cloudtune.reporting.describe import going_on, summary_lines
    from cloudtune.reporting.progress import progress
    from cloudtune.runs import execute, exit_code, results

    gc.enable()  # it was off for a quick start
    shown = progress()
    try:
        outcomes = execute(run_id, shown)
    finally:
        shown.close()
    found = results(run_id)
    if as_json:
        click.echo("[" + ",".join(result.to_json() for result in found) + "]")
    else:
        folder = state_folder() / "runs" / run_id
        for result in found:
            click.echo("\n".join(summary_lines(result, str(folder))))
    code = exit_code(outcomes, found)
    if code == 130:
        for line in going_on(found):
            click.echo(line, err=True)
    raise SystemExit(code)


@examples("cloudtune watch", "cloudtune watch k7f2")
@click.command()
@run_argument
def watch(run: str | None) -> None:
    """Show RUN while it goes on, from any shell; Ctrl-C ends the watching, not the run.

    Leaves with the exit code of the run; that is 130 if it was interrupted.
    """
    from cloudtune.driver import Outcome
    from cloudtune.holding import holder
    from cloudtune.ledger import Ledger, state_folder
    from cloudtune.planning import from_json
    from cloudtune.reporting.describe import summary_lines
    from cloudtune.reporting.progress import progress
    from cloudtune.runs import exit_code, results

    with Ledger(state_folder()) as ledger:
        record = ledger.run(run)
        shown = progress()
        seen = dict.fromkeys((job.provider for job in record.jobs), 0)
        try:
            for job in record.jobs:
                past = list(ledger.events(record.id, job.provider))
                seen[job.provider] = past[-1][0] if past else 0
                shown.begin(from_json(job.plan), [event for _, event in past])
            while holder(ledger.run_folder(record.id)) is not None:
                for provider in seen:
                    for seq, event in ledger.events(record.id, provider, seen[provider]):
                        seen[provider] = seq
                        shown.event(provider, event)
                time.sleep(0.3)
        finally:
            shown.close()
        found = results(record.id)
        for result in found:
            click.echo("\n".join(summary_lines(result, str(ledger.run_folder(record.id)))))
        left = {"running", "pending"}
        if any(result.state in left for result in found):
            click.echo(f"nobody runs it now; go on with: cloudtune resume {record.id}", err=True)
        outcomes = {
            each.provider: Outcome("cancelled" if each.state in left else each.state, each.reason)
            for each in found
        }
    raise SystemExit(exit_code(outcomes, found))


@examples("cloudtune logs", "cloudtune logs 7", "cloudtune logs k7f2 7 --on sagemaker")
@click.command()
@click.argument("words", nargs=-1, metavar="[RUN] [TRIAL]")
@click.option("--on", metavar="PROVIDER", help="Whose trial, where a run has several jobs.")
def logs(words: tuple[str, ...], on: str | None) -> None:
    """Print what TRIAL of RUN printed; the last trial of the latest run when left out.

    Where a service keeps the log, its address is printed instead.
    """
    from cloudtune.errors import UsageError
    from cloudtune.jobs import job_folder
    from cloudtune.ledger import Ledger, state_folder
    from cloudtune.runs import results

    if len(words) > 2:
        raise click.UsageError("give at most a run and a trial's number")
    wanted = int(words[-1]) if words and words[-1].isdecimal() else None
    run = next((word for word in words[:1] if wanted is None or len(words) == 2), None)
    with Ledger(state_folder()) as ledger:
        record = ledger.run(run)
        names = [job.provider for job in record.jobs]
        if (on or names[0]) not in names or (on is None and len(names) > 1):
            raise UsageError(f"run {record.id} has jobs on {', '.join(names)}; name one with --on")
        on = on or names[0]
        folder = job_folder(ledger, record.id, on)
    trials = next(job for job in results(record.id) if job.provider == on).trials
    if not trials:
        raise UsageError(f"run {record.id} has no trials on {on} yet")
    number = trials[-1].number if wanted is None else wanted
    trial = next((trial for trial in trials if trial.number == number), None)
    if trial is None:
        last = trials[-1].number
        raise UsageError(f"run {record.id} has no trial {number}; the last is {last}")
    if trial.log and "://" in trial.log:
        click.echo(trial.log)
        return
    path = Path(trial.log or folder / "trials" / str(number) / "log.txt")
    if not path.exists():
        raise UsageError(f"trial {number} of run {record.id} left no log")
    safe = sys.stdout.isatty()
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            click.echo(_harmless(line) if safe else line, nl=False)


def _harmless(line: str) -> str:
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in line
    )


@examples("cloudtune stop", "cloudtune stop k7f2")
@click.command()
@run_argument
def stop(run: str | None) -> None:
    """End RUN gracefully; what cloudtune drives can be gone on with by `cloudtune resume`."""
    from cloudtune.runs import results
    from cloudtune.runs import stop as stop_run

    run_id = stop_run(run)
    managed = [job.provider for job in results(run_id) if job.mode == "managed"]
    if managed:
        click.echo(
            f"asked run {run_id} to end; what {' and '.join(managed)} stops cannot go on, a new "
            f"run can build on it: warm_start: {{from: {run_id}}}"
        )
    else:
        click.echo(f"asked run {run_id} to end; go on later with: cloudtune resume {run_id}")


@examples("cloudtune resume", "cloudtune resume k7f2 --set limits.max_trials=100")
@click.command()
@run_argument
@set_option
@json_option
def resume(run: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Go on with RUN from where it stopped, toward the same total; limits can be raised."""
    from cloudtune.ledger import Ledger, state_folder
    from cloudtune.resuming import prepare

    with Ledger(state_folder()) as ledger:
        record = ledger.run(run)
    prepare(record, overrides)
    _execute(record.id, as_json=as_json)
