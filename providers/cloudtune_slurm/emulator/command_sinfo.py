"""``sinfo``: the nodes of each partition (sinfo(1), 24.11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune_slurm.emulator.client import call
from cloudtune_slurm.emulator.conf import compress
from cloudtune_slurm.emulator.fields import NULL, Field, parse_letters, print_rows
from cloudtune_slurm.emulator.options import CommandError, Options, format_seconds, table

FAILURE = "slurm_load_partitions"
_KNOWN = table("-a,--all -h,--noheader -o,--format= -p,--partition= -v,--verbose")
_OTHERS = table(
    "-M,--clusters= -d,--dead -e,--exact --federation -F,--future --help --hide -i,--iterate= "
    "--json[=] -l,--long --local -n,--nodes= -N,--Node -O,--Format= -r,--responding "
    "-R,--list-reasons -s,--summarize -S,--sort= -t,--states= -T,--reservation --usage --yaml[=]"
)
OPTIONS = Options("sinfo", [*_KNOWN, *_OTHERS])
_DEFAULT = "%#P %.5a %.10l %.6D %.6t %N"
_SHORT = {"allocated": "alloc", "mixed": "mix"}


def run(words: Sequence[str]) -> int:
    """List partitions."""
    used, rest = OPTIONS.parse(words)
    OPTIONS.refuse([name for name, _ in used], [option.name for option in _KNOWN])
    if rest:
        raise CommandError(f"sinfo: error: Unrecognized option: {rest[0]}")
    options = dict(used)
    rows = _rows(call("sinfo", {}), options.get("partition", ""))
    width = max([9, *(len(_partition(row)) for row in rows)])
    text = options.get("format", _DEFAULT).replace("%#P", f"%{width}P")
    before, columns = parse_letters("sinfo", text, LETTERS)
    print_rows(rows, before, columns, head="noheader" not in options)
    return 0


def _rows(cluster: Any, partitions: str) -> list[Any]:
    """Return a row for each partition and state of its nodes."""
    rows: list[Any] = []
    for partition in cluster["partitions"]:
        if partitions and partition["name"] not in partitions.split(","):
            continue
        groups: dict[tuple[Any, ...], list[Any]] = {}
        for node in cluster["nodes"]:
            if node["name"] in partition["nodes"]:
                key = (node["state"], node["cpus"], node["memory"], node["gpus"])
                groups.setdefault(key, []).append(node)
        order = ["down*", "mixed", "allocated", "idle"]
        for key in sorted(groups, key=lambda key: order.index(key[0])):
            rows.append({"partition": partition, "nodes": groups[key], "node": groups[key][0]})
    return rows


def _partition(row: Any) -> str:
    return f"{row['partition']['name']}{'*' if row['partition']['default'] else ''}"


def _limit(row: Any) -> str:
    minutes = row["partition"]["max_time"]
    return "infinite" if minutes is None else format_seconds(minutes * 60)


def _cpu_counts(row: Any) -> str:
    total = sum(node["cpus"] for node in row["nodes"])
    free = sum(node["free_cpus"] for node in row["nodes"])
    other = free if row["node"]["state"] == "down*" else 0
    return f"{total - free}/{free - other}/{other}/{total}"


LETTERS: Mapping[str, tuple[str, Field]] = {
    "a": ("AVAIL", lambda _row: "up"),
    "c": ("CPUS", lambda row: str(row["node"]["cpus"])),
    "C": ("CPUS(A/I/O/T)", _cpu_counts),
    "D": ("NODES", lambda row: str(len(row["nodes"]))),
    "f": ("AVAIL_FEATURES", lambda row: ",".join(row["node"]["features"]) or NULL),
    "G": ("GRES", lambda row: f"gpu:{row['node']['gpus']}" if row["node"]["gpus"] else NULL),
    "l": ("TIMELIMIT", _limit),
    "m": ("MEMORY", lambda row: str(row["node"]["memory"])),
    "N": ("NODELIST", lambda row: compress([node["name"] for node in row["nodes"]])),
    "P": ("PARTITION", _partition),
    "R": ("PARTITION", lambda row: row["partition"]["name"]),
    "t": ("STATE", lambda row: str(_SHORT.get(row["node"]["state"], row["node"]["state"]))),
    "T": ("STATE", lambda row: row["node"]["state"]),
}
