"""Runs clients of the `sagemaker` SDK, each in an environment of its own, against an emulator."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.sdk_clients import run_client

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
        config = folder / "config.yaml"
        config.write_text(OPTED_OUT)
        command = [python, str(SDK / client), name, *words]
        env = {"SAGEMAKER_USER_CONFIG_OVERRIDE": str(config)}
        return Used(*run_client(command, folder, emulator, name, env))

    return run
