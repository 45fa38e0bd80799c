"""``cloudtune init``: writes a template into a folder, and lists the templates."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click
from typing_extensions import override

from cloudtune.cli.completion import complete_templates
from cloudtune.cli.options import examples
from cloudtune.cli.templates import DEFAULT, describe_templates, template_names, write_template


class _InitCommand(click.Command):
    """A command whose help lists the templates."""

    @override
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Templates"):
            formatter.write_dl([*describe_templates().items()])
        super().format_epilog(ctx, formatter)


@examples("cloudtune init", "cloudtune init my-study", "cloudtune init --template xgboost boosting")
@click.command(cls=_InitCommand)
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--template",
    metavar="NAME",
    shell_complete=complete_templates,
    help="The template to copy, into the current folder unless FOLDER is given.",
)
def init(folder: Path | None, template: str | None) -> None:
    """Create a study with its script in FOLDER, from a template.

    Without --template, a terminal lists the templates and lets you choose. Otherwise, FOLDER gets
    the template of the same name if there is one, else the quickstart; without FOLDER, the
    templates are only listed.
    """
    if template is None and folder is not None and folder.name in template_names():
        template = folder.name
    if template is None and sys.stdin.isatty() and sys.stdout.isatty():
        template = _ask_template()
        folder = folder or click.prompt("Folder", template, type=click.Path(path_type=Path))
    elif template is None and folder is None:
        _print_templates()
        click.echo("\nWrite one with: cloudtune init --template NAME FOLDER", err=True)
        return
    folder = folder or Path()
    for path in write_template(template or DEFAULT, folder):
        click.echo(path)
    _print_next_commands(folder)


def _ask_template() -> str:
    """Print the templates, and return the one that the user chooses by number or name."""
    names = _print_templates(numbered=True)
    click.echo()
    return click.prompt("Template (number or name)", DEFAULT, value_proc=_Choice(names))


class _Choice:
    """Converts the number or the name of a template to its name."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def __call__(self, text: str) -> str:
        """Return the name.

        Raises:
            click.UsageError: If the text is neither; `click.prompt` then asks again.
        """
        from cloudtune.study.suggestions import did_you_mean

        text = text.strip()
        if text in self._names:
            return text
        if text.isascii() and text.isdigit() and 1 <= int(text) <= len(self._names):
            return self._names[int(text) - 1]
        hint = did_you_mean(text, self._names) or f"enter 1 to {len(self._names)}, or a name"
        raise click.UsageError(f"no template {text!r}: {hint}")


def _print_templates(*, numbered: bool = False) -> list[str]:
    """Print the templates with their descriptions, and return their names in that order."""
    from cloudtune.reporting.console.tables import print_table

    described = describe_templates()
    rows = [{"template": name, "description": text} for name, text in described.items()]
    print_table([{"": str(n), **row} for n, row in enumerate(rows, 1)] if numbered else rows)
    return [*described]


def _print_next_commands(folder: Path) -> None:
    commands = ["cloudtune check study.yaml", "cloudtune run study.yaml"]
    if (folder / "requirements.txt").is_file():
        commands.insert(0, "pip install -r requirements.txt")
    if folder != Path():
        commands.insert(0, f"cd {shlex.quote(str(folder))}")
    click.echo("\nREADME.md describes the study. Next:", err=True)
    for command in commands:
        click.echo(f"  {command}", err=True)
