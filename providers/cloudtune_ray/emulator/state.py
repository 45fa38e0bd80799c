"""What the emulated cluster remembers: jobs, packages and nodes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudtune.emulator_kit import Json
from cloudtune.emulator_kit import state as kit

PENDING, RUNNING, STOPPED = "PENDING", "RUNNING", "STOPPED"
SUCCEEDED, FAILED = "SUCCEEDED", "FAILED"
NODE_CPUS = 16
"""The CPUs of each node, whatever this machine has."""
NODE_GPUS = 8
NODE_MEMORY = 64 * 1024**3


@dataclass
class Node:
    """A node of the cluster."""

    id: str = field(default_factory=lambda: secrets.token_hex(28))
    is_head: bool = False
    is_alive: bool = True

    def describe(self) -> Json:
        """Return the node as a row of ``/api/v0/nodes``."""
        resources = {"CPU": NODE_CPUS, "GPU": NODE_GPUS, "memory": float(NODE_MEMORY)}
        return {
            "node_id": self.id,
            "node_ip": "127.0.0.1",
            "is_head_node": self.is_head,
            "state": "ALIVE" if self.is_alive else "DEAD",
            "node_name": "127.0.0.1",
            "resources_total": {} if self.is_head else resources,
            "labels": {"ray.io/node-id": self.id},
        }


@dataclass
class Job(kit.ScriptJob):
    """A submitted job."""

    RUNNING = RUNNING
    FINAL = frozenset({STOPPED, SUCCEEDED, FAILED})

    id: str
    request: Json
    folder: Path
    """For the emulator's own files."""
    log: Path
    state: str = field(default=PENDING, kw_only=True)
    message: str = ""
    error_type: str | None = None
    exit_code: int | None = None
    node: Node | None = None

    def fail(self, error_type: str, message: str) -> None:
        """Enter the state FAILED."""
        self.error_type, self.message = error_type, message
        self.enter(FAILED)

    def describe(self) -> Json:
        """Return the job as ``JobDetails`` (pydantic_models.py)."""
        own = self.request
        standard = {
            PENDING: "Job has not started yet.",
            RUNNING: "Job is currently running.",
            STOPPED: "Job was intentionally stopped.",
            SUCCEEDED: "Job finished successfully.",
        }
        details: dict[str, Any] = {
            "type": "SUBMISSION",
            "job_id": None,
            "submission_id": self.id,
            "driver_info": None,
            "status": self.state,
            "entrypoint": own["entrypoint"],
            "message": standard.get(self.state, self.message),
            "error_type": self.error_type,
            "start_time": int(self.created * 1000),
            "end_time": int(self.ended * 1000) if self.ended else None,
            "metadata": own.get("metadata"),
            "runtime_env": own.get("runtime_env"),
            "driver_agent_http_address": "http://127.0.0.1:52365" if self.node else None,
            "driver_node_id": self.node.id if self.node else None,
            "driver_exit_code": self.exit_code,
        }
        return details
