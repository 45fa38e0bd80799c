"""``cloudtune init``: writes a template into a folder, and lists the templates."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path

import click
from typing_extensions import override

from cloudtune.cli.completion import complete_templates
from cloudtune.cli.options import examples
from cloudtune.cli.templates import DEFAULT, describe_templates, template_names, write_template

_FOLDER = click.Path(path_type=Path, file_okay=False)


class _InitCommand(click.Command):
    """A command whose help lists the templates."""

    @override
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Templates"):
            formatter.write_dl([*describe_templates().items()])
        super().format_epilog(ctx, formatter)


@examples("cloudtune init", "cloudtune init my-study", "cloudtune init --template xgboost boosting")
@click.command(cls=_InitCommand)
@click.argument("folder", required=False, type=_FOLDER)
@click.option(
    "--template",
    metavar="NAME",
    shell_complete=complete_templates,
    help="The template to copy, into the current folder unless FOLDER is given.",
)
def init(folder: Path | None, template: str | None) -> None:
    """Create a study with its script in FOLDER, from a template.

    A FOLDER named like a template gets that template. Otherwise, without --template, you choose
    one in a terminal; elsewhere, FOLDER gets the quickstart, and without FOLDER the templates are
    only listed.
    """
    if template is None and folder is not None and folder.name in template_names():
        template = folder.name
    if template is None and sys.stdin.isatty() and sys.stdout.isatty():
        template = _ask_template()
        folder = folder or click.prompt("Folder", template, type=_FOLDER)
    elif template is None and folder is None:
        _print_templates()
        click.echo("\nWrite one into the folder NAME with: cloudtune init NAME", err=True)
        return
    template, folder = template or DEFAULT, folder or Path()
    for path in write_template(template, folder):
        click.echo(path)
    click.echo(f"\nThis is the template {template}; README.md describes it. Next:", err=True)
    for command in _next_commands(folder):
        click.echo(f"  {command}", err=True)


def _ask_template() -> str:
    """Print the templates, and return the one that the user chooses by number or name."""
    names = _print_templates(numbered=True)
    click.echo()
    parse = partial(_parse_choice, names)
    return click.prompt("Template (number or name)", DEFAULT, value_proc=parse)


def _parse_choice(names: list[str], text: str) -> str:
    """Return the template with a number or a name.

    Raises:
        click.UsageError: If the text is neither; `click.prompt` then asks again.
    """
    from cloudtune.study.suggestions import did_you_mean

    text = text.strip()
    numbered = {str(number): name for number, name in enumerate(names, 1)}
    name = numbered.get(text, text)
    if name not in names:
        hint = did_you_mean(text, names) or f"enter 1 to {len(names)}, or a name"
        raise click.UsageError(f"no template {text!r}: {hint}")
    return name


def _print_templates(*, numbered: bool = False) -> list[str]:
    """Print the templates with their descriptions, and return their names in that order."""
    from cloudtune.reporting.console.tables import print_table

    described = describe_templates()
    rows = [{"template": name, "description": text} for name, text in described.items()]
    print_table([{"": str(n), **row} for n, row in enumerate(rows, 1)] if numbered else rows)
    return [*described]


def _next_commands(folder: Path) -> list[str]:
    commands = ["cloudtune check study.yaml", "cloudtune run study.yaml"]
    if (folder / "requirements.txt").is_file():
        commands.insert(0, "pip install -r requirements.txt")
    if folder != Path():
        commands.insert(0, f"cd {shlex.quote(str(folder))}")
    return commands
