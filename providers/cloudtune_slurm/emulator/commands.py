"""``python -m cloudtune_slurm.emulator.commands sbatch ...``: Slurm's commands on the emulator."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from cloudtune_slurm.emulator.client import ControllerError
from cloudtune_slurm.emulator.options import CommandError

COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "scontrol")
VERSION = "slurm-wlm 24.11.5"


def main(words: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    if not words or words[0] not in COMMANDS:
        print(f"the emulator has {', '.join(COMMANDS)}", file=sys.stderr)  # noqa: T201
        return 1
    name, *rest = words
    if {"--version", "-V"} & {*rest[:1]}:
        print(VERSION)  # noqa: T201 - this is a program
        return 0
    command = importlib.import_module(f"cloudtune_slurm.emulator.command_{name}")
    try:
        code: int = command.run(rest)
    except CommandError as error:
        if text := str(error):
            print(text, file=sys.stderr)  # noqa: T201
        return error.code
    except ControllerError as error:
        for note in error.notes:
            print(f"{name}: error: {note}", file=sys.stderr)  # noqa: T201
        print(f"{command.FAILURE}: {error.message}", file=sys.stderr)  # noqa: T201
        return 1
    except BrokenPipeError:
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
