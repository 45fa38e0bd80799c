"""The command that fetches the files of a trial: fetch."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.messages import echo_message
from cloudtune.cli.options import examples, json_option, split_run_and_trial

if TYPE_CHECKING:
    from cloudtune.runs.download import Fetch


@examples(
    "cloudtune fetch --best",
    "cloudtune fetch k7f2 7 -o model",
    "cloudtune fetch k7f2 7 --on sagemaker --json",
)
@click.command()
@click.argument("words", nargs=-1, metavar="[RUN] [TRIAL]")
@click.option(
    "--best",
    is_flag=True,
    help="The best trial of all jobs or, with --on, of one; by a confirmation if there is one.",
)
@click.option("--on", metavar="PROVIDER", help="The provider, if the run has several jobs.")
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for the files, which is created.  [default: RUN-TRIAL]",
)
@json_option
def fetch(
    words: tuple[str, ...], *, best: bool, on: str | None, output: Path | None, as_json: bool
) -> None:
    """Copy the outputs, checkpoints and log of TRIAL of RUN (the latest by default) to a folder.

    The folder is created when all files are there. If that is interrupted, the same command
    continues. The folder has output/ and checkpoint/, log.txt, and trial.json with the parameters.
    """
    from cloudtune.errors import CloudtuneError
    from cloudtune.ledger.outputs import record_outputs
    from cloudtune.reporting.sanitize import sanitize_line
    from cloudtune.runs.download import MANIFEST, download, is_complete, is_partial, read_fetched
    from cloudtune.runs.fetch import find_files
    from cloudtune.study.quantities import format_bytes, format_count

    run, number = split_run_and_trial(words)
    if (number is None) != best:
        raise click.UsageError("give a trial number or --best")
    files = find_files(run, number, on=on, target=output)
    for each in files.notes:
        echo_message(sanitize_line(f"note: {each}"), err=True)
    if is_complete(files):
        fetched = read_fetched(files)
        echo_message(sanitize_line(f"{fetched.folder} has all files already"), err=True)
    else:
        count = format_count(len(files.stored.files), "file")
        text = f"trial {files.trial.number} of run {files.result.run} on {files.result.provider}: "
        text += f"{count}, {format_bytes(files.size)}, and its log"
        echo_message(sanitize_line(f"{text}, to {files.target}"), err=True)
        try:
            with _progress_bar(files) as progress:
                fetched = download(files, progress)
        except (KeyboardInterrupt, CloudtuneError, OSError):
            if files.partial.exists() and is_partial(files.partial):
                hint = f"{files.partial} has what has arrived; the same command continues"
                echo_message(sanitize_line(hint), err=True)
            raise
        record_outputs(*(fetched.folder / path for path in (*fetched.files, MANIFEST)))
    for each in fetched.missing:
        echo_message(sanitize_line(f"note: {each}"), err=True)
    if not as_json:
        click.echo(fetched.folder)
        return
    result = files.result
    document = {"run": result.run, "provider": result.provider, "trial": files.trial.number}
    document |= {"folder": str(fetched.folder), "files": fetched.files, "missing": fetched.missing}
    click.echo(json.dumps(document))


@contextmanager
def _progress_bar(files: Fetch) -> Generator[Callable[[int], None]]:
    """Yield a function that counts bytes, with a bar if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=files.size)
        yield lambda count: bar.update(task, advance=count)
