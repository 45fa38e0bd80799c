"""Crash reports: a mistake in the code of one provider ends only its own job."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

from cloudtune.common.host_errors import describe_host_error


def write_crash_report(error: Exception, file: Path, mask: Callable[[str], str] = str) -> str:
    """Append the traceback of an exception to a file, and return a message for the user.

    An error of this machine, such as a full disk, needs no traceback. The mask removes secrets from
    the file and the message.
    """
    if host_error := describe_host_error(error):
        return mask(host_error)
    name = type(error).__name__
    summary = f"{name}: {error}" if str(error) else name
    message = f"cloudtune's own code failed ({mask(summary)})"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # a traceback may contain values that others must not read
        with file.open("a", encoding="utf-8") as opened:
            opened.write(mask("".join(traceback.format_exception(error))))
    except OSError as write_error:
        return f"{message}; its traceback could not be written: {write_error}"
    return f"{message}; the traceback is in {file}"
