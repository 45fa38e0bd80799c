"""What all trials of a job can be forked from."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from cloudtune.execution.forkserver.client import Preload
from cloudtune.execution.forkserver.import_scan import ImportScan, scan_imports
from cloudtune.study.schema import Json


def cold_start_reason(request: Json) -> str:
    """Return why trials cannot share what is imported before they start; empty if they can."""
    if request["arguments"] == "env":
        return "arguments: env gives each trial variables of its own, which imports may read"
    if request["gpus_per_trial"] and request["parallel"] > 1:
        return "each trial has GPUs of its own, which imports may look for"
    return ""


def create_preload(request: Json, source: Path, env: Mapping[str, str]) -> Preload:
    """Return what a job's script needs that can be imported before it is started.

    Args:
        request: What `cloudtune_local.request` made, with a script or a module.
        source: The copy of the source.
        env: The environment that all trials have in common.

    Raises:
        OSError: If the script cannot be read.
        SyntaxError: If it is no Python.
        ValueError: If it is no text.
    """
    script: str | None = request.get("script")
    folder = (source / script).resolve().parent if script else source.resolve()
    listed: list[str] | None = request.get("preload")
    if script:
        found = scan_imports(Path(script).name, folder)
    else:
        found = scan_imports(request["module"], folder, module=True)
    if listed is not None:
        found = ImportScan([(name, ()) for name in listed], found.quiet)
    return Preload(
        python=request["python"] or "python3",
        env=env,
        cwd=str(source),
        folder=str(folder),
        imports=found.modules,
        required=listed is not None,
        quiet=found.quiet,
        source=sorted({str(source), request["source"]}),
    )


def can_fork(request: Json) -> bool:
    """Tell whether trials are to be forked, as far as that can be: Python scripts on Linux are."""
    runs_python = bool(request.get("script") or request.get("module"))
    able = sys.platform == "linux" and os.path.exists("/proc/self/task")  # noqa: PTH110
    return request.get("warm", False) and runs_python and able
