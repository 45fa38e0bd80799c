"""The command import: the configuration of another tool as a study."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudtune.cli.completion import complete_formats
from cloudtune.cli.options import examples, json_option, strict_option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudtune.conversion.importer import Imported
    from cloudtune.diagnostics import Finding, Note, Problem
    from cloudtune.study.study import Study

_MAX_NAME = 200
"""Bytes of a file's name without its suffix; file systems have 255."""


@examples(
    "cloudtune import tuning-job.json -o study.yaml",
    "cloudtune import experiment.yaml --from katib",
    "cloudtune import tuning-job.json -o studies/     # one study for each definition",
    "cloudtune import sqlite:///optuna.db --definition my-study -o study.yaml",
    "cloudtune import tuning-job.json --definition xgboost > study.yaml",
)
@click.command("import")
@click.argument("file", type=click.Path())
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path),
    help="Write to a file, or, of several definitions, to a folder.",
)
@click.option(
    "--from",
    "source",
    metavar="FORMAT",
    shell_complete=complete_formats,
    help="The format of the file.  [default: detected]",
)
@click.option("--definition", metavar="NAME", help="Import only this one of several definitions.")
@strict_option
@json_option
def import_(
    file: str,
    output: Path | None,
    source: str | None,
    definition: str | None,
    *,
    strict: bool,
    as_json: bool,
) -> None:
    """Write the configuration of another tool as a study.

    FILE is JSON or YAML, or for some formats a storage, an address or a module; see the
    documentation of the formats.

    What the study cannot hold, or holds differently, is listed with its path in FILE. The exit code
    is 2 if it cannot be kept at all, or, with --strict, if anything is approximated or dropped.
    """
    from cloudtune.conversion import importer
    from cloudtune.errors import UsageError

    imported = importer.read(file, source, definition)
    if as_json:
        click.echo(_to_json(imported))
    else:
        print_findings(imported.findings, imported.place)
    several = len(imported.studies) > 1
    is_folder = output is not None and (output.is_dir() or several or not output.suffix)
    if several and output is None and not as_json:
        names = [each.name for each in imported.studies]
        raise UsageError(
            f"{imported.file} has {len(names)} definitions: {', '.join(names)}. Write them to a "
            "folder with -o FOLDER, or take one with --definition NAME"
        )
    if output is not None:
        _write(imported, output, is_folder=is_folder)
    elif not as_json:
        click.echo(imported.studies[0].to_yaml(imported.comment), nl=False)
    exit_if_strict(imported.findings, strict=strict)


def _write(imported: Imported, output: Path, *, is_folder: bool) -> None:
    from cloudtune.errors import UsageError
    from cloudtune.reporting.sanitize import sanitize_line

    names = [_file_name(each.name) or imported.file.stem for each in imported.studies]
    files = [output / f"{name}.yaml" for name in _distinct(names)] if is_folder else [output]
    for file in files:
        if file.exists():
            raise UsageError(f"{file} exists; remove it, or choose another name with -o")
    if is_folder:
        output.mkdir(parents=True, exist_ok=True)
    for file, each in zip(files, imported.studies, strict=True):
        with file.open("x", encoding="utf-8") as new:  # also not through a link to nowhere
            new.write(each.to_yaml(imported.comment))
        name = "" if each.name in {"", file.stem} or not is_folder else f" named {each.name!r}"
        text = f"{file}: a study{name} from {imported.format.title}"
        click.echo(sanitize_line(text), err=True)
    click.echo(f"Check it with: cloudtune check {click.format_filename(files[0])}", err=True)


def _file_name(name: str) -> str:
    name = "".join(char if char.isalnum() or char in "-_." else "-" for char in name).strip(".")
    return name.encode()[:_MAX_NAME].decode("utf-8", "ignore")


def _distinct(names: Sequence[str]) -> list[str]:
    """Return the names, with a number where another one is equal but for the case of letters."""
    used: set[str] = set()
    distinct: list[str] = []
    for name in names:
        numbered = (f"{name}-{number}" if number > 1 else name for number in count(1))
        distinct.append(next(each for each in numbered if each.casefold() not in used))
        used.add(distinct[-1].casefold())
    return distinct


def _to_json(imported: Imported) -> str:
    return json.dumps(
        {
            "format": imported.format.name,
            "studies": [{"name": each.name, "study": each.data} for each in imported.studies],
            "findings": [_finding_row(each) for each in imported.findings],
        },
        indent=2,
    )


def _finding_row(finding: Finding | Note) -> dict[str, str]:
    from cloudtune.diagnostics import Finding

    if isinstance(finding, Finding):
        return {"kind": finding.kind, "path": finding.path, "text": finding.reason}
    return {"kind": finding.severity, "path": finding.path, "text": finding.text}


def print_findings(
    findings: Sequence[Finding | Note], place: Callable[[Finding | Note], str] = lambda _: ""
) -> None:
    """Print the findings of a conversion to stderr, one on each line.

    Args:
        findings: The findings.
        place: Returns what comes before a finding, such as its file and line.
    """
    from cloudtune.cli.messages import echo_lines
    from cloudtune.diagnostics import Finding
    from cloudtune.reporting.sanitize import sanitize_line

    for each in findings:
        line = str(each) if isinstance(each, Finding) else f"{each.severity}: {each}"
        echo_lines(sanitize_line(f"{place(each)}{line}"), err=True)


def exit_if_strict(findings: Sequence[Finding | Note], *, strict: bool) -> None:
    """Exit with 2 if something is approximated or dropped, and this is not allowed."""
    from cloudtune.diagnostics import Finding

    if strict and any(isinstance(each, Finding) for each in findings):
        raise SystemExit(2)


def load_study(study: str, overrides: Sequence[str] = ()) -> Study:
    """Return the study in a file, as `cloudtune.load`.

    Raises:
        StudyError: If the study has mistakes; only one if it has the format of another tool.
    """
    from cloudtune.errors import StudyError
    from cloudtune.study.loader import load

    try:
        return load(study, overrides=overrides)
    except StudyError as error:
        if problem := foreign_problem(study):
            raise StudyError([problem]) from error
        raise


def foreign_problem(study: str) -> Problem | None:
    """Return what is wrong with a file that another tool reads, and which command reads it."""
    from cloudtune.conversion.importer import foreign_format
    from cloudtune.diagnostics import Problem

    if not Path(study).is_file() or (found := foreign_format(study)) is None:
        return None
    hint = f"`cloudtune import {study} -o study.yaml` reads it"
    return Problem("", f"is {found.title}, not a study", hint, study)
