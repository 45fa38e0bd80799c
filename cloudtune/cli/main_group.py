"""The table of commands, from which ``--help`` is built without importing them."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from keyword import iskeyword
from typing import cast

import click

from cloudtune._version import __version__

COMMANDS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Study": {
        "init": ("init", "Create a study to start from, or list the templates."),
        "check": ("study", "Find every mistake in a study."),
        "doctor": ("doctor", "Find what would make the first run fail: script, account, bundle."),
        "plan": ("study", "Show what a run would send, and what a provider cannot express."),
        "import": ("convert", "Write the configuration of another tool as a study."),
        "schema": ("study", "Print the JSON Schema of the study file, for editors."),
        "providers": ("study", "List the tuning services and their capabilities."),
    },
    "Run": {
        "run": ("runs", "Run a study on this machine or on tuning services."),
        "status": ("status", "List the runs, or show the state of one run."),
        "watch": ("watch", "Show the progress of a run."),
        "logs": ("watch", "Print the output of a trial."),
        "set": ("set_limits", "Change limits of a run, also while it runs."),
        "propose": ("propose", "Add a trial to a run from outside, also while it runs."),
        "stop": ("watch", "Stop a run, or one job of it."),
        "resume": ("runs", "Continue a run that was stopped or killed."),
        "attach": ("attach", "Take over a job that was started elsewhere, with all its trials."),
    },
    "Results": {
        "confirm": ("confirm", "Repeat the best trials with new seeds: is the gain real?"),
        "explain": ("explain", "Tell what the search believes, or why it chose a trial."),
        "results": ("results", "Print trials as a table, JSON, CSV or Parquet."),
        "fetch": ("fetch", "Copy the outputs, checkpoints and log of a trial to this machine."),
        "export": (
            "export",
            "Write runs to MLflow or Optuna, or a study for another tool.",
        ),
        "report": (
            "report",
            "Show what runs found and compare them, as text, HTML, Markdown or JSON.",
        ),
        "clean": ("clean", "Remove runs that have ended, with their files."),
    },
    "Rehearse": {
        "emulate": ("emulate", "Serve the API of a service on this machine, with real trials."),
        "verify": ("verify", "Answer by small jobs what is not verified about a service."),
    },
    "Assistants": {
        "skill": ("skill", "Print a skill file for coding assistants."),
        "mcp": ("mcp", "Serve the commands to an assistant by the Model Context Protocol."),
    },
}

_EXAMPLES = """\b
Examples:
  cloudtune init digits            create a study that runs
  cloudtune run digits/study.yaml  run it on this machine
  cloudtune results --best         print the best parameters
\b
Shell completion: eval "$(_CLOUDTUNE_COMPLETE=bash_source cloudtune)"
(use zsh_source or fish_source for zsh or fish)."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of the table."""
        return [name for commands in COMMANDS.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None if there is no such command."""
        from importlib import import_module

        for commands in COMMANDS.values():
            if cmd_name in commands:
                module = import_module(f"cloudtune.cli.{commands[cmd_name][0]}")
                is_taken = iskeyword(cmd_name) or hasattr(builtins, cmd_name)
                name = f"{cmd_name}_" if is_taken else cmd_name
                return cast("click.Command", getattr(module, name))
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under the headings of the table."""
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; suggest a similar one if there is no such command."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            from cloudtune.study.suggestions import did_you_mean

            hint = did_you_mean(args[0], self.list_commands(ctx)) or "see cloudtune --help"
            raise click.UsageError(f"No such command {args[0]!r}: {hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EXAMPLES,
)
@click.version_option(__version__, "-V", "--version", prog_name="cloudtune")
def cloudtune() -> None:
    """One tuning study, any tuning service, one report."""
