"""Commands about a study before it runs: init, check, plan, schema, providers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.options import (
    check_option,
    emulate_option,
    examples,
    json_option,
    on_option,
    set_option,
    strict_option,
    study_argument,
)

if TYPE_CHECKING:
    from cloudtune.provider.documents import ServiceDocument
    from cloudtune.provider.plan import Plan


@examples("cloudtune init", "cloudtune init digits --template quickstart")
@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--template", default="quickstart", show_default=True, help="What to start from.")
def init(folder: Path, template: str) -> None:
    """Write a study that runs, with its script, into FOLDER (here when left out)."""
    from cloudtune.cli.templates import write

    written = write(template, folder)
    for path in written:
        click.echo(path)
    study = folder / "study.yaml"
    click.echo(f"\nRun it with: cloudtune run {click.format_filename(study)}", err=True)


@examples("cloudtune check study.yaml", "cloudtune check study.yaml --on local --strict")
@click.command()
@study_argument
@check_option
@set_option
@strict_option
@json_option
def check(
    study: str, on: tuple[str, ...], overrides: tuple[str, ...], strict: bool, as_json: bool
) -> None:
    """Find every mistake in STUDY, in one pass; with --on also what a provider cannot hold."""
    from cloudtune.errors import StudyError
    from cloudtune.study.loader import load

    try:
        loaded = load(study, overrides=overrides)
    except StudyError as error:
        if as_json:
            click.echo(json.dumps([vars(problem) for problem in error.problems]))
        else:
            _show_problems(error)
        raise SystemExit(1) from error
    if not on:
        if as_json:
            click.echo("[]")
            return
        from cloudtune.provider.registry import unknown_provider_notes
        from cloudtune.reporting.phrases import describe_space
        from cloudtune.reporting.sanitize import sanitize_line

        for note in (*loaded.notes, *unknown_provider_notes(loaded)):
            click.echo(sanitize_line(f"note: {note}"), err=True)
        click.echo(f"{study}: no mistakes. {describe_space(loaded)}")
        return
    from cloudtune.planning.planner import plan_run

    _show_plans(plan_run(loaded, on), strict=strict, as_json=as_json, brief=True)


@examples("cloudtune plan study.yaml", "cloudtune plan study.yaml -o plan.json")
@click.command()
@study_argument
@on_option
@set_option
@strict_option
@emulate_option
@json_option
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Save it.")
@click.option("--as", "form", metavar="FORM", help="Show another document of the service instead.")
def plan(
    study: str,
    on: tuple[str, ...],
    overrides: tuple[str, ...],
    *,
    strict: bool,
    emulate: bool,
    as_json: bool,
    output: Path | None,
    form: str | None,
) -> None:
    """Show what would be sent for STUDY, what a provider cannot hold, and why. Nothing is sent.

    A plan that was saved with -o is run by `cloudtune run PLAN`, exactly as it was shown.
    """
    from cloudtune.errors import UsageError
    from cloudtune.planning.planner import plan_run
    from cloudtune.study.loader import load

    loaded = load(study, overrides=overrides)
    from cloudtune.ledger.home import state_folder

    without = [output] if output else []
    plans = plan_run(loaded, on or ["local"], without=without, emulated=emulate)
    if form is not None:
        if output:
            raise UsageError("what --as shows is never run, so there is nothing to save with -o")
        for each in plans:
            _show_form(each, form, strict=strict)
        return
    _show_plans(plans, strict=strict, as_json=as_json, brief=False)
    if output:
        state = {"state": str(state_folder())}
        held = [p.to_json() | state for p in plans]
        output.write_text(json.dumps(held, indent=2) + "\n", "utf-8")
        click.echo(f"Saved to {output}; run it with: cloudtune run {output}", err=True)


@examples("cloudtune schema > study.schema.json")
@click.command()
def schema() -> None:
    """Print the JSON Schema of the study file, for completion and checks in editors."""
    from cloudtune.study.loader import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@examples("cloudtune providers", "cloudtune providers --json")
@click.command()
@json_option
def providers(as_json: bool) -> None:
    """List the tuning services that are installed, and what each can do."""
    from cloudtune.provider import registry
    from cloudtune.reporting.console.summary import capability_rows

    found = [registry.get(name) for name in registry.names()]
    rows = capability_rows([(p.capabilities, registry.missing_extra(p)) for p in found])
    if as_json:
        click.echo(json.dumps(rows))
        return
    from cloudtune.reporting.console.tables import print_table

    print_table(rows)


def _show_problems(error: Exception) -> None:
    from cloudtune.errors import StudyError
    from cloudtune.reporting.sanitize import sanitize_line
    from cloudtune.study.quantities import format_count

    if isinstance(error, StudyError):
        for problem in error.problems:
            click.echo(sanitize_line(str(problem)), err=True)
        click.echo(f"{format_count(len(error.problems), 'mistake')}.", err=True)


def _show_plans(plans: list[Plan], *, strict: bool, as_json: bool, brief: bool) -> None:
    """Print plans, and leave with exit code 3 or 2 if one cannot be made or run."""
    if as_json:
        click.echo(json.dumps([p.to_json() for p in plans], indent=2))
    else:
        from cloudtune.reporting.console.summary import format_plan

        for each in plans:
            click.echo("\n".join(format_plan(each, brief=brief)))
    if any(p.broken for p in plans):
        raise SystemExit(3)
    if any(p.findings if strict else p.refused for p in plans):
        raise SystemExit(2)


def _show_form(plan: Plan, form: str, *, strict: bool) -> None:
    """Print a plan as another document, what is lost in it to stderr; leave with 2 if too much."""
    from cloudtune.diagnostics import Finding
    from cloudtune.errors import UsageError
    from cloudtune.provider import registry
    from cloudtune.provider.documents import OtherForms
    from cloudtune.reporting.console.summary import location_prefix
    from cloudtune.reporting.sanitize import format_json, sanitize_line

    provider = registry.get(plan.provider)
    documents: Mapping[str, Callable[[Plan], ServiceDocument]] = {}
    if isinstance(provider, OtherForms):
        documents = provider.documents
    if form not in documents:
        known = f"it has {', '.join(documents)}" if documents else "it has none; leave --as out"
        raise UsageError(f"{plan.provider} has no form {form!r} to be shown as; {known}")
    shown = documents[form](plan)
    click.echo(sanitize_line(shown.about), err=True)
    for item in shown.found:
        word = "" if isinstance(item, Finding) else "note: "
        click.echo(
            sanitize_line(f"  {word}{location_prefix(plan.study, item.path)}{item}"), err=True
        )
    click.echo(format_json(shown.document, indent=2))
    findings = [item for item in shown.found if isinstance(item, Finding)]
    if any(strict or finding.kind == "refused" for finding in findings):
        raise SystemExit(2)
