"""The doctor's checks of a Slurm cluster, with read-only commands.

They are ``sbatch --version``, ``squeue --me``, ``sinfo``, ``sbatch --test-only``, which
submits nothing, ``test`` and ``stat`` for the folder, the Python and the inputs, and the version of
the Python.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from cloudtune.provider import Check, Json, Plan, format_count
from cloudtune.provider.account import account_error, account_ok, account_warning
from cloudtune.provider.lookup import python_misfit
from cloudtune_slurm.errors import SlurmError
from cloudtune_slurm.host import Host
from cloudtune_slurm.lookup import is_shared
from cloudtune_slurm.request import sbatch_words

_SETTINGS = "providers.slurm"
_LIMIT = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")
"""Days, hours, minutes and seconds: sinfo's manual page of 24.11, "%l"."""
_FOLDER = """\
d=$1
while [ ! -e "$d" ]; do d=$(dirname "$d"); done
[ -d "$d" ] && [ -w "$d" ] && printf writable
printf ' '
stat -f -c %T "$d" 2>/dev/null
:
"""
"""Prints whether the folder, or what is there of its path, can be written, and its file system."""


def check_account(host: Host, plan: Plan) -> Iterator[Check]:
    """Yield the checks of a cluster.

    Raises:
        SlurmError: If the login node cannot be reached, or has no Slurm.
    """
    yield account_ok(id="slurm-version", message=host.run(["sbatch", "--version"]).strip())
    jobs = host.run(["squeue", "--noheader", "--format=%A", "--me"]).split()
    message = f"the controller answers; you have {format_count(len(jobs), 'job')} in the queue"
    yield account_ok(id="slurm-controller", message=message)
    yield from _check_partition(host, plan)
    if not plan.facts.emulated:
        yield from _check_request(host, plan)
        yield from _check_folder(host, plan)
        yield from _check_paths(host, plan)
        yield from _check_python(host, plan)


def _check_partition(host: Host, plan: Plan) -> Iterator[Check]:
    options: Json = plan.request["sbatch"]
    path = f"{_SETTINGS}.partition"
    lines = host.run(["sinfo", "--noheader", "--format=%P|%a|%l|%D"]).split()
    rows = [line.split("|") for line in lines if line.count("|") == 3]
    states = {row[0].rstrip("*"): row for row in rows}
    default = next((row[0].rstrip("*") for row in rows if row[0].endswith("*")), None)
    names = str(options.get("partition") or default or "").split(",")
    for name in filter(None, names):
        if name not in states:
            yield account_error(
                id="slurm-partition",
                path=path,
                message=f"no partition {name}",
                fix=f"choose one of {', '.join(states)}",
            )
            continue
        _, state, limit, nodes = states[name]
        report = account_ok if state == "up" else account_warning
        message = f"partition {name} is {state}: {nodes} nodes, time limit {limit}"
        yield report(id="slurm-partition", path=path, message=message)
    if names == [""]:
        yield account_error(
            id="slurm-partition",
            path=path,
            message="the cluster has no default partition",
            fix=f"choose one of {', '.join(states)}",
        )
    needed = options.get("time")
    limits = [_limit_minutes(states[name][2]) for name in names if name in states]
    if isinstance(needed, int) and limits and needed > max(limits):
        yield account_warning(
            id="slurm-time",
            path="limits.trial_timeout",
            message=f"trials request {needed} minutes, more than the time limit of the partition, "
            "so they may wait in the queue without end (EnforcePartLimits in slurm.conf)",
            fix="lower limits.trial_timeout, or choose another partition",
        )


def _limit_minutes(limit: str) -> float:
    """Return a time limit as sinfo shows it, such as ``1-00:00:00`` or ``5:00``, in minutes."""
    if not (match := _LIMIT.fullmatch(limit)):
        return math.inf
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return (days * 24 + hours) * 60 + minutes + seconds / 60


def _check_request(host: Host, plan: Plan) -> Iterator[Check]:
    """Yield whether the controller would accept the job: partition, account, limits, resources."""
    options = {**plan.request["sbatch"], "output": None, "chdir": None, "export": "NIL"}
    words = sbatch_words({**plan.request, "sbatch": options}, "cloudtune-test", "")[:-2]
    try:
        host.run([*words, "--test-only", "--wrap=true"])
    except SlurmError as error:
        if error.retryable:
            raise
        yield account_error(
            id="slurm-request",
            path=_SETTINGS,
            message=f"Slurm does not accept the job of a trial: {error}",
            fix="correct the settings or trial.resources",
        )
        return
    yield account_ok(id="slurm-request", message="Slurm accepts the job of a trial")


def _check_folder(host: Host, plan: Plan) -> Iterator[Check]:
    folder: str = plan.request["folder"]
    path = f"{_SETTINGS}.folder"
    state, _, kind = host.run(["/bin/sh", "-c", _FOLDER, "sh", folder]).strip("\n").partition(" ")
    if state != "writable":
        yield account_error(
            id="slurm-folder",
            path=path,
            message=f"{folder} cannot be written",
            fix="choose a folder of yours that all nodes share",
        )
    elif is_shared(kind):
        yield account_ok(id="slurm-folder", message=f"{folder} can be written, and is on {kind}")
    else:
        yield account_warning(
            id="slurm-folder",
            path=path,
            message=f"{folder} can be written, but its file system, {kind or 'unknown'}, does not "
            "look like one that all nodes share",
            fix="ask your administrators for a shared folder, or try one trial",
        )


def _check_paths(host: Host, plan: Plan) -> Iterator[Check]:
    """Yield which files on the cluster are missing."""
    paths = {f"trial.inputs.{name}": p for name, p in plan.facts.lookup.inputs.addresses.items()}
    python: str = plan.facts.data["python"]
    if python.startswith("/"):
        paths[f"{_SETTINGS}.python"] = python
    for field, path in paths.items():
        if path is None:
            continue
        script = '[ ! -e "$1" ] || echo exists'
        if "exists" not in host.run(["/bin/sh", "-c", script, "sh", path]):
            yield account_error(
                id="slurm-path",
                path=field,
                message=f"{path} does not exist on the login node",
                fix="correct the path",
            )


def _check_python(host: Host, plan: Plan) -> Iterator[Check]:
    """Yield whether the login node's Python can run the code, if trials have the same.

    Setup lines may choose another one, and only trials run them.
    """
    data = plan.facts.data
    if not data["pythons"] or data["setup"]:
        return
    python: str = data["python"]
    try:
        version = host.run([python, "-c", "import platform; print(platform.python_version())"])
    except SlurmError as error:
        if error.retryable:
            raise
        yield account_warning(
            id="slurm-python",
            path=f"{_SETTINGS}.python",
            message=f"{python} does not answer on the login node: {error}",
            fix="set the Python of the compute nodes",
        )
        return
    message = f"{python} on the login node is Python {version.strip()}"
    if misfit := python_misfit(plan.facts, version.strip()):
        yield account_error(
            id="slurm-python",
            path=f"{_SETTINGS}.python",
            message=f"{message}, and {misfit}",
            fix="set such a Python, or load it in setup",
        )
    else:
        yield account_ok(id="slurm-python", message=message)
