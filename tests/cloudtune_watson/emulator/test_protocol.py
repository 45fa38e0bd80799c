"""The door: who shows the key and how, and what is open."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import EnvironBuilder

from cloudtune_watson.emulator import keys
from cloudtune_watson.emulator.keys import Keys

if TYPE_CHECKING:
    from tests.cloudtune_watson.emulator.conftest import Cluster

KEY = "the-key"
TRAININGS = "/ml/v4/trainings"


def of(path: str = TRAININGS, method: str = "GET", **more: Any) -> str | None:
    return Keys(KEY).find(EnvironBuilder(path, method=method, **more).get_environ())


def basic(password: str) -> str:
    return base64.b64encode(f"me:{password}".encode()).decode()


def test_a_token_shows_the_key_until_it_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    token = Keys(KEY).token("me")
    assert of(headers={"Authorization": f"Bearer {token}"}) == KEY
    assert of(headers={"X-Auth-Token": token}) == KEY
    claims = json.loads(base64.b64decode(token.split(".")[1] + "==="))
    assert claims["exp"] - time.time() == pytest.approx(keys.TOKEN_SECONDS, abs=60)
    assert claims["username"] == "me"
    other = Keys("other").token("me")
    assert of(headers={"Authorization": f"Bearer {other}"}) is None
    monkeypatch.setattr(time, "time", lambda: claims["exp"] + 1)
    assert of(headers={"Authorization": f"Bearer {token}"}) is None


def test_the_key_may_be_shown_in_other_ways() -> None:
    assert of(headers={"Authorization": f"Basic {basic(KEY)}"}) == KEY
    assert of(headers={"Authorization": f"ZenApiKey {basic(KEY)}"}) == KEY
    assert of(headers={"Authorization": f"Bearer {KEY}"}) == KEY
    assert of("/icp4d-api/v1/authorize", "POST", json={"username": "me", "api_key": KEY}) == KEY
    assert of("/icp4d-api/v1/authorize", "POST", json={"username": "me", "password": KEY}) == KEY


@pytest.mark.parametrize("path", ["/ml/wml_services/version", "/ml/wml_services/v2/version"])
def test_versions_are_told_before_anybody_signs_in(path: str) -> None:
    assert of(path) == KEY
    assert of(path, "POST") is None
    assert of(f"{path}/x") is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"no colon").decode()},
        {"Authorization": "Digest x"},
        {"Authorization": "Bearer a.b.c"},
    ],
)
def test_whoever_shows_nothing_has_no_key(headers: dict[str, str]) -> None:
    assert of(headers=headers) is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"api_key": 5}', b"[" * 60_000, b"\xff"])
def test_signing_in_with_nonsense_shows_no_key(body: bytes) -> None:
    assert of("/icp4d-api/v1/authorize", "POST", data=body) is None


def test_a_cluster_tells_of_itself(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = {"username": "me", "api_key": KEY}
    status, body = cluster.ask("POST", "/icp4d-api/v1/authorize", json=credentials)
    assert (status, body["token"].count(".")) == (200, 2)
    assert cluster.ask("GET", "/auth/v1/logon")[1]["accessToken"].count(".") == 2
    assert cluster.ask("GET", "/ml/wml_services/v2/version") == (200, {"version": "5.0.0"})
    monkeypatch.setenv("CLOUDTUNE_WATSON_VERSION", "4.8.2")
    assert cluster.ask("GET", "/ml/wml_services/version") == (200, {"version": "4.8.2"})
    status, body = cluster.ask("GET", "/v2/spaces/my-space")
    assert (status, body["metadata"]["id"]) == (200, "my-space")
    assert body["entity"]["status"]["state"] == "active"
    assert cluster.ask("GET", "/v2/spaces", {"limit": "1"})[1]["limit"] == 1
    status, body = cluster.ask("GET", "/v2/projects/p-1")
    assert (status, body["entity"]["storage"]["type"]) == (200, "assetfiles")
    assert cluster.ask("GET", "/v2/spaces/%20")[0] == 404


def test_what_is_not_here_is_said(cluster: Cluster) -> None:
    for method, path in (("GET", "/v4/deployments"), ("PATCH", "/ml/v4/trainings"), ("GET", "/")):
        status, body = cluster.ask(method, path)
        assert (status, body["errors"][0]["code"]) == (501, "not_implemented")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The address of an emulator that is a process of its own."""
    folder = tmp_path_factory.mktemp("served")
    command = [sys.executable, "-m", "cloudtune_watson.emulator", "--folder", str(folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())
        finally:
            server.terminate()
            assert server.wait(200) == 0


def asked(served: dict[str, Any], path: str, **headers: str) -> tuple[int, Any]:
    trusted = ssl.create_default_context(cafile=served["certificate"])
    host = served["url"].removeprefix("https://")
    connection = http.client.HTTPSConnection(host, timeout=200, context=trusted)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_every_request_but_for_versions_needs_the_key(served: dict[str, Any]) -> None:
    assert asked(served, "/ml/wml_services/v2/version") == (200, {"version": "5.0.0"})
    for path in ("/ml/v4/trainings", "/v2/spaces", "/nowhere", "/v2/asset_files/x?signature=x"):
        status, body = asked(served, path)
        assert (status, body["status_code"]) == (401, 401)
        assert body["errors"][0]["code"] == "authentication_token_not_valid"
    status, body = asked(served, "/auth/v1/logon", Authorization=f"Basic {basic(served['key'])}")
    assert status == 200
    assert asked(served, "/v2/spaces", Authorization=f"Bearer {body['accessToken']}")[0] == 200
    page = {"Authorization": f"Bearer {served['key']}", "Origin": "https://page.example"}
    assert asked(served, "/v2/spaces", **page)[0] == 401


def test_its_variables_lead_to_it(served: dict[str, Any]) -> None:
    variables = served["environment"]
    assert variables["WATSON_EMULATOR_URL"] == served["url"]
    assert variables["WATSON_EMULATOR_KEY"] == served["key"]
    for name in ("WX_CLIENT_VERIFY_REQUESTS", "WML_CLIENT_VERIFY_REQUESTS"):
        assert variables[name] == served["certificate"]
