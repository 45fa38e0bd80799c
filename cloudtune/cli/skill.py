"""The command that tells a coding assistant how to use cloudtune: skill."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from string import Template

import click

from cloudtune._version import __version__
from cloudtune.cli.exit_codes import MEANINGS
from cloudtune.cli.main_group import COMMANDS
from cloudtune.cli.options import examples

_MARK = "<!-- written by `cloudtune skill`, SHA-256 of the other lines: {} -->"
"""A line of each skill file. A file without it, or in which another line has changed, is kept."""
_MARK_LINE = re.compile(_MARK.format("([0-9a-f]{64})") + "\n")
_MAX_BYTES = 1_000_000


def skill_text() -> str:
    """Return the skill file: the loop, what each command is for, exit codes, shapes of JSON."""
    head = Template(Path(__file__).with_suffix(".md").read_text("utf-8"))
    lines = [head.substitute(version=__version__, mark=_MARK), *_commands(), *_exit_codes()]
    text = "\n".join([*lines, *_shapes()]).rstrip() + "\n"
    return text.replace(_MARK, _MARK.format(_digest(text.replace(f"{_MARK}\n", ""))))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _commands() -> Iterator[str]:
    yield "## Commands\n\n`cloudtune COMMAND --help` has the options, with examples.\n"
    yield "| command | what it is for |\n|---|---|"
    for commands in COMMANDS.values():
        for name, (_, text) in commands.items():
            yield f"| `{name}` | {text} |"
    yield ""


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n\n| code | meaning |\n|---|---|"
    for code, meaning in MEANINGS.items():
        yield f"| {code} | {meaning} |"
    yield ""


def _shapes() -> Iterator[str]:
    from dataclasses import fields

    from cloudtune.comparison.explanation import Explanation, TrialExplanation
    from cloudtune.confirmation.analysis import ConfirmationResult
    from cloudtune.results.model import StudyResult, Trial

    yield "## JSON\n\nNull, and a key that is absent, mean unknown or none. Numbers that are not"
    yield "finite are texts.\n"
    for command, kind in {
        "results --json` has a list of jobs; each": StudyResult,
        "propose --wait` has `run`, `provider`, `proposal` and `trial`; a trial": Trial,
        "explain --json`": Explanation,
        "explain TRIAL --json`": TrialExplanation,
        "confirm --json` has a list; each": ConfirmationResult,
    }.items():
        # Annotations are texts here: their names are imported for type checks only.
        shown = [each.name for each in fields(kind) if "exclude=True" not in str(each.type)]
        yield f"- `cloudtune {command} has {', '.join(f'`{name}`' for name in shown)}."


@examples("cloudtune skill", "cloudtune skill --install .claude/skills")
@click.command()
@click.option(
    "--install",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Write DIR/cloudtune/SKILL.md instead of printing it.",
)
def skill(folder: str | None) -> None:
    """Print a skill file for coding assistants: what each command is for, and how to use them.

    It is made from the same table as the help, for this version. With --install, it replaces an
    earlier one, unless you have changed that.
    """
    if folder is None:
        click.echo(skill_text(), nl=False)
        return
    if not folder:
        raise click.BadParameter("must not be empty", param_hint="--install")
    if not (root := Path(folder)).exists() and root.is_symlink():
        raise click.BadParameter(f"{folder} is a link to nothing", param_hint="--install")
    path = root / "cloudtune" / "SKILL.md"
    _require_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        with new.open("x", encoding="utf-8") as file:
            file.write(skill_text())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    click.echo(f"wrote {path}")


def _require_replaceable(path: Path) -> None:
    """Raise an error if there is something else than a skill file as cloudtune wrote it."""
    from cloudtune.errors import UsageError
    from cloudtune.study.regular_files import open_regular

    for each in (path.parent, path):
        if each.is_symlink():
            raise UsageError(f"{each} is a link, which is not followed; move it away")
    try:
        with open_regular(path, follow=False) as file:
            text = file.read(_MAX_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"{path} is not replaced: {reason}; move it away") from error
    if _MARK_LINE.findall(text) != [_digest(_MARK_LINE.sub("", text))]:
        raise UsageError(
            f"{path} is not as `cloudtune skill` wrote it, so it is not replaced; move it away, "
            "and keep what you have added in another file"
        )
