"""The page docs/commands.md: every command with its options and examples, from the command line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from cloudtune.cli.main_group import COMMANDS, cloudtune

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
_HEAD = """# The commands

```sh
cloudtune --help
```

This page has the same texts as `--help`. [Exit codes and JSON](json.md) has what commands return.
`cloudtune skill` prints what a coding assistant needs.
"""


def commands_page() -> str:
    """Return the content of the page."""
    context = click.Context(cloudtune, info_name="cloudtune")
    parts = [_HEAD]
    for title, commands in COMMANDS.items():
        parts.append(f"## {title}\n")
        for name in commands:
            command = cloudtune.get_command(context, name)
            assert command is not None
            parts += _command(click.Context(command, context, name))
    return "\n".join(parts) + "\n"


def _command(context: click.Context) -> Iterator[str]:
    command = context.command
    usage = " ".join(["cloudtune", command.name or "", *command.collect_usage_pieces(context)])
    yield f"### {command.name}\n\n```text\n{usage}\n```\n"
    yield _prose(inspect.cleandoc(command.help or "")) + "\n"
    options = [each for each in command.params if isinstance(each, click.Option)]
    shown = [each.get_help_record(context) for each in options if not each.hidden]
    if shown:
        yield "| option | what it does |\n|---|---|"
        yield from (f"| {_code(name)} | {_cell(text)} |" for name, text in filter(None, shown))
        yield ""
    if command.epilog:
        title, _, lines = command.epilog.replace("\b", "").strip().partition("\n")
        code = re.sub(r"^ {2}", "", lines, flags=re.MULTILINE)
        yield f"{title}\n\n```text\n{code}\n```\n"


def _prose(text: str) -> str:
    """Return a help text as Markdown: blocks whose lines are kept become code."""
    blocks = text.split("\n\n")
    return "\n\n".join(
        f"```text\n{block[1:].strip(chr(10))}\n```" if block.startswith("\b") else block
        for block in blocks
    )


def _code(text: str) -> str:
    """Return code in a cell of a table, in the only way in which all renderers keep a bar."""
    return f"<code>{text.replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def _cell(text: str) -> str:
    return re.sub(r"([|\[\]<*])", r"\\\1", " ".join(text.split()))


if __name__ == "__main__":
    PAGE.write_text(commands_page(), "utf-8")
