"""``squeue``: which jobs it lists and how (squeue(1), 24.11)."""

from __future__ import annotations

import os
import pwd
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune_slurm.emulator.client import call
from cloudtune_slurm.emulator.fields import (
    COMPACT,
    LETTERS,
    parse_letters,
    parse_names,
    print_rows,
)
from cloudtune_slurm.emulator.options import CommandError, Options, table

FAILURE = "slurm_load_jobs error"
_KNOWN = table(
    "-a,--all -A,--account= -h,--noheader -j,--jobs= -l,--long -n,--name= -o,--format= "
    "-O,--Format= -p,--partition= -r,--array -S,--sort= -t,--states= -u,--user= --me -v,--verbose"
)
_OTHERS = table(
    "-M,--clusters= --expand-patterns --federation --help --hide -i,--iterate= --json[=] "
    "-L,--licenses= --local --notme --only-job-state -q,--qos= -R,--reservation= --sibling "
    "--start -s,--steps[=] --usage -w,--nodelist= --yaml[=]"
)
OPTIONS = Options("squeue", [*_KNOWN, *_OTHERS])
_DEFAULT = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
_LONG = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R"
_ACTIVE = ("PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "STOPPED", "RESIZING")
"""The states that are listed unless ``--states`` says otherwise."""


def run(words: Sequence[str]) -> int:
    """List jobs."""
    used, rest = OPTIONS.parse(words)
    OPTIONS.refuse([name for name, _ in used], [option.name for option in _KNOWN])
    if rest:
        raise CommandError(f"squeue: error: Unrecognized option: {rest[0]}")
    options = dict(used)
    states = _states(options.get("states"))
    ids = _ids(options.get("jobs", ""))
    if (user := options.get("user")) and not _user_exists(user):
        print(f"squeue: error: Invalid user: {user}\n", file=sys.stderr)  # noqa: T201
    jobs = call("squeue", {"id": ids[0]} if len(ids) == 1 else {})["jobs"]
    jobs = [job for job in jobs if _matches(job, options, ids, states)]
    jobs.sort(key=lambda job: (job["partition"], COMPACT[job["state"]], job["id"]))
    if "sort" in options:
        _sort(jobs, options["sort"])
    head = "noheader" not in options
    if head and "long" in options:
        print(time.strftime("%a %b %d %H:%M:%S %Y"))  # noqa: T201 - this is a program
    if "Format" in options:
        print_rows(jobs, "", parse_names("squeue", options["Format"]), head=head)
    else:
        text = options.get("format", _LONG if "long" in options else _DEFAULT)
        before, columns = parse_letters("squeue", text, LETTERS)
        print_rows(jobs, before, columns, head=head)
    return 0


def _matches(
    job: Any, options: Mapping[str, str], ids: Sequence[int], states: Sequence[str]
) -> bool:
    names = [name for name in options.get("name", "").split(",") if name]
    partitions = [each for each in options.get("partition", "").split(",") if each]
    accounts = [each for each in options.get("account", "").split(",") if each]
    user = options.get("user")
    if "me" in options:
        user = pwd.getpwuid(os.getuid()).pw_name
    return (
        (job["id"] in ids or not ids)
        and (job["state"] in states or not states)
        and (job["name"] in names or not names)
        and (job["partition"] in partitions or not partitions)
        and (job["account"] in accounts or not accounts)
        and (user is None or not _user_exists(user) or job["user"] in user.split(","))
    )


def _states(text: str | None) -> Sequence[str]:
    """Return the states to list; none for all.

    Raises:
        CommandError: If one does not exist.
    """
    if text is None:
        return _ACTIVE
    if text.lower() == "all":
        return ()
    states: list[str] = []
    names = {name: name for name in COMPACT} | {short: name for name, short in COMPACT.items()}
    for word in text.split(","):
        if word.upper() not in names:
            raise CommandError(f"squeue: error: Invalid job state specified: {word}")
        states.append(names[word.upper()])
    return states


def _ids(text: str) -> list[int]:
    ids: list[int] = []
    for word in filter(None, text.split(",")):
        if not word.isdecimal():
            raise CommandError(f"squeue: error: Invalid job id: {word}")
        ids.append(int(word))
    return ids


def _user_exists(user: str) -> bool:
    try:
        for name in user.split(","):
            pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _sort(jobs: list[Any], text: str) -> None:
    keys = {"i": "id", "j": "name", "t": "state", "T": "state", "P": "partition", "V": "submitted"}
    for word in reversed(text.split(",")):
        letter = word.lstrip("+-")
        if letter not in keys:
            raise CommandError(f"squeue: error: the emulator does not sort by {letter}")
        jobs.sort(key=lambda job: job[keys[letter]], reverse=word.startswith("-"))
