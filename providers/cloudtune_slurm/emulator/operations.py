"""The operations of slurmctld, which the commands call; named as the commands for fault plans."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cloudtune.emulator_kit import (
    Context,
    Delays,
    FaultPlan,
    Json,
    Response,
    Tuner,
    app,
    is_list,
    is_map,
)
from cloudtune_slurm.emulator.conf import Conf
from cloudtune_slurm.emulator.controller import Controller
from cloudtune_slurm.emulator.errors import ServiceError
from cloudtune_slurm.emulator.script_jobs import LOSE_NODE, OUT_OF_MEMORY, Jobs
from cloudtune_slurm.emulator.state import EarlySignal, Spec, describe_job, user_name


class Operations(app.Operations[Jobs, Tuner[Any, Any]]):
    """Carries out operations on one cluster."""

    def __init__(self, folder: Path, delays: Delays, faults: FaultPlan, conf: Conf) -> None:
        lock = threading.RLock()
        self.controller = Controller(folder, conf, delays, faults, lock)
        super().__init__(Context(folder, delays, faults, self.controller.script_jobs, lock))

    def busy(self) -> bool:
        """Return whether any job waits or runs."""
        return any(not job.is_over for job in self.controller.jobs())

    def carry_out(self, operation: Operation, document: Json) -> Response:
        """Return the response to a call.

        Raises:
            ServiceError: If slurmctld would refuse.
        """
        with self.context.lock:
            result = operation(self.controller, document)
        return Response(200, json.dumps(result).encode())


Operation = Callable[[Controller, Json], Json]


def _submit(controller: Controller, document: Json) -> Json:
    if document.pop("test_only", False):
        job, node = controller.test(_read_spec(document))
        return {"id": job.id, "node": node, "partition": job.partition, "start": job.created}
    return {"id": controller.submit(_read_spec(document)).id, "cluster": controller.conf.name}


def _read_spec(document: Json) -> Spec:
    """Return what a job requests.

    Raises:
        ServiceError: If the document is not one of ``sbatch``.
    """
    fields: dict[str, Any] = dict(document)
    early = fields.get("signal")
    try:
        if is_map(early):
            fields["signal"] = EarlySignal(**early)
        if is_list(fields.get("args")):
            fields["args"] = tuple(fields["args"])
        spec = Spec(**fields)
    except TypeError as error:
        raise ServiceError(f"Unexpected message received: {error}") from error
    for each in dataclasses.fields(Spec):
        value = getattr(spec, each.name)
        kind = {"int": int, "str": str, "bool": bool}.get(str(each.type))
        if kind and type(value) is not kind:
            raise ServiceError(f"Unexpected message received: {each.name} is no {each.type}")
    return spec


def _list(controller: Controller, document: Json) -> Json:
    if (number := document.get("id")) is not None:
        return {"jobs": [describe_job(controller.find(int(number)))]}
    return {"jobs": [describe_job(job) for job in controller.jobs()], "user": user_name()}


def _cancel(controller: Controller, document: Json) -> Json:
    job = controller.find(int(document["id"]))
    controller.end(
        job,
        int(document.get("signal", 0)),
        batch=bool(document.get("batch")),
        full=bool(document.get("full")),
    )
    return {}


def _describe_cluster(controller: Controller, _document: Json) -> Json:
    conf = controller.conf
    nodes = [
        {
            "name": node.conf.name,
            "state": node.shown_state,
            "cpus": node.conf.cpus,
            "free_cpus": node.cpus,
            "memory": node.conf.memory,
            "free_memory": node.memory,
            "gpus": node.conf.gpus,
            "features": sorted(node.conf.features),
        }
        for node in controller.nodes.values()
    ]
    partitions = [dataclasses.asdict(partition) for partition in conf.partitions]
    values = {
        "ClusterName": conf.name,
        "DefMemPerCPU": str(conf.default_memory) if conf.default_memory else "UNLIMITED",
        "KillWait": f"{conf.kill_wait} sec",
        "MaxJobCount": str(conf.max_job_count),
        "MinJobAge": f"{conf.min_job_age} sec",
        "SLURM_VERSION": "24.11.5",
    }
    now = time.strftime("%Y-%m-%dT%H:%M:%S")
    return {"nodes": nodes, "partitions": partitions, "conf": values, "time": now}


EFFECTS = (OUT_OF_MEMORY, LOSE_NODE)
"""Effects on a trial that only this emulator has: the kernel kills the job for its memory; its node
is lost with all its jobs. ``lose`` loses the node for that job only, and ``interrupt`` preempts it.
They happen once a job has run for a second; ``lose`` and ``interrupt``, for the seconds of
``after``."""
NOT_DRIVEN: Mapping[str, str] = {
    "stop_early": "Slurm does not stop jobs early",
    "no_metric": "Slurm does not read metrics",
}
OPERATIONS: Mapping[str, Operation] = {
    "sbatch": _submit,
    "squeue": _list,
    "scancel": _cancel,
    "sinfo": _describe_cluster,
    "scontrol": _describe_cluster,
}
"""``scancel`` is called once for each job, as slurmctld is."""
