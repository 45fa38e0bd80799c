"""The table of commands, from which ``--help`` is made without importing any of them."""

from __future__ import annotations

from typing import Any

import click

from cloudtune._version import __version__

_COMMANDS = {
    "Study": {
        "init": ("study", "Write a study that runs, to start from."),
        "check": ("study", "Find every mistake in a study."),
        "plan": ("study", "Show what would be sent, and what a provider cannot hold."),
        "schema": ("study", "Print the study's JSON Schema, for editors."),
        "providers": ("study", "List the tuning services and what they can do."),
    },
    "Run": {
        "run": ("runs", "Run a study, here or on one or several providers."),
        "status": ("status", "List the runs, or tell how one stands."),
        "watch": ("watch", "Show a run while it goes on."),
        "logs": ("watch", "Print what a trial printed."),
        "stop": ("watch", "End a running run, or one job of it."),
        "resume": ("runs", "Go on with a run that was stopped or killed."),
    },
    "Results": {
        "results": ("results", "Print trials as a table, JSON, CSV or Parquet."),
        "export": ("results", "Write runs into MLflow, or as studies of Optuna."),
        "report": ("report", "Compare runs and providers: terminal, HTML, Markdown or JSON."),
        "clean": ("clean", "Remove runs that ended, with their files."),
    },
    "Rehearse": {
        "emulate": ("emulate", "Serve a service's API on this machine, with real trials."),
    },
}

_EXAMPLES = """\b
Examples:
  cloudtune init digits            write a study that runs
  cloudtune run digits/study.yaml  run it on this machine
  cloudtune results --best         print the best parameters
\b
Shell completion: eval "$(_CLOUDTUNE_COMPLETE=bash_source cloudtune)"
(zsh_source and fish_source for the others)."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return [name for commands in _COMMANDS.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None if there is none of that name."""
        from importlib import import_module

        for commands in _COMMANDS.values():
            if cmd_name in commands:
                module = import_module(f"cloudtune.cli.{commands[cmd_name][0]}")
                command: Any = getattr(module, cmd_name)
                return command if isinstance(command, click.Command) else None
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings."""
        for title, commands in _COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant, or say which one was likely meant."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            meant = f" Did you mean {near[0]}?" if near else " See cloudtune --help."
            raise click.UsageError(f"There is no command {args[0]!r}.{meant}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EXAMPLES,
)
@click.version_option(__version__, "-V", "--version", prog_name="cloudtune")
def cloudtune() -> None:
    """One tuning study, any tuning service, one report."""
