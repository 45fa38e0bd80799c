"""``scontrol``: ``ping`` and ``show`` (scontrol(1), 24.11; the layout measured with 24.11.5)."""

from __future__ import annotations

import grp
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cloudtune_slurm.emulator.client import ControllerError, call
from cloudtune_slurm.emulator.conf import compress
from cloudtune_slurm.emulator.fields import NULL, exit_status, memory
from cloudtune_slurm.emulator.options import CommandError, Options, format_time, table

FAILURE = "slurm_load_jobs error"
OPTIONS = Options("scontrol", table("-a,--all -d,--details -o,--oneliner -Q,--quiet -v,--verbose"))
_OTHERS = frozenset(
    {
        *("abort", "cancel_reboot", "completing", "create", "delete", "errnumstr"),
        *("fsdampeningfactor", "getaddrs", "help", "hold", "listjobs", "listpids", "liststeps"),
        *(
            "notify",
            "power",
            "pidinfo",
            "reboot",
            "reconfigure",
            "release",
            "requeue",
            "requeuehold",
            "resume",
        ),
        *("schedloglevel", "setdebug", "setdebugflags", "shutdown", "suspend", "takeover", "token"),
        *("top", "uhold", "update", "wait_job", "write"),
    }
)


def run(words: Sequence[str]) -> int:
    """Show what the controller knows."""
    used, rest = OPTIONS.parse(words)
    keyword, *arguments = rest or ["help"]
    if keyword == "version":
        print("slurm-wlm 24.11.5")  # noqa: T201 - this is a program
        return 0
    if keyword == "ping":
        return _ping()
    if keyword in _OTHERS:
        raise CommandError(f"scontrol: error: the emulator does not have {keyword}")
    if keyword != "show" or not arguments:
        raise CommandError(f"invalid keyword: {keyword}")
    entity = arguments[0].lower()
    show = next((show for name, show in _ENTITIES.items() if name.startswith(entity)), None)
    if show is None:
        raise CommandError(f"invalid entity:{arguments[0]} for keyword:show ")
    blocks = show(arguments[1] if len(arguments) > 1 else "")
    one_line = "oneliner" in dict(used)
    for lines in blocks:
        joined = " ".join(line.strip() for line in lines) + " "
        print(joined if one_line else "\n".join([*lines, ""]))  # noqa: T201
    return 0


def _ping() -> int:
    host = socket.gethostname()
    try:
        call("scontrol", {})
    except ControllerError:
        print(f"Slurmctld(primary) at {host} is DOWN")  # noqa: T201
        return 1
    print(f"Slurmctld(primary) at {host} is UP")  # noqa: T201
    return 0


def _jobs(name: str) -> list[list[str]]:
    if name and not name.isdecimal():
        raise CommandError(f"Invalid job id specified: {name}")
    jobs = call("squeue", {"id": int(name)} if name else {})["jobs"]
    if not jobs:
        return [["No jobs in the system"]]
    return [_job(job) for job in jobs]


def _job(job: Any) -> list[str]:
    seconds = int(job["seconds"])
    limit = "UNLIMITED" if job["limit"] is None else _clock(job["limit"] * 60)
    node = job["node"] or NULL
    resources = f"cpu={job['cpus']},mem={memory(job['memory'])},node=1,billing={job['cpus']}"
    lines = [
        f"JobId={job['id']} JobName={job['name']}",
        f"   UserId={job['user']}({os.getuid()}) GroupId={_group()}({os.getgid()}) MCS_label=N/A",
        f"   Priority=1 Nice=0 Account={job['account'] or NULL} QOS={job['qos'] or NULL}",
        f"   JobState={job['state']} Reason={job['reason']} Dependency={NULL}",
        f"   Requeue={int(job['requeue'])} Restarts={job['restarts']} BatchFlag=1 Reboot=0 "
        f"ExitCode={exit_status(job)}",
        f"   RunTime={_clock(seconds)} TimeLimit={limit} TimeMin=N/A",
        f"   SubmitTime={format_time(job['submitted'])} "
        f"EligibleTime={format_time(job['eligible'])}",
        f"   StartTime={format_time(job['started'], 'Unknown')} "
        f"EndTime={format_time(job['ended'], 'Unknown')} Deadline=N/A",
        f"   Partition={job['partition']} AllocNode:Sid={socket.gethostname()}:1",
        f"   ReqNodeList={job['nodelist'] or NULL} ExcNodeList={NULL}",
        f"   NodeList={node}",
        f"   BatchHost={node}",
        f"   NumNodes=1 NumCPUs={job['cpus']} NumTasks={job['tasks']} "
        f"CPUs/Task={job['cpus'] // job['tasks']}",
        f"   ReqTRES={resources}",
        f"   Features={job['features'] or NULL}",
        f"   Command={job['command'] or NULL}",
        f"   WorkDir={job['chdir']}",
    ]
    if job["comment"]:
        lines.append(f"   Comment={job['comment']} ")
    lines += [f"   StdErr={job['error']}", "   StdIn=/dev/null", f"   StdOut={job['output']}"]
    if job["gres"]:
        lines.append(f"   TresPerNode={job['gres']}")
    return lines


def _partitions(name: str) -> list[list[str]]:
    cluster = call("scontrol", {})
    partitions = [each for each in cluster["partitions"] if name in {"", each["name"]}]
    if not partitions:
        print(f"Partition {name} not found")  # noqa: T201
        raise CommandError("")
    return [_partition(each, cluster) for each in partitions]


def _partition(partition: Any, cluster: Any) -> list[str]:
    minutes = partition["max_time"]
    longest = "UNLIMITED" if minutes is None else _clock(minutes * 60)
    nodes = [node for node in cluster["nodes"] if node["name"] in partition["nodes"]]
    return [
        f"PartitionName={partition['name']}",
        "   AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL",
        f"   AllocNodes=ALL Default={'YES' if partition['default'] else 'NO'} QoS=N/A",
        f"   MaxNodes=UNLIMITED MaxTime={longest} MinNodes=0 LLN=NO",
        f"   Nodes={compress([node['name'] for node in nodes])}",
        f"   State=UP TotalCPUs={sum(node['cpus'] for node in nodes)} TotalNodes={len(nodes)}",
        f"   DefMemPerCPU={cluster['conf']['DefMemPerCPU']} MaxMemPerNode=UNLIMITED",
    ]


def _nodes(name: str) -> list[list[str]]:
    cluster = call("scontrol", {})
    nodes = [each for each in cluster["nodes"] if name in {"", each["name"]}]
    if not nodes:
        print(f"Node {name} not found")  # noqa: T201
        raise CommandError("")
    return [
        [
            f"NodeName={node['name']} CoresPerSocket=1 ",
            f"   CPUAlloc={node['cpus'] - node['free_cpus']} CPUTot={node['cpus']}",
            f"   Gres={_gres(node)}",
            f"   RealMemory={node['memory']} AllocMem={node['memory'] - node['free_memory']}",
            f"   State={node['state'].upper()}",
        ]
        for node in nodes
    ]


def _config(_name: str) -> list[list[str]]:
    cluster = call("scontrol", {})
    values: Mapping[str, str] = cluster["conf"]
    lines = [f"{name:<23} = {value}" for name, value in values.items()]
    return [[f"Configuration data as of {cluster['time']}", *lines]]


_ENTITIES: Mapping[str, Callable[[str], list[list[str]]]] = {
    "config": _config,
    "jobs": _jobs,
    "nodes": _nodes,
    "partitions": _partitions,
}


def _gres(node: Any) -> str:
    return f"gpu:{node['gpus']}" if node["gpus"] else NULL


def _clock(seconds: int) -> str:
    """Return a duration as ``scontrol`` prints it: ``1-02:03:04``."""
    days, rest = divmod(seconds, 86_400)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{text}" if days else text


def _group() -> str:
    try:
        return grp.getgrgid(os.getgid()).gr_name
    except KeyError:
        return str(os.getgid())
