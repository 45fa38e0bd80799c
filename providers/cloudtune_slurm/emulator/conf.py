"""The emulated cluster, read from a file in the format of slurm.conf(5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudtune.emulator_kit import UsageError

DEFAULT = """\
# The emulated cluster, in the format of slurm.conf(5). The emulator reads it when it starts.
ClusterName=emulated
KillWait=30
MinJobAge=300
MaxJobCount=10000
DefMemPerCPU=1000
NodeName=n[1-2] CPUs=8 RealMemory=32000 Gres=gpu:4
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE
PartitionName=short Nodes=ALL MaxTime=5
# Clusters keep this limit in their accounting database; 0 is no limit.
MaxSubmitJobsPerUser=0
"""
_NUMBERS = ("KillWait", "MinJobAge", "MaxJobCount", "DefMemPerCPU", "MaxSubmitJobsPerUser")
_KNOWN: Mapping[str, frozenset[str]] = {
    "NodeName": frozenset({"NodeName", "CPUs", "RealMemory", "Gres", "Feature", "Features"}),
    "PartitionName": frozenset({"PartitionName", "Nodes", "Default", "MaxTime", "State"}),
}
_RANGE = re.compile(r"(?P<prefix>[^\[\]]*)\[(?P<first>\d+)-(?P<last>\d+)\]")


@dataclass(frozen=True)
class NodeConf:
    """A node."""

    name: str
    cpus: int = 1
    memory: int = 1
    """MB."""
    gpus: int = 0
    features: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Partition:
    """A partition."""

    name: str
    nodes: tuple[str, ...]
    default: bool
    max_time: int | None
    """Minutes; None for no limit."""


@dataclass(frozen=True)
class Conf:
    """A cluster."""

    name: str
    nodes: tuple[NodeConf, ...]
    partitions: tuple[Partition, ...]
    kill_wait: int
    """Seconds between SIGTERM and SIGKILL."""
    min_job_age: int
    """Seconds after its end for which a job is listed."""
    max_job_count: int
    """The number of jobs that the controller holds, ended ones included."""
    default_memory: int
    """MB for each CPU of a job that does not request memory; 0 for all of the node's."""
    max_submit_jobs: int
    """The number of a user's jobs that have not ended; 0 for no limit."""


def read_conf(path: Path) -> Conf:
    """Return a cluster; a file that does not exist is created for one of two nodes.

    Raises:
        UsageError: If the file has something that the emulator does not have.
    """
    if not path.exists():
        path.write_text(DEFAULT, "utf-8")
    try:
        return parse_conf(path.read_text("utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def parse_conf(text: str) -> Conf:
    """Return a cluster.

    Raises:
        ValueError: If the text has something that the emulator does not have.
    """
    values: dict[str, str] = {}
    nodes: list[NodeConf] = []
    partitions: list[dict[str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            pairs = _pairs(words)
            first = next(iter(pairs))
            unknown = pairs.keys() - _KNOWN.get(first, {first})
            if unknown or (first not in _KNOWN and first not in (*_NUMBERS, "ClusterName")):
                raise ValueError(f"the emulator does not have {', '.join(unknown or {first})}")
            if first == "NodeName":
                nodes += _nodes(pairs)
            elif first == "PartitionName":
                partitions.append(pairs)
            else:
                values |= pairs
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    if not nodes or not partitions:
        raise ValueError("a cluster needs at least one NodeName and one PartitionName")
    numbers = {name: int(values.get(name, 0)) for name in _NUMBERS}
    return Conf(
        values.get("ClusterName", "emulated"),
        tuple(nodes),
        tuple(_partition(each, nodes, first=index == 0) for index, each in enumerate(partitions)),
        numbers["KillWait"],
        numbers["MinJobAge"],
        numbers["MaxJobCount"] or 10_000,
        numbers["DefMemPerCPU"],
        numbers["MaxSubmitJobsPerUser"],
    )


def _pairs(words: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not value:
            raise ValueError(f"{word!r} is not NAME=VALUE")
        pairs[name] = value
    return pairs


def _nodes(pairs: Mapping[str, str]) -> list[NodeConf]:
    gpus = 0
    if gres := pairs.get("Gres"):
        kind, *_, count = [*gres.split(":"), "1"] if ":" not in gres else gres.split(":")
        if kind != "gpu" or not count.isdecimal():
            raise ValueError("the emulator has gpu:COUNT only as Gres")
        gpus = int(count)
    features = pairs.get("Features", pairs.get("Feature", ""))
    return [
        NodeConf(
            name,
            int(pairs.get("CPUs", 1)),
            int(pairs.get("RealMemory", 1)),
            gpus,
            frozenset(filter(None, features.split(","))),
        )
        for name in expand(pairs["NodeName"])
    ]


def _partition(pairs: Mapping[str, str], nodes: list[NodeConf], *, first: bool) -> Partition:
    names = tuple(node.name for node in nodes)
    chosen = pairs.get("Nodes", "ALL")
    limit = pairs.get("MaxTime", "INFINITE")
    return Partition(
        pairs["PartitionName"],
        names if chosen == "ALL" else tuple(name for name in names if name in expand(chosen)),
        pairs.get("Default", "YES" if first else "NO").upper() == "YES",
        None if limit.upper() in {"INFINITE", "UNLIMITED"} else int(limit),
    )


def expand(names: str) -> list[str]:
    """Return the nodes of a list such as ``a,n[1-3]``."""
    result: list[str] = []
    for part in re.split(r",(?![^\[]*\])", names):
        match = _RANGE.fullmatch(part)
        if match is None:
            result.append(part)
            continue
        width = len(match["first"])
        for number in range(int(match["first"]), int(match["last"]) + 1):
            result.append(f"{match['prefix']}{number:0{width}}")
    return result


def compress(names: list[str]) -> str:
    """Return nodes as Slurm lists them: ``n[1-2]``."""
    groups: dict[str, list[int]] = {}
    plain: list[str] = []
    for name in names:
        match = re.fullmatch(r"(.*?)(\d+)", name)
        if match is None or (match[2].startswith("0") and match[2] != "0"):
            plain.append(name)
        else:
            groups.setdefault(match[1], []).append(int(match[2]))
    for prefix, numbers in groups.items():
        ranges = _ranges(sorted(numbers))
        single = len(numbers) == 1
        plain.append(f"{prefix}{ranges}" if single else f"{prefix}[{ranges}]")
    return ",".join(plain)


def _ranges(numbers: list[int]) -> str:
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)
