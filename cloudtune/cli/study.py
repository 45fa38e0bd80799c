"""Commands about a study before it runs: check, plan, schema, providers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloudtune.cli.messages import echo_lines, echo_message
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
    from cloudtune.planning.full_check import CheckResult
    from cloudtune.provider.plan import Plan


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
    """Find every mistake in STUDY, and what this machine or other providers cannot run."""
    from cloudtune.cli.convert import foreign_problem
    from cloudtune.planning.full_check import CheckResult, check_study

    result = check_study(study, on, overrides)
    if result.problems and (problem := foreign_problem(study)):
        result = CheckResult(None, [problem])
    if on and result.plans and not result.problems:
        _print_plans(result.plans, strict=strict, as_json=as_json, brief=True)
        return
    findings = [finding for each in result.findings.values() for finding in each]
    if as_json:
        click.echo(json.dumps(_check_rows(result)))
    else:
        _print_check(result)
    if result.problems:
        raise SystemExit(1)
    if any(plan.broken for plan in result.plans):
        raise SystemExit(3)
    if findings if strict else any(finding.kind == "refused" for finding in findings):
        raise SystemExit(2)


@examples(
    "cloudtune plan study.yaml",
    "cloudtune plan study.yaml --on sagemaker --on vertex",
    "cloudtune plan study.yaml --on vertex --request",
    "cloudtune plan study.yaml -o plan.json",
)
@click.command()
@study_argument
@on_option
@set_option
@strict_option
@emulate_option
@json_option
@click.option(
    "-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan."
)
@click.option("--request", is_flag=True, help="Show the whole request.")
@click.option("--files", is_flag=True, help="List the files of the source with their sizes.")
def plan(
    study: str,
    on: tuple[str, ...],
    overrides: tuple[str, ...],
    *,
    strict: bool,
    emulate: bool,
    as_json: bool,
    output: Path | None,
    request: bool,
    files: bool,
) -> None:
    """Show what a run of STUDY would do, take, and cost, and what a provider cannot express.

    Nothing is sent. With several providers, a table shows where they differ. `cloudtune run PLAN`
    runs a plan saved with -o exactly as shown.
    """
    from cloudtune import api
    from cloudtune.cli.convert import load_study

    exclude = [output] if output else []
    loaded = load_study(study, overrides)
    plans = api.plan(loaded, on or ["local"], exclude=exclude, emulate=emulate)
    _print_plans(plans, strict=strict, as_json=as_json, brief=files, files=files, request=request)
    if output:
        save_plans(plans, output)


def save_plans(plans: list[Plan], output: Path) -> None:
    """Write plans to a file, which ``cloudtune run`` runs."""
    from cloudtune.ledger.outputs import record_outputs
    from cloudtune.planning.serialization import write_plan_file

    write_plan_file(plans, output)
    record_outputs(output)
    click.echo(f"Saved to {output}; run it with: cloudtune run {output}", err=True)


@examples("cloudtune schema > .study.schema.json")
@click.command()
def schema() -> None:
    r"""Print the JSON Schema of the study file, with which editors complete and check it.

    Write it next to your study, and add this line at the top of the study:

    \b
    # yaml-language-server: $schema=.study.schema.json
    """
    from cloudtune.study.json_schema import json_schema_text

    click.echo(json_schema_text(), nl=False)


@examples("cloudtune providers", "cloudtune providers --json")
@click.command()
@json_option
def providers(as_json: bool) -> None:
    """List the installed tuning services and their capabilities."""
    from cloudtune.provider import registry
    from cloudtune.reporting.console.capabilities_page import capability_rows, format_capabilities

    installed = [registry.get(name) for name in registry.names()]
    capabilities = [(p.capabilities, registry.missing_extra(p)) for p in installed]
    if as_json:
        click.echo(json.dumps(capability_rows(capabilities)))
        return
    click.echo("\n".join(format_capabilities(capabilities)))


def _check_rows(result: CheckResult) -> list[dict[str, Any]]:
    """Return the mistakes and findings of a check as rows, which are empty if all is well."""
    rows = [vars(problem) for problem in result.problems]
    for provider, findings in result.findings.items():
        for each in findings:
            file, line = result.study.location(each.path) if result.study else (None, None)
            row = {"path": each.path, "message": each.reason, "hint": "", "file": file}
            rows.append({**row, "line": line, "provider": provider, "kind": each.kind})
    return rows


def _print_check(result: CheckResult) -> None:
    from cloudtune.reporting.console.check_page import format_check
    from cloudtune.reporting.phrases import describe_space

    for line in format_check(result):
        echo_message(line, err=True)
    refused = any(f.kind == "refused" for each in result.findings.values() for f in each)
    if result.study and not result.problems and not refused:
        echo_lines(f"{result.study.file}: no mistakes. {describe_space(result.study)}")


def _print_plans(
    plans: list[Plan],
    *,
    strict: bool,
    as_json: bool,
    brief: bool,
    files: bool = False,
    request: bool = False,
) -> None:
    """Print plans; exit with 3 if one cannot be created, and with 2 if one cannot run."""
    from cloudtune.reporting.console.plan_page import compare_plans, format_plan, plan_details
    from cloudtune.reporting.console.source_files import file_rows, format_files

    if as_json:
        shown: list[dict[str, Any]] = []
        for each in plans:
            shown.append(each.to_json())
            if not brief:
                shown[-1].update(plan_details(each))
            if files:
                shown[-1]["files"] = file_rows(each)
        click.echo(json.dumps(shown, indent=2))
    else:
        if len(plans) > 1 and not brief:
            from cloudtune.reporting.console.tables import print_columns

            print_columns(compare_plans(plans))
            click.echo()
        for each in plans:
            for line in format_plan(each, brief=brief, request=request):
                echo_message(line)
            for line in format_files(each) if files else ():
                click.echo(line)
    if any(p.broken for p in plans):
        raise SystemExit(3)
    if any(p.findings if strict else p.refused for p in plans):
        raise SystemExit(2)
