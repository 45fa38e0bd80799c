"""Why a process did not start or how it exited, in words."""

from __future__ import annotations

import os
import signal
import time

from cloudtune.common.host_errors import describe_host_error
from cloudtune.errors import CloudtuneError
from cloudtune.results.events import HostFailure


def host_failure(number: int, problem: str, error: Exception) -> HostFailure:
    """Return the end of a process that this machine cannot start or monitor."""
    return HostFailure(number, time.time(), "failed", f"{problem}: {describe_error(error)}")


def describe_error(error: Exception) -> str:
    """Return an error in words."""
    if host_error := describe_host_error(error):
        return host_error
    if isinstance(error, OSError) and error.strerror:
        name = os.fsdecode(error.filename) if error.filename else ""
        if isinstance(error, FileNotFoundError) and name:
            return f"{name} not found"
        return f"{name}: {error.strerror}" if name else error.strerror
    if isinstance(error, CloudtuneError | OSError | ValueError):
        return str(error)
    return f"internal error of cloudtune ({type(error).__name__}: {error})"


def describe_exit_code(code: int) -> str:
    """Return an exit code in words; a negative code is a signal."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
