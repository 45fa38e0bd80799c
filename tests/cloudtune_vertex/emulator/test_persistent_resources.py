"""Jobs on persistent resources, through Google's own client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cloudtune_vertex.google_sdk import import_google
from tests.cloudtune_vertex.emulator.conftest import PARENT, Emulator
from tests.emulator_server import starting


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator with a persistent resource of four machines."""
    for start in starting(Emulator, tmp_path_factory.mktemp("emulator")):
        emulator = start()
        create_resource(emulator)
        yield emulator


def client(emulator: Emulator) -> Any:
    module: Any = import_google("google.cloud.aiplatform_v1.services.persistent_resource_service")
    return module.PersistentResourceServiceClient(
        transport="rest",
        credentials=emulator.credentials(),
        client_options={"api_endpoint": emulator.url},
    )


def create_resource(emulator: Emulator, machine: str = "n1-standard-4") -> str:
    pool = {"machine_spec": {"machine_type": machine}, "replica_count": 4}
    operation = client(emulator).create_persistent_resource(
        parent=PARENT,
        persistent_resource={"resource_pools": [pool]},
        persistent_resource_id="pool",
        timeout=200,
    )
    return str(operation.result(timeout=200).name)


def job(emulator: Emulator, id_: str = "pool", **changes: Any) -> Any:
    pool = {**emulator.container("print('ran')"), **changes.pop("pool", {})}
    spec = {"persistentResourceId": id_, **changes.pop("spec", {})}
    return emulator.create_custom(pool, spec=spec, **changes)


def test_a_job_runs_on_machines_that_fit(machines: Emulator) -> None:
    done = machines.ended(job(machines).name)
    assert done.state.name == "JOB_STATE_SUCCEEDED"
    assert done.job_spec.persistent_resource_id == "pool"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id_": "other"}, "persistent_resource_id; Message: The PersistentResource does not"),
        ({"pool": {"machineSpec": {"machineType": "n1-standard-8"}}}, "No resource pool has"),
        ({"pool": {"diskSpec": {"bootDiskType": "pd-standard"}}}, "No resource pool has"),
        ({"pool": {"replicaCount": "5"}}, "No resource pool has"),
        ({"spec": {"network": "projects/1/global/networks/n"}}, "not the network"),
        ({"encryptionSpec": {"kmsKeyName": "projects/p/k"}}, "not the key"),
    ],
)
def test_other_jobs_are_refused(machines: Emulator, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Exception, match=words):
        job(machines, **changes)


def test_resources_are_listed_and_deleted(start_emulator: Callable[..., Emulator]) -> None:
    emulator = start_emulator()
    resources = client(emulator)
    assert emulator.ended(job(emulator).name).state.name == "JOB_STATE_SUCCEEDED"  # may exist
    name = create_resource(emulator)
    with pytest.raises(Exception, match="must be a new ID"):
        create_resource(emulator)
    assert [each.name for each in resources.list_persistent_resources(parent=PARENT)] == [name]
    assert resources.get_persistent_resource(name=name).state.name == "RUNNING"
    resources.delete_persistent_resource(name=name)
    assert not list(resources.list_persistent_resources(parent=PARENT))
