"""An emulator's process: started for a job or by hand, and found again by whoever comes later.

It outlives whoever started it, so that a job goes on as at the service when cloudtune is killed.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudtune.emulation.faults import Able, read_shared
from cloudtune.errors import MissingExtraError, ProviderError, UsageError
from cloudtune.provider import registry
from cloudtune.provider.models import Emulator
from cloudtune.study.schema import Mode

ADDRESS = "address.json"
"""The file in an emulator's folder that says where it listens; only the owner may read it."""
LOCK = "lock"
"""The file in an emulator's folder that it holds while it runs."""
CERTIFICATE = "certificate.pem"
"""The file in an emulator's folder that its clients trust, where it speaks HTTPS."""
TIED = "CLOUDTUNE_EMULATOR_TIED"
"""The variable that lets an emulator end with the process that started it."""
_OPTIONS = "options.json"
_FAULTS = "faults.json"
_LOG = "emulator.log"
_IDLE = 600
"""Seconds without a request and without a job after which an emulator of a run ends by itself."""
_PATIENCE = 60.0
MISSING = 3
"""Its exit code where a package that it needs is not installed."""


@dataclass(frozen=True)
class Address:
    """Where an emulator listens."""

    pid: int
    url: str
    key: str
    environment: Mapping[str, str]
    """The variables with which the service's own tools reach it."""
    certificate: str | None = None
    """The path of the file that its clients trust, where it speaks HTTPS."""


@dataclass(frozen=True)
class Manner:
    """How the emulators of a run behave."""

    speed: float | None = None
    """What their services' own delays are divided by; each emulator's own default when None."""
    faults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """What goes wrong, by provider: a fault plan each, as plain data."""


def faults_of(file: Path, modes: Mapping[str, Mode | None]) -> dict[str, dict[str, Any]]:
    """Return the fault plans that a file holds for providers' emulators, as plain data.

    Args:
        file: The file.
        modes: The providers, and in which mode trials will be run there, where that is known. What
            cannot happen to such is under ``NOT_DRIVEN`` or ``NOT_MANAGED`` beside the operations
            of emulators that have such.

    Raises:
        UsageError: If one of the providers has no emulator.
        StudyError: If something in the plan is wrong; every mistake with its line.
    """
    able = {name: _able(name, mode) for name, mode in modes.items()}
    return read_shared(file, able, registry.names())


def _able(provider: str, mode: Mode | None) -> Able:
    module = registry.get(provider).emulator
    if module is None:
        raise UsageError(f"there is no emulator of {provider}")
    has = importlib.import_module(f"{module}.operations")
    lacking = getattr(has, f"NOT_{mode.upper()}", {}) if mode else {}
    return Able(has.OPERATIONS, lacking, getattr(has, "EFFECTS", ()))


def options(provider: str, manner: Manner, folder: Path) -> list[str]:
    """Return the words of an emulator's command line that change how it behaves.

    Its fault plan is written into its folder, so that it is there whenever it is started again.

    Args:
        provider: Whose service it stands for.
        manner: How it is to behave.
        folder: The emulator's folder; made if need be.
    """
    words = [] if manner.speed is None else ["--speed", str(manner.speed)]
    if not (plan := manner.faults.get(provider)):
        return words
    folder.mkdir(parents=True, exist_ok=True)
    file = folder.absolute() / _FAULTS
    file.write_text(json.dumps(plan), "utf-8")
    return [*words, "--faults", str(file)]


def remember(provider: str, manner: Manner, folder: Path) -> None:
    """Note how the emulator of a job is to behave, whoever starts it.

    Args:
        provider: Whose service it stands for.
        manner: How it is to behave.
        folder: The emulator's folder; made if need be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _OPTIONS).write_text(json.dumps(options(provider, manner, folder)), "utf-8")


def running(folder: Path) -> Address | None:
    """Return where the emulator of a folder listens, or None if none runs."""
    try:
        address = Address(**json.loads((folder / ADDRESS).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return address if _is_held(folder) else None


def _is_held(folder: Path) -> bool:
    """Tell whether an emulator holds its folder; a process of its number may be another one."""
    try:
        with (folder / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def start(
    provider: str,
    module: str,
    folder: Path,
    options: Sequence[str] = (),
    *,
    tied: bool = False,
) -> Address:
    """Start an emulator in the background and return when it listens.

    Args:
        provider: Whose service it stands for.
        module: What is run as ``python -m``.
        folder: Where it keeps its state; made if need be.
        options: More words of its command line.
        tied: Whether it ends when this process does, however that ends.

    Raises:
        MissingExtraError: If a package that it needs is not installed.
        ProviderError: If it does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOG).open("ab") as log:
        begun = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", module, "--folder", str(folder), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # it prints its key
            stderr=log,
            env={**os.environ, **({TIED: str(os.getpid())} if tied else {})},
            start_new_session=True,
        )
    due = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < due:
        address = running(folder)
        if address is not None and address.pid == process.pid:
            process.returncode = 0  # it goes on, and nobody waits for it
            return address
        time.sleep(0.02)
    if process.poll() == MISSING:
        raise MissingExtraError(f"the emulator of {provider}", "emulators")
    process.kill()
    process.wait()
    with (folder / _LOG).open("rb") as log:
        log.seek(begun)
        said = log.read()[-2_000:].decode("utf-8", "replace")
    raise ProviderError(provider, f"its emulator did not start:\n{said}")


def wait(address: Address) -> None:
    """Return when an emulator has ended."""
    while not _collected(address.pid):
        time.sleep(0.2)


def end(address: Address) -> None:
    """Ask an emulator to end, with all that it runs, and wait until it has."""
    try:
        os.kill(address.pid, signal.SIGTERM)
        due = time.monotonic() + _PATIENCE
        while time.monotonic() < due:
            if _collected(address.pid):
                return
            time.sleep(0.02)
        os.kill(address.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _collected(pid: int) -> bool:
    """Tell whether a process is gone; if it is a child of ours, collect it."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def of_job(provider: str, module: str, folder: Path) -> Emulator:
    """Return the emulator of a job: the one that runs already, or a new one.

    Args:
        provider: Whose service it stands for.
        module: What is run as ``python -m``.
        folder: Where it keeps its state.

    Raises:
        MissingExtraError: If a package that it needs is not installed.
        ProviderError: If it does not come up.
    """
    address = running(folder) or start(provider, module, folder, _options(folder))
    certificate = Path(address.certificate) if address.certificate else None
    return Emulator(address.url, address.key, certificate)


def _options(folder: Path) -> list[str]:
    try:
        said: list[str] = json.loads((folder / _OPTIONS).read_bytes())
    except OSError:
        said = []
    return [*said, "--idle", str(_IDLE)]
