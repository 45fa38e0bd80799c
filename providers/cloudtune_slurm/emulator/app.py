"""The emulator's protocol: JSON over HTTP in place of Slurm's own."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from cloudtune.emulator_kit import App, Delays, FaultPlan, Response, bearer_token, is_map
from cloudtune_slurm.emulator.conf import read_conf
from cloudtune_slurm.emulator.errors import (
    ServiceError,
    denied,
    over_limit,
    throttled,
    timed_out,
    unauthenticated,
    unreachable,
)
from cloudtune_slurm.emulator.operations import OPERATIONS, Operations

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CONF = "slurm.conf"
"""The file in the emulator's folder that describes the cluster."""


class SlurmApp(App):
    """The application for slurmctld."""

    FAULTS: ClassVar = {
        "throttle": throttled,
        "quota": over_limit,
        "error": unreachable,
        "late_error": timed_out,
        "expire": unauthenticated,
    }

    def __init__(self, folder: Path, delays: Delays, faults: FaultPlan, url: str, key: str) -> None:
        self._bin = folder / "bin"
        _write_commands(self._bin, url, key)
        self._operations = Operations(folder, delays, faults, read_conf(folder / CONF))
        super().__init__(self._operations)

    def key_of(self, environ: WSGIEnvironment) -> str | None:
        """Return the key of a request."""
        return bearer_token(environ)

    def refuse(self, environ: WSGIEnvironment, reason: str) -> Response:
        """Return a refusal."""
        return ServiceError("Protocol authentication error", [reason]).response()

    def refuse_as_unable(self, environ: WSGIEnvironment, reason: str) -> Response:
        """Return a refusal because of this machine."""
        return ServiceError("Insufficient resources", [reason]).response()

    def denied(self, operation: str) -> ServiceError:
        """Return the refusal of an operation that the user may not use."""
        return denied()

    def environment(self, url: str, key: str) -> Mapping[str, str]:
        """Return the variables that lead to the emulator, and to its commands."""
        return {
            "CLOUDTUNE_SLURM_URL": url,
            "CLOUDTUNE_SLURM_KEY": key,
            "PATH": f"{self._bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }

    def respond(self, environ: WSGIEnvironment) -> Response:
        """Return the response to a call.

        Raises:
            ServiceError: If slurmctld would refuse it.
        """
        name = environ["PATH_INFO"].lstrip("/")
        operation = OPERATIONS.get(name)
        if operation is None:
            raise ServiceError(f"the emulator does not have {name[:100]}")
        document = _read_document(environ)
        self.calls.add("client", name)
        try:
            return self.carry_out(name, partial(self._operations.carry_out, operation, document))
        except (KeyError, TypeError, ValueError, AttributeError) as error:  # not of the commands
            raise ServiceError("Unexpected message received") from error


def _read_document(environ: WSGIEnvironment) -> Any:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    try:
        document = json.loads(environ["wsgi.input"].read(length) or b"{}")
    except ValueError as error:
        raise ServiceError("Unexpected message received") from error
    if not is_map(document):
        raise ServiceError("Unexpected message received")
    return document


def _write_commands(folder: Path, url: str, key: str) -> None:
    """Write the programs ``sbatch`` and so on, which only the owner can read."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    variables = f"CLOUDTUNE_SLURM_URL={shlex.quote(url)} CLOUDTUNE_SLURM_KEY={shlex.quote(key)}"
    module = f"{shlex.quote(sys.executable)} -P -m cloudtune_slurm.emulator.commands"
    for name in OPERATIONS:
        program = folder / name
        program.unlink(missing_ok=True)
        file = os.open(program, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700)
        with os.fdopen(file, "w", encoding="utf-8") as opened:
            opened.write(f'#!/bin/sh\n{variables} exec {module} {name} "$@"\n')
