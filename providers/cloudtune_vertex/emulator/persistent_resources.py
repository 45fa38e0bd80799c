"""Persistent resources: machines that exist before the jobs that run on them.

Rules: page "Run custom training jobs on a persistent resource" (cloud.google.com/vertex-ai/docs/
training/persistent-resource-train, read 2026-11-27) and the types of google-cloud-aiplatform 2.7.0.
The service's words are not verified. Nor is what becomes of a job while all machines are in use:
here, it runs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from cloudtune.emulator_kit import Json
from cloudtune_vertex.emulator.errors import denied, invalid, not_found
from cloudtune_vertex.emulator.rules import Violation, select
from cloudtune_vertex.emulator.state import Parent, full_name
from cloudtune_vertex.emulator.times import format_time

KIND = "PersistentResource"
COLLECTION = "persistentResources"
_DEFAULT_DISK = "pd-ssd"
"""Types, DiskSpec.boot_disk_type."""


class PersistentResources:
    """The persistent resources of the emulator; all are running."""

    def __init__(self) -> None:
        self._resources: dict[str, Json] = {}

    def create(self, parent: Parent, id_: str, request: Json) -> Json:
        """Create a resource and return it.

        Raises:
            ServiceError: If the ID is missing or in use.
        """
        name = f"{parent.name}/{COLLECTION}/{id_}"
        if not id_ or name in self._resources:
            raise invalid(f"persistent_resource_id must be a new ID: {id_}.")
        now = format_time(time.time())
        resource = {**request, "name": name, "state": "RUNNING", "createTime": now}
        self._resources[name] = resource
        return resource

    def get(self, name: str) -> Json:
        """Return a resource by its name.

        Raises:
            ServiceError: If it does not exist; denied as long as none was created, since the
                user's project may have it.
        """
        if not self._resources:
            raise denied(
                "aiplatform.persistentResources.get, since this emulator knows only its own "
                "persistent resources"
            )
        resource = self._resources.get(full_name(name))
        if resource is None:
            raise not_found(f"The {KIND} does not exist.")
        return resource

    def list(self, parent: Parent) -> list[Json]:
        """Return the resources of a parent."""
        start = f"{parent.name}/"
        return [each for name, each in self._resources.items() if name.startswith(start)]

    def delete(self, name: str) -> None:
        """Remove a resource.

        Raises:
            ServiceError: If it does not exist.
        """
        del self._resources[self.get(name)["name"]]

    def check(self, parent: Parent, job: Json) -> Iterator[Violation]:
        """Yield why a job cannot run on its resource, once any was created.

        "machine-type and disk-type matches exactly with a corresponding resource pool", "a
        replica-count less than or equal to the replica-count or max-replica-count" (page); "the
        network and CMEK configs on the job should be consistent with those on the
        PersistentResource, otherwise, the job will be rejected" (types, CustomJobSpec).
        """
        spec: Json = job.get("jobSpec", {})
        id_: str = spec.get("persistentResourceId", "")
        if not id_ or not self._resources:
            return
        field = "job_spec.persistent_resource_id"
        resource = self._resources.get(f"{parent.name}/{COLLECTION}/{id_}")
        if resource is None:
            yield field, f"The {KIND} does not exist: {id_}."
            return
        pools: list[Json] = resource.get("resourcePools", [])
        for path, wanted in select(spec, "workerPoolSpecs[]"):
            if wanted and not any(_fits(wanted, pool) for pool in pools):
                text = "No resource pool has its machine type, disk type and replica count."
                yield f"job_spec.{path}", text
        if spec.get("network", "") != resource.get("network", ""):
            yield "job_spec.network", f"It is not the network of the {KIND}."
        if job.get("encryptionSpec") != resource.get("encryptionSpec"):
            yield "encryption_spec", f"It is not the key of the {KIND}."


def _fits(wanted: Json, pool: Json) -> bool:
    most = pool.get("autoscalingSpec", {}).get("maxReplicaCount") or pool.get("replicaCount", 1)
    return _machine(wanted) == _machine(pool) and int(wanted.get("replicaCount", 1)) <= int(most)


def _machine(pool: Mapping[str, Json]) -> tuple[str, str]:
    disk: str = pool.get("diskSpec", {}).get("bootDiskType") or _DEFAULT_DISK
    return pool.get("machineSpec", {}).get("machineType", ""), disk
