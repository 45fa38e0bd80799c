"""``scancel``: which jobs get which signal (scancel(1), 24.11)."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from typing import Any

from cloudtune_slurm.emulator.client import ControllerError, call
from cloudtune_slurm.emulator.options import CommandError, Options, parse_signal, table

FAILURE = "scancel: error"
_KNOWN = table(
    "-b,--batch -f,--full --me -n,--name= --jobname= -p,--partition= -Q,--quiet -s,--signal= "
    "-t,--state= -u,--user= -v,--verbose --ctld"
)
_OTHERS = table(
    "-A,--account= -c,--cron -H,--hurry -i,--interactive -M,--clusters= -w,--nodelist= -q,--qos= "
    "-R,--reservation= --sibling= --wckey= --admin-comment= --help --usage"
)
OPTIONS = Options("scancel", [*_KNOWN, *_OTHERS])
ALTER_LATER = "Job can not be altered now, try again later"
_LATER = 228
"""The exit code for that error, which is cut to eight bits; measured with 24.11.5."""
_STATES = {"PENDING": "PENDING", "PD": "PENDING", "RUNNING": "RUNNING", "R": "RUNNING"}


def run(words: Sequence[str]) -> int:
    """Send a signal to jobs, or end them."""
    used, ids = _parse(words)
    OPTIONS.refuse([name for name, _ in used], [option.name for option in _KNOWN])
    options = dict(used)
    for each in ids:
        if not each.isdecimal():
            raise CommandError(f"scancel: error: Invalid job id {each}")
    filters = {"name", "jobname", "me", "partition", "state", "user"} & options.keys()
    if not ids and not filters:
        raise CommandError("scancel: error: No job identification provided")
    number = 0
    if "signal" in options and not (number := parse_signal(options["signal"]) or 0):
        raise CommandError(f"Unknown job signal: {options['signal']}")
    numbers = [int(each) for each in ids] if not filters else _matching(options, ids)
    code = 0
    for job in numbers:
        document = {"id": job, "signal": number}
        try:
            call("scancel", {**document, "batch": "batch" in options, "full": "full" in options})
        except ControllerError as error:
            code = max(code, _report(error, job, ends=not number))
    return code


def _report(error: ControllerError, job: int, *, ends: bool) -> int:
    """Print an error and return the exit code; ended jobs are no error (measured with 24.11.5)."""
    if ends and error.message.startswith(("Invalid job id", "Job/step already")):
        return 0
    text = f"scancel: error: Kill job error on job id {job}: {error.message}"
    print(text, file=sys.stderr)  # noqa: T201 - this is a program
    return _LATER if error.message == ALTER_LATER else 1


def _parse(words: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return options and ids, in any order."""
    used, rest = OPTIONS.parse(words)
    ids: list[str] = []
    while rest:
        ids.append(rest[0])
        more, rest = OPTIONS.parse(rest[1:])
        used += more
    return used, [part for each in ids for part in each.split(",") if part]


def _matching(options: dict[str, str], ids: Sequence[str]) -> list[int]:
    names = options.get("name", options.get("jobname"))
    users = options.get("user", getpass.getuser() if "me" in options else None)
    state = options.get("state")
    if state is not None and state.upper() not in _STATES:
        raise CommandError(f"Invalid job state specified: {state}")

    def matches(job: Any) -> bool:
        return (
            not (ids and str(job["id"]) not in ids)
            and not (names is not None and job["name"] != names)
            and not (users is not None and job["user"] != users)
            and not (state is not None and job["state"] != _STATES[state.upper()])
            and not ("partition" in options and job["partition"] != options["partition"])
            and job["state"] in {"PENDING", "RUNNING", "COMPLETING"}
        )

    return [job["id"] for job in call("squeue", {})["jobs"] if matches(job)]
