"""What nobody foresaw: a mistake in the code of one provider, which shall end its job alone."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path


def write_crash_report(error: Exception, file: Path, mask: Callable[[str], str] = str) -> str:
    """Write the traceback of an exception into a file, and return in words what happened.

    Args:
        error: The exception.
        file: Where the traceback goes; what is there already is kept above it.
        mask: Takes secrets out of what is written.
    """
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    words = f"cloudtune's own code failed ({mask(what)})"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # it may show values that are nobody else's business
        with file.open("a", encoding="utf-8") as opened:
            opened.write(mask("".join(traceback.format_exception(error))))
    except OSError as unwritten:
        return f"{words}; its traceback could not be written: {unwritten}"
    return f"{words}; the traceback is in {file}"
