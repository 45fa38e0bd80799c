"""Runs from jobs that were started elsewhere: at a service, or by another tool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cloudtune.api import Run
from cloudtune.diagnostics import Finding, Note
from cloudtune.errors import UsageError
from cloudtune.formats.run_reader import RunChoice

if TYPE_CHECKING:
    from cloudtune.formats.run_reader import RunReader
    from cloudtune.study.schema import Goal
    from cloudtune.study.study import Study


def attach(
    source: str | Path,
    *,
    study: Study | str | Path | None = None,
    overrides: Sequence[str] = (),
    name: str | None = None,
    metric: str | None = None,
    goal: Goal | None = None,
    parameters: Sequence[str] = (),
    notify: Callable[[Finding | Note], None] = lambda _: None,
) -> Run:
    """Return a run that takes over a job which was started elsewhere; the job is only read.

    For a finished run of another tool, all trials are read at once. For a job of a service,
    `Run.execute` reads them and follows the job to its end. If the job is already a run of the
    ledger, that run is returned.

    Args:
        source: ``PROVIDER:JOB``, ``TOOL:LOCATION``, or the path of a finished run.
        study: The study of a service's job, which is checked against it. By default it is rebuilt.
        overrides: Overrides of the settings that lead to a service, such as
            ``providers.sagemaker.region=eu-west-1``.
        name: The run to read, if the location has several.
        metric: The objective, if the tool does not store it.
        goal: Whether to maximize or to minimize it.
        parameters: The columns of a CSV file that are parameters.
        notify: Receives the parts of the job that the study does not hold, and the differences
            from `study`.

    Raises:
        UsageError: If there is no such job or run, or a setting is missing.
        StudyError: If the study, the settings or the description have mistakes.
        ConversionError: If a study cannot hold the search, or the given one has other parameters.
        ProviderError: If the service has no such job, refuses, or cannot be reached.
        MissingExtraError: If a package that reads it is not installed.
    """
    from cloudtune.formats import run_readers
    from cloudtune.provider import registry

    choice = RunChoice(name=name, metric=metric, goal=goal, parameters=tuple(parameters))
    service, colon, job = str(source).partition(":")
    is_service = service in registry.names() and service not in run_readers.names()
    if is_service and (colon or not Path(source).exists()):
        if choice != RunChoice():
            raise UsageError(
                "name, metric, goal and parameters are for runs of other tools: a service returns "
                "the study of its job; to replace it, give a study"
            )
        if not job:
            raise UsageError(f"which job? Name it as {service}:JOB")
        return _attach_job(service, job, study, overrides, notify)
    reader, location = _find_reader(str(source))
    if study is not None or overrides:
        raise UsageError(
            "a study and overrides are for jobs of services; for a run of another tool, set its "
            "name, metric, goal and parameters"
        )
    return _attach_finished(reader, location, choice, notify)


def _attach_job(
    provider: str,
    job: str,
    study: Study | str | Path | None,
    overrides: Sequence[str],
    notify: Callable[[Finding | Note], None],
) -> Run:
    from cloudtune.attachments.service_jobs import attach_job
    from cloudtune.study.loader import load

    if isinstance(study, str | Path):
        study, overrides = load(study, overrides=overrides), ()
    attached = attach_job(provider, job, study=study, overrides=overrides)
    for finding in attached.findings:
        notify(finding)
    already = "" if attached.is_new else " already"
    notify(Note("", f"{provider}:{job} is run {attached.run}{already}"))
    return Run(attached.run, attached.plans)


def _find_reader(source: str) -> tuple[RunReader, str]:
    """Return the reader of a tool and the location that a user named."""
    from cloudtune.formats import run_readers
    from cloudtune.formats.secrets import hide_credentials
    from cloudtune.provider import registry
    from cloudtune.study.suggestions import did_you_mean

    name, colon, location = source.partition(":")
    if colon and name in run_readers.names():
        return run_readers.get(name), location
    path = Path(source.removeprefix("sqlite:///")).expanduser()
    if path.exists():
        return run_readers.detect(path), str(path)
    tools = run_readers.names()
    services = [each for each in registry.names() if registry.has_mode(each, "managed")]
    hint = did_you_mean(name, [*services, *tools]) if colon else ""
    raise UsageError(
        f"{hide_credentials(source)}: no such file or folder, and no provider or tool of this name"
        f"{f', {hint}' if hint else ''}. Attach a job as PROVIDER:JOB ({', '.join(services)}), or "
        f"a run as TOOL:LOCATION ({', '.join(tools) or 'no tool is known'})"
    )


def _attach_finished(
    reader: RunReader,
    location: str,
    choice: RunChoice,
    notify: Callable[[Finding | Note], None],
) -> Run:
    from cloudtune.attachments.finished_runs import record_finished

    finished = reader.read(location, choice)
    for finding in finished.findings:
        notify(finding)
    return Run(record_finished(finished, reader.name))
