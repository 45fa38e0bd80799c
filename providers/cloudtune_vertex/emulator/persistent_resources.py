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
from cloudtune_vertex.emulator.errors import denied, invalid
from cloudtune_vertex.emulator.named_resources import NamedResources
from cloudtune_vertex.emulator.rules import Violation, select
from cloudtune_vertex.emulator.state import Parent
from cloudtune_vertex.emulator.times import format_time

_DEFAULT_DISK = "pd-ssd"
"""Types, DiskSpec.boot_disk_type."""


class PersistentResources(NamedResources):
    """The persistent resources of the emulator; all are running."""

    KIND = "PersistentResource"
    COLLECTION = "persistentResources"

    def create(self, parent: Parent, id_: str, request: Json) -> Json:
        """Create a resource and return it.

        Raises:
            ServiceError: If the ID is missing or in use.
        """
        name = f"{parent.name}/{self.COLLECTION}/{id_}"
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
        return super().get(name)

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
        resource = self._resources.get(f"{parent.name}/{self.COLLECTION}/{id_}")
        if resource is None:
            yield field, f"The {self.KIND} does not exist: {id_}."
            return
        pools: list[Json] = resource.get("resourcePools", [])
        for path, wanted in select(spec, "workerPoolSpecs[]"):
            if wanted and not any(_fits(wanted, pool) for pool in pools):
                text = "No resource pool has its machine type, disk type and replica count."
                yield f"job_spec.{path}", text
        if spec.get("network", "") != resource.get("network", ""):
            yield "job_spec.network", f"It is not the network of the {self.KIND}."
        if job.get("encryptionSpec") != resource.get("encryptionSpec"):
            yield "encryption_spec", f"It is not the key of the {self.KIND}."


def _fits(wanted: Json, pool: Json) -> bool:
    most = pool.get("autoscalingSpec", {}).get("maxReplicaCount") or pool.get("replicaCount", 1)
    return _machine(wanted) == _machine(pool) and int(wanted.get("replicaCount", 1)) <= int(most)


def _machine(pool: Mapping[str, Json]) -> tuple[str, str]:
    disk: str = pool.get("diskSpec", {}).get("bootDiskType") or _DEFAULT_DISK
    return pool.get("machineSpec", {}).get("machineType", ""), disk
