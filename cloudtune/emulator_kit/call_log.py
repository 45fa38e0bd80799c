"""Which rights the clients of an emulator and its jobs use.

The file ``calls.jsonl`` in the emulator's folder has one line for each distinct use: who, which
action, and on which resource, in the service's own words. It shows which rights a run needs.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Literal

FILE = "calls.jsonl"
MAX_CALLS = 20_000
"""Later uses are not recorded, so that a long life of an emulator does not fill the disk."""

Caller = Literal["client", "job"]
"""Who calls: a client of the service, or the service for a job and with the job's identity."""


class CallLog:
    """Writes each distinct use of a right once. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._calls: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()

    def add(self, by: Caller, action: str, resource: str = "*") -> None:
        """Record that a right was used, unless that is recorded already."""
        call = (by, action, resource)
        with self._lock:
            if call in self._calls or len(self._calls) >= MAX_CALLS:
                return
            self._calls.add(call)
            line = json.dumps({"by": by, "action": action, "resource": resource})
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
