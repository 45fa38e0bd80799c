"""Runs a job's command, and after a stop waits for all of its processes (job_supervisor.py, run).

The emulator runs this file directly and signals it together with the processes that it starts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any


def main() -> int:
    """Run a command as a shell does; return its exit code, or end by the signal that ended it."""
    import psutil

    untyped: Any = psutil  # a stub of wait_procs names a type that pyright lacks
    stopped: list[psutil.Process] = []

    def stop(*_: object) -> None:
        stopped.extend(psutil.Process().children(recursive=True))

    signal.signal(signal.SIGTERM, stop)
    code = subprocess.run(["/bin/sh", "-c", sys.argv[1]], check=False).returncode
    untyped.wait_procs(stopped)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main())
