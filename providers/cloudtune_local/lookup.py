"""Facts about this machine that a plan needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from cloudtune.provider import Facts, Inputs, Lookup, Price, Study, largest_resources
from cloudtune.provider.lookup import (
    count_certain_trials,
    environment_variables,
    has_module,
    required_pythons_of,
    source_files,
)
from cloudtune_local.settings import LocalSettings
from cloudtune_local.source import MAX_COPIED_FILES, MAX_KEPT_BYTES, is_large

_GPU = re.compile(r"\d+|(GPU|MIG)-\S+")
_PYTHONS = {"python", "python3"}
"""Programs that are found in any case: the folder of the trials' Python is on their PATH."""
_MODULE_TIMEOUT = 30.0
"""Seconds to wait for the trials' Python; a folder on its path may be on a slow disk."""
GPU_QUERY_TIMEOUT = 10.0
"""Seconds to wait for the driver's list of GPUs; a broken driver never answers."""


def lookup(study: Study, settings: LocalSettings, facts: Facts) -> Lookup:
    """Return the interpreter, cores and GPUs of this machine, and what the study takes from it."""
    trial = study.trial
    addresses = {
        name: by_provider.get("local") or by_provider.get("*")
        for name, by_provider in trial.inputs.items()
    }
    inputs = {name: _path(a.uri, facts.base) if a else None for name, a in addresses.items()}
    absent = [name for name, path in inputs.items() if path and not Path(path).exists()]
    python = find_interpreter(trial.python, facts.base)
    return Lookup(
        price=Price.hourly(*settings.prices.hour, "from providers.local.prices")
        if settings.prices
        else "the price of this machine is unknown",
        source=source_files(study, facts, partial(_copies, study)),
        variables=environment_variables(study),
        inputs=Inputs(inputs, absent=tuple(absent)),
        data={
            "python": python,
            **_declared_pythons(study, facts, python),
            **_start_errors(study, facts, python),
            "system": os.name,
            "cores": os.cpu_count() or 1,
            "gpus": find_gpus() if largest_resources(study).gpus else [],
        },
    )


def find_interpreter(python: str | None, base: Path) -> str | None:
    """Return the path of the Python that runs the trials, or None if it is not found.

    This is the study's ``trial.python``, else the Python of the active virtual or conda
    environment, else the one that runs cloudtune.
    """
    if python:
        return shutil.which(str(base / Path(python).expanduser()) if os.sep in python else python)
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if home := os.environ.get(variable):
            folder = Path(home, "Scripts" if os.name == "nt" else "bin")
            if executable := shutil.which("python", path=str(folder)):
                return executable
    return sys.executable


def _declared_pythons(study: Study, facts: Facts, python: str | None) -> dict[str, Any]:
    """Return the version of the trials' Python and those that the code declares, if it does."""
    if python is None or not (study.trial.script or study.trial.module):
        return {}
    declared = required_pythons_of(study, facts, declared=True)
    if not declared:
        return {}
    from cloudtune.provider.pythons import installed_version

    version = installed_version(python)
    return {"pythons": declared, "version": version} if version else {}


def _start_errors(study: Study, facts: Facts, python: str | None) -> dict[str, str]:
    """Return why the study's module or command cannot be started."""
    errors = {"no_module": _module_error(study, facts, python)}
    errors["no_program"] = _program_error(study, facts)
    return {name: error for name, error in errors.items() if error}


def _program_error(study: Study, facts: Facts) -> str | None:
    """Return why the program of the study's command cannot be started; None if it can."""
    program = (study.trial.command or [""])[0]
    if not program or "{{" in program or facts.source is None or program in _PYTHONS:
        return None
    path = study.trial.env.get("PATH", os.environ.get("PATH", os.defpath))
    file = str(facts.source / program) if os.sep in program else program
    if not isinstance(path, str) or shutil.which(file, path=path):
        return None
    if os.sep not in program:
        return f"no program {program} on the PATH: install it or correct the name"
    if Path(file).is_file():
        return f"{program} is not executable: chmod +x {file}"
    return f"no program {program} in the source folder: correct it or trial.source"


def _module_error(study: Study, facts: Facts, python: str | None) -> str | None:
    """Return an error if neither the source nor the trials' Python has the study's module."""
    module, source = study.trial.module, facts.source
    if not module or not python or not source or has_module(source, module):
        return None
    script = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    variables = {name: value for name, value in study.trial.env.items() if isinstance(value, str)}
    try:
        done = subprocess.run(
            [python, "-c", script, module.partition(".")[0]],
            cwd=source,
            env={**os.environ, **variables},
            capture_output=True,
            timeout=_MODULE_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 1 or done.stderr:
        return None
    return f"neither the source folder nor {python} has a module {module}: correct the name"


def find_gpus() -> list[str]:
    """Return the CUDA names of the GPUs that this process may use.

    Like CUDA, ignore everything from the first invalid name on, such as -1.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return list(takewhile(_GPU.fullmatch, map(str.strip, visible.split(","))))
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        result = subprocess.run(
            [tool, "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=GPU_QUERY_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return result.stdout.split() if result.returncode == 0 else []


def _copies(study: Study, count: int, size: int) -> int:
    """Return how many copies of the source, with its files and bytes, trials certainly need."""
    if is_large(count, size) and sys.platform == "linux":
        return 0
    if size > MAX_KEPT_BYTES or count > MAX_COPIED_FILES:
        return study.limits.parallel_trials or 1
    return count_certain_trials(study)


def _path(uri: str, base: Path) -> str | None:
    """Return the path of a local address, or None for any other address."""
    if uri.startswith("file://"):
        uri = uri.removeprefix("file://")
    if "://" in uri:
        return None
    return str((base / Path(uri).expanduser()).resolve())
