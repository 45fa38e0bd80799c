"""Tokens and requests stay at Google when a server redirects a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.oauth2.credentials import Credentials

from cloudtune_vertex.client import Google
from cloudtune_vertex.errors import GoogleError
from tests.redirecting_server import RedirectingServer

JOB = "projects/my-project/locations/us-central1/customJobs/17"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedirectingServer]:
    with RedirectingServer(tmp_path).serving() as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.certificate))
        yield server


def google(server: RedirectingServer, monkeypatch: pytest.MonkeyPatch, token: str | None) -> Google:
    """Return a client as without an emulator, whose services have the server's address."""
    url = server.url
    credentials = Credentials(  # type: ignore[no-untyped-call]
        token=token,
        refresh_token="very-secret-refresh-token",
        token_uri=f"{url}/token",
        client_id="me",
        client_secret="very-secret-client-secret",
    )

    def default(**_: object) -> tuple[Credentials, str]:
        return credentials, "my-project"

    def client_options(*_: object) -> dict[str, str]:
        return {"api_endpoint": url}

    monkeypatch.setattr("google.auth.default", default)
    monkeypatch.setattr(Google, "_client_options", client_options)
    return Google("my-project", "us-central1")


def create(google: Google, _: Path) -> None:
    google.create({"parent": JOB.partition("/customJobs")[0], "customJob": {"displayName": "j"}})


def write(google: Google, folder: Path) -> None:
    (folder / "code.tar.gz").write_bytes(b"very secret code")
    google.write("bucket", "code.tar.gz", folder / "code.tar.gz")


CALLS: list[Callable[[Google, Path], Any]] = [
    create,
    lambda google, _: google.get(JOB),
    lambda google, _: google.read("bucket", "name", 0),
    write,
]


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("token", ["very-secret-token", None])
def test_nothing_is_sent_to_another_address(
    server: RedirectingServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    token: str | None,
    status: int,
) -> None:
    server.status = status
    for call in CALLS:
        server.requests.clear()
        with pytest.raises(GoogleError, match="same host over TLS") as error:
            call(google(server, monkeypatch, token), tmp_path)
        assert server.requests
        assert server.leaked == []
        assert not error.value.retryable
