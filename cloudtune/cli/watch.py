"""Commands about running runs: watch, logs, stop."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from cloudtune.cli.options import examples, job_option, run_argument, split_run_and_trial
from cloudtune.results.events import OPEN_JOB_STATES

if TYPE_CHECKING:
    from cloudtune.runs.logs import ServiceLog


@examples("cloudtune watch", "cloudtune watch k7f2")
@click.command()
@run_argument
def watch(run: str | None) -> None:
    """Show the progress of RUN (the latest by default). Ctrl-C ends this command, not the run.

    Exits with the exit code of the run, which is 130 if the run was interrupted.
    """
    from cloudtune import api
    from cloudtune.cli.exit_codes import run_exit_code
    from cloudtune.cli.runs import print_summary

    handle = api.find_run(run)
    handle.follow()
    results = handle.results().jobs
    print_summary(results, handle.folder)
    if any(result.state in OPEN_JOB_STATES for result in results):
        click.echo(f"no process runs it now; resume with: cloudtune resume {handle.id}", err=True)
    raise SystemExit(run_exit_code(results))


@examples("cloudtune logs", "cloudtune logs 7 --follow", "cloudtune logs k7f2 7 --on sagemaker")
@click.command()
@click.argument("words", nargs=-1, metavar="[RUN] [TRIAL]")
@click.option("--on", metavar="PROVIDER", help="The provider, if the run has several jobs.")
@click.option("-f", "--follow", is_flag=True, help="Print what is added until the trial ends.")
def logs(words: tuple[str, ...], on: str | None, *, follow: bool) -> None:
    """Print the output of TRIAL of RUN (by default, the last trial of the latest run).

    If the service keeps the log, it is read there; if that fails, its address is printed.
    """
    from cloudtune.runs.logs import ServiceLog, find_log, follow_log

    run, number = split_run_and_trial(words)
    log = find_log(run, number, on)
    if follow:
        _print_lines(follow_log(log))
        return
    if isinstance(log, ServiceLog):
        _print_service_log(log)
        return
    if not log.path.stat().st_size:
        click.echo(f"{log.path} is empty: the script printed nothing", err=True)
    with log.path.open(encoding="utf-8", errors="replace") as file:
        _print_lines(file)


def _print_service_log(log: ServiceLog) -> None:
    """Print a log from the service; if it cannot be read, why, and its address."""
    from cloudtune.errors import CloudtuneError, UsageError
    from cloudtune.reporting.sanitize import sanitize_line

    try:
        lines = log.lines()
        if lines is not None:
            _print_lines(f"{line}\n" for line in lines)
            return
    except CloudtuneError as error:
        if log.address is None:
            raise
        click.echo(sanitize_line(f"cannot read the log: {error}"), err=True)
    if log.address is None:
        raise UsageError("this trial has no log")
    click.echo(log.address)


def _print_lines(lines: Iterable[str]) -> None:
    is_terminal = sys.stdout.isatty()
    for line in lines:
        click.echo(_without_control_characters(line) if is_terminal else line, nl=False)


def _without_control_characters(line: str) -> str:
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in line
    )


@examples("cloudtune stop", "cloudtune stop k7f2", "cloudtune stop k7f2 --on vertex")
@click.command()
@run_argument
@job_option
def stop(run: str | None, on: tuple[str, ...]) -> None:
    """Stop RUN (the latest by default) gracefully. Repeat the command to stop it at once.

    Jobs that continue at their services without a process here are stopped, too. `cloudtune
    resume` continues driven jobs.
    """
    from cloudtune import api
    from cloudtune.reporting.console.summary import stop_messages

    handle = api.find_run(run)
    handle.stop(*on)
    results = [result for result in handle.results() if not on or result.provider in on]
    target = f"the job on {' and '.join(on)} of run {handle.id}" if on else f"run {handle.id}"
    for line in stop_messages(target, results):
        click.echo(line)
