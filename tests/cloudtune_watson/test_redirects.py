"""The key stays at the cluster when its server redirects a request."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.provider import retries
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.http import Connection, HttpClient
from cloudtune_watson.jobs.client import RuntimeClient
from cloudtune_watson.wml.client import NEWER, WmlClient
from cloudtune_watson.wmla.client import WmlaClient
from tests.redirecting_server import RedirectingServer

KEY = "very-secret-key"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedirectingServer]:
    with RedirectingServer(tmp_path).serving() as server:
        yield server


def http_client(server: RedirectingServer, *, emulated: bool = False) -> HttpClient:
    return HttpClient(Connection(server.url, "me", KEY, server.certificate, emulated=emulated))


def facts(server: RedirectingServer, version: str) -> Mapping[str, Any]:
    addresses = dict.fromkeys(("sign_in_url", "platform_url", "iam_url"), server.url)
    is_cloud = version == "cloud"
    return {**addresses, "version": version, "space_id": "my-space", "is_cloud": is_cloud}


def list_trainings(http: HttpClient, facts: Mapping[str, Any]) -> None:
    if importlib.util.find_spec(NEWER) is None:
        pytest.skip("IBM's package is not installed")
    WmlClient(http, facts).list_by_tag("cloudtune")


def read_search(http: HttpClient, facts: Mapping[str, Any]) -> None:
    WmlaClient(http, facts).get("my-search")


def list_deployments(http: HttpClient, facts: Mapping[str, Any]) -> None:
    RuntimeClient(http, facts).list_deployments("name")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("call", "version"),
    [
        (list_trainings, "5.1"),
        (list_deployments, "5.1"),
        (list_deployments, "cloud"),
        (read_search, "5.1"),
        (read_search, "3.5"),
        (read_search, "standalone"),
    ],
)
@pytest.mark.parametrize("emulated", [False, True])
def test_the_key_is_not_sent_to_another_address(
    server: RedirectingServer,
    call: Callable[[HttpClient, Mapping[str, Any]], None],
    version: str,
    status: int,
    emulated: bool,
) -> None:
    server.status = status
    with pytest.raises(
        WatsonError, match=r"redirects to http://127\.0\.0\.1, .*same host"
    ) as error:
        call(http_client(server, emulated=emulated), facts(server, version))
    assert server.requests
    assert server.leaked == []
    assert error.value.affects_all_calls
    assert not error.value.retryable


def test_a_token_is_not_sent_to_another_address(server: RedirectingServer) -> None:
    with pytest.raises(WatsonError, match="same host"):
        http_client(server).get(f"{server.url}/search", headers={"X-Auth-Token": KEY})
    assert server.leaked == []


def test_another_host_with_tls_is_refused_and_the_same_host_is_followed(
    server: RedirectingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "RETRY_SECONDS", 0.1)
    server.target = server.url.replace("127.0.0.1", "localhost")
    with pytest.raises(WatsonError, match="redirects to https://localhost"):
        http_client(server).get(f"{server.url}/search")
    assert len(server.requests) == 1
    server.target = server.url
    with pytest.raises(WatsonError, match="redirects"):  # in a circle
        http_client(server).get(f"{server.url}/search")
    assert len(server.requests) > 10
