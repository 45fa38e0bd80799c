"""The command attach: a job or run that was started elsewhere, as a run."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.completion import complete_sources
from cloudtune.cli.convert import load_study, print_findings
from cloudtune.cli.options import examples, json_option, set_option

if TYPE_CHECKING:
    from cloudtune.formats.run_reader import RunChoice, RunReader
    from cloudtune.study.schema import Goal
    from cloudtune.study.study import Study


@examples(
    "cloudtune attach sagemaker:my-tuning-job --set providers.sagemaker.region=eu-west-1",
    "cloudtune attach vertex:projects/p/locations/us-central1/hyperparameterTuningJobs/123",
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
@set_option
@click.option("--detach", is_flag=True, help="Follow a running job in the background.")
@click.option(
    "--name", metavar="NAME", help="The study, sweep or parent run, if SOURCE has several."
)
@click.option("--metric", metavar="NAME", help="The objective, if the tool does not store it.")
@click.option(
    "--goal",
    type=click.Choice(["maximize", "minimize"]),
    help="What to do with the objective, if the tool does not store it.",
)
@click.option(
    "--parameters",
    metavar="NAME,...",
    help="The columns of a CSV file that are parameters, if it does not say so.",
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
    from cloudtune.errors import UsageError
    from cloudtune.formats.run_reader import RunChoice
    from cloudtune.provider import registry

    columns = tuple(filter(None, map(str.strip, (parameters or "").split(","))))
    choice = RunChoice(name=name, metric=metric, goal=goal, parameters=columns)
    service, colon, job = source.partition(":")
    if service in registry.names() and (colon or not Path(source).exists()):
        if choice != RunChoice():
            raise UsageError(
                "--name, --metric, --goal and --parameters are for runs of other tools: a service "
                "returns the study of its job, and --study names another one"
            )
        if not job:
            raise UsageError(f"which job? Name it as {service}:JOB")
        study = load_study(file, overrides) if file else None
        _attach_job(service, job, study, overrides, detach=detach, as_json=as_json)
        return
    reader, location = _find_reader(source)
    if file or overrides or detach:
        raise UsageError(
            "--study, --set and --detach are for jobs of services; for runs of other tools there "
            "are --name, --metric, --goal and --parameters"
        )
    _attach_finished(reader, location, choice, as_json=as_json)


def _attach_job(
    provider: str,
    job: str,
    study: Study | None,
    overrides: tuple[str, ...],
    *,
    detach: bool,
    as_json: bool,
) -> None:
    from cloudtune import api
    from cloudtune.cli.runs import finish, resume_hint
    from cloudtune.ledger.ledger import Ledger
    from cloudtune.ledger.lock import lock_holder
    from cloudtune.runs.service_jobs import attach_job

    attached = attach_job(provider, job, study=study, overrides=() if study else overrides)
    print_findings(attached.findings)
    run = api.Run(attached.run, attached.plans)
    hint = "; Ctrl-C leaves the job running" if attached.is_new else " already"
    click.echo(f"{provider}:{job} is run {run.id}{hint}", err=True)
    with Ledger() as ledger:
        holder = lock_holder(ledger.run_folder(run.id))
    if detach or holder:
        if not holder:
            run.detach()
        text = f"run {run.id} is followed in the background: cloudtune watch {run.id}"
        click.echo(json.dumps({"run": run.id}) if as_json else text)
        return
    with resume_hint(run.id):
        gc.enable()  # `main` disabled it for a quick start
        run.execute()
    finish(run, (), as_json=as_json)


def _find_reader(source: str) -> tuple[RunReader, str]:
    """Return the reader of a tool and the location that a user named."""
    from cloudtune.errors import UsageError
    from cloudtune.formats import run_readers
    from cloudtune.provider import registry
    from cloudtune.study.suggestions import did_you_mean

    name, colon, location = source.partition(":")
    if colon and name in run_readers.names():
        return run_readers.get(name), location
    path = source.removeprefix("sqlite:///")
    if Path(path).expanduser().exists():
        return run_readers.detect(Path(path).expanduser()), path
    tools = run_readers.names()
    services = [each for each in registry.names() if each != "local"]
    hint = did_you_mean(name, [*services, *tools]) if colon else ""
    raise UsageError(
        f"{source}: no such file or folder, and no provider or tool of this name"
        f"{f', {hint}' if hint else ''}. Attach a job as PROVIDER:JOB ({', '.join(services)}), or "
        f"a run as TOOL:LOCATION ({', '.join(tools) or 'no tool is known'})"
    )


def _attach_finished(reader: RunReader, location: str, choice: RunChoice, *, as_json: bool) -> None:
    from cloudtune.api import find_run
    from cloudtune.cli.runs import print_summary
    from cloudtune.runs.attachment import record_finished

    finished = reader.read(location, choice)
    print_findings(finished.findings)
    run = find_run(record_finished(finished, reader.name))
    results = run.results()
    if as_json:
        click.echo("[" + ",".join(result.to_json() for result in results) + "]")
    else:
        print_summary(results.jobs, run.folder)
