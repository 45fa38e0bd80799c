"""Commands that execute runs: run, resume."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.completion import complete_runs
from cloudtune.cli.messages import (
    NOTHING_STARTED,
    echo_message,
    echo_summary_line,
    name_overrides,
)
from cloudtune.cli.options import (
    emulate_option,
    examples,
    faults_option,
    job_option,
    json_option,
    limit_option,
    on_option,
    run_argument,
    set_option,
    speed_option,
    strict_option,
    study_argument,
    with_images_option,
)

if TYPE_CHECKING:
    from cloudtune.api import Run
    from cloudtune.diagnostics import Note
    from cloudtune.emulation.process import EmulationOptions
    from cloudtune.provider.plan import Plan
    from cloudtune.results.events import Outcome
    from cloudtune.results.model import StudyResult
    from cloudtune.runs.lifecycle import NewRun
    from cloudtune.study.schema import Mode


@examples(
    "cloudtune run study.yaml",
    "cloudtune run study.yaml --set limits.max_trials=100 --set strategy=random",
    "cloudtune run plan.json",
    "cloudtune run study.yaml --on sagemaker --emulate",
    "cloudtune run study.yaml --after k7f2",
    "cloudtune run study.yaml --detach && cloudtune watch",
)
@click.command()
@study_argument
@on_option
@set_option
@strict_option
@emulate_option
@with_images_option
@speed_option
@faults_option
@click.option(
    "--after",
    multiple=True,
    metavar="RUN",
    shell_complete=complete_runs,
    help="Learn from the trials of an earlier run or a file, instead of from warm_start "
    "(repeatable).",
)
@click.option("--detach", is_flag=True, help="Run in the background, and return at once.")
@json_option
def run(
    study: str,
    on: tuple[str, ...],
    overrides: tuple[str, ...],
    *,
    strict: bool,
    emulate: bool,
    with_images: bool,
    speed: float | None,
    faults: Path | None,
    after: tuple[str, ...],
    detach: bool,
    as_json: bool,
) -> None:
    """Run STUDY, a study file or a saved plan, to its end.

    If some of several providers cannot run the study, the others still do. With --strict, nothing
    runs unless every provider can run the study exactly.

    Ctrl-C ends the run gracefully, and `cloudtune resume` continues it.
    """
    words: dict[str, str] = {}
    if after:
        words = {f"warm_start.from={json.dumps(after)}": " ".join(f"--after {a}" for a in after)}
        overrides = (*overrides, *words)
    with resume_hint(None):
        from cloudtune.runs.lifecycle import create

        if with_images:
            overrides = (*overrides, *_image_overrides(on, emulate=emulate))
        with name_overrides(words):
            plans, is_saved = _read_plans(study, on, overrides, emulate=emulate)
        emulation = _emulation_options(plans, speed, faults)
        print_findings(plans, strict=strict)
        _suggest_doctor(plans, study)
    new = partial(
        create,
        plans,
        without=[Path(study)] if is_saved else [],
        overrides=None if is_saved else overrides,
        saved=is_saved,
        emulation=emulation,
    )
    if handle := start_run(plans[0].facts.run_id, new, detach=detach, as_json=as_json):
        finish(handle, (), as_json=as_json)


def start_run(
    run_id: str, create: Callable[[], NewRun], *, detach: bool, as_json: bool
) -> Run | None:
    """Create a run and execute it.

    Returns:
        The run, which has ended; None with ``detach``, where it goes on in the background.
    """
    from cloudtune import api
    from cloudtune.errors import RunFailedError

    with resume_hint(run_id):
        handle = api.Run(*create())
        if detach:
            handle.detach()
            _print_detached(run_id, as_json=as_json)
            return None
        gc.enable()  # `main` disabled it for a quick start
        with suppress(RunFailedError):  # the results and the exit code say it
            handle.execute()
    return handle


def _print_detached(run_id: str, *, as_json: bool) -> None:
    text = f"run {run_id} continues in the background; watch it: cloudtune watch {run_id}"
    click.echo(json.dumps({"run": run_id}) if as_json else text)


def _image_overrides(on: tuple[str, ...], *, emulate: bool) -> list[str]:
    """Return the overrides with which emulated trials run in their images."""
    from cloudtune.errors import UsageError
    from cloudtune.provider import registry

    services = [name for name in on if registry.get(name).emulator is not None]
    if not emulate or not services:
        raise UsageError("--with-images requires an emulated service: add --emulate and --on")
    return [f"providers.{name}.rehearse.images=true" for name in services]


def _read_plans(
    study: str, on: tuple[str, ...], overrides: tuple[str, ...], *, emulate: bool
) -> tuple[list[Plan], bool]:
    """Return the plans of a study file or of a plan file, and whether it is a plan file."""
    from cloudtune import api
    from cloudtune.cli.convert import load_study
    from cloudtune.errors import UsageError
    from cloudtune.planning.serialization import read_plan_file

    if study.endswith(".json") and (saved := read_plan_file(Path(study))) is not None:
        if on or overrides or emulate:
            raise UsageError("--on, --set, --after and --emulate do not apply to a saved plan")
        return saved, True
    loaded = load_study(study, overrides)
    return api.plan(loaded, on or ["local"], emulate=emulate), False


def _emulation_options(
    plans: list[Plan], speed: float | None, faults: Path | None
) -> EmulationOptions:
    from cloudtune.emulation.process import EmulationOptions, read_fault_plans
    from cloudtune.errors import UsageError

    modes: dict[str, Mode | None] = {
        plan.provider: plan.mode
        for plan in plans
        if plan.facts.emulated and not plan.facts.emulator
    }
    if not modes and (speed is not None or faults):
        raise UsageError("--speed and --faults require an emulator of the run: add --emulate")
    return EmulationOptions(speed, read_fault_plans(faults, modes) if faults else {})


def print_findings(plans: list[Plan], *, strict: bool) -> None:
    """Print the findings and warnings of plans; raise if nothing can run."""
    from cloudtune.reporting.phrases import location_prefix
    from cloudtune.reporting.sanitize import sanitize_line, sanitize_lines
    from cloudtune.runs.lifecycle import plan_errors

    errors = plan_errors(plans, strict=strict)
    if errors and (strict or len(errors) == len(plans)):
        *others, last = errors.values()
        for error in others:
            echo_message(sanitize_lines(str(error)), err=True)
        raise last
    for each in plans:
        for finding in each.findings:
            where = location_prefix(each.study, finding.path)
            echo_message(sanitize_line(f"{where}{each.provider}: {finding}"), err=True)
        if each.provider in errors and not each.refused:
            reason = str(errors[each.provider]).removeprefix(f"{each.provider}: ")
            echo_message(sanitize_line(f"{each.provider}: {reason}"), err=True)
    runnable = [each for each in plans if each.provider not in errors]
    providers_by_note: dict[Note, list[str]] = {}
    for each in runnable:
        for note in each.notes:
            providers_by_note.setdefault(note, []).append(each.provider)
    for note, providers in providers_by_note.items():
        if note.severity == "note":
            continue
        is_common = len(providers) == len(runnable) or note.path.startswith("providers.")
        prefix = "" if is_common else f"{' and '.join(providers)}: "
        where = location_prefix(plans[0].study, note.path)
        echo_message(sanitize_line(f"{note.severity}: {where}{prefix}{note}"), err=True)
    if errors:
        rest = " and ".join(each.provider for each in runnable)
        echo_message(
            f"{' and '.join(errors)} cannot run this study; running it on {rest}. With "
            "--strict, nothing runs in this case.",
            err=True,
        )


def _suggest_doctor(plans: list[Plan], study: str) -> None:
    """Suggest the doctor, once, when a study runs on a service for the first time."""
    from cloudtune.provider.settings import CloudSettings

    if study.endswith(".json") or not any(isinstance(p.settings, CloudSettings) for p in plans):
        return
    from cloudtune.doctor.first_run import first_run_services

    if services := first_run_services(plans):
        on = " ".join(f"--on {name}" for name in services)
        command = f"cloudtune doctor {click.format_filename(study)} {on}"
        text = f"first run of this study on {' and '.join(services)}; to check it without cost"
        echo_message(f"{text}: {command}", err=True)


@contextmanager
def resume_hint(run_id: str | None) -> Generator[None]:
    """Print how to resume a run if Ctrl-C comes before the run handles it, or exists."""
    try:
        yield
    except KeyboardInterrupt:
        from cloudtune.errors import CloudtuneError
        from cloudtune.ledger.ledger import Ledger

        hint = NOTHING_STARTED
        with suppress(CloudtuneError), Ledger() as ledger:
            if run_id and ledger.has_run(run_id):
                hint = f"interrupted; resume with: cloudtune resume {run_id}"
        click.echo(hint, err=True)
        raise


def finish(
    run: Run, on: tuple[str, ...], *, as_json: bool, earlier: Mapping[str, int] | None = None
) -> None:
    """Print the summary of an executed run, and exit with its code.

    A resumed run had the numbers ``earlier`` of trials, by provider.
    """
    from cloudtune.results.events import RESUMABLE_JOB_STATES

    def read_results() -> list[StudyResult]:
        found = (result for result in run.results() if not on or result.provider in on)
        return [_as_ended(result, run.outcomes.get(result.provider)) for result in found]

    results: list[StudyResult] = []
    try:
        results = read_results()
        if as_json:
            click.echo("[" + ",".join(result.to_json() for result in results) + "]")
        else:
            print_summary(results, run.folder)
    finally:  # even if another Ctrl-C arrives during the summary or the imports for it
        if any(outcome.state in RESUMABLE_JOB_STATES for outcome in run.outcomes.values()):
            from cloudtune.reporting.console.summary import resume_hints

            for line in resume_hints(results or read_results()):
                click.echo(line, err=True)
    _print_continuation(results, earlier)
    from cloudtune.cli.exit_codes import run_exit_code

    raise SystemExit(run_exit_code(results))


def _as_ended(result: StudyResult, outcome: Outcome | None) -> StudyResult:
    """Return a result with how the job ended here: another process may resume it already."""
    return replace(result, state=outcome.state, reason=outcome.reason) if outcome else result


def _print_continuation(results: list[StudyResult], earlier: Mapping[str, int] | None) -> None:
    """Print how to go on with jobs that failures or limits ended; not after successful trials."""
    from cloudtune.reporting.console.status_page import all_failed, continuation_hints
    from cloudtune.results.events import FINAL_JOB_STATES, RESUMABLE_JOB_STATES

    failed_states = FINAL_JOB_STATES - RESUMABLE_JOB_STATES - {"completed"}
    for result in results:
        is_unchanged = earlier is not None and earlier.get(result.provider) == len(result.trials)
        if is_unchanged or result.state in failed_states or all_failed(result):
            for line in continuation_hints(result):
                echo_message(f"{result.provider}: {line}", err=True)


def print_summary(results: Sequence[StudyResult], folder: Path) -> None:
    """Print the summary of each job of the run in a folder and, for several, a table of them."""
    from cloudtune.reporting.console.summary import format_summary, job_rows
    from cloudtune.reporting.console.tables import print_table
    from cloudtune.reporting.sanitize import sanitize_line

    for result in results:
        if result.confirmation:
            _print_confirmation(result)
        else:
            for line in format_summary(result, str(folder)):
                echo_summary_line(line)
        if len(results) > 1:
            click.echo()
    if len(results) > 1:
        print_table(job_rows(results))
    echo_message(sanitize_line(f"run {folder.name}; all files are in {folder}"))


def _print_confirmation(result: StudyResult) -> None:
    """Print what the trials of a confirming job found so far, and which of them failed."""
    from cloudtune.confirmation.analysis import analyze
    from cloudtune.reporting.confirmation import confirmation_columns, describe_confirmation
    from cloudtune.reporting.console.tables import print_columns
    from cloudtune.reporting.console.trial_page import format_failures
    from cloudtune.reporting.sanitize import sanitize_line

    found = analyze(result)
    assert found is not None
    where = f"{found.provider}{', emulated' if found.emulated else ''}"
    echo_message(f"run {found.run} confirms run {found.confirms} ({where}, {found.trials} trials)")
    for title, sentence in describe_confirmation(found):
        echo_message(sanitize_line(f"{title}: {sentence}"))
    print_columns(confirmation_columns(found))
    for line in format_failures(result):
        echo_summary_line(sanitize_line(line))


@examples(
    "cloudtune resume",
    "cloudtune resume k7f2 --set limits.max_trials=100",
    "cloudtune resume k7f2 --on vertex --detach",
)
@click.command()
@run_argument
@job_option
@limit_option
@click.option("--detach", is_flag=True, help="Run in the background, and return at once.")
@json_option
def resume(
    run: str | None,
    on: tuple[str, ...],
    overrides: tuple[str, ...],
    *,
    detach: bool,
    as_json: bool,
) -> None:
    """Continue RUN (the latest by default) where it stopped; --set raises its limits."""
    from cloudtune import api
    from cloudtune.errors import LedgerError, RunFailedError
    from cloudtune.ledger.ledger import Ledger
    from cloudtune.runs.detach import resume_detached
    from cloudtune.runs.resume import prepare

    handle = api.find_run(run)
    if detach:
        with Ledger() as ledger:
            prepare(ledger.run(handle.id), overrides, on)
        resume_detached(handle.id, on)
        _print_detached(handle.id, as_json=as_json)
        return
    earlier: dict[str, int] = {}
    with suppress(LedgerError):  # a damaged part, which resuming reports
        earlier = {result.provider: len(result.trials) for result in handle.results()}
    with resume_hint(handle.id):
        gc.enable()  # `main` disabled it for a quick start
        with suppress(RunFailedError):  # the summary and the exit code say it
            handle = api.resume(handle.id, on=on, overrides=overrides)
    finish(handle, on, as_json=as_json, earlier=earlier)
