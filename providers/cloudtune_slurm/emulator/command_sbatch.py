"""``sbatch``: its options, its script and what it sends (sbatch(1), 24.11)."""

from __future__ import annotations

import os
import re
import shlex
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudtune_slurm.emulator.client import ControllerError, call
from cloudtune_slurm.emulator.options import (
    CommandError,
    Options,
    format_time,
    parse_memory,
    parse_minutes,
    parse_signal,
    table,
)

FAILURE = "sbatch: error: Batch job submission failed"
_SUPPORTED = """
-A,--account= -D,--chdir= --comment= -C,--constraint= -c,--cpus-per-task= -e,--error= --export=
-G,--gpus= --gpus-per-node= --gres= -H,--hold -J,--job-name= --mem= --mem-per-cpu= --nice[=]
--no-requeue -w,--nodelist= -N,--nodes= -n,--ntasks= --open-mode= -o,--output= --parsable
-p,--partition= -q,--qos= -Q,--quiet --requeue --signal= --test-only -t,--time= --wrap=
--get-user-env[=] -v,--verbose
"""
_OTHERS = """
--acctg-freq= -a,--array= --batch= --bb= --bbf= -b,--begin= --cluster-constraint= -M,--clusters=
--container= --container-id= --contiguous -S,--core-spec= --cores-per-socket= --cpu-freq=
--cpus-per-gpu= --deadline= --delay-boot= -d,--dependency= -m,--distribution= -x,--exclude=
--exclusive[=] --export-file= --extra= -B,--extra-node-info= --gid= --gpu-bind= --gpu-freq=
--gpus-per-socket= --gpus-per-task= --gres-flags= --hint= --ignore-pbs -i,--input=
--kill-on-invalid-dep= -L,--licenses= --mail-type= --mail-user= --mcs-label= --mem-bind=
--mem-per-gpu= --mincpus= --network= -k,--no-kill[=] -F,--nodefile= --ntasks-per-core=
--ntasks-per-gpu= --ntasks-per-node= --ntasks-per-socket= --oom-kill-step[=] -O,--overcommit
-s,--oversubscribe --prefer= --priority= --profile= --propagate[=] --reboot --reservation=
--resv-ports[=] --segment= --sockets-per-node= --spread-job --stepmgr --switches=
--thread-spec= --threads-per-core= --time-min= --tmp= --tres-bind= --tres-per-task= --uid=
--use-min-nodes -W,--wait --wait-all-nodes= --wckey= -h,--help --usage
"""
_KNOWN = table(_SUPPORTED)
OPTIONS = Options("sbatch", [*_KNOWN, *table(_OTHERS)], code=255)
_VARIABLES = {
    "ACCOUNT": "account",
    "CONSTRAINT": "constraint",
    "ERROR": "error",
    "EXPORT": "export",
    "GPUS": "gpus",
    "GPUS_PER_NODE": "gpus-per-node",
    "GRES": "gres",
    "NO_REQUEUE": "no-requeue",
    "JOB_NAME": "job-name",
    "MEM_PER_CPU": "mem-per-cpu",
    "MEM_PER_NODE": "mem",
    "QOS": "qos",
    "OPEN_MODE": "open-mode",
    "OUTPUT": "output",
    "PARTITION": "partition",
    "SIGNAL": "signal",
    "REQUEUE": "requeue",
    "TIMELIMIT": "time",
}
"""The options that ``SBATCH_...`` variables set (INPUT ENVIRONMENT VARIABLES of sbatch(1))."""


def run(words: Sequence[str]) -> int:
    """Submit a script and print the job's id."""
    given, rest = OPTIONS.parse(words)
    wrap = dict(given).get("wrap")
    script, command = (f"#!/bin/sh\n# This script was created by sbatch --wrap.\n\n{wrap}\n", "")
    if wrap is None:
        script, command = _read_script(rest)
    elif rest:
        raise CommandError("sbatch: error: Script arguments not permitted with --wrap option")
    in_script = OPTIONS.parse(_script_options(script))[0]
    used = [*in_script, *_from_environment(), *given]
    OPTIONS.refuse([name for name, _ in used], [option.name for option in _KNOWN])
    options = dict(used)
    if "chdir" in options and rest:  # shown as it was named; measured with 24.11.5
        command = rest[0]
    spec = create_spec(options, script, rest[1:], command)
    if not spec["name"]:
        spec["name"] = Path(command).name if command else "wrap" if wrap is not None else "sbatch"
        spec["env"]["SLURM_JOB_NAME"] = spec["name"]
    if "test-only" in options:
        return _test(spec)
    answer = call("sbatch", spec)
    if "parsable" in options:
        print(answer["id"])  # noqa: T201 - this is a program
    elif "quiet" not in options:
        print(f"Submitted batch job {answer['id']}")  # noqa: T201
    return 0


def _test(spec: Any) -> int:
    """Print when a job could start; submits nothing. The words were measured with 24.11.5."""
    try:
        answer = call("sbatch", {**spec, "test_only": True})
    except ControllerError as error:
        notes = [f"sbatch: error: {note}" for note in error.notes if "partition" in note]
        raise CommandError(*notes, f"allocation failure: {error.message}") from error
    print(  # noqa: T201 - this is a program
        f"sbatch: Job {answer['id']} to start at {format_time(answer['start'])} using "
        f"{spec['cpus']} processors on nodes {answer['node']} in partition {answer['partition']}",
        file=sys.stderr,
    )
    return 0


def create_spec(
    options: Mapping[str, str], script: str, args: Sequence[str], command: str
) -> dict[str, Any]:
    """Return what a job requests.

    Raises:
        CommandError: If a value is malformed.
    """
    if _count(options, "nodes", 1) != 1:
        raise CommandError("sbatch: error: the emulator does not have --nodes above 1")
    tasks = _count(options, "ntasks", 1)
    cpus = _count(options, "cpus-per-task", 1)
    memory = _memory(options, "mem")
    gres, gpus = _gpus(options)
    export = options.get("export", "ALL")
    env = _environment(export)
    if memory:
        env["SLURM_MEM_PER_NODE"] = str(memory)
    if "cpus-per-task" in options:
        env |= {"SLURM_CPUS_PER_TASK": str(cpus), "SLURM_TRES_PER_TASK": f"cpu={cpus}"}
    if "ntasks" in options:
        env |= {"SLURM_NTASKS": str(tasks), "SLURM_NPROCS": str(tasks)}
    if "gpus" in options:
        env["SLURM_GPUS"] = options["gpus"]
    if "open-mode" in options and options["open-mode"] not in {"append", "truncate", "a", "t"}:
        raise _invalid("open-mode")
    minutes = None
    if "time" in options and (minutes := parse_minutes(options["time"])) is None:
        raise _invalid("time")
    return {
        "name": options.get("job-name", ""),
        "script": script,
        "args": list(args),
        "env": env,
        "login": export not in {"ALL", "NIL"} or "get-user-env" in options,
        "command": command,
        "chdir": str(Path(options.get("chdir", ".")).absolute()),
        "cpus": cpus * tasks,
        "output": options.get("output", "slurm-%j.out"),
        "error": options.get("error", ""),
        "append": options.get("open-mode", "").startswith("a"),
        "tasks": tasks,
        "gpus": gpus,
        "comment": options.get("comment", ""),
        "partition": options.get("partition", ""),
        "account": options.get("account", ""),
        "qos": options.get("qos", ""),
        "gres": gres,
        "constraint": options.get("constraint", ""),
        "nodelist": options.get("nodelist", ""),
        "memory": memory,
        "memory_per_cpu": _memory(options, "mem-per-cpu"),
        "time": minutes,
        "signal": _early_signal(options),
        "hold": "hold" in options,
        "requeue": [name for name in options if name.endswith("requeue")][-1:] != ["no-requeue"],
    }


def _read_script(rest: Sequence[str]) -> tuple[str, str]:
    """Return a script and its path.

    Raises:
        CommandError: If it is not a script, in the words measured with 24.11.5.
    """
    command = ""
    if not rest:
        content = sys.stdin.buffer.read()
    else:
        path = Path(rest[0])
        command = str(path.absolute()) if path.exists() else rest[0]
        try:
            content = path.read_bytes() if not path.is_dir() else b""
        except OSError as error:
            raise CommandError(f"sbatch: error: Unable to open file {rest[0]}") from error
    text = content.decode("utf-8", "surrogateescape")
    if not text:
        raise CommandError("sbatch: error: Batch script is empty!")
    if "\0" in text:
        raise CommandError(
            "sbatch: error: The Slurm controller does not allow scripts that",
            "sbatch: error: contain a NULL character '\\0'.",
        )
    if not text.startswith("#!"):
        raise CommandError(
            "sbatch: error: This does not look like a batch script.  The first",
            "sbatch: error: line must start with #! followed by the path to an interpreter.",
            "sbatch: error: For instance: #!/bin/sh",
        )
    if "\r\n" in text:
        raise CommandError(
            "sbatch: error: Batch script contains DOS line breaks (\\r\\n)",
            "sbatch: error: instead of expected UNIX line breaks (\\n).",
        )
    return text, command


def _script_options(script: str) -> list[str]:
    """Return the options in ``#SBATCH`` lines, which end at the first command."""
    words: list[str] = []
    for line in script.splitlines():
        if line.startswith("#SBATCH"):
            words += shlex.split(line.removeprefix("#SBATCH"), comments=True)
        elif line.strip() and not line.startswith("#"):
            break
    return words


def _from_environment() -> Iterable[tuple[str, str]]:
    for name, option in _VARIABLES.items():
        if (value := os.environ.get(f"SBATCH_{name}")) is not None:
            yield option, value


def _environment(export: str) -> dict[str, str]:
    """Return the variables that the script gets (``--export`` of sbatch(1))."""
    current = dict(os.environ)
    for name in ("CLOUDTUNE_SLURM_URL", "CLOUDTUNE_SLURM_KEY"):
        current.pop(name, None)
    env = {name: value for name, value in current.items() if name.startswith("SLURM_")}
    names = export.split(",")
    if export == "ALL" or names[0] == "ALL":
        env = current
    if export not in {"ALL", "NONE", "NIL"}:
        for word in names:
            name, equals, value = word.partition("=")
            if equals:
                env.setdefault(name, value)
            elif name in current:
                env[name] = current[name]
    if export != "ALL":
        env["SLURM_EXPORT_ENV"] = export
    if export not in {"ALL", "NIL"}:
        env["SLURM_GET_USER_ENV"] = "1"
    env |= {"SLURM_SUBMIT_DIR": os.getcwd(), "SLURM_SUBMIT_HOST": socket.gethostname()}  # noqa: PTH109
    return {**env, "SLURM_PRIO_PROCESS": "0"}


def _count(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise CommandError(f'sbatch: error: Invalid numeric value "{text}" for --{name}.')
    return int(text)


def _memory(options: Mapping[str, str], name: str) -> int | None:
    if name not in options:
        return None
    if (size := parse_memory(options[name])) is None:
        raise _invalid(name)
    return size


def _gpus(options: Mapping[str, str]) -> tuple[str, int]:
    """Return the generic resources as ``squeue`` shows them, and the number of GPUs."""
    if "gres" in options and options["gres"].lower() != "none":
        match = re.fullmatch(r"gpu(?::[a-z]\w*)?(?::(\d+))?", options["gres"])
        if match is None:
            raise CommandError(
                "sbatch: error: Invalid generic resource (gres) specification",
            )
        count = int(match[1] or 1)
        return f"gres/gpu:{count}", count
    for name in ("gpus-per-node", "gpus"):
        if name in options:
            match = re.fullmatch(r"(?:[a-z]\w*:)?(\d+)", options[name])
            if match is None:
                raise CommandError("sbatch: error: Invalid generic resource (gres) specification")
            return f"gres/gpu:{match[1]}", int(match[1])
    return "", 0


def _early_signal(options: Mapping[str, str]) -> dict[str, Any] | None:
    text = options.get("signal")
    if text is None:
        return None
    match = re.fullmatch(r"(?P<flags>[BR]+:)?(?P<signal>\w+)(?:@(?P<seconds>\d+))?", text)
    number = parse_signal(match["signal"]) if match else None
    seconds = int(match["seconds"] or 60) if match else 0
    if match is None or number is None or seconds > 65_535:
        raise _invalid("signal")
    return {"number": number, "seconds": seconds, "batch": "B" in (match["flags"] or "")}


def _invalid(name: str) -> CommandError:
    return CommandError(f"sbatch: error: Invalid --{name} specification", code=255)
