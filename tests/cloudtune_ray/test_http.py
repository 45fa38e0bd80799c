"""The HTTP client: redirects, certificates, and what errors mean."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme

from cloudtune.errors import EmulatorEndedError
from cloudtune_ray import client
from cloudtune_ray.client import RayClient
from cloudtune_ray.errors import RayError, service_error
from cloudtune_ray.http import Connection, HttpClient


class Handler(BaseHTTPRequestHandler):
    tokens: list[str]

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    def do_GET(self) -> None:
        self.tokens.append(self.headers.get("Authorization", ""))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/other")
        else:
            self.send_response(200)
        body = b"<html>" if self.path == "/page" else b'{"a": 1}'
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    Handler.tokens = []
    with HTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def address(server: HTTPServer, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.server_port}"


def test_the_token_is_sent_and_redirects_are_not_followed(server: HTTPServer) -> None:
    client = HttpClient(Connection(address(server), "t0ken"))
    assert client.get("/x") == {"a": 1}
    with pytest.raises(RayError, match=r"redirected to /other: check providers.ray.address") as e:
        client.get("/moved")
    assert e.value.affects_all_calls
    assert Handler.tokens == ["Bearer t0ken"] * 2


def test_an_answer_that_is_no_json(server: HTTPServer) -> None:
    with pytest.raises(RayError, match=r"not JSON: check providers.ray.address"):
        HttpClient(Connection(address(server))).get("/page")


def test_certificates_are_verified(server: HTTPServer, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued: Any = authority.issue_cert("127.0.0.1")  # untyped without pyOpenSSL
    issued.configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    certificate = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(certificate))
    url = address(server, "https")
    assert HttpClient(Connection(url, "t", certificate)).get("/x") == {"a": 1}
    with pytest.raises(RayError, match=r"set providers.ray.certificate") as caught:
        HttpClient(Connection(url, "t")).get("/x")
    assert caught.value.affects_all_calls
    assert Handler.tokens == ["Bearer t"]


def test_a_certificate_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RayError, match="cannot read the certificate"):
        HttpClient(Connection("https://127.0.0.1:9", "", tmp_path / "none.pem"))


def test_a_cluster_that_is_gone_is_tried_again_and_an_emulator_is_not() -> None:
    with pytest.raises(RayError) as caught:
        HttpClient(Connection("http://127.0.0.1:9")).get("/x")
    assert caught.value.retryable
    with pytest.raises(EmulatorEndedError):
        HttpClient(Connection("http://127.0.0.1:9", emulated=True)).get("/x")


AGENT = """Traceback (most recent call last):
RuntimeError: Request failed with status code 400: Traceback (most recent call last):
ValueError: Job with submission_id j1 already exists. Please use a different submission_id.
.
"""


def test_the_refusal_of_an_agent_is_not_transient() -> None:
    error = service_error("POST /api/jobs/", 500, AGENT)
    assert (error.code, error.exists, error.retryable) == (400, True, False)
    assert "already exists" in str(error)


@pytest.mark.parametrize(
    ("code", "retryable", "all_calls"),
    [
        *((code, True, False) for code in (429, 500, 503)),
        *((code, False, False) for code in (400, 404)),
        *((code, False, True) for code in (401, 403)),
    ],
)
def test_errors_by_status(code: int, retryable: bool, all_calls: bool) -> None:
    error = service_error("GET /api/version", code, "No available agent to submit job")
    assert (error.retryable, error.affects_all_calls) == (retryable, all_calls)
    assert f"[{code}]" in str(error)


@pytest.mark.parametrize(("lines", "shown"), [(5, 5), (90, 90), (91, 10), (5000, 10)])
def test_the_end_of_a_long_log_is_shown(
    lines: int, shown: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_LOG_LINES", 1000)
    monkeypatch.setattr(client, "MAX_LOG_BYTES", 901)

    class Node(HttpClient):
        def get(self, path: str) -> Any:
            return {"driver_node_id": "n"}

        def send(
            self,
            method: str,
            path: str,
            body: bytes | None = None,
            content_type: str = "",
            max_bytes: int = 0,
        ) -> bytes:
            (count,) = parse_qs(path)["lines"]
            log = [f"{number:9}\n" for number in range(lines)]
            return "".join(log[-int(count) :]).encode()[:max_bytes]

    log = RayClient(Node(Connection("http://127.0.0.1:1"))).log("job")
    assert log == [f"{number:9}" for number in range(lines - shown, lines)]


RECORD = b"".join(b'{"n": %d, "metrics": {"a": 0.5}}\n' % number for number in range(6_000))
MISSING = b"A file is not found at: /tmp/ray/session/logs/record.jsonl"
FAILED = b"0Closing HTTP stream due to internal server error.\n"


def in_parts(content: bytes) -> bytes:
    parts = (content[start : start + 65_536] for start in range(0, len(content), 65_536))
    return b"".join(b"1" + part for part in parts)


@pytest.mark.parametrize(
    ("framed", "as_text", "record"),
    [
        (in_parts(RECORD), RECORD, RECORD),  # Ray 2.34 to 2.44
        (in_parts(RECORD), in_parts(RECORD), RECORD),  # before 2.34
        (RECORD, RECORD, RECORD),  # Ray 2.45 or later
        (FAILED + MISSING, b"[get_logs] Fetch log error: " + MISSING, None),
        (FAILED + MISSING, FAILED + MISSING, None),
    ],
)
def test_records_of_older_versions(
    framed: bytes, as_text: bytes, record: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(_self: object, _method: str, path: str, **_options: object) -> bytes:
        return as_text if parse_qs(path).get("format") == ["text"] else framed

    monkeypatch.setattr(HttpClient, "send", send)
    lines = RayClient(HttpClient(Connection("http://127.0.0.1:1"))).tail("n", "r.jsonl", 9_999)
    assert lines == (None if record is None else record.decode().splitlines())


def test_an_old_version_that_cannot_read_a_file_now_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def send(*_words: object, **_more: object) -> bytes:
        return FAILED + b"Deadline exceeded"

    monkeypatch.setattr(HttpClient, "send", send)
    with pytest.raises(RayError, match="Deadline exceeded") as caught:
        RayClient(HttpClient(Connection("http://127.0.0.1:1"))).tail("n", "r.jsonl", 9)
    assert caught.value.retryable
