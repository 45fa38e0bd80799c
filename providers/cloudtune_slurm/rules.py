"""The rules of Slurm: what only it refuses or does differently."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from cloudtune.provider import (
    Facts,
    Finding,
    FittedStudy,
    FromEnvironment,
    Mode,
    Note,
    Study,
    format_count,
    largest_resources,
)
from cloudtune.provider.lookup import uses_launcher
from cloudtune.provider.pythons import check_python
from cloudtune_slurm.lookup import is_shared
from cloudtune_slurm.request import time_minutes
from cloudtune_slurm.request_fields import PROTECTED_PATHS
from cloudtune_slurm.settings import QUEUE_SECONDS, SlurmSettings

SETTINGS = "providers.slurm"
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./@+=:,-]*")
"""A path that needs no quotes in any shell."""
_RESERVED = {
    "array": "cloudtune submits one job for each trial",
    "wrap": "cloudtune has a script of its own",
    "wait": "cloudtune follows the jobs itself",
    "test-only": "no job would start",
    "requeue": "cloudtune starts lost trials again itself",
    "error": "the log has both outputs",
    "clusters": "set the variable SLURM_CLUSTERS instead, which all of Slurm's commands read",
    "export-file": "variables are those of trial.env",
    "get-user-env": "the script begins with a login shell",
}
"""Options of sbatch that break what cloudtune relies on."""
_LONG_NAME = re.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*")
_EXPORT_WORDS = {"ALL", "NIL", "NONE"}
"""Words of --export that are no names of variables."""


def rules(
    fitted: FittedStudy, _mode: Mode, settings: SlurmSettings, facts: Facts
) -> list[Finding | Note]:
    """Return the findings and notes of a study on Slurm."""
    study = fitted.study
    return [
        *_code(study, facts),
        *_folder(settings, facts),
        *_inputs(study, facts),
        *_environment(study, facts),
        *_resources(study, settings),
        *_time(study, settings),
        *_setup(settings, facts),
        *_stand_in(settings, facts),
        *_native(settings.native),
    ]


def _code(study: Study, facts: Facts) -> Iterator[Finding | Note]:
    if not uses_launcher(study, facts):
        reason = "set script, module or command, and a source folder on this machine"
        yield Finding("refused", "trial", reason)
        return
    if study.trial.script or study.trial.module:
        python = facts.data["python"]
        yield Note("trial.python", f"trials run with {python}")
        if not facts.emulated:
            version = facts.data.get("python_version", "")
            yield from check_python(facts, f"{SETTINGS}.python", python, version)
    if study.trial.requirements:
        text = "not installed by trials, which share a Python: install them once on the cluster"
        yield Note("trial.requirements", text)


def _folder(settings: SlurmSettings, facts: Facts) -> Iterator[Finding | Note]:
    folder, path = str(facts.data["folder"]), f"{SETTINGS}.folder"
    if facts.data["host"]:
        if settings.folder and not _PLAIN_PATH.fullmatch(settings.folder):
            reason = "must be an absolute path on the cluster, of letters, digits and _./@+=:,-"
            yield Finding("refused", path, reason)
        return
    if "%" in folder or "\\" in folder or not folder.isprintable():
        yield Finding("refused", path, f"Slurm would expand % and \\ in {folder}: choose another")
    kind = facts.data["file_system"]
    if kind and not is_shared(kind):
        text = (
            f"{folder} is on a local file system ({kind}): unless all compute nodes are this "
            "machine, trials cannot start; choose a folder that they share"
        )
        yield Note(path, text, "warning")


def _inputs(study: Study, facts: Facts) -> Iterator[Finding | Note]:
    for name in study.trial.inputs:
        path, address = f"trial.inputs.{name}", facts.lookup.inputs.addresses[name]
        if address is None or name in facts.lookup.inputs.absent:
            continue
        if "://" in address:
            reason = f"Slurm does not fetch {address}: give a path in a folder that all nodes share"
            yield Finding("refused", path, reason)
        elif facts.data["host"] and not address.startswith("/"):
            reason = (
                "cloudtune copies no data to a cluster: copy it yourself, and set its absolute "
                f"path there as {path}.slurm"
            )
            yield Finding("refused", path, reason)


def _environment(study: Study, facts: Facts) -> Iterator[Finding | Note]:
    secrets = [n for n, v in study.trial.env.items() if isinstance(v, FromEnvironment)]
    for name in secrets:
        if name in _EXPORT_WORDS:
            reason = f"sbatch --export does not take {name} for a variable: rename it"
            yield Finding("refused", f"trial.env.{name}", reason)
    if secrets and not facts.emulated:
        text = (
            f"{', '.join(secrets)}: Slurm's controller keeps the values in its state folder, which "
            "only its administrators can read, until it forgets the job; they are in no script and "
            "not in scontrol show job"
        )
        yield Note("trial.env", text)


def _resources(study: Study, settings: SlurmSettings) -> Iterator[Finding | Note]:
    if settings.gpu_type and not largest_resources(study).gpus:
        reason = "no GPU is requested: set trial.resources.gpus"
        yield Finding("dropped", f"{SETTINGS}.gpu_type", reason)


def _time(study: Study, settings: SlurmSettings) -> Iterator[Note]:
    timeout = study.limits.trial_timeout
    if timeout is None:
        text = (
            "without it, the default time limit of the partition ends trials, and Slurm may start "
            "them later, since it does not know how short they are"
        )
        yield Note("limits.trial_timeout", text)
    else:
        minutes = format_count(time_minutes(timeout, settings.grace), "minute")
        text = (
            f"the job's own time limit is {minutes}: the grace period and a minute more, in whole "
            "minutes; the script is asked to stop at trial_timeout"
        )
        yield Note("limits.trial_timeout", text)
    if settings.queue_interval < QUEUE_SECONDS:
        text = f"many sites ask for at most one call of squeue in {QUEUE_SECONDS:.0f} s or longer"
        yield Note(f"{SETTINGS}.queue_interval", text, "warning")


def _stand_in(settings: SlurmSettings, facts: Facts) -> Iterator[Note]:
    if facts.data["stand_in"]:
        for name in ("partition", "account", "qos", "constraint", "gpu_type"):
            if getattr(settings, name):
                yield Note(f"{SETTINGS}.{name}", "not used: the emulator of a run has none")


def _setup(settings: SlurmSettings, facts: Facts) -> Iterator[Finding | Note]:
    for number, line in enumerate(settings.setup):
        if "\n" in line or "\r" in line:
            yield Finding("refused", f"{SETTINGS}.setup.{number}", "give one line of bash an entry")
    if facts.emulated and settings.setup:
        yield Note(f"{SETTINGS}.setup", "not run on the emulator, which has no modules")


def _native(native: Mapping[str, Any]) -> Iterator[Finding]:
    path = f"{SETTINGS}.native"
    for name in native.keys() - {"sbatch"}:
        yield Finding("refused", f"{path}.{name}", "unknown field: options of sbatch go in sbatch")
    options: Any = native.get("sbatch", {})
    if not isinstance(options, Mapping):
        yield Finding("refused", f"{path}.sbatch", "must be a map of sbatch's long options")
        return
    for name, value in cast("Mapping[str, Any]", options).items():
        if name in _RESERVED:
            yield Finding("refused", f"{path}.sbatch.{name}", _RESERVED[name])
        elif len(name) == 1 or not _LONG_NAME.fullmatch(name):
            reason = "use the long name without dashes in front, such as cpus-per-task"
            yield Finding("refused", f"{path}.sbatch.{name}", reason)
        elif full := _abbreviates(name):
            reason = f"sbatch takes it for {full}: write the whole name of an option"
            yield Finding("refused", f"{path}.sbatch.{name}", reason)
        elif isinstance(value, Mapping):
            reason = "must be a text, a number, a list of them, or true for an option without value"
            yield Finding("refused", f"{path}.sbatch.{name}", reason)


def _abbreviates(name: str) -> str | None:
    """Return the option that cloudtune needs for itself and sbatch reads instead of a short name.

    sbatch accepts every unique beginning of an option: getopt_long(3).
    """
    own = [path.removeprefix("sbatch.") for path in PROTECTED_PATHS if path.startswith("sbatch.")]
    names = [*own, *_RESERVED]
    return next((n for n in names if n.startswith(name)), None) if name not in own else None
