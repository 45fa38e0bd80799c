"""Scripts, batch deployments and their jobs, as a client without IBM's package sees them."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from cloudtune_watson.emulator import delays

if TYPE_CHECKING:
    from tests.cloudtune_watson.emulator.conftest import Cluster

DEPLOYMENTS, JOBS = "/ml/v4/deployments", "/ml/v4/deployment_jobs"
HELLO = """
import os
for name in ("one.txt", "inner/two.txt"):
    path = os.path.join(os.environ["BATCH_OUTPUT_DIR"], name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(os.environ.get("WHO", "") + os.environ["BATCH_OUTPUT_DIR"][:1])
print("hello")
"""
WAITING = "import time\ntime.sleep(600)"


def asset(cluster: Cluster, kind: str, content: bytes, name: str = "a") -> str:
    """Store an asset as clients of IBM Cloud do."""
    metadata = {"name": name, "asset_type": kind}
    _, created = cluster.ask("POST", "/v2/assets", json={"metadata": metadata})
    id_: str = created["metadata"]["asset_id"]
    path = f"/v2/assets/{id_}/attachments"
    _, attachment = cluster.ask("POST", path, json={"asset_type": kind})
    url = urlsplit(str(attachment["url1"]))
    assert cluster.client.put(f"{url.path}?{url.query}", data=content).status_code == 201
    assert cluster.ask("POST", f"{path}/{attachment['attachment_id']}/complete")[0] == 200
    return id_


def deployment(cluster: Cluster, code: str = HELLO, **changes: Any) -> tuple[int, Any]:
    """Return the response to a new deployment."""
    script = asset(cluster, "script", code.encode())
    request = {"name": "d", "space_id": cluster.space, "asset": {"id": script}, "batch": {}}
    return cluster.ask("POST", DEPLOYMENTS, {"version": cluster.version}, json=request | changes)


def ready(cluster: Cluster, code: str = HELLO) -> str:
    status, created = deployment(cluster, code)
    assert status == 202, created
    id_: str = created["metadata"]["id"]
    cluster.until(
        lambda: cluster.ask("GET", f"{DEPLOYMENTS}/{id_}")[1],
        lambda view: view["entity"]["status"]["state"] == "ready",
    )
    return id_


def job(cluster: Cluster, deployment_id: str, **scoring: Any) -> tuple[int, Any]:
    """Return the response to a new job."""
    output = {"type": "data_asset", "connection": {}, "location": {"name": "out"}}
    request = {
        "name": "j",
        "space_id": cluster.space,
        "deployment": {"id": deployment_id},
        "scoring": {"output_data_reference": output, **scoring},
    }
    return cluster.ask("POST", JOBS, {"version": cluster.version}, json=request)


def ended(cluster: Cluster, job_id: str) -> Mapping[str, Any]:
    """Return the entity of a job once it has ended."""
    view = cluster.until(
        lambda: cluster.ask("GET", f"{JOBS}/{job_id}")[1],
        lambda view: view["entity"]["scoring"]["status"]["completed_at"],
    )
    entity: Mapping[str, Any] = view["entity"]
    return entity


def test_a_job_leaves_its_files_in_an_archive(cluster: Cluster) -> None:
    status, created = job(cluster, ready(cluster), environment_variables={"WHO": "me"})
    assert status == 202
    first = created["entity"]["scoring"]["status"]
    assert first == {"state": "queued", "running_at": "", "completed_at": ""}
    entity = ended(cluster, created["metadata"]["id"])
    assert entity["scoring"]["status"]["state"] == "completed"
    reference = entity["scoring"]["output_data_reference"]["location"]
    assert reference["name"] == "out"
    path = reference["href"].partition("?")[0]
    _, view = cluster.ask("GET", path)
    assert view["metadata"]["name"] == "out"
    _, attachment = cluster.ask("GET", f"{path}/attachments/{view['attachments'][0]['id']}")
    url = urlsplit(str(attachment["url"]))
    content = cluster.client.get(f"{url.path}?{url.query}").get_data()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert sorted(archive.namelist()) == ["inner/two.txt", "one.txt"]
        assert archive.read("one.txt") == b"me/"
    run = entity["platform_job"]
    _, logs = cluster.ask(
        "GET", f"/v2/jobs/{run['job_id']}/runs/{run['run_id']}/logs", {"space_id": cluster.space}
    )
    assert logs["results"] == ["hello"]


def test_inputs_are_data_assets(cluster: Cluster) -> None:
    data = asset(cluster, "data_asset", b"0.5", "rows.csv")
    code = """
import os, shutil
source = os.path.join(os.environ["BATCH_INPUT_DIR"], "rows.csv")
shutil.copy(source, os.environ["BATCH_OUTPUT_DIR"])
"""
    href = f"/v2/assets/{data}?space_id={cluster.space}"
    reference = {"type": "data_asset", "connection": {}, "location": {"href": href}}
    _, created = job(cluster, ready(cluster, code), input_data_references=[reference])
    assert ended(cluster, created["metadata"]["id"])["scoring"]["status"]["state"] == "completed"


def test_two_jobs_of_a_deployment_run_and_others_wait(cluster: Cluster) -> None:
    id_ = ready(cluster, WAITING)
    ids = [job(cluster, id_)[1]["metadata"]["id"] for _ in range(3)]

    def states() -> list[str]:
        views = [cluster.ask("GET", f"{JOBS}/{each}")[1] for each in ids]
        return [view["entity"]["scoring"]["status"]["state"] for view in views]

    cluster.until(states, lambda found: found == ["running", "running", "queued"])
    time.sleep(0.3)
    assert states() == ["running", "running", "queued"]
    assert cluster.ask("DELETE", f"{JOBS}/{ids[0]}")[0] == 204
    cluster.until(states, lambda found: found == ["canceled", "running", "running"])
    query = {"version": cluster.version, "space_id": cluster.space, "deployment_id": id_}
    listed = cluster.ask("GET", JOBS, {**query, "state": "running"})[1]["resources"]
    assert len(listed) == 2
    parts = cluster.ask("GET", JOBS, {**query, "include": "status"})[1]["resources"]
    assert {tuple(each["entity"]["scoring"]) for each in parts} == {("status",)}
    assert cluster.ask("DELETE", f"{DEPLOYMENTS}/{id_}")[0] == 204
    assert cluster.ask("GET", JOBS, query)[1]["resources"] == []


def test_a_job_that_has_ended_is_only_deleted(cluster: Cluster) -> None:
    _, created = job(cluster, ready(cluster, "raise SystemExit(3)"))
    id_ = created["metadata"]["id"]
    status = ended(cluster, id_)["scoring"]["status"]
    assert status["state"] == "failed"
    assert "status 3" in status["message"]["text"]
    code, refusal = cluster.ask("DELETE", f"{JOBS}/{id_}")
    assert (code, "already completed" in refusal["errors"][0]["message"]) == (400, True)
    query = {"version": cluster.version, "space_id": cluster.space, "hard_delete": "true"}
    assert cluster.ask("DELETE", f"{JOBS}/{id_}", query)[0] == 204
    assert cluster.ask("GET", f"{JOBS}/{id_}")[0] == 404


def test_requests_that_are_refused(cluster: Cluster) -> None:
    assert deployment(cluster, batch=None)[0] == 400
    assert deployment(cluster, online={})[0] == 400
    status, refusal = deployment(cluster, asset={"id": "gone"})
    assert (status, "'gone' is not in the space" in refusal["errors"][0]["message"]) == (404, True)
    id_ = ready(cluster)
    assert job(cluster, "gone")[0] == 404
    assert job(cluster, id_, environment_variables={"n": 1})[0] == 400
    assert job(cluster, id_, output_data_reference={"type": "s3", "location": {}})[0] == 501
    assert job(cluster, id_, unknown=1)[0] == 400
    assert cluster.ask("GET", f"{JOBS}/gone")[0] == 404
    assert cluster.ask("GET", f"{DEPLOYMENTS}/gone")[0] == 404
    assert cluster.ask("GET", JOBS, {"space_id": cluster.space})[0] == 400  # without a version
    runs = "/v2/jobs/gone/runs/gone"
    assert cluster.ask("DELETE", runs, {"space_id": cluster.space})[0] == 404


@pytest.mark.parametrize("speed", [1.0])
def test_a_deployment_is_not_ready_at_once(
    start_cluster: Callable[..., Cluster], speed: float
) -> None:
    cluster = start_cluster(speed=speed)
    _, created = deployment(cluster)
    assert created["entity"]["status"]["state"] == "initializing"
    status, refusal = job(cluster, created["metadata"]["id"])
    assert (status, refusal["errors"][0]["message"]) == (400, "The deployment is initializing.")


def test_a_key_is_exchanged_as_on_ibm_cloud(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster()
    grant = "urn:ibm:params:oauth:grant-type:apikey"
    status, token = cluster.ask(
        "POST", "/identity/token", data={"grant_type": grant, "apikey": cluster.key}
    )
    assert (status, token["token_type"]) == (200, "Bearer")
    assert cluster.ask("POST", "/identity/token", data={"apikey": cluster.key})[0] == 400
    metadata = {"name": "a", "asset_type": "script"}
    _, created = cluster.ask("POST", "/v2/assets", json={"metadata": metadata})
    path = f"/v2/assets/{created['metadata']['asset_id']}/attachments"
    _, attachment = cluster.ask("POST", path, json={"asset_type": "script"})
    assert attachment["url1"].startswith("https://here/")


def test_a_deployment_initializes_however_fast_the_emulator_is(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delays, "DEPLOYING", 0.0)
    script = asset(cluster, "script", b"")
    request = {"name": "d", "space_id": cluster.space, "asset": {"id": script}, "batch": {}}
    _, created = cluster.ask("POST", DEPLOYMENTS, {"version": cluster.version}, json=request)
    assert created["entity"]["status"]["state"] == "initializing"
    path = f"{DEPLOYMENTS}/{created['metadata']['id']}"
    assert cluster.ask("GET", path)[1]["entity"]["status"]["state"] == "ready"
