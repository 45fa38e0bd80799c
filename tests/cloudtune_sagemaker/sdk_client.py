"""Runs clients of the `sagemaker` SDK, each in an environment of its own, against an emulator."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SDK = Path(__file__).parent / "sdk"
OPTED_OUT = """\
SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""


@dataclass(frozen=True)
class Used:
    """What came of one use of the SDK."""

    told: dict[str, Any]
    printed: str


Use = Callable[..., Used]


def runner(
    python: str, client: str, emulator: Mapping[str, Any], folders: pytest.TempPathFactory
) -> Use:
    """Return what runs a function of a client once, and checks that it reaches the emulator alone.

    Args:
        python: The Python that has the SDK.
        client: A file in the folder ``sdk``.
        emulator: The emulator's address.
        folders: Makes the folder in which the client runs.
    """

    @functools.cache
    def run(name: str, *words: str) -> Used:
        folder = folders.mktemp(name)
        config, noted = folder / "config.yaml", folder / "connections"
        config.write_text(OPTED_OUT)
        port = emulator["url"].rpartition(":")[2]
        env = {
            **emulator["environment"],
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(SDK.parents[1] / "guard"),
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(config),
            "TEST_EMULATOR_PORT": port,
            "TEST_CONNECTIONS": str(noted),
        }
        done = subprocess.run(
            [python, str(SDK / client), name, *words],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0, done.stdout[-6000:]
        addresses = {line.partition(" ")[2] for line in noted.read_text().splitlines()}
        if name != "guarded":
            assert addresses == {f"('127.0.0.1', {port})"}
        told = json.loads((folder / f"{name}.json").read_text())
        return Used(told, done.stdout)

    return run
