"""The script of a deployment: unpacks the code in it, and runs the launcher.

A script is one file, so the archive with the code is a text at its end, which `main` gets. The file
is sent as it is, and needs only the standard library and Python 3.7.

The service copies the files in ``BATCH_OUTPUT_DIR`` to the results after the end of the script.
IBM does not document whether it does so if a script fails. Therefore this one always ends without
an error, and writes the launcher's exit code to a file.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RESULT = "cloudtune_result.json"
LOG = "cloudtune_log.txt"
MAX_LOG_BYTES = 64 * 1024 * 1024
"""Bytes of the log that are kept."""
PROGRAM = "cloudtune_launch.py"


def main(archive: str) -> None:
    """Run the launcher in an archive, which is base64 text.

    Its output is printed and written to the log of the results.
    """
    started = time.time()
    results = os.environ["BATCH_OUTPUT_DIR"]
    os.makedirs(results, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="cloudtune-")
    code, reason = 1, ""
    try:
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(archive))) as bundle:
            if hasattr(tarfile, "fully_trusted_filter"):
                bundle.extraction_filter = tarfile.fully_trusted_filter
            bundle.extractall(folder)
        code = _run(os.path.join(folder, PROGRAM), os.path.join(results, LOG))
    except Exception as error:  # noqa: BLE001 - the result file is the only way to report it
        reason = f"the script cannot be started: {error!r}"
        print(reason, file=sys.stderr)  # noqa: T201
    result = {"exit_code": code, "reason": reason, "started": started, "ended": time.time()}
    path = os.path.join(results, RESULT)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(result, file)
    os.replace(path + ".new", path)
    shutil.rmtree(folder, ignore_errors=True)


def _run(program: str, log: str) -> int:
    """Return the exit code of a program, whose output is copied; signals are passed on."""
    process = subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

    def forward(number: int, _frame: Any) -> None:
        process.send_signal(number)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, forward)
    assert process.stdout is not None
    written = 0
    with open(log, "wb") as file:
        while True:
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                break
            _print(data)
            if written < MAX_LOG_BYTES:
                file.write(data[: MAX_LOG_BYTES - written])
                file.flush()
            written += len(data)
    return process.wait()


def _print(data: bytes) -> None:
    try:
        sys.stdout.flush()
        os.write(1, data)
    except OSError:  # the service has closed it
        pass
