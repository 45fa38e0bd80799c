"""Commands about runs that go on: watch, logs, stop."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.options import examples, job_option, run_argument

if TYPE_CHECKING:
    from cloudtune.ledger.ledger import Ledger
    from cloudtune.ledger.records import RunRecord


@examples("cloudtune watch", "cloudtune watch k7f2")
@click.command()
@run_argument
def watch(run: str | None) -> None:
    """Show RUN while it goes on, from any shell; Ctrl-C ends the watching, not the run.

    Leaves with the exit code of the run; that is 130 if it was interrupted.
    """
    from cloudtune.cli.runs import summarize
    from cloudtune.ledger.home import state_folder
    from cloudtune.ledger.ledger import Ledger
    from cloudtune.ledger.lock import lock_holder
    from cloudtune.results.events import Outcome
    from cloudtune.runs.detach import resume_detached, unattended_jobs
    from cloudtune.runs.lifecycle import exit_code, results

    with Ledger(state_folder()) as ledger:
        record = ledger.run(run)
        folder = ledger.run_folder(record.id)
        alone = unattended_jobs(record) if lock_holder(folder) is None else []
        if alone:
            click.echo(f"what runs at {' and '.join(alone)} is followed again", err=True)
            resume_detached(record.id, alone)
        _show(ledger, record)
        found = results(record.id)
        summarize(found, folder)
        left = {"running", "pending"}
        if any(result.state in left for result in found):
            click.echo(f"nobody runs it now; go on with: cloudtune resume {record.id}", err=True)
        outcomes = {
            each.provider: Outcome("cancelled" if each.state in left else each.state, each.reason)
            for each in found
        }
    raise SystemExit(exit_code(outcomes, found))


def _show(ledger: Ledger, record: RunRecord) -> None:
    """Show a run until nobody holds it any more."""
    from cloudtune.ledger.lock import lock_holder
    from cloudtune.planning.planner import restore_plan
    from cloudtune.reporting.console.plain import create_progress
    from cloudtune.results.events import Outcome

    shown = create_progress([job.provider for job in record.jobs])
    seen: dict[str, int] = {}
    """The last event that was shown of each job that can be."""
    ended: set[str] = set()
    try:
        held = lock_holder(ledger.run_folder(record.id)) is not None
        for job in ledger.run(record.id).jobs:
            past = list(ledger.events(record.id, job.provider))
            heard = past[-1][1].time if past else 0.0
            until = time.time() if held and job.state == "running" else job.ended or heard
            try:
                plan = restore_plan(job.plan)
            except Exception as error:  # noqa: BLE001 - one job that cannot be shown hides no other
                shown.message(f"{job.provider}: its plan cannot be read: {error}")
                continue
            shown.begin(plan, [event for _, event in past], job.elapsed(until))
            seen[job.provider] = past[-1][0] if past else 0
        going = True
        while going:
            going = lock_holder(ledger.run_folder(record.id)) is not None
            jobs = ledger.run(record.id).jobs
            for provider, after in seen.items():
                if new := list(ledger.events(record.id, provider, after)):
                    seen[provider] = new[-1][0]
                    shown.events(provider, [event for _, event in new])
            for job in jobs:
                if job.provider not in ended and job.state not in {"pending", "running"}:
                    ended.add(job.provider)
                    shown.end(job.provider, Outcome(job.state, job.reason))
            time.sleep(0.3 if going else 0)
    finally:
        shown.close()


@examples("cloudtune logs", "cloudtune logs 7", "cloudtune logs k7f2 7 --on sagemaker")
@click.command()
@click.argument("words", nargs=-1, metavar="[RUN] [TRIAL]")
@click.option("--on", metavar="PROVIDER", help="Whose trial, where a run has several jobs.")
def logs(words: tuple[str, ...], on: str | None) -> None:
    """Print what TRIAL of RUN printed; the last trial of the latest run when left out.

    Where a service keeps the log, its address is printed instead.
    """
    from cloudtune.errors import UsageError
    from cloudtune.ledger.home import state_folder
    from cloudtune.ledger.ledger import Ledger
    from cloudtune.runs.lifecycle import results

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
        folder = ledger.job_folder(record.id, on)
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


@examples("cloudtune stop", "cloudtune stop k7f2", "cloudtune stop k7f2 --on vertex")
@click.command()
@run_argument
@job_option
def stop(run: str | None, on: tuple[str, ...]) -> None:
    """End RUN gracefully; what cloudtune drives can be gone on with by `cloudtune resume`.

    A job that goes on at a service while nobody follows it here is stopped, too.
    """
    from cloudtune.reporting.console.summary import stop_messages
    from cloudtune.runs.lifecycle import results
    from cloudtune.runs.lifecycle import stop as stop_run

    run_id = stop_run(run, on=on)
    found = [job for job in results(run_id) if not on or job.provider in on]
    what = f"the job on {' and '.join(on)} of run {run_id}" if on else f"run {run_id}"
    for line in stop_messages(what, found):
        click.echo(line)
