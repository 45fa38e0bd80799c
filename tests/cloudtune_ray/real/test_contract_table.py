"""The calls that cloudtune makes: the emulator and a real Ray answer alike."""

from __future__ import annotations

import io
import json
import secrets
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudtune.study.schema import Json
from tests.emulator_server import Served, starting


@dataclass
class Api:
    """The REST API of a cluster."""

    url: str
    token: str

    def call(
        self, method: str, path: str, content: Any = None, token: str | None = None
    ) -> tuple[int, str]:
        """Return the status and the body of the answer to a call."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        request = urllib.request.Request(
            self.url + path, data=None if content is None else body, method=method
        )
        shown = self.token if token is None else token
        if shown:
            request.add_header("Authorization", f"Bearer {shown}")
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=200) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def json(self, path: str) -> Any:
        status, text = self.call("GET", path)
        assert status == 200, text
        return json.loads(text)

    def wait(self, job: str, *states: str) -> Json:
        deadline = time.monotonic() + 300
        details: Json = self.json(f"/api/jobs/{job}")
        while details["status"] not in states:
            assert time.monotonic() < deadline, details
            time.sleep(0.2)
            details = self.json(f"/api/jobs/{job}")
        return details


class Emulated(Served):
    def __init__(self, folder: Path, *words: str) -> None:
        super().__init__("cloudtune_ray.emulator", folder, *words)


@pytest.fixture(params=["emulator", pytest.param("real", marks=pytest.mark.slow)], scope="module")
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    if request.param == "real":
        cluster = request.getfixturevalue("ray_cluster")
        yield Api(cluster.url, cluster.token)
        return
    for start in starting(Emulated, tmp_path_factory.mktemp("ray")):
        emulator = start()
        yield Api(emulator.url, emulator.key)


@pytest.fixture(scope="module")
def package(api: Api) -> str:
    return put(api, {"go.py": "import sys; print('hello', sys.argv[1:])", "inner/a.txt": "a"})


def put(api: Api, files: dict[str, str]) -> str:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        packed.writestr("unique.txt", secrets.token_hex(8))
        for name, text in files.items():
            packed.writestr(name, text)
    name = f"_ray_pkg_{secrets.token_hex(16)}.zip"
    path = f"/api/packages/gcs/{name}"
    status, text = api.call("GET", path)
    assert (status, text) == (404, f"Package gcs://{name} does not exist")
    assert api.call("PUT", path, content.getvalue())[0] == 200
    assert api.call("GET", path) == (200, "")
    return f"gcs://{name}"


def submit(api: Api, package: str, entrypoint: str, **more: Any) -> str:
    name = f"job-{secrets.token_hex(6)}"
    environment = {"working_dir": package, "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "60"}}
    job = {
        "submission_id": name,
        "entrypoint": entrypoint,
        "runtime_env": environment,
        "entrypoint_num_cpus": 1,
        "metadata": {"k": "v"},
        **more,
    }
    status, text = api.call("POST", "/api/jobs/", job)
    assert (status, json.loads(text)) == (200, {"job_id": name, "submission_id": name})
    return name


def test_the_version_is_that_of_the_emulated_ray(api: Api) -> None:
    version = api.json("/api/version")
    assert {"version", "ray_version", "ray_commit", "session_name"} <= version.keys()
    assert version["version"] == "4"


@pytest.mark.parametrize(
    ("token", "status", "text"),
    [
        ("", 401, "Unauthorized: Missing authentication token"),
        ("wrong", 403, "Forbidden: Invalid authentication token"),
    ],
)
def test_a_token_is_required(api: Api, token: str, status: int, text: str) -> None:
    assert api.call("GET", "/api/version", token=token) == (status, text)


def test_a_job_runs_and_its_files_can_be_read(api: Api, package: str) -> None:
    job = submit(api, package, "exec python go.py 'a b' \"$HOME\"; echo no")
    details = api.wait(job, "SUCCEEDED")
    assert details["submission_id"] == job
    assert details["type"] == "SUBMISSION"
    assert details["metadata"] == {"k": "v"}
    assert details["error_type"] is None
    assert details["runtime_env"]["env_vars"] == {"RAY_JOB_STOP_WAIT_TIME_S": "60"}
    assert 0 < details["start_time"] <= details["end_time"]
    assert details["driver_exit_code"] == 0
    log = json.loads(api.call("GET", f"/api/jobs/{job}/logs")[1])["logs"]
    assert f"Running entrypoint for job {job}: exec python go.py" in log
    assert "hello ['a b', '/" in log
    node = details["driver_node_id"]
    query = f"/api/v0/logs/file?node_id={node}&filename=job-driver-{job}.log&lines=1"
    status, text = api.call("GET", query)
    assert status == 200
    # Ray writes its own line before it starts the process, and flushes it afterwards.
    assert text in (log.splitlines(keepends=True)[-1], log.splitlines()[-1])
    assert text.startswith(("hello", "Running entrypoint"))
    assert {each["submission_id"] for each in api.json("/api/jobs/")} >= {job}
    nodes = api.json("/api/v0/nodes")["data"]["result"]["result"]
    (own,) = [each for each in nodes if each["node_id"] == node]
    assert own["state"] == "ALIVE"
    assert own["resources_total"]["CPU"] >= 1
    assert not own["is_head_node"]


def test_missing_files_and_nodes(api: Api, package: str) -> None:
    job = submit(api, package, "python go.py")
    node = api.wait(job, "SUCCEEDED")["driver_node_id"]
    path = f"/api/v0/logs/file?node_id={node}&filename=none&lines=1"
    # Ray 2.60.0 answers with an empty file at times, which the client takes as none.
    answers = (api.call("GET", path) for _ in range(20))
    status, text = next(answer for answer in answers if answer != (200, ""))
    assert (status, text[:22]) == (500, "A file is not found at")
    unknown = "0" * 56
    status, text = api.call("GET", f"/api/v0/logs/file?node_id={unknown}&filename=none&lines=1")
    assert (status, "Agent for node id" in text) == (500, True)


def test_a_second_job_of_the_same_name_is_refused(api: Api, package: str) -> None:
    job = submit(api, package, "python go.py")
    again = {"submission_id": job, "entrypoint": "true", "entrypoint_num_cpus": 1}
    status, text = api.call("POST", "/api/jobs/", again)
    assert status == 500
    assert "Request failed with status code 400" in text
    assert f"Job with submission_id {job} already exists" in text
    api.wait(job, "SUCCEEDED")


@pytest.mark.parametrize(
    "wrong",
    [
        {"entrypoint": "true", "entrypoint_cpus": 1},
        {"submission_id": "x"},
        {"entrypoint": 1},
        {"entrypoint": "true", "metadata": {"a": 1}},
        {"entrypoint": "true", "entrypoint_memory": "1"},
        {"entrypoint": "true", "entrypoint_num_cpus": "1"},
    ],
)
def test_a_wrong_request_is_refused(api: Api, wrong: Json) -> None:
    status, text = api.call("POST", "/api/jobs/", wrong)
    assert (status, "TypeError" in text) == (400, True)


def test_a_failing_command(api: Api, package: str) -> None:
    job = submit(api, package, "echo alas; exit 3")
    details = api.wait(job, "FAILED")
    assert details["error_type"] == "JOB_ENTRYPOINT_COMMAND_ERROR"
    assert details["driver_exit_code"] == 3
    assert "failed with exit code 3" in details["message"]
    assert "alas" in details["message"]


def test_a_package_that_is_gone(api: Api) -> None:
    missing = f"gcs://_ray_pkg_{secrets.token_hex(16)}.zip"
    details = api.wait(submit(api, missing, "true"), "FAILED")
    assert details["error_type"] == "RUNTIME_ENV_SETUP_FAILURE"
    assert "Failed to download runtime_env file package" in details["message"]
    assert missing in details["message"]


def test_a_node_without_a_label_matches_what_is_negated(api: Api, package: str) -> None:
    labels = {"zone": "!a", "disk": "!in(b, c)"}
    job = submit(api, package, "true", entrypoint_label_selector=labels)
    assert api.wait(job, "SUCCEEDED", "FAILED")["status"] == "SUCCEEDED"


STOPPED = """\
import os, signal, subprocess, sys, time
if len(sys.argv) == 1:
    child = subprocess.Popen([sys.executable, __file__, "child"])
name = "child" if len(sys.argv) > 1 else "parent"
def stop(*_):
    os.write(1, f"{name} has a signal".encode() + bytes([10]))  # both write to the log
    time.sleep(4)
    os.write(1, f"{name} has saved".encode() + bytes([10]))
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
print(name, "runs", flush=True)
while True:
    time.sleep(0.1)
"""


def test_a_stop_signals_all_processes_and_waits(api: Api) -> None:
    job = submit(api, put(api, {"stop.py": STOPPED}), "exec python stop.py")
    api.wait(job, "RUNNING")

    def log() -> str:
        return str(json.loads(api.call("GET", f"/api/jobs/{job}/logs")[1])["logs"])

    deadline = time.monotonic() + 300
    while not ("parent runs" in log() and "child runs" in log()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    status, text = api.call("DELETE", f"/api/jobs/{job}")
    assert (status, "non-terminal state" in text) == (500, True)
    assert api.call("POST", f"/api/jobs/{job}/stop")[1] == '{"stopped": true}'
    api.wait(job, "STOPPED")
    for name in ("parent", "child"):
        assert f"{name} has a signal" in log()
        assert f"{name} has saved" in log()
    assert api.call("POST", f"/api/jobs/{job}/stop") == (200, '{"stopped": false}')
    assert api.call("DELETE", f"/api/jobs/{job}") == (200, '{"deleted": true}')
    for method, path in (("GET", ""), ("POST", "/stop"), ("DELETE", ""), ("GET", "/logs")):
        status, text = api.call(method, f"/api/jobs/{job}{path}")
        assert (status, text) == (404, f"Job {job} does not exist")


def test_jobs_of_a_node_share_the_folder_of_a_package(api: Api, package: str) -> None:
    """Therefore a trial copies the code; and the log folder is found from there."""
    job = submit(api, package, "pwd; ls")
    api.wait(job, "SUCCEEDED")
    log = json.loads(api.call("GET", f"/api/jobs/{job}/logs")[1])["logs"]
    assert "/runtime_resources/working_dir_files/_ray_pkg_" in log
    assert {"go.py", "inner"} <= set(log.splitlines())
