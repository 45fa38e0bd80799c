"""Requests that nobody means: each has an answer, and none is that the emulator failed."""

from __future__ import annotations

import copy
import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cloudtune.emulation.faults import FaultPlan
from cloudtune.emulator_kit.delays import Delays
from cloudtune.study.yaml_reader import is_list, is_map
from cloudtune_vertex.emulator.app import VertexApp
from cloudtune_vertex.emulator.mount import Mount
from cloudtune_vertex.emulator.script_jobs import CustomJobs
from cloudtune_vertex.emulator.storage import Storage
from cloudtune_vertex.emulator.tuner import Tuner

PARENT = "/v1/projects/team/locations/us-central1"
POOL = {
    "machineSpec": {
        "machineType": "n1-standard-4",
        "acceleratorType": "NVIDIA_TESLA_T4",
        "acceleratorCount": 1,
    },
    "replicaCount": "1",
    "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100},
    "containerSpec": {
        "imageUri": "europe-docker.pkg.dev/team/own/image:1",
        "command": ["python3"],
        "args": ["-V"],
        "env": [{"name": "A", "value": "b"}],
    },
}
SPEC: dict[str, Any] = {
    "workerPoolSpecs": [POOL],
    "scheduling": {"timeout": "60s", "strategy": "FLEX_START", "maxWaitDuration": "60s"},
    "baseOutputDirectory": {"outputUriPrefix": "gs://b/out"},
}
CUSTOM: dict[str, Any] = {"displayName": "job", "labels": {"a": "b"}, "jobSpec": SPEC}
NUMBER = {"parameterId": "n", "integerValueSpec": {"minValue": "1", "maxValue": "4"}}
SIZES = {
    "parameterId": "size",
    "discreteValueSpec": {"values": [1, 2, 4]},
    "scaleType": "UNIT_LINEAR_SCALE",
    "conditionalParameterSpecs": [
        {"parentDiscreteValues": {"values": [1, 2]}, "parameterSpec": NUMBER}
    ],
}
TUNING: dict[str, Any] = {
    "displayName": "job",
    "labels": {"a": "b"},
    "maxTrialCount": 2,
    "parallelTrialCount": 1,
    "maxFailedTrialCount": 1,
    "studySpec": {
        "metrics": [{"metricId": "loss", "goal": "MINIMIZE"}],
        "algorithm": "RANDOM_SEARCH",
        "measurementSelectionType": "BEST_MEASUREMENT",
        "medianAutomatedStoppingSpec": {"useElapsedDuration": True},
        "studyStoppingConfig": {
            "shouldStopAsap": True,
            "minNumTrials": 1,
            "maxDurationNoProgress": "60s",
            "maximumRuntimeConstraint": {"endTime": "2036-01-01T00:00:00.123456789Z"},
        },
        "parameters": [
            {"parameterId": "x", "doubleValueSpec": {"minValue": 0.5, "maxValue": 1}},
            {
                "parameterId": "kind",
                "categoricalValueSpec": {"values": ["a", "b"]},
                "conditionalParameterSpecs": [
                    {"parentCategoricalValues": {"values": ["a"]}, "parameterSpec": SIZES}
                ],
            },
        ],
    },
    "trialJobSpec": SPEC,
}

ODD: list[Any] = [
    *(None, True, 0, -1, 7, 99, 1.5, 1e-310, -1e308, 1e308, 2**31 - 1, 2**31, -(2**63), 2**63),
    *("", " ", "x", "a=b", "ü", "\0", "\u0345", "-5s", "315576000000s", "1e999", "NaN", "Infinity"),
    *("gs://", "gs:///", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9" * 500, "a" * 2000),
    *(
        [],
        {},
        [[]],
        [None],
        [1, 1],
        ["a", "a"],
        ["NaN"],
        [2 + 5e-11],
        [2.0, 2 + 5e-11, 4],
        {"x": 1},
    ),
    *({"values": []}, {"values": [1]}, {"values": ["1", "5"]}, {"values": ["a", "a"]}, [NUMBER]),
]
FILTERS = [
    *("display_name", "state", "create_time", "labels", "labels.a", "=", "!=", ":", "<", ">="),
    *("AND", "OR", "NOT", "(", ")", '"', '"x"', "*", "[", "-", ".", "\0", "ü", "2026-13-01"),
    *("0001-01-01T00:00:00+14:00", "JOB_STATE_FAILED", "a" * 300, "NOT " * 60, "(" * 60),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where something stands in plain data."""
    yield path
    if is_map(value):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif is_list(value):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def changed(job: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a job with something else in one place; as it is where there is no such place."""
    if not path:
        return value
    job = copy.deepcopy(job)
    inner = job
    for key in path[:-1]:
        try:
            inner = inner[key]
        except (KeyError, IndexError, TypeError):
            return job
    if is_map(inner) or (is_list(inner) and path[-1] in range(len(inner))):
        inner[path[-1]] = value
    return job


def odd_jobs(job: Any) -> st.SearchStrategy[Any]:
    """Return jobs that have something odd in up to three places."""
    change = st.tuples(st.sampled_from(list(places(job))), st.sampled_from(ODD))

    def with_all(changes: list[tuple[tuple[Any, ...], Any]]) -> Any:
        found = job
        for path, value in changes:
            found = changed(found, path, value)
        return found

    return st.lists(change, min_size=1, max_size=3).map(with_all)


def nothing(*_: object) -> None:
    """Do nothing."""


@pytest.fixture(scope="module")
def vertex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VertexApp]:
    """The emulator without a door; no job is started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tuner, "start", nothing)
        patch.setattr(CustomJobs, "launch", nothing)
        folder = tmp_path_factory.mktemp("odd")
        created = VertexApp(folder, Delays(), FaultPlan(), "http://127.0.0.1:1", "KEY")
        yield created
        created.close()


def answer(
    vertex: VertexApp, method: str, path: str, body: bytes = b"", query: str = "", **more: str
) -> tuple[int, bytes]:
    """Return the status and the body of an answer; what is raised would be a 500."""
    said: list[str] = []
    environ: Any = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "RAW_URI": quote(path) + (f"?{query}" if query else ""),
        "REQUEST_URI": quote(path),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **more,
    }

    def start(status: str, _headers: list[tuple[str, str]], *_: object) -> Any:
        said.append(status)

    content = b"".join(vertex(environ, start))
    return int(said[-1].split()[0]), content


MANY = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize(
    ("kind", "job"), [("hyperparameterTuningJobs", TUNING), ("customJobs", CUSTOM)]
)
def test_what_is_made_odd_is_right_itself(vertex: VertexApp, kind: str, job: Any) -> None:
    assert answer(vertex, "POST", f"{PARENT}/{kind}", json.dumps(job).encode())[0] == 200


KIND = ("studySpec", "parameters", 1)
SIZE = (*KIND, "conditionalParameterSpecs", 0, "parameterSpec", "conditionalParameterSpecs", 0)


@MANY
@given(job=odd_jobs(TUNING))
@example(job=changed(TUNING, (*KIND, "parameterId"), "a=b"))
@example(job=changed(TUNING, (*KIND, "categoricalValueSpec", "values"), ["a", "a"]))
@example(job=changed(TUNING, (*SIZE, "parentDiscreteValues", "values"), [2 + 5e-11]))
def test_odd_tuning_jobs(vertex: VertexApp, job: Any) -> None:
    path = f"{PARENT}/hyperparameterTuningJobs"
    status, said = answer(vertex, "POST", path, json.dumps(job).encode())
    assert status in {200, 400, 501}, said
    if status == 200:
        name = json.loads(said)["name"]
        assert answer(vertex, "GET", f"/v1/{name}")[0] == 200


@MANY
@given(job=odd_jobs(CUSTOM))
def test_odd_custom_jobs(vertex: VertexApp, job: Any) -> None:
    status, said = answer(vertex, "POST", f"{PARENT}/customJobs", json.dumps(job).encode())
    assert status in {200, 400}, said
    if status == 200:
        assert answer(vertex, "GET", f"/v1/{json.loads(said)['name']}")[0] == 200


def test_a_filter_may_be_long_where_it_is_not_deep(vertex: VertexApp) -> None:
    words = urlencode({"filter": " AND ".join(["(NOT state=x)"] * 200)})
    assert answer(vertex, "GET", f"{PARENT}/customJobs", query=words)[0] == 200


QUERIES = {
    "filter": st.lists(st.sampled_from(FILTERS), max_size=6).map(" ".join),
    "readMask": st.sampled_from(["foo", "foo.bar", "*", ",", ".", "name", "labels.x", "jobSpec.x"]),
    "pageToken": st.one_of(st.text(max_size=8), st.sampled_from(["LTE=", "MQ==", "=", "OTk5"])),
    "pageSize": st.sampled_from(["-1", "0", "1", "x", "1e3", str(10**30), "9" * 5000]),
    "$alt": st.sampled_from(["json;enum-encoding=int", "proto", "\0"]),
    "other": st.text(max_size=5),
}


@MANY
@example(query={"readMask": "foo.bar"})
@example(query={"filter": "(" * 2000})
@example(query={"filter": "NOT " * 2000})
@example(query={"pageSize": "-1"})
@given(query=st.fixed_dictionaries({}, optional=QUERIES))
def test_odd_queries(vertex: VertexApp, query: dict[str, str]) -> None:
    created = answer(vertex, "POST", f"{PARENT}/customJobs", json.dumps(CUSTOM).encode())
    assert created[0] == 200
    words = urlencode(query)
    status, said = answer(vertex, "GET", f"{PARENT}/customJobs", query=words)
    assert status in {200, 400}, said
    assert status == 400 or "-" not in query.get("pageSize", "")


PATHS = st.one_of(
    st.sampled_from(
        [
            *("v1", "projects", "p", "locations", "l", "customJobs", "1", "1:cancel", ":", "x"),
            *("storage", "upload", "download", "b", "o", "team", "as", "KEY", "..", "batch", ""),
            *("rewriteTo", "compose", "acl", "hyperparameterTuningJobs", "\n", "ü"),
        ]
    ),
    st.text(max_size=3),
)
REQUESTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "X"]),
        "path": st.lists(PATHS, max_size=8).map(lambda parts: "/" + "/".join(parts)),
        "body": st.sampled_from(
            [b"", b"{", b"[]", b"{}", b"null", b'{"name": 3}', b"\xff", b"[" * 9999]
        ),
        "query": st.sampled_from(
            [
                *("", "ifGenerationMatch=x", "uploadType=media&name=x", "upload_id=1"),
                "uploadType=multipart&ifGenerationMatch=0",
            ]
        ),
        "CONTENT_TYPE": st.sampled_from(
            [
                *("", "application/json", "text/plain", "multipart/related", "multipart/mixed"),
                "multipart/related; boundary=x",
            ]
        ),
    }
)


@MANY
@given(request=REQUESTS)
def test_odd_paths(vertex: VertexApp, request: dict[str, Any]) -> None:
    status, said = answer(vertex, **request)
    assert status != 500, said


class Vanishing(Storage):
    """A storage in which each object is deleted as soon as it was listed."""

    def generations(self) -> dict[tuple[str, str], str]:
        return {("bucket", "gone"): "1"}

    def buckets(self) -> list[str]:
        return ["bucket"]


def test_an_object_may_be_deleted_while_it_is_looked_at(tmp_path: Path) -> None:
    mount = Mount(tmp_path / "gcs", Vanishing("http://127.0.0.1:1"))
    assert mount.synchronize()
    assert not list((mount.folder / "bucket").iterdir())


@pytest.mark.parametrize("path", ["/storage/v1/b", f"{PARENT}/customJobs"])
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Content-Length: x", b"{}"),
        ("Content-Length: -1", b"{}"),
        ("Content-Length: 2\r\nContent-Type: application/json\r\nContent-Encoding: gzip", b"{}"),
        ("Transfer-Encoding: chunked", b"zz\r\n{}\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n"),
        ("Content-Type: \xff\xfe", b""),
    ],
)
def test_odd_bodies_on_the_wire(emulator: Any, path: str, headers: str, body: bytes) -> None:
    port = int(emulator.url.rpartition(":")[2])
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {emulator.key}"
    with socket.create_connection(("127.0.0.1", port), timeout=200) as connection:
        connection.sendall(f"{head}\r\n{headers}\r\n\r\n".encode("latin-1") + body)
        said = connection.recv(65536)
    assert said.startswith(b"HTTP/1.1 400 "), said
