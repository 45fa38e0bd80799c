"""Runs clients that are not part of cloudtune, each in a folder of its own, against an emulator."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

GUARD = Path(__file__).parent / "guard"


def run_client(
    command: Sequence[str],
    home: Path,
    emulator: Mapping[str, Any],
    name: str,
    env: Mapping[str, str] = {},
) -> tuple[Any, str]:
    """Run a function of a client, and check that it connects only to the emulator.

    Args:
        command: Runs the function, which writes what it returns to the file ``NAME.json``.
        home: Its working folder.
        emulator: The emulator's address.
        name: The function; ``guarded`` tries other addresses.
        env: More variables.

    Returns:
        What the function returned, and what it printed.
    """
    port, connections = emulator["url"].rpartition(":")[2], home / "connections"
    done = subprocess.run(
        command,
        cwd=home,
        env={
            **emulator["environment"],
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": str(GUARD),
            "TEST_EMULATOR_PORT": port,
            "TEST_CONNECTIONS": str(connections),
            **env,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    addresses = {line.partition(" ")[2] for line in connections.read_text().splitlines()}
    if name != "guarded":
        assert addresses <= {f"('127.0.0.1', {port})", f"('127.0.0.1', '{port}')"}
    return json.loads((home / f"{name}.json").read_text()), done.stdout
