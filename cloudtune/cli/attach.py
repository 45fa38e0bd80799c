"""The command attach: a job or run that was started elsewhere, as a run."""

from __future__ import annotations

import gc
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from cloudtune.cli.completion import complete_sources
from cloudtune.cli.convert import load_study, print_findings
from cloudtune.cli.options import examples, json_option, place_option

if TYPE_CHECKING:
    from cloudtune.api import Run
    from cloudtune.study.schema import Goal


@examples(
    "cloudtune attach sagemaker:my-tuning-job --set providers.sagemaker.region=eu-west-1",
    "cloudtune attach vertex:projects/p/locations/us-central1/hyperparameterTuningJobs/123",
    "cloudtune attach azure:my-sweep     # in the workspace of AZURE_WORKSPACE",
    "cloudtune attach watson:admin-hpo-330 --study study.yaml",
    "cloudtune attach trials.db --name my-study      # an Optuna study",
    "cloudtune attach optuna:mysql://host/trials",
    "cloudtune attach ray_results/my-experiment --metric loss --goal minimize",
    "cloudtune attach syne-tune/my-experiment",
    "cloudtune attach mlruns --name my-parent-run --metric loss --goal minimize",
    "cloudtune attach wandb.csv --metric loss --goal minimize --parameters lr,depth",
)
@click.command()
@click.argument("source", metavar="SOURCE", shell_complete=complete_sources)
@click.option(
    "--study",
    "file",
    type=click.Path(path_type=str),
    help="The study of the service's job, which is checked against it.  [default: rebuilt]",
)
@place_option
@click.option("--detach", is_flag=True, help="Follow a running job in the background.")
@click.option(
    "--name", metavar="NAME", help="The study, sweep or parent run, if SOURCE has several."
)
@click.option("--metric", metavar="NAME", help="The objective, if the tool does not store it.")
@click.option(
    "--goal",
    type=click.Choice(["maximize", "minimize"]),
    help="Whether to maximize or minimize it, if the tool does not store that.",
)
@click.option(
    "--parameters",
    metavar="NAME,...",
    help="The columns of a CSV file that are parameters, if the file does not mark them.",
)
@json_option
def attach(
    source: str,
    file: str | None,
    overrides: tuple[str, ...],
    *,
    name: str | None,
    metric: str | None,
    goal: Goal | None,
    parameters: str | None,
    detach: bool,
    as_json: bool,
) -> None:
    """Take over SOURCE, which was started elsewhere, as a run with all its trials.

    SOURCE is a tuning job of a service, running or finished (PROVIDER:JOB), or a run that another
    tool finished (TOOL:LOCATION or a PATH). It is only read, and the study is rebuilt from it.

    A running job is followed to its end. Ctrl-C leaves it running, and `cloudtune resume` follows
    it again. Only `cloudtune stop` stops it: at its service, for everyone.
    """
    from cloudtune.attachments.attach import attach as attach_run
    from cloudtune.cli.runs import print_summary
    from cloudtune.errors import UsageError
    from cloudtune.provider import registry

    columns = tuple(each.strip() for each in (parameters or "").split(",") if each.strip())
    run = attach_run(
        source,
        study=load_study(file, overrides) if file else None,
        overrides=() if file else overrides,
        name=name,
        metric=metric,
        goal=goal,
        parameters=columns,
        notify=lambda finding: print_findings([finding]),
    )
    results = run.results().jobs
    if all(registry.has_mode(result.provider, "managed") for result in results):
        _follow(run, detach=detach, as_json=as_json)
    elif detach:
        raise UsageError(f"run {run.id} has ended, so there is nothing to follow with --detach")
    elif as_json:
        click.echo("[" + ",".join(result.to_json() for result in results) + "]")
    else:
        print_summary(results, run.folder)


def _follow(run: Run, *, detach: bool, as_json: bool) -> None:
    """Follow a service's job to its end, or in the background."""
    from cloudtune.cli.runs import finish, resume_hint
    from cloudtune.errors import RunFailedError
    from cloudtune.ledger.lock import lock_holder

    is_followed = lock_holder(run.folder) is not None
    if detach or is_followed:
        if not is_followed:
            run.detach()
        text = f"run {run.id} is followed in the background: cloudtune watch {run.id}"
        click.echo(json.dumps({"run": run.id}) if as_json else text)
        return
    click.echo("Ctrl-C leaves the job running", err=True)
    with resume_hint(run.id):
        gc.enable()  # `main` disabled it for a quick start
        with suppress(RunFailedError):  # the summary and the exit code say it
            run.execute()
    finish(run, (), as_json=as_json)
