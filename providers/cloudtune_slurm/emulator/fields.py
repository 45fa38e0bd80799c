"""The fields of ``squeue`` and ``sinfo`` (``--format`` of squeue(1) and sinfo(1), 24.11)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cloudtune_slurm.emulator.options import CommandError, format_seconds, format_time

Field = Callable[[Any], str]
COMPACT = {
    "BOOT_FAIL": "BF",
    "CANCELLED": "CA",
    "COMPLETED": "CD",
    "CONFIGURING": "CF",
    "COMPLETING": "CG",
    "DEADLINE": "DL",
    "FAILED": "F",
    "NODE_FAIL": "NF",
    "OUT_OF_MEMORY": "OOM",
    "PENDING": "PD",
    "PREEMPTED": "PR",
    "RUNNING": "R",
    "SUSPENDED": "S",
    "TIMEOUT": "TO",
}
"""JOB STATE CODES of squeue(1)."""
NULL = "(null)"


def exit_status(job: Any) -> str:
    """Return the exit code of a job: ``7:0``."""
    return f"{job['exit_code']}:{job['exit_signal']}"


def limit(job: Any) -> str:
    """Return the time limit of a job."""
    return "UNLIMITED" if job["limit"] is None else format_seconds(job["limit"] * 60)


def memory(megabytes: int | None) -> str:
    """Return a size as the commands print it."""
    return f"{megabytes}M" if megabytes else "0"


def _seconds_left(job: Any) -> str:
    if job["limit"] is None:
        return "UNLIMITED"
    return format_seconds(max(0, job["limit"] * 60 - job["seconds"]))


def _reason_or_nodes(job: Any) -> str:
    failed = job["is_over"] and job["state"] not in {"COMPLETED", "CANCELLED"}
    if job["state"] == "PENDING" or (failed and job["reason"] != "None"):
        return f"({job['reason']})"
    return str(job["node"])


def _end(job: Any) -> str:
    return format_time(job["ended"])


LETTERS: Mapping[str, tuple[str, Field]] = {
    "a": ("ACCOUNT", lambda job: job["account"] or NULL),
    "A": ("JOBID", lambda job: str(job["id"])),
    "b": ("TRES_PER_NODE", lambda job: job["gres"] or "N/A"),
    "B": ("EXEC_HOST", lambda job: job["node"] or "n/a"),
    "c": ("MIN_CPUS", lambda job: str(job["cpus"])),
    "C": ("CPUS", lambda job: str(job["cpus"])),
    "D": ("NODES", lambda _job: "1"),
    "e": ("END_TIME", _end),
    "f": ("FEATURES", lambda job: job["features"] or NULL),
    "F": ("ARRAY_JOB_ID", lambda job: str(job["id"])),
    "i": ("JOBID", lambda job: str(job["id"])),
    "j": ("NAME", lambda job: job["name"]),
    "k": ("COMMENT", lambda job: job["comment"] or NULL),
    "l": ("TIME_LIMIT", limit),
    "L": ("TIME_LEFT", _seconds_left),
    "m": ("MIN_MEMORY", lambda job: memory(job["requested_memory"])),
    "M": ("TIME", lambda job: format_seconds(job["seconds"])),
    "N": ("NODELIST", lambda job: job["node"]),
    "o": ("COMMAND", lambda job: job["command"] or NULL),
    "P": ("PARTITION", lambda job: job["partition"]),
    "q": ("QOS", lambda job: job["qos"] or NULL),
    "Q": ("PRIORITY", lambda _job: "1"),
    "r": ("REASON", lambda job: job["reason"]),
    "R": ("NODELIST(REASON)", _reason_or_nodes),
    "S": ("START_TIME", lambda job: format_time(job["started"])),
    "t": ("ST", lambda job: COMPACT[job["state"]]),
    "T": ("STATE", lambda job: job["state"]),
    "u": ("USER", lambda job: job["user"]),
    "U": ("UID", lambda _job: str(os.getuid())),
    "V": ("SUBMIT_TIME", lambda job: format_time(job["submitted"])),
    "Z": ("WORK_DIR", lambda job: job["chdir"]),
}
NAMES: Mapping[str, tuple[str, Field]] = {
    "account": LETTERS["a"],
    "batchhost": LETTERS["B"],
    "command": LETTERS["o"],
    "comment": LETTERS["k"],
    "endtime": LETTERS["e"],
    "exit_code": ("EXIT_CODE", exit_status),
    "jobid": LETTERS["i"],
    "name": LETTERS["j"],
    "nodelist": LETTERS["N"],
    "numcpus": LETTERS["C"],
    "partition": LETTERS["P"],
    "qos": LETTERS["q"],
    "reason": LETTERS["r"],
    "reasonlist": LETTERS["R"],
    "restartcnt": ("RESTART_COUNT", lambda job: str(job["restarts"])),
    "starttime": LETTERS["S"],
    "state": LETTERS["T"],
    "statecompact": LETTERS["t"],
    "stderr": ("STDERR", lambda job: job["error"]),
    "stdout": ("STDOUT", lambda job: job["output"]),
    "submittime": LETTERS["V"],
    "timeleft": LETTERS["L"],
    "timelimit": LETTERS["l"],
    "timeused": LETTERS["M"],
    "username": LETTERS["u"],
    "workdir": LETTERS["Z"],
}
"""The fields of ``--Format``, in lower case."""

Column = tuple[str, Field, int, bool, str]
"""The title, the field, its size, whether it is right-justified, and the text after it."""


def parse_letters(
    program: str, text: str, letters: Mapping[str, tuple[str, Field]]
) -> tuple[str, list[Column]]:
    """Return the text before the first field of a format, and the fields.

    Raises:
        CommandError: If a field exists only in Slurm.
    """
    before, *parts = re.split(r"(%\.?\d*[a-zA-Z%|])", text)
    columns: list[Column] = []
    for field, suffix in zip(parts[::2], parts[1::2], strict=True):
        match = re.fullmatch(r"%(\.?)(\d*)(.)", field)
        assert match is not None
        if match[3] in "%|":
            print(  # noqa: T201 - this is a program
                f"{program}: error: Invalid job format specification: {match[3]}", file=sys.stderr
            )
            continue
        if match[3] not in letters:
            raise CommandError(
                f"{program}: error: the emulator does not have the field %{match[3]}"
            )
        title, value = letters[match[3]]
        columns.append((title, value, int(match[2] or 0), bool(match[1]), suffix))
    return before, columns


def parse_names(program: str, text: str) -> list[Column]:
    """Return the fields of ``--Format``.

    Raises:
        CommandError: If a field exists only in Slurm.
    """
    columns: list[Column] = []
    for part in text.split(","):
        name, _, size = part.partition(":")
        if name.lower() not in NAMES:
            raise CommandError(f"{program}: error: the emulator does not have the field {name}")
        match = re.fullmatch(r"(\.?)(\d*)(.*)", size)
        assert match is not None
        title, value = NAMES[name.lower()]
        columns.append((title, value, int(match[2] or 20), bool(match[1]), match[3]))
    return columns


def print_rows(rows: Sequence[Any], before: str, columns: Sequence[Column], *, head: bool) -> None:
    """Print a table; a value that is longer than its column is cut."""
    lines = [[title for title, *_ in columns]] if head else []
    lines += [[value(row) for _, value, *_ in columns] for row in rows]
    for cells in lines:
        text = before
        for cell, (_, _, size, right, suffix) in zip(cells, columns, strict=True):
            shown = cell[:size] if size else cell
            text += (shown.rjust(size) if right else shown.ljust(size)) + suffix
        print(text)  # noqa: T201
