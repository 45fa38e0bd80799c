"""Starts the process of an emulator, finds it again and stops it.

The process outlives the one that started it, so that a job continues as at the service when
cloudtune is killed.
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

from cloudtune.emulation.faults import SupportedFaults, read_shared_plan
from cloudtune.errors import MissingExtraError, ProviderError, UsageError
from cloudtune.ledger.home import create_private_folder
from cloudtune.provider import registry
from cloudtune.provider.models import Emulator
from cloudtune.study.regular_files import read_regular
from cloudtune.study.schema import Mode

ADDRESS = "address.json"
"""The file in an emulator's folder that has its address; only the owner can read it."""
LOCK = "lock"
"""The file in an emulator's folder that a running emulator locks."""
CERTIFICATE = "certificate.pem"
"""The file in an emulator's folder that its clients trust, if it speaks HTTPS."""
TIED = "CLOUDTUNE_EMULATOR_TIED"
"""The variable with the id of the process with which the emulator ends."""
MISSING_EXTRA = 3
"""The exit code of an emulator without a package that it needs."""
IN_USE = 4
"""The exit code of an emulator whose folder another one uses."""
_OPTIONS = "options.json"
_FAULTS = "faults.json"
_LOG = "emulator.log"
_IDLE = 600
"""Seconds without a request and without a job after which a run's emulator ends."""
_TIMEOUT = 60.0
"""Seconds to stop, and how long an emulator that starts may use no processor time."""
_MAX_CPU = 300.0
"""Seconds of processor time after which an emulator that does not listen has failed to start."""


@dataclass(frozen=True)
class Address:
    """The address of an emulator."""

    pid: int
    url: str
    key: str
    environment: Mapping[str, str]
    """The variables with which the service's own tools reach it."""
    certificate: str | None = None
    """The path of the file that its clients trust, if it speaks HTTPS."""


class FolderInUseError(UsageError):
    """Another emulator uses the folder: it runs, starts or ends."""

    def __init__(self, folder: Path) -> None:
        """Name the folder."""
        super().__init__(f"another emulator uses {folder}: end it, or choose another folder")


@dataclass(frozen=True)
class EmulationOptions:
    """How the emulators of a run behave."""

    speed: float | None = None
    """Divides the services' own delays; None for each emulator's default."""
    faults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """The fault plans by provider, as plain data."""


def read_fault_plans(file: Path, modes: Mapping[str, Mode | None]) -> dict[str, dict[str, Any]]:
    """Return the fault plans that a file has for providers' emulators, as plain data.

    Args:
        file: The file.
        modes: The mode in which trials will run at each provider, if known. An emulator's
            operations name the effects that are impossible there, as ``NOT_DRIVEN`` or
            ``NOT_MANAGED``.

    Raises:
        UsageError: If one of the providers has no emulator.
        StudyError: If the plan has mistakes; all of them, with their lines.
    """
    supported = {name: _supported_faults(name, mode) for name, mode in modes.items()}
    return read_shared_plan(file, supported, registry.names())


def _supported_faults(provider: str, mode: Mode | None) -> SupportedFaults:
    module = registry.get(provider).emulator
    if module is None:
        raise UsageError(f"{provider} has no emulator")
    operations = importlib.import_module(f"{module}.operations")
    impossible = getattr(operations, f"NOT_{mode.upper()}", {}) if mode else {}
    names = [*operations.OPERATIONS, *getattr(operations, "OTHER_OPERATIONS", ())]
    return SupportedFaults(names, impossible, getattr(operations, "EFFECTS", ()))


def command_line_options(provider: str, options: EmulationOptions, folder: Path) -> list[str]:
    """Return options for an emulator's command line; its fault plan is written to its folder.

    Args:
        provider: The emulated provider.
        options: How the emulator behaves.
        folder: The emulator's folder; created if necessary.
    """
    args = [] if options.speed is None else ["--speed", str(options.speed)]
    if not (plan := options.faults.get(provider)):
        return args
    create_private_folder(folder)
    file = folder.absolute() / _FAULTS
    file.write_text(json.dumps(plan), "utf-8")
    return [*args, "--faults", str(file)]


def save_options(
    provider: str, options: EmulationOptions, folder: Path, more: Sequence[str] = ()
) -> None:
    """Save how the emulator of a job behaves, for every process that starts it.

    Args:
        provider: The emulated provider.
        options: How the emulator behaves.
        folder: The emulator's folder; created if necessary.
        more: Further options for its command line.
    """
    create_private_folder(folder)
    args = [*command_line_options(provider, options, folder), *more]
    (folder / _OPTIONS).write_text(json.dumps(args), "utf-8")


def find_running(folder: Path) -> Address | None:
    """Return the address of the emulator that runs in a folder, or None."""
    try:
        address = Address(**json.loads(read_regular(folder / ADDRESS)))
        # The address of one that was killed is left until the next one has the lock.
        return address if is_locked(folder) and not _has_ended(address.pid) else None
    except (OSError, ValueError, TypeError, OverflowError, RecursionError):
        return None


def is_locked(folder: Path) -> bool:
    """Return whether an emulator runs, starts or ends in a folder.

    Its lock shows that, since its process id may have a new owner.
    """
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
    args: Sequence[str] = (),
    *,
    tied: bool = False,
) -> Address:
    """Start an emulator in the background and return its address when it listens.

    Args:
        provider: The emulated provider.
        module: The module to run as ``python -m``.
        folder: The emulator's folder; created if necessary.
        args: Options for its command line.
        tied: Whether it ends when this process does, however that ends.

    Raises:
        MissingExtraError: If a package that it needs is not installed.
        FolderInUseError: If another emulator uses the folder.
        ProviderError: If it does not start.
    """
    create_private_folder(folder)
    with (folder / _LOG).open("ab") as log:
        offset = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, "--folder", str(folder), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # it prints its key
            stderr=log,
            env={**os.environ, **({TIED: str(os.getpid())} if tied else {})},
            start_new_session=True,
        )
    try:
        address, waited = _await_address(process, folder)
    except BaseException:  # Ctrl-C
        process.kill()
        process.wait()
        raise
    if address is not None:
        process.returncode = 0  # it continues, and no process waits for it
        return address
    if process.poll() == MISSING_EXTRA:
        raise MissingExtraError(f"the emulator of {provider}", "emulators")
    if process.poll() == IN_USE:
        raise FolderInUseError(folder)
    process.kill()
    process.wait()
    with (folder / _LOG).open("rb") as log:
        log.seek(offset)
        output = log.read()[-2_000:].decode("utf-8", "replace")
    raise ProviderError(provider, f"its emulator did not start: {waited}\n{output}".rstrip())


def _await_address(process: subprocess.Popen[bytes], folder: Path) -> tuple[Address | None, str]:
    """Return where an emulator listens, and what was waited for.

    On a busy machine that takes long, so it is waited for while it uses processor time. There is no
    address if it ends before.
    """
    begin = last_used = time.monotonic()
    used = 0.0
    while process.poll() is None:
        address = find_running(folder)
        if address is not None and address.pid == process.pid:
            return address, ""
        now, used_before, used = time.monotonic(), used, cpu_seconds(process.pid, used)
        last_used = now if used > used_before else last_used
        spent = f"in {now - begin:.0f} s it used {used:.1f} s of processor time"
        if used >= _MAX_CPU:
            return None, f"{spent}, and did not listen"
        if now - last_used >= _TIMEOUT:
            return None, f"{spent}, none of it in the last {_TIMEOUT:.0f} s, and did not listen"
        time.sleep(0.02)
    return None, f"it ended with the exit code {process.returncode}"


def cpu_seconds(pid: int, before: float) -> float:
    """Return the seconds of processor time that a process has used; ``before`` if it has ended."""
    import psutil

    try:
        times: Any = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return before
    return float(times.user + times.system)


def wait(address: Address) -> None:
    """Return when an emulator has ended."""
    while not _has_ended(address.pid):
        time.sleep(0.2)


def stop(address: Address) -> None:
    """Ask an emulator to end with all its jobs, and wait until it has; kill it after a minute."""
    try:
        _request_end(address)
        deadline = time.monotonic() + _TIMEOUT
        while time.monotonic() < deadline:
            if _has_ended(address.pid):
                return
            time.sleep(0.02)
        os.kill(address.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _request_end(address: Address) -> None:
    os.kill(address.pid, signal.SIGTERM)


def _has_ended(pid: int) -> bool:
    """Return whether a process has ended; reap it if it is a child of this one."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # the id has a new owner
        return True
    return False


def connect(provider: str, module: str, folder: Path) -> Emulator:
    """Return the running emulator of a job, or start it.

    Args:
        provider: The emulated provider.
        module: The module to run as ``python -m``.
        folder: The emulator's folder.

    Raises:
        MissingExtraError: If a package that it needs is not installed.
        ProviderError: If it does not start.
    """
    address = find_running(folder) or _start_or_wait(provider, module, folder)
    certificate = Path(address.certificate) if address.certificate else None
    return Emulator(address.url, address.key, certificate, folder)


def _start_or_wait(provider: str, module: str, folder: Path) -> Address:
    """Start the emulator of a job, unless a process that was killed since has started one.

    One that is starting is waited for, and so is the end of one that is ending.
    """
    args: list[str] = []
    with suppress(OSError):
        args = json.loads((folder / _OPTIONS).read_bytes())
    deadline = time.monotonic() + _TIMEOUT
    while True:
        if not is_locked(folder):
            with suppress(FolderInUseError):
                return start(provider, module, folder, [*args, "--idle", str(_IDLE)])
        if address := find_running(folder):
            return address
        if time.monotonic() > deadline:
            text = f"its emulator in {folder} neither answers nor ends; end its process, and resume"
            raise ProviderError(provider, text)
        time.sleep(0.05)
