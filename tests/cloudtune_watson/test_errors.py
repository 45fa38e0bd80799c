"""What a failed call means, and the HTTP client through which all requests go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from cloudtune.errors import EmulatorEndedError
from cloudtune_watson.errors import WatsonError, connection_error, read_message, service_error
from cloudtune_watson.http import Connection, HttpClient


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"errors": [{"code": "a", "message": "one"}, {"message": "two"}, 5]}, "one; two"),
        ({"message": "one"}, "one"),
        ({"exception": "one"}, "one"),
        ({"errors": []}, '{"errors": []}'),
        ({"other": 1}, '{"other": 1}'),
        ("one", "one"),
        (None, "None"),
        (["one"], "['one']"),
    ],
)
def test_messages_in_a_response(body: object, words: str) -> None:
    assert read_message(json.dumps(body)) == words


def test_markup_is_removed_from_a_message() -> None:
    assert read_message("<html>\n<h1>Bad  Gateway</h1></html>") == "Bad Gateway"


@pytest.mark.parametrize(
    ("operation", "code", "retryable", "affects_all_calls", "words"),
    [
        ("POST /ml/v4/trainings", 400, False, False, "no [400]"),
        ("POST /icp4d-api/v1/authorize", 401, False, True, "providers.watson.key_variable"),
        ("POST /ml/v4/trainings", 403, False, True, "the role Editor"),
        ("GET /v2/spaces/a", 404, False, False, "providers.watson.space_id"),
        ("GET /v2/projects/a", 404, False, False, "providers.watson.project_id"),
        ("GET /platform/rest/deeplearning/v1/x", 404, False, False, "a WML Accelerator"),
        ("GET /x", 429, True, False, "no [429]"),
        ("GET /x", 502, True, False, "no [502]"),
    ],
)
def test_error_responses(
    operation: str, code: int, retryable: bool, affects_all_calls: bool, words: str
) -> None:
    error = service_error(operation, code, '{"message": "no"}')
    assert (error.code, error.retryable, error.affects_all_calls) == (
        code,
        retryable,
        affects_all_calls,
    )
    assert words in str(error)


def test_a_quota_that_is_used_up_is_no_lack_of_rights() -> None:
    body = '{"errors": [{"code": "quota_exceeded", "message": "The quota is used up."}]}'
    error = service_error("POST /ml/v4/trainings", 403, body)
    assert "a quota is used up: wait until it is renewed" in str(error)
    assert "permission" not in str(error)


@pytest.mark.parametrize(
    ("raised", "retryable", "words"),
    [
        (requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED"), False, "is not trusted"),
        (requests.exceptions.ProxyError("no"), True, "the proxy"),
        (requests.exceptions.ReadTimeout("no"), True, "no response in time"),
        (requests.exceptions.ConnectionError("no"), True, "url and network"),
        (requests.exceptions.ChunkedEncodingError("no"), True, "ended within the response"),
        (requests.exceptions.InvalidURL("no"), False, "is not a URL"),
        (OSError("Could not find a suitable TLS CA certificate bundle"), False, "certificate file"),
    ],
)
def test_connection_errors(raised: OSError, retryable: bool, words: str) -> None:
    error = connection_error("GET /x", raised)
    assert (error.retryable, error.affects_all_calls) == (retryable, not retryable)
    assert words in str(error)


def test_unencrypted_requests_are_refused() -> None:
    http = HttpClient(Connection("https://cpd.example.com", "me", "key"))
    with pytest.raises(WatsonError, match="does not start with https"):
        http.get("http://cpd.example.com/x")


def test_an_emulated_run_calls_only_its_emulator() -> None:
    http = HttpClient(Connection("https://127.0.0.1:9", "me", "key", emulated=True))
    with pytest.raises(WatsonError, match="must not call"):
        http.get("https://cpd.example.com/x")
    with pytest.raises(EmulatorEndedError):
        http.get("https://127.0.0.1:9/x")


def test_a_request_to_stop_ends_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    requests_sent: list[object] = []

    def fail(*request: object, **_: object) -> requests.Response:
        requests_sent.append(request)
        raise requests.exceptions.ConnectionError("reset")

    monkeypatch.setattr(requests.Session, "request", fail)
    connection = Connection("https://cpd.example.com", "me", "key")
    http = HttpClient(connection, lambda: bool(requests_sent))
    with pytest.raises(WatsonError):
        http.get("https://cpd.example.com/x")
    assert len(requests_sent) == 1


def test_the_certificate_is_always_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def request(*_: object, **more: object) -> requests.Response:
        seen.append((more["verify"], more["timeout"]))
        answer = requests.Response()
        answer.status_code = 200
        return answer

    monkeypatch.setattr(requests.Session, "request", request)
    http = HttpClient(Connection("https://cpd.example.com", "me", "key"))
    http.get("https://cpd.example.com/x", verify=False)
    http.send("PUT", "https://cpd.example.com/x", verify="", timeout=None)
    assert seen == [(True, 120.0), (True, None)]


def test_netrc_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine cpd.example.com login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    shown: list[object] = []

    def send(_: object, prepared: requests.PreparedRequest, **__: object) -> requests.Response:
        shown.append(prepared.headers.get("Authorization"))
        answer = requests.Response()
        answer.status_code = 200
        return answer

    monkeypatch.setattr(requests.Session, "send", send)
    HttpClient(Connection("https://cpd.example.com", "me", "key")).get(
        "https://cpd.example.com/x", headers={"Authorization": "Bearer mine"}
    )
    assert shown == ["Bearer mine"]
