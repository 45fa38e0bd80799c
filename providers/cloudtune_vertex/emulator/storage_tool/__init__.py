"""Stands in for ``gcloud storage`` and ``gsutil`` on the path of a script.

It copies, lists, prints, synchronizes, moves and removes objects of the emulator's buckets, and
refuses clearly what it does not do. Destinations follow the documentation of both programs, read
2026-11: https://cloud.google.com/sdk/gcloud/reference/storage/cp and
https://cloud.google.com/storage/docs/gsutil/commands/cp.

This package is a program of its own, in a Python without other packages. It imports only itself and
the standard library.
"""

from __future__ import annotations

import sys
from pathlib import Path

HOST = "STORAGE_EMULATOR_HOST"
"""The environment variable with the address of the emulator."""
_START = """
import sys, types
root = sys.argv.pop(1)
for name in ("cloudtune_vertex", "cloudtune_vertex.emulator"):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = [root + "/" + name.replace(".", "/")]
from cloudtune_vertex.emulator.storage_tool.__main__ import main
sys.exit(main(*sys.argv[1:]))
"""
"""Starts the program without importing the packages around it, which need others."""


def command(*words: str) -> list[str]:
    """Return the command that runs a program, ``gcloud`` or ``gsutil``, with arguments."""
    return [sys.executable, "-I", "-S", "-c", _START, str(Path(__file__).parents[3]), *words]
