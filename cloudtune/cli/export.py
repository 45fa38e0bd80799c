"""The command export: runs to other programs, and a study in the format of another tool."""

from __future__ import annotations

from pathlib import Path

import click

from cloudtune.cli.completion import complete_runs, complete_targets
from cloudtune.cli.options import examples, strict_option

_PROGRAMS = ("mlflow", "optuna")
"""The programs to which runs are written."""


@examples(
    "cloudtune export --to optuna -o study.db && optuna-dashboard sqlite:///study.db",
    "cloudtune export k7f2 --to mlflow -o http://localhost:5000",
    "cloudtune export study.yaml --to katib -o experiment.yaml",
    "cloudtune export study.yaml --to sagemaker",
    "cloudtune export studies/*.yaml --to sagemaker    # one job with several definitions",
)
@click.command()
@click.argument("items", nargs=-1, metavar="[RUN]... | [STUDY]...", shell_complete=complete_runs)
@click.option(
    "--to",
    "target",
    metavar="TARGET",
    required=True,
    shell_complete=complete_targets,
    help="mlflow or optuna for runs; a format such as sagemaker, vertex or katib for a study.",
)
@click.option(
    "-o",
    "place",
    metavar="WHERE",
    help="Of runs: the tracking address of MLflow (by default, MLflow's own), or the storage of "
    "Optuna, an address or a file (optuna.db by default). Of a study: the file; its ending json or "
    "yaml determines the syntax.  [default: stdout]",
)
@strict_option
def export(items: tuple[str, ...], target: str, place: str | None, *, strict: bool) -> None:
    """Write each RUN (the latest by default) to MLflow or Optuna, or STUDY in the format of a tool.

    In MLflow, each job becomes a run, with its trials as child runs, and a tag with its best trial,
    by a confirmation if there is one. In Optuna, each job becomes a study, whose best trial is that
    of the search. A job that was exported before is skipped, or exported again if it has continued
    since.

    A study is written with only what it says, unlike the request that `cloudtune plan` shows. What
    the format cannot express is listed; the exit code is 2 if it must not be lost. Several STUDY
    files become one document, if the format has several definitions in one.
    """
    from cloudtune.errors import UsageError

    files = [item for item in items if Path(item).is_file()]
    if target in _PROGRAMS and not (files and target == "optuna"):
        if files:
            raise UsageError(
                f"{target} takes runs, and {files[0]} is a file. Name a run of `cloudtune status`, "
                "or a format for a study, such as --to katib"
            )
        _export_runs(items, target, place)
        return
    if not files:
        _check_target(target)
        what = items[0] if items else "nothing"
        raise UsageError(
            f"--to {target} takes a study file, not {what}: "
            f"cloudtune export study.yaml --to {target}"
        )
    if len(files) < len(items):
        odd = next(item for item in items if item not in files)
        raise UsageError(f"--to {target} takes study files, and {odd} is none")
    _export_studies(files, target, Path(place) if place else None, strict=strict)


def _check_target(target: str) -> None:
    """Raise a `UsageError` with all targets if there is none of this name."""
    from cloudtune.conversion import registry
    from cloudtune.errors import UsageError

    formats = registry.all_formats()
    if target not in formats:
        from cloudtune.study.suggestions import did_you_mean

        hint = did_you_mean(target, [*_PROGRAMS, *formats])
        raise UsageError(
            f"cannot export to {target!r}{f', {hint}' if hint else '.'} Runs: "
            f"{', '.join(_PROGRAMS)}. Studies: {', '.join(formats)}"
        )


def _export_studies(studies: list[str], target: str, output: Path | None, *, strict: bool) -> None:
    from cloudtune.cli.convert import exit_if_strict, load_study, print_findings
    from cloudtune.conversion import exporter

    _check_target(target)
    exported = exporter.write_together([load_study(study) for study in studies], target)
    print_findings(exported.findings)
    text = exported.to_text(output)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, "utf-8")
        click.echo(f"{output}: {exported.format.title}", err=True)
    exit_if_strict(exported.findings, strict=strict)


def _export_runs(runs: tuple[str, ...], program: str, place: str | None) -> None:
    from cloudtune.errors import AlreadyExportedError
    from cloudtune.formats import mlflow
    from cloudtune.formats.optuna import run_export
    from cloudtune.formats.secrets import hide_credentials
    from cloudtune.ledger.reader import read_results
    from cloudtune.runs.confirmed_best import with_decisions

    jobs = (job for run in runs or (None,) for job in read_results(run))
    for result, trials in with_decisions(jobs):
        try:
            if program == "mlflow":
                target = f"the MLflow run {mlflow.export(result, trials, place)}"
            else:
                storage = place or "optuna.db"
                name = run_export.export(result, trials, storage)
                target = f"the Optuna study {name!r} in {hide_credentials(storage)}"
        except AlreadyExportedError as error:
            click.echo(f"{error}; skipped", err=True)
            continue
        click.echo(f"run {result.run} on {result.provider} is {target}")
