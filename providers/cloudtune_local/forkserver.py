"""Which modules the trials of a job can share through the fork server."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from cloudtune.execution.forkserver.client import Preload
from cloudtune.execution.forkserver.import_scan import ImportScan, scan_imports
from cloudtune.provider import Json


def can_fork(request: Json) -> bool:
    """Return whether to fork trials if possible: Python scripts on Linux, unless switched off."""
    runs_python = bool(request.get("script") or request.get("module"))
    is_linux = sys.platform == "linux" and os.path.exists("/proc/self/task")  # noqa: PTH110
    return request.get("warm", False) and runs_python and is_linux


def cold_start_reason(request: Json) -> str:
    """Return why trials cannot share imported modules, or an empty text if they can."""
    if request["arguments"] == "env":
        return "arguments: env gives each trial its own variables, which imports may read"
    if any("cpus" in each for each in request.get("resources", ())):
        return "the number of CPUs depends on parameters, and imports may read it"
    if request["gpus_per_trial"] and request["parallel"] > 1:
        return "each trial has its own GPUs, which imports may look for"
    return ""


def create_preload(request: Json, source: Path, env: Mapping[str, str]) -> Preload:
    """Return the modules to import in advance for a request with a script or a module.

    `env` has the environment variables that all trials have in common.

    Raises:
        OSError: If the script cannot be read.
        SyntaxError: If the script is not valid Python.
        ValueError: If the script is not text.
    """
    script: str | None = request.get("script")
    folder = (source / script).resolve().parent if script else source.resolve()
    preload: list[str] | None = request.get("preload")
    name = Path(script).name if script else request["module"]
    scan = scan_imports(name, folder, module=not script)
    if preload is not None:
        scan = ImportScan([(name, ()) for name in preload], scan.quiet)
    return Preload(
        python=request["python"] or "python3",
        env=env,
        cwd=str(source),
        folder=str(folder),
        imports=scan.modules,
        required=preload is not None,
        quiet=scan.quiet,
        source=sorted({str(source), request["source"]}),
    )
