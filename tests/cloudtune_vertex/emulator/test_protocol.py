"""The door, the shape of what is said, and Cloud Storage behind the same address."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest

from cloudtune_vertex.google_sdk import import_google

PARENT = "projects/team/locations/us-central1"
JOBS = "/v1/projects/team/locations/us-central1/customJobs"


def exceptions() -> Any:
    return pytest.importorskip("google.api_core.exceptions")


def ask(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    request = urllib.request.Request(url, data=body, method=method, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=200) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null")


def test_nobody_comes_in_without_the_key(emulator: Any) -> None:
    wrong = [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {emulator.key}"}]
    for path in (JOBS, "/storage/v1/b", "/as/wrong/storage/v1/b", "/as/"):
        for headers in wrong:
            status, said = ask(emulator.url + path, headers=headers)
            assert status == 403
            assert said["error"]["status"] == "PERMISSION_DENIED"
            assert "key" in said["error"]["message"]
    with pytest.raises(exceptions().Forbidden, match="key"):
        emulator.job_client("wrong").list_custom_jobs(parent="projects/p/locations/l")
    with pytest.raises(exceptions().Forbidden):
        emulator.storage_client("wrong").get_bucket("team-bucket")


def test_nobody_comes_in_from_a_web_page_or_under_another_name(emulator: Any) -> None:
    key = {"Authorization": f"Bearer {emulator.key}"}
    assert ask(emulator.url + JOBS, headers=key)[0] == 200
    for other in ({"Origin": "http://example.com"}, {"Host": "example.com"}):
        assert ask(emulator.url + JOBS, headers={**key, **other})[0] == 403


def test_errors_have_the_shape_of_google_s(emulator: Any) -> None:
    key = {"Authorization": f"Bearer {emulator.key}"}
    status, said = ask(f"{emulator.url}{JOBS}/123", headers=key)
    assert status == 404
    assert said == {
        "error": {
            "code": 404,
            "message": "The CustomJob does not exist.",
            "status": "NOT_FOUND",
        }
    }


def test_the_operation_of_a_deletion_can_be_read_until_it_is_deleted(emulator: Any) -> None:
    key = {"Authorization": f"Bearer {emulator.key}"}
    place = "/v1/projects/operations-of/locations/us-central1"

    def call(path: str, method: str = "GET") -> tuple[int, Any]:
        return ask(f"{emulator.url}{path}", method, headers=key)

    deleted: list[Any] = []
    for number in range(2):
        pool = {
            "machineSpec": {"machineType": "n1-standard-4"},
            "replicaCount": "1",
            "containerSpec": {"imageUri": "gcr.io/team/x", "command": ["true"]},
        }
        job = {"displayName": f"job {number}", "jobSpec": {"workerPoolSpecs": [pool]}}
        _, created = ask(f"{emulator.url}{place}/customJobs", "POST", json.dumps(job).encode(), key)
        deleted.insert(0, call(f"/v1/{created['name']}", "DELETE")[1])
    newest, name = deleted[0], f"/v1/{deleted[0]['name']}"
    by_id = f"{place}/operations/{name.rpartition('/')[2]}"
    for path in (name, by_id):
        assert call(path) == call(f"{path}:wait", "POST") == (200, newest)
    assert call(f"{name}:cancel", "POST") == (200, {})
    assert call(f"{place}/operations") == (200, {"operations": deleted})
    _, first = call(f"{place}/operations?pageSize=1")
    assert first["operations"] == deleted[:1]
    token = first["nextPageToken"]
    rest = call(f"{place}/operations?pageSize=1&pageToken={token}")
    assert rest == (200, {"operations": deleted[1:]})
    assert call(f"{place}/operations?filter=done%3Dtrue")[0] == 501
    assert call(name, "DELETE") == (200, {})
    assert call(name)[0] == call(name, "DELETE")[0] == 404
    assert call(f"{place}/operations") == (200, {"operations": deleted[1:]})


def test_what_is_no_message_is_refused(emulator: Any) -> None:
    key = {"Authorization": f"Bearer {emulator.key}"}
    for body in (b"{", b'{"unknown": 1}', b'{"displayName": 3}', b"[]", b'"\xff"'):
        status, said = ask(emulator.url + JOBS, "POST", body, key)
        assert (status, said["error"]["status"]) == (400, "INVALID_ARGUMENT"), body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/projects/team/locations/us-central1/endpoints"),
        ("PATCH", f"{JOBS}/1"),
        ("POST", f"{JOBS}/1:resume"),
        ("GET", "/v1/projects/team"),
        ("GET", "/v1beta1/projects/team/locations/us-central1/endpoints"),
    ],
)
def test_what_the_emulator_has_not_is_told(emulator: Any, method: str, path: str) -> None:
    key = {"Authorization": f"Bearer {emulator.key}"}
    status, said = ask(emulator.url + path, method, headers=key)
    assert (status, said["error"]["status"]) == (501, "UNIMPLEMENTED")
    assert "create, get, list, cancel and delete" in said["error"]["message"]


def test_the_beta_version_has_the_same_jobs(emulator: Any) -> None:
    job_service: Any = import_google("google.cloud.aiplatform_v1beta1.services.job_service")
    from google.oauth2.credentials import Credentials

    client: Any = job_service.JobServiceClient(
        transport="rest",
        credentials=Credentials(token=emulator.key),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": emulator.url},
    )
    parent = "projects/team/locations/europe-west4"
    assert list(client.list_custom_jobs(parent=parent)) == []
    with pytest.raises(Exception, match=r"does not exist|not found"):
        client.get_custom_job(name=f"{parent}/customJobs/1")


def test_names_or_numbers_stand_for_enumerations_as_the_client_asks(emulator: Any) -> None:
    key = {"Authorization": f"Bearer {emulator.key}"}
    created = emulator.create_custom(emulator.container(""))
    emulator.ended(created.name)
    url = f"{emulator.url}/v1/{created.name}"
    assert ask(url, headers=key)[1]["state"] == "JOB_STATE_SUCCEEDED"
    assert ask(f"{url}?%24alt=json%3Benum-encoding%3Dint", headers=key)[1]["state"] == 4


def test_only_the_service_says_how_a_job_stands(emulator: Any) -> None:
    name = "projects/1/locations/us-central1/customJobs/1"
    job = emulator.create_custom(
        emulator.container(""), name=name, state="JOB_STATE_FAILED", error={"code": 3}
    )
    assert job.name != name
    assert job.state.name == "JOB_STATE_PENDING"
    assert not job.error.code


def test_the_storage_holds_objects_of_any_size(emulator: Any) -> None:
    large = bytes(range(256)) * 50_000  # more than is uploaded at once
    for name, content in (("small ü/ö.txt", b"few"), ("large.bin", large)):
        blob = emulator.bucket.blob(f"objects/{name}", chunk_size=5 * 2**20)
        blob.upload_from_string(content)
        assert blob.download_as_bytes() == content
        assert emulator.bucket.get_blob(blob.name).size == len(content)
    assert (
        emulator.bucket.blob("objects/large.bin").download_as_bytes(start=256, end=258) == b"\0\1\2"
    )
    names = [blob.name for blob in emulator.storage.list_blobs("team-bucket", prefix="objects/")]
    assert names == ["objects/large.bin", "objects/small ü/ö.txt"]
    emulator.bucket.delete_blobs(names)
    assert list(emulator.storage.list_blobs("team-bucket", prefix="objects/")) == []
    with pytest.raises(exceptions().NotFound):
        emulator.bucket.blob("objects/large.bin").download_as_bytes()
    with pytest.raises(exceptions().NotFound):
        emulator.storage.bucket("another").blob("x").upload_from_string("x")


@pytest.mark.parametrize("size", [3, 9 * 2**20])
def test_a_generation_that_must_match_is_heeded(emulator: Any, size: int) -> None:
    blob = emulator.bucket.blob(f"generations/{size}")
    blob.upload_from_string(b"1" * size, if_generation_match=0)
    with pytest.raises(exceptions().PreconditionFailed):
        blob.upload_from_string(b"2" * size, if_generation_match=0)
    first = emulator.bucket.get_blob(blob.name).generation
    blob.upload_from_string(b"3" * size, if_generation_match=first)
    with pytest.raises(exceptions().PreconditionFailed):
        emulator.bucket.blob(blob.name).delete(if_generation_match=first)
    assert blob.download_as_bytes() == b"3" * size


def test_only_what_the_service_has_is_answered(emulator: Any) -> None:
    blob = emulator.bucket.blob("kept")
    blob.upload_from_string("kept")
    key = {"Authorization": f"Bearer {emulator.key}"}
    for path in ("/wipe", "/"):
        assert ask(emulator.url + path, headers=key)[0] == 404
    assert blob.download_as_text() == "kept"


def test_it_ends_with_all_that_it_runs_when_it_is_told_to(start_emulator: Any) -> None:
    made = start_emulator()
    name = made.create_custom(
        made.container("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    ).name
    pid = made.printed_pid(name)
    assert made.end() == 0
    assert not made.runs(pid)


def test_its_scripts_end_when_it_is_killed_and_another_one_begins_anew(
    start_emulator: Any,
) -> None:
    made = start_emulator()
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    custom = made.create_custom(made.container(code)).name
    tuning = made.create(made.tuning(code, maxTrialCount=1, maxFailedTrialCount=1)).name
    (trial,) = made.until(lambda: made.get(tuning).trials, bool)
    pids = [made.printed_pid(name) for name in (custom, trial.custom_job)]
    made.process.kill()
    made.process.wait(200)
    for pid in pids:
        made.until(lambda pid=pid: made.runs(pid), False.__eq__)

    other = start_emulator("--folder", str(made.folder))  # as if nobody had been there
    assert other.key != made.key
    for name in (custom, tuning, trial.custom_job):
        with pytest.raises(exceptions().NotFound):
            other.get(name)
    assert list(other.jobs.list_custom_jobs(parent=PARENT)) == []
    assert other.run(other.tuning()).state.name == "JOB_STATE_SUCCEEDED"


def test_locations_and_projects_are_apart(emulator: Any) -> None:
    name = emulator.create_custom(emulator.container("")).name
    for project, location in (("team", "europe-west4"), ("other", "us-central1")):
        parent = f"projects/{project}/locations/{location}"
        assert list(emulator.jobs.list_custom_jobs(parent=parent)) == []
        with pytest.raises(exceptions().NotFound):
            emulator.get(f"{parent}/customJobs/{name.rpartition('/')[2]}")
    assert emulator.get(f"{PARENT}/customJobs/{name.rpartition('/')[2]}").name == name


def test_its_environment_alone_is_enough_for_the_storage(emulator: Any) -> None:
    emulator.bucket.blob("environment/one").upload_from_string("found")
    code = """
from google.cloud import storage
client = storage.Client(project="any")
print(client.bucket("team-bucket").blob("environment/one").download_as_text())
"""
    env = {"PATH": os.environ["PATH"], **emulator.address["environment"]}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "found\n"


def test_it_ends_while_tuning_jobs_start_their_trials(start_emulator: Any) -> None:
    made = start_emulator()
    for _ in range(3):
        made.create(made.tuning("import time; time.sleep(600)", parallelTrialCount=2))
    assert made.end() == 0


@pytest.mark.parametrize("location", ["us-esat-1", "..", "global"])
def test_unknown_locations_are_refused(emulator: Any, location: str) -> None:
    url = f"{emulator.url}/v1/projects/team/locations/{location}/customJobs"
    status, text = ask(url, headers={"Authorization": f"Bearer {emulator.key}"})
    assert (status, text["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert f"Location ID '{location}' is not supported" in text["error"]["message"]
