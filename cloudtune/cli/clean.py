"""The command that removes runs: clean."""

from __future__ import annotations

import json
import shutil

import click

from cloudtune.cli.options import examples, json_option, runs_argument


@examples("cloudtune clean", "cloudtune clean k7f2 --yes")
@click.command()
@runs_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def clean(runs: tuple[str, ...], *, yes: bool, as_json: bool) -> None:
    """Remove each RUN that ended, with its files and its results; all of them when left out."""
    from cloudtune.errors import UsageError
    from cloudtune.ledger.home import state_folder
    from cloudtune.ledger.ledger import Ledger
    from cloudtune.ledger.lock import RunLock, lock_holder
    from cloudtune.study.quantities import format_count

    with Ledger(state_folder()) as ledger:
        chosen = [ledger.find_run_id(run) for run in runs] if runs else ledger.run_ids()
        held = {run for run in chosen if lock_holder(ledger.run_folder(run)) is not None}
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
            question = f"Remove {format_count(len(chosen), 'run')} with all results ({names})?"
            if not _agreed(question):
                click.echo("nothing was removed; --yes removes without asking", err=True)
                raise SystemExit(1)
        for run in chosen:
            folder = ledger.run_folder(run)
            with RunLock(folder):
                ledger.remove_run(run)
            shutil.rmtree(folder, ignore_errors=True)
            if folder.exists():
                click.echo(f"not all files could be removed: {folder}", err=True)
        click.echo(json.dumps(chosen) if as_json else f"removed {names}")


def _agreed(question: str) -> bool:
    """Ask, and tell whether the answer is yes; where nobody can answer it is no."""
    try:
        return click.confirm(question, err=True)
    except click.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise
        return False
