"""Reads the search space in a Python module, which runs in a process of its own.

Only `open` of the format calls this, and only for a module that the user names together with the
format. The process stops where the module would start a tuning run: ``Tuner.fit``, ``tune.run`` and
``ray.init`` do nothing there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from cloudtune.errors import UsageError
from cloudtune.formats.fields import Json

TIMEOUT = 600
"""Seconds that a module may take."""


def read_module(file: Path, name: str) -> Json:
    """Return the tuner, or the search space, that a module defines.

    Args:
        file: The module.
        name: The name of a tuner or a search space in it; empty if it has only one.

    Raises:
        UsageError: If the module fails, or has no such object, or Ray is missing.
    """
    if not file.is_file():
        raise UsageError(f"{file}: no such file")
    with tempfile.TemporaryDirectory(prefix="cloudtune-") as folder:
        output = Path(folder) / "tuner.json"
        command = [sys.executable, "-m", "cloudtune.formats.ray.child", str(file), name]
        try:
            # What the module prints goes to stderr: stdout is for the study.
            done = subprocess.run(
                [*command, str(output)],
                stdin=subprocess.DEVNULL,
                stdout=sys.__stderr__,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UsageError(f"{file} took more than {TIMEOUT} seconds and was stopped") from None
        if not output.is_file():
            raise UsageError(f"{file} ended with exit code {done.returncode}; see its output above")
        found: Json = json.loads(output.read_text("utf-8"))
    if "error" in found:
        raise UsageError(f"{file}: {found['error']}")
    where = f"{file}:{name}" if name else str(file)
    found["executed"] = f"executed {where} with {sys.executable} to read the search space"
    return found
