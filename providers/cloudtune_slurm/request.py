"""The request: the words of sbatch and the script of a job, for every trial of a run.

Each start replaces `JOB` with the name of its job, and `START` with its folder.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from cloudtune.provider import (
    PROGRAM,
    Facts,
    FittedStudy,
    Json,
    Mode,
    Resources,
    Study,
    largest_resources,
    parse_bytes,
)
from cloudtune.provider.secrets import secret_variables
from cloudtune_slurm.settings import SlurmSettings

if TYPE_CHECKING:
    from cloudtune.provider import Plan

JOB = "{{job}}"
START = "{{start}}"
ARCHIVE = "code.tar.gz"
SCRIPT = "run.sh"
LOG = "log.txt"
SIGNAL_RESOLUTION = 60.0
"""Seconds by which Slurm may send a signal early (sbatch's manual page of 24.11, --signal)."""


def request(fitted: FittedStudy, _mode: Mode, settings: SlurmSettings, facts: Facts) -> Json:
    """Return the options of sbatch, the script, and the variables of a job."""
    study = fitted.study
    folder = facts.data["folder"]
    secrets = secret_variables(study)
    return {
        "host": facts.data["host"],
        "folder": folder,
        "sbatch": {
            "parsable": True,
            "job-name": JOB,
            "comment": f"cloudtune:{facts.run_id}",
            "output": f"{START}/{LOG}",
            "open-mode": "append",
            "chdir": folder,
            "no-requeue": True,
            # Variables of this shell stay here: a study then runs alike from every shell. NONE and
            # names would load those of a login before the job, and lose or hold it if that is slow
            # (sbatch's manual page of 24.11, --export and --get-user-env; measured with 24.11.5).
            "export": ",".join(secrets) or "NIL",
            **({} if facts.data["stand_in"] else _place(settings)),
            **_resource_options(largest_resources(study), settings, facts),
            **_time(study, settings),
        },
        "script": list(_script(settings, facts)),
        "env": secrets,
    }


def changed_resources(plan: Plan, resources: Resources) -> Json:
    """Return the options of a start that differ from those of the plan; None removes one."""
    assert isinstance(plan.settings, SlurmSettings)
    planned = _resource_options(largest_resources(plan.fitted.study), plan.settings, plan.facts)
    options = _resource_options(resources, plan.settings, plan.facts)
    names = [name for name in planned | options if planned.get(name) != options.get(name)]
    return {name: options.get(name) for name in names}


def _resource_options(resources: Resources, settings: SlurmSettings, facts: Facts) -> Json:
    options: Json = {}
    if resources.cpus:
        options["cpus-per-task"] = resources.cpus
    if resources.memory:
        options["mem"] = f"{to_mebibytes(resources.memory)}M"
    if resources.gpus:
        any_type = facts.data["stand_in"] or not settings.gpu_type
        kind = "gpu" if any_type else f"gpu:{settings.gpu_type}"
        options["gres"] = f"{kind}:{resources.gpus}"
    return options


def to_mebibytes(memory: str) -> int:
    """Return a size such as ``8 GB`` in MiB, rounded up.

    Slurm's units are binary: its ``8G`` is 8 GiB.

    Example:
        >>> to_mebibytes("8 GB"), to_mebibytes("8GiB")
        (7630, 8192)
    """
    return math.ceil(parse_bytes(memory) / 1024**2)


def time_minutes(trial_timeout: float, grace: float) -> int:
    """Return the time limit of a job in minutes.

    Its stop signal, which Slurm may send early, then never comes before ``trial_timeout``.
    """
    return math.ceil((trial_timeout + grace + SIGNAL_RESOLUTION) / 60)


def sbatch_words(
    plan_request: Json, job: str, start: str, options: Json | None = None
) -> list[str]:
    """Return the command that creates the job of a start.

    Args:
        plan_request: The request of the plan.
        job: The job's name.
        start: The folder of the start.
        options: Options that replace those of the request.
    """
    words = ["sbatch"]
    merged: Json = {**plan_request["sbatch"], **(options or {})}
    for name, value in merged.items():
        values = cast("list[object]", value) if isinstance(value, list) else [value]
        for each in values:
            if each is True:
                words.append(f"--{name}")
            elif each is not None and each is not False:
                text = str(each).replace(JOB, job).replace(START, start)
                words.append(f"--{name}={text}")
    return [*words, f"{plan_request['folder']}/{SCRIPT}", start]


def _place(settings: SlurmSettings) -> Json:
    names = ("partition", "account", "qos", "constraint")
    return {name: value for name in names if (value := getattr(settings, name)) is not None}


def _time(study: Study, settings: SlurmSettings) -> Json:
    """Return the time limit, and the signal before it for the launcher."""
    timeout = study.limits.trial_timeout
    limit = {"time": time_minutes(timeout, settings.grace)} if timeout else {}
    return {**limit, "signal": f"B:TERM@{math.ceil(settings.grace)}"}


def _script(settings: SlurmSettings, facts: Facts) -> Iterator[str]:
    """Yield the lines of the script, which starts itself again in a login shell.

    A login shell knows the cluster's modules. The launcher replaces it, so signals reach it.
    """
    folder = shlex.quote(facts.data["folder"])
    yield "#!/bin/bash"
    yield f"# A trial of cloudtune's run {facts.run_id}; $1 is the folder of this start."
    yield '[ "$2" = login ] || export HOME=~ USER="$(id -un)" SHELL=/bin/bash PATH'
    yield '[ "$2" = login ] || LOGNAME=$USER exec /bin/bash -l "$0" "$1" login'
    yield "unset SLURM_EXPORT_ENV  # srun in the script passes its variables on"
    yield from () if facts.emulated else settings.setup
    yield f'mkdir -p "$1/code" && tar -xzf {folder}/{ARCHIVE} -C "$1/code" || exit 1'
    yield f'exec {shlex.quote(facts.data["python"])} "$1/code/{PROGRAM}" "$1"'
