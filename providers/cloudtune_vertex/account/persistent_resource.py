"""Whether the persistent resource of the trials exists and has machines for them."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import Check, Json, Plan, format_count, if_found
from cloudtune.provider.account import account_error, account_ok, account_warning
from cloudtune_vertex.account.ask import ask, unknown
from cloudtune_vertex.client import Google
from cloudtune_vertex.rights import PERSISTENT_RESOURCE
from cloudtune_vertex.settings import NAME, VertexSettings

PATH = "providers.vertex.persistent_resource"
ID = "persistent-resource"


def check_persistent_resource(google: Google, plan: Plan) -> Iterator[Check]:
    """Yield the check of the resource, by one call; nothing if trials do not run on one."""
    settings = plan.settings
    assert isinstance(settings, VertexSettings)
    id_ = settings.persistent_resource
    if not id_ or plan.mode != "driven":
        return
    project, location = plan.facts.data["project"], plan.facts.data["location"]
    url = f"/v1/projects/{project}/locations/{location}/persistentResources/{id_}"

    def find() -> Json:
        return if_found(lambda: google.rest("GET", f"{location}-aiplatform", url)) or {}

    question = f"whether the persistent resource {id_} exists"
    right = f"{PERSISTENT_RESOURCE} on the project {project}"
    found = yield from ask(find, unknown(ID, question, right, path=PATH))
    if found is not None:
        yield _check(plan, found, id_)


def _check(plan: Plan, found: Json, id_: str) -> Check:
    """Return whether trials can run there: see the page persistent-resource-train.

    A resource must be running, and have a pool with the machine type of the job (cloud.google.com/
    vertex-ai/docs/training/persistent-resource-train, read 2026-11-27).
    """
    project, location = plan.facts.data["project"], plan.facts.data["location"]
    machine: str = plan.facts.data["machine_type"]
    arguments = f"--project={project} --region={location}"
    if not found:
        return account_error(
            id=ID,
            path=PATH,
            message=f"there is no persistent resource {id_} in {location}",
            fix="create it, or choose one that exists; this lists them",
            command=f"gcloud ai persistent-resources list {arguments}",
        )
    look = f"gcloud ai persistent-resources describe {id_} {arguments}"
    if found.get("state") != "RUNNING":
        return account_error(
            id=ID,
            path=PATH,
            message=f"the persistent resource {id_} is {found.get('state', 'in no known state')}",
            fix="wait until it is RUNNING",
            command=look,
        )
    pools: list[Json] = found.get("resourcePools", [])
    types = [str(pool.get("machineSpec", {}).get("machineType", "")) for pool in pools]
    if machine not in types:
        return account_error(
            id=ID,
            path="providers.vertex.machine_type",
            message=f"the persistent resource {id_} has {' and '.join(types)}, not {machine}",
            fix="set machine_type to one of its types",
            command=look,
        )
    count = sum(_machines(pool) for pool, each in zip(pools, types, strict=True) if each == machine)
    parallel = plan.study.limits_for(NAME).parallel_trials or 1
    if count < parallel:
        return account_warning(
            id=ID,
            path="limits.parallel_trials",
            message=f"the persistent resource {id_} has {format_count(count, 'machine')} of "
            f"{machine}, and the study runs {parallel} trials at a time; whether the others wait "
            "is not verified",
            fix=f"set parallel_trials to {count}, or enlarge the resource",
            command=look,
        )
    text = f"persistent resource {id_} has {format_count(count, 'machine')} of {machine}"
    return account_ok(id=ID, message=f"{text} for {format_count(parallel, 'trial')} at a time")


def _machines(pool: Json) -> int:
    most = pool.get("autoscalingSpec", {}).get("maxReplicaCount")
    return int(most or pool.get("replicaCount", 1))
