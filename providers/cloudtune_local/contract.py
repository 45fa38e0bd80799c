"""The contract of a local trial: its folder, its command and its environment."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from cloudtune import trial
from cloudtune.launcher.call import (
    THREADS,
    argument_values,
    command_line,
    environment,
    seed_variables,
)
from cloudtune.launcher.expressions import with_reader
from cloudtune.launcher.options import option_words
from cloudtune.launcher.switches import switch_words
from cloudtune.launcher.values import expand_maps
from cloudtune.provider import Json, UsageError, Value, script_modules
from cloudtune.results import Started
from cloudtune_local.shared_source import can_share, create_view, finish_view, remove_overlay
from cloudtune_local.source import SourceTree, write_file
from cloudtune_local.trial_dirs import SpareFolders, TrialFolder, trial_folder

# If the script's Python has cloudtune installed, this package, which precedes it on the path,
# becomes that one, except for `cloudtune.trial`, which must match the engine.
_PACKAGE = """\
import sys as _sys

if _sys.version_info < (3, 7):
    raise ImportError(
        "cloudtune.trial needs Python 3.7 or later, and this is %d.%d: set trial.python"
        % _sys.version_info[:2]
    )
import importlib.machinery as _machinery

_here = __path__[0]
_others = [p for p in _sys.path if p + "/cloudtune" != _here]
_spec = _machinery.PathFinder.find_spec("cloudtune", _others)
if _spec is not None and _spec.loader is not None and _spec.origin != __file__:
    __path__.extend(_spec.submodule_search_locations or [])
    __file__ = _spec.origin
    _spec.loader.exec_module(_sys.modules[__name__])
"""


class LocalContract:
    """Creates the folders, commands and environments of a job's trials.

    Raises:
        UsageError: If a variable that the study takes from the environment is not set.
    """

    def __init__(self, request: Json, run: str, job: Path, seed: int = 0) -> None:
        """Write the files that all trials share to the folder of the job.

        ``seed`` is the one that all trials of a search share.
        """
        self.grace: float = request["grace"]
        self._request = request
        self._run = run
        self._job = job
        snapshot = job / "source"
        source = snapshot if snapshot.is_dir() else Path(request["source"] or "")
        self.source = source if request["source"] else None
        """The copy of the source from the start of the run; without one, the source itself."""
        self._source = SourceTree(self.source) if self.source else None
        self.shared: Path | None = None
        """The copy of the source if trials see it with copy on write, instead of copying it."""
        if self._source and source == snapshot and self._source.is_large and can_share(job):
            self.shared = source
        self._base = {**os.environ, **_threads(request)}
        call = with_reader(request, str(self.source)) if self.source else request
        self._call = {**call, "env": _resolve_env(request["env"]), "seed": seed}
        self.secrets = {os.environ[source]: source for source in _sources(request["env"]).values()}
        """The names that replace secrets in logs, by value."""
        self._python: str = request["python"] or "python3"
        self._python_folder = _python_folder(self._python)
        self._package = _install_package(job / "python")
        names = [*request["constants"], *request["parameters"], request["resource"] or ""]
        self._options = option_words(request, names, str(self.source)) if self.source else {}
        self._spare = SpareFolders(job / "ahead", self._create)

    @property
    def copies_large_source(self) -> bool:
        """Whether each trial copies a large source, because this system cannot share it."""
        return self._source is not None and self._source.is_large and self.shared is None

    @property
    def quick(self) -> bool:
        """Whether a trial's folder can be created without a noticeable delay."""
        return self._source is None or self.shared is not None or self._source.small

    def prepare(self, started: Started, doorbell: str) -> TrialFolder:
        """Create the folder of a trial as a container would have it, and return it.

        A trial that is started again keeps its checkpoints and outputs. A trial that repeats an
        interrupted one continues in that one's folder of checkpoints.

        Raises:
            OSError: If a file or folder cannot be written.
        """
        folder = trial_folder(self._job, started.number)
        if not self._spare.take(folder.path):
            # What a trial that cannot start twice left is from one that the ledger has lost.
            shutil.rmtree(folder.work if restarts(started) else folder.path, ignore_errors=True)
            remove_overlay(folder.path)
            self._create(folder)
        trial_data = {
            "trial": f"{self._run}-{started.number}",
            "number": started.number,
            "parameters": expand_maps(self._request.get("maps") or {}, started.parameters),
            "constants": self._constants(started),
            "inputs": self._request["inputs"],
            "reports": folder.reports,
            "doorbell": doorbell,
            "checkpoint": self.checkpoint(started),
            "output": folder.output,
        }
        write_file(folder.trial_file, json.dumps(trial_data).encode())
        return folder

    def checkpoint(self, started: Started) -> str:
        """Return the folder with the checkpoints of a trial."""
        return trial_folder(self._job, started.checkpoint_number).checkpoint

    def prepare_ahead(self) -> None:
        """Create a spare folder for a later trial, if that is quick."""
        if self.quick:
            self._spare.add()

    def finish(self, folder: TrialFolder) -> None:
        """Reduce the working folder of a trial that ended to what it changed of a large source."""
        if self.shared:
            finish_view(folder.path, folder.work)
        elif self._source:
            self._source.remove_unchanged(folder.work, folder.trial_file)

    def close(self) -> None:
        """Remove the spare folders."""
        self._spare.clear()

    def _create(self, folder: TrialFolder) -> None:
        try:
            os.mkdir(folder.path)  # noqa: PTH102 - here microseconds count
        except OSError:
            os.makedirs(folder.path, exist_ok=True)  # noqa: PTH103
        if self.shared:
            create_view(folder.path, folder.work)
        elif self._source:
            self._source.copy(folder.work)
        else:
            os.mkdir(folder.work)  # noqa: PTH102

    def command(self, started: Started) -> list[str]:
        """Return the command that starts the script."""
        inputs = self._request["inputs"]
        values = self._values(started)
        texts = argument_values(self._call, values).values()
        any_bool = any(isinstance(value, bool) for value in texts)
        switches = self._switches if any_bool else {}
        return command_line(
            self._call, values, inputs, self._python, self._options, switches=switches
        )

    @cached_property
    def _switches(self) -> dict[str, str]:
        names = [*self._request["constants"], *self._request["parameters"]]
        return switch_words(self._request, names, str(self.source)) if self.source else {}

    def environment(
        self, started: Started | None, devices: list[str] | None, cpus: int | None = None
    ) -> dict[str, str]:
        """Return the complete environment of the script, or what all trials share without a start.

        Without a start, code that asks for its trial fails on a missing file. `devices` are the
        GPUs that the script may see; None leaves that to the environment. `cpus` is the number of
        threads, if it differs between trials.
        """
        if started and self._request["arguments"] == "env":
            env = self._environment(self._values(started))
        else:
            env = dict(self._shared)
        if started and started.seed is not None:
            env |= seed_variables(0, started.seed)
        env[trial.TRIAL] = (
            trial_folder(self._job, started.number).trial_file
            if started
            else str(self._job / "no trial runs yet")
        )
        if cpus is not None:
            env |= dict.fromkeys(THREADS, str(cpus))
        if devices is not None:
            env["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
        return env

    @cached_property
    def _shared(self) -> dict[str, str]:
        return self._environment({})

    def _environment(self, values: Mapping[str, Value]) -> dict[str, str]:
        inputs, package = self._request["inputs"], self._package
        env = environment(self._base, self._call, values, inputs, trial_file="", package=package)
        if self._python_folder:
            env["PATH"] = self._python_folder + os.pathsep + env.get("PATH", os.defpath)
        return env

    def _constants(self, started: Started) -> dict[str, Value]:
        constants = dict(self._request["constants"])
        if self._request["resource"] and started.resource is not None:
            constants[self._request["resource"]] = started.resource
        if (argument := self._request.get("seed_argument")) and started.seed is not None:
            constants[argument] = started.seed
        return constants

    def _values(self, started: Started) -> dict[str, Value]:
        return {**self._constants(started), **started.parameters}


def restarts(started: Started) -> bool:
    """Return whether this may be another start of a trial that has started under its number."""
    return started.resource is not None or started.memory_retries > 0


def _sources(env: Mapping[str, Any]) -> dict[str, str]:
    """Return the names in our environment of the variables that trials get from it."""
    return {name: value["from_env"] for name, value in env.items() if not isinstance(value, str)}


def _resolve_env(env: Mapping[str, Any]) -> dict[str, str]:
    """Return the study's variables with the values that they take from our environment."""
    sources = _sources(env)
    missing = sorted({name for name in sources.values() if name not in os.environ})
    if missing:
        raise UsageError(
            f"trial.env takes {', '.join(missing)} from the environment, and "
            f"{'it is' if len(missing) == 1 else 'they are'} not set"
        )
    return {n: os.environ[sources[n]] if n in sources else v for n, v in env.items()}


def _python_folder(python: str) -> str | None:
    """Return the folder to put first in PATH so that ``python`` is this one; None if it is."""
    if os.sep not in python or shutil.which("python") == python:
        return None
    return str(Path(python).parent)


def _threads(request: Json) -> dict[str, str]:
    """Return the thread limits of a trial, if the study or parallel trials need one."""
    cpus: int | None = None if request.get("resources") else request["cpus"]
    parallel: int = request["parallel"]
    if cpus is not None:
        return dict.fromkeys(THREADS, str(cpus))
    if parallel == 1:
        return {}
    share = str(max(1, (os.cpu_count() or 1) // parallel))
    return {name: share for name in THREADS if name not in os.environ}


def _install_package(folder: Path) -> str:
    """Write the package that scripts import, and return the folder to add to PYTHONPATH."""
    package = folder / "cloudtune"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(_PACKAGE)
    for name, content in script_modules().items():
        (package / name).write_bytes(content)
    return str(folder)
