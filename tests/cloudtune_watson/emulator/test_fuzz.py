"""No request is answered with 500: an error of the emulator's own would be raised here."""

from __future__ import annotations

import copy
import io
import json
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from cloudtune.study.yaml_reader import is_list, is_map
from cloudtune_watson.emulator.operations import OPERATIONS

if TYPE_CHECKING:
    from tests.cloudtune_watson.emulator.conftest import Cluster

ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**70, -(2**63), 1e300, 5e-324, "", " ", "x" * 10_000, "../.."),
    *("é\u2028", "\0", "\ud800", "%", "'", "$(id)", "NaN", "-1"),
    *([], [[]], [None], {}, {"": None}, {"a": {}}),
)
BODIES = (b"", b"\xff\xfe", b"{", b"null", b"5", b"[]", b'"x"', b"[" * 100_000, b"9" * 5_000)
PATHS = ("x", "%00", "%ff", "..", "a%2F..%2Fb", "%", "x" * 400, "é", "algorithm")
QUERIES = (
    *("", "version=2024-01-01&space_id=space-1", "space_id=a&project_id=b", "space_id=%00"),
    *("version=x", "space_id=" + "x" * 500, "version=2024-01-01&space_id=s&limit=0"),
    *("version=2024-01-01&space_id=s&limit=%C2%B2&start=%D9%A3", "space_id=x&x=%"),
    *("version=2024-01-01&space_id=s&start=-1", "space_id=s&flat=true&flat"),
    "version=2024-01-01&space_id=s&start=99999999999999999999",
)


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in a document."""
    yield path
    if is_map(document):
        for name, value in document.items():
            yield from places(value, (*path, name))
    elif is_list(document):
        for index, value in enumerate(document):
            yield from places(value, (*path, index))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a document with another value in one place."""
    if not path:
        return value
    created = copy.deepcopy(document)
    inner = created
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    return created


def text_of(document: Any) -> str:
    return json.dumps(document)


def fine(cluster: Cluster, method: str, path: str, **more: Any) -> int:
    answer = cluster.client.open(path, method=method, **more)
    body = answer.get_data()
    if answer.status_code >= 400 and method != "HEAD":
        error = json.loads(body)
        assert error["status_code"] == answer.status_code
        assert error["errors"]
        assert error["trace"]
    assert answer.status_code != 500
    return answer.status_code


@pytest.mark.slow
def test_no_path_query_or_body_breaks_an_operation(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster()
    seen: set[int] = set()
    for operation in OPERATIONS.values():
        shape = operation.pattern.pattern.replace("(?:/v2)?", "").replace("/?", "")
        for number, index in enumerate(PATHS):
            parts = shape.split("(?P<")
            path = parts[0] + "".join(index + part.partition(")")[2] for part in parts[1:])
            for body in (BODIES[number % len(BODIES)], b"{}"):
                query = QUERIES[(number + len(body)) % len(QUERIES)]
                for kind in ("application/json", "multipart/form-data; boundary=x", ""):
                    found = fine(
                        cluster,
                        operation.method,
                        path,
                        query_string=query,
                        data=body,
                        content_type=kind,
                    )
                    seen.add(found)
    assert {200, 400, 404} <= seen


def test_no_training_that_is_a_little_wrong_breaks_it(cluster: Cluster) -> None:
    definition = cluster.definition("pass")
    data = {"type": "fs", "location": {"path": "nowhere"}, "connection": {}}
    request = cluster.training(
        definition,
        description="d",
        tags=["a"],
        training_data_references=[data],
        model_definition={"id": "gone", "command": "train.py", "parameters": {}, "model_type": "m"},
    )
    check_all(
        request,
        lambda body: fine(
            cluster,
            "POST",
            "/ml/v4/trainings?version=2024-01-01",
            data=body,
            content_type="application/json",
        ),
    )


@pytest.mark.slow
def test_no_search_that_is_a_little_wrong_breaks_it(cluster: Cluster) -> None:
    ranged = {
        "name": "x",
        "type": "Range",
        "dataType": "DOUBLE",
        "minDbVal": 0.5,
        "maxDbVal": 2,
        "power": "10",
        "step": "0.1",
    }
    whole = {
        "name": "k",
        "type": "Range",
        "dataType": "INT",
        "minIntVal": 1,
        "maxIntVal": 7,
        "power": "2",
    }
    words = {"name": "w", "type": "Discrete", "dataType": "STR", "discreateStrVal": ["a", "b"]}
    search = cluster.search(
        ranged,
        whole,
        words,
        additionalMetrics={"acc": "latest"},
        algoParams=[{"name": "RandomSeed", "value": "1"}],
        maxRunTime=1,
    )
    resource = [
        {"name": "ResourceName", "value": "epochs"},
        {"name": "ResourceValue", "value": "9"},
        {"name": "eta", "value": "3"},
    ]
    hyperband = cluster.search(ranged, algorithm="Hyperband", algoParams=resource)
    experiment = {"id": 1, "hyperParams": [{"name": "x", "dataType": "INT", "fixedVal": 1}]}
    grid = cluster.search(
        algorithm="ExperimentGridSearch", hyperParams=None, experiments=[experiment]
    )

    def submit(body: str) -> int:
        form = {"file": (io.BytesIO(b"no archive"), "m.modelDir.tar"), "data": body}
        path = f"{cluster.wmla}/hypersearch"
        return fine(cluster, "POST", path, data=form)

    for document in (search, hyperband, grid):
        check_all(document, submit)


def check_all(document: Any, ask: Callable[[str], int]) -> None:
    """Ask with each value of a document replaced by odd ones, one after the other."""
    chance = random.Random(7)
    for path in places(document):
        for value in chance.sample(ODD, 12):
            status = ask(text_of(changed(document, path, value)))
            assert status in {400, 404, 409, 501}, (path, value, status)


def test_no_asset_that_is_a_little_wrong_breaks_it(cluster: Cluster) -> None:
    asset = {
        "metadata": {"name": "n", "asset_type": "wml_model_definition", "tags": ["t"]},
        "entity": {"wml_model_definition": {"command": "train.py"}},
    }
    query = {"query": "asset.name:x", "limit": 5, "include": "entity", "bookmark": 0}
    for path, document in (
        ("/v2/assets", asset),
        ("/v2/asset_types/wml_model_definition/search", query),
    ):
        for index in places(document):
            for value in ODD:
                fine(
                    cluster,
                    "POST",
                    f"{path}?space_id=s",
                    data=text_of(changed(document, index, value)),
                    content_type="application/json",
                )
