"""What a local trial is given: its folder, its words, its environment."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from cloudtune import trial
from cloudtune.errors import UsageError
from cloudtune.results.events import Started
from cloudtune.study.schema import Json
from cloudtune.study.search_space import Value
from cloudtune_local.source import SourceTree, write_file
from cloudtune_local.trial_dirs import SpareFolders, TrialFolder, trial_folder

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""The variables by which numeric libraries are told how many threads to use."""

# Found before a cloudtune that is installed in the script's own Python, this package becomes that
# one, except for the module that has to fit the engine around it.
_PACKAGE = """\
import importlib.machinery as _machinery
import sys as _sys

_here = __path__[0]
_others = [p for p in _sys.path if p + "/cloudtune" != _here]
_spec = _machinery.PathFinder.find_spec("cloudtune", _others)
if _spec is not None and _spec.loader is not None and _spec.origin != __file__:
    __path__.extend(_spec.submodule_search_locations or [])
    __file__ = _spec.origin
    _spec.loader.exec_module(_sys.modules[__name__])
"""


class LocalContract:
    """Turns the request and one start into what a process needs.

    Raises:
        UsageError: If a variable that the study takes from the environment is not set.
    """

    def __init__(self, request: Json, run: str, job: Path) -> None:
        """Prepare what all trials share, in the folder of the job."""
        self.grace: float = request["grace"]
        self._request = request
        self._run = run
        self._job = job
        self.source = _source(request, job)
        """The source as it was when the run began."""
        self._source = SourceTree(self.source) if self.source else None
        self._base = {**os.environ, **_threads(request)}
        self._call = {**request, "env": _resolved(request["env"])}
        self._python: str = request["python"] or "python3"
        self._first_path = _folder_of(self._python)
        self._package = _install_package(job / "python")
        names = [*request["constants"], *request["parameters"], request["resource"] or ""]
        self._dashed = trial.single_dash(request, names, str(self.source)) if self.source else []
        self._ahead = SpareFolders(job / "ahead", self._make)

    @property
    def quick(self) -> bool:
        """Whether preparing a trial's folder takes no more than a moment."""
        return self._source is None or self._source.small

    def prepare(self, started: Started, doorbell: str) -> TrialFolder:
        """Make the folder of a trial as a container would have it, and return it.

        A trial that is started again keeps what it saved and produced; one that goes on for an
        interrupted one with more of its resource takes over what that one saved.

        Raises:
            OSError: If this machine cannot.
        """
        folder = trial_folder(self._job, started.number)
        if not self._ahead.take(folder.path):
            # Without a resource no trial starts twice: the ledger lost all memory of this one.
            again = started.resource is not None
            shutil.rmtree(folder.work if again else folder.path, ignore_errors=True)
            self._make(folder)
        if started.replaces is not None and started.resource is not None:
            saved = trial_folder(self._job, started.replaces).checkpoint
            if os.path.isdir(saved) and not os.path.exists(folder.checkpoint):  # noqa: PTH110, PTH112
                os.rename(saved, folder.checkpoint)  # noqa: PTH104
        told = {
            "trial": f"{self._run}-{started.number}",
            "number": started.number,
            "parameters": dict(started.parameters),
            "constants": self._constants(started),
            "inputs": self._request["inputs"],
            "reports": folder.reports,
            "doorbell": doorbell,
            "checkpoint": folder.checkpoint,
            "output": folder.output,
        }
        write_file(folder.trial_file, json.dumps(told).encode())
        return folder

    def prepare_ahead(self) -> None:
        """Make the folder of a trial that is still to come, where that takes but a moment."""
        if self.quick:
            self._ahead.add()

    def close(self) -> None:
        """Remove the folders that no trial came for."""
        self._ahead.clear()

    def _make(self, folder: TrialFolder) -> None:
        try:
            os.mkdir(folder.path)  # noqa: PTH102 - here microseconds count
        except OSError:
            os.makedirs(folder.path, exist_ok=True)  # noqa: PTH103
        if self._source:
            self._source.copy(folder.work)
        else:
            os.mkdir(folder.work)  # noqa: PTH102

    def words(self, started: Started) -> list[str]:
        """Return the words that start the script."""
        values = self._values(started)
        return trial.command_line(
            self._call, values, self._request["inputs"], self._python, self._dashed
        )

    def environment(self, started: Started, devices: list[str] | None) -> dict[str, str]:
        """Return the script's whole environment.

        Args:
            started: The start.
            devices: The GPUs that it may see; None leaves that to the environment.
        """
        if self._request["arguments"] == "env":
            env = self._environment(self._values(started))
        else:
            env = dict(self._same_for_all)
        env[trial.TRIAL] = trial_folder(self._job, started.number).trial_file
        if devices is not None:
            env["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
        return env

    def shared_environment(self, devices: list[str] | None) -> dict[str, str]:
        """Return the variables that all trials have in common, where all see the same GPUs.

        What asks for a trial before there is one finds a file that is missing, not no trial.
        """
        env = {**self._same_for_all, trial.TRIAL: str(self._job / "no trial runs yet")}
        if devices is not None:
            env["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
        return env

    @cached_property
    def _same_for_all(self) -> dict[str, str]:
        return self._environment({})

    def _environment(self, values: Mapping[str, Value]) -> dict[str, str]:
        env = trial.environment(
            self._base,
            self._call,
            values,
            self._request["inputs"],
            trial_file="",
            package=self._package,
        )
        if self._first_path:
            env["PATH"] = self._first_path + os.pathsep + env.get("PATH", os.defpath)
        return env

    def _constants(self, started: Started) -> dict[str, Value]:
        constants = dict(self._request["constants"])
        if self._request["resource"] and started.resource is not None:
            constants[self._request["resource"]] = started.resource
        return constants

    def _values(self, started: Started) -> dict[str, Value]:
        return {**self._constants(started), **started.parameters}


def _source(request: Json, job: Path) -> Path | None:
    """Return the source as it was when the run began, or where there is no such copy, as it is."""
    if not request["source"]:
        return None
    kept = job / "source"
    return kept if kept.is_dir() else Path(request["source"])


def _resolved(env: Mapping[str, Any]) -> dict[str, str]:
    """Return the study's variables with those filled in that come from our environment."""
    wanted = {n: v["from_env"] for n, v in env.items() if not isinstance(v, str)}
    missing = sorted({name for name in wanted.values() if name not in os.environ})
    if missing:
        raise UsageError(
            f"the study's trial.env takes {', '.join(missing)} from the environment, where "
            f"{'it is' if len(missing) == 1 else 'they are'} not set; set it and run again"
        )
    return {n: os.environ[wanted[n]] if n in wanted else v for n, v in env.items()}


def _folder_of(python: str) -> str | None:
    """Return the folder that makes ``python`` in a command this one, unless it is so already."""
    if os.sep not in python or shutil.which("python") == python:
        return None
    return str(Path(python).parent)


def _threads(request: Json) -> dict[str, str]:
    """Return how many threads a trial may use, where the study or parallel trials limit that."""
    cpus: int | None = request["cpus"]
    parallel: int = request["parallel"]
    if cpus is not None:
        return dict.fromkeys(THREADS, str(cpus))
    if parallel == 1:
        return {}
    share = str(max(1, (os.cpu_count() or 1) // parallel))
    return {name: share for name in THREADS if name not in os.environ}


def _install_package(folder: Path) -> str:
    """Put the module that scripts import where any Python finds it; return that place."""
    package = folder / "cloudtune"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(_PACKAGE)
    shutil.copyfile(trial.__file__, package / "trial.py")
    return str(folder)
