"""A stand-in for the command-line client of a batch service, which runs the jobs right here.

::

    batch.py submit < job.json     # {"name", "archive", "command", "env", "timeout", ...}
    batch.py describe NAME...      # prints {NAME: {"state", "exit_code", "ended", "log"}}
    batch.py cancel NAME
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HOME = Path(os.environ.get("EXAMPLE_BATCH_HOME", "~/.example-batch")).expanduser()


def submit() -> None:
    """Create the job on standard input, and start it in the background."""
    job = json.load(sys.stdin)
    folder = HOME / job["name"]
    if (folder / "status.json").exists():
        sys.exit(f"a job named {job['name']} exists")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.unpack_archive(job["archive"], folder / "work", "gztar")
    (folder / "job.json").write_text(json.dumps(job), "utf-8")
    _write_status(folder, "QUEUED")
    devnull = subprocess.DEVNULL
    subprocess.Popen(
        [sys.executable, __file__, "run", job["name"]],
        start_new_session=True,
        stdin=devnull,
        stdout=devnull,
        stderr=devnull,
    )


def run(name: str) -> None:
    """Run a job to its end, as a machine of the service does."""
    folder = HOME / name
    job = json.loads((folder / "job.json").read_text("utf-8"))
    deadline = time.monotonic() + (job["timeout"] or float("inf"))
    env = {"PATH": os.environ["PATH"], **job["env"]}
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            job["command"], cwd=folder / "work", env=env, stdout=log, stderr=subprocess.STDOUT
        )
    _write_status(folder, "RUNNING")
    state = ""
    while process.poll() is None:
        cancelled = (folder / "cancel").exists()
        if not state and (cancelled or time.monotonic() > deadline):
            state = "CANCELLED" if cancelled else "TIMED_OUT"
            process.terminate()
        time.sleep(0.05)
    _write_status(folder, state or ("FAILED" if process.returncode else "SUCCEEDED"), process)


def describe(*names: str) -> None:
    """Print the jobs that exist."""
    files = {name: HOME / name / "status.json" for name in names}
    print(json.dumps({n: json.loads(f.read_text("utf-8")) for n, f in files.items() if f.exists()}))


def cancel(name: str) -> None:
    """Ask a job to end."""
    (HOME / name / "cancel").touch()


def _write_status(folder: Path, state: str, ended: subprocess.Popen[Any] | None = None) -> None:
    status = {
        "state": state,
        "exit_code": ended.returncode if ended else None,
        "ended": time.time() if ended else None,
        "log": str(folder / "log.txt"),
    }
    (folder / "new.json").write_text(json.dumps(status), "utf-8")
    (folder / "new.json").replace(folder / "status.json")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["submit"]:
            submit()
        case ["run", name]:
            run(name)
        case ["describe", *names]:
            describe(*names)
        case ["cancel", name]:
            cancel(name)
        case _:
            sys.exit(__doc__)
