"""What must be known of this machine before a study is planned on it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from cloudtune.provider.cost import HourPrice, price_facts
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import local_facts
from cloudtune.study.study import Study
from cloudtune_local.settings import LocalSettings

_GPU = re.compile(r"\d+|(GPU|MIG)-\S+")
GPU_QUERY_TIMEOUT = 10.0
"""Seconds that a driver may need to list its GPUs; a broken one never answers."""


def lookup(study: Study, settings: LocalSettings, facts: Facts) -> Mapping[str, Any]:
    """Return the facts as JSON data: interpreter, cores, GPUs, and what the study names in vain."""
    trial = study.trial
    addresses = {
        name: by_provider.get("local") or by_provider.get("*")
        for name, by_provider in trial.inputs.items()
    }
    inputs = {name: _path(a.uri, facts.base) if a else None for name, a in addresses.items()}
    return {
        "python": find_interpreter(trial.python, facts.base),
        "system": os.name,
        "cores": os.cpu_count() or 1,
        "gpus": find_gpus() if trial.resources.gpus else [],
        "inputs": inputs,
        "absent_inputs": [n for n, path in inputs.items() if path and not Path(path).exists()],
        **price_facts(
            HourPrice(*settings.prices.hour, "as providers.local.prices says")
            if settings.prices
            else "what this machine costs is not known"
        ),
        **local_facts(study, facts),
    }


def find_interpreter(wanted: str | None, base: Path) -> str | None:
    """Return the Python that runs the trials, or None if the one that is wanted is not there.

    That is the study's ``trial.python``, else the active environment's, else cloudtune's own.
    """
    if wanted:
        named = str(base / Path(wanted).expanduser()) if os.sep in wanted else wanted
        return shutil.which(named)
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if home := os.environ.get(variable):
            folder = Path(home, "Scripts" if os.name == "nt" else "bin")
            if found := shutil.which("python", path=str(folder)):
                return found
    return sys.executable


def find_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA names them.

    CUDA takes no notice of what follows the first name that is none, such as -1.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return list(takewhile(_GPU.fullmatch, map(str.strip, visible.split(","))))
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        listed = subprocess.run(
            [tool, "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=GPU_QUERY_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return listed.stdout.split() if listed.returncode == 0 else []


def _path(uri: str, base: Path) -> str | None:
    """Return the path of a local address, or None if it lies elsewhere."""
    if uri.startswith("file://"):
        uri = uri.removeprefix("file://")
    if "://" in uri:
        return None
    return str((base / Path(uri).expanduser()).resolve())
