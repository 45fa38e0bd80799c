"""The requests of deployment jobs: to which address, and with which credentials."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from cloudtune_watson.errors import WatsonError
from cloudtune_watson.http import Connection, HttpClient
from cloudtune_watson.jobs.client import RuntimeClient, asset_of, describe_software

RUNTIME, PLATFORM = "https://us-south.ml.cloud.ibm.com", "https://api.dataplatform.cloud.ibm.com"
IAM, STORAGE = "https://iam.cloud.ibm.com", "https://s3.us-south.objects.example.com"
FACTS: Mapping[str, Any] = {
    "is_cloud": True,
    "platform_url": PLATFORM,
    "iam_url": IAM,
    "sign_in_url": RUNTIME,
    "space_id": "my-space",
}
SIGNED = f"{STORAGE}/bucket/file?X-Amz-Signature=secret-signature"


class Service:
    """Responds to the requests of a session, and records them."""

    def __init__(self) -> None:
        self.requests: list[requests.PreparedRequest] = []
        self.responses: dict[str, Any] = {
            f"{IAM}/identity/token": {"access_token": "the-token"},
            f"{RUNTIME}/ml/v4/deployment_jobs": {"metadata": {"id": "j-1"}},
            f"{PLATFORM}/v2/assets": {"metadata": {"asset_id": "a-1"}},
            f"{PLATFORM}/v2/assets/a-1/attachments": {"attachment_id": "t-1", "url1": SIGNED},
            f"{PLATFORM}/v2/assets/a-1/attachments/t-1": {"url": SIGNED},
        }

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        self.requests.append(request)
        response = requests.Response()
        response.request, response.url = request, str(request.url)
        found = self.responses.get(str(request.url).partition("?")[0], {})
        response.status_code = found if isinstance(found, int) else 200
        response.raw = io.BytesIO(json.dumps(found).encode())
        return response


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    service = Service()

    def send(_: object, request: requests.PreparedRequest, **_options: Any) -> requests.Response:
        return service.send(request)

    monkeypatch.setattr(requests.Session, "send", send)
    return service


def client(facts: Mapping[str, Any] = FACTS) -> RuntimeClient:
    return RuntimeClient(HttpClient(Connection(RUNTIME, "", "the-key"), lambda: True), facts)


def test_key_and_token_go_only_to_their_addresses(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text("print(1)")
    runtime = client()
    asset = runtime.create_asset({"metadata": {}})
    runtime.upload(asset, "script", path)
    about = {"metadata": {"asset_id": asset}, "attachments": [{"id": "t-1"}]}
    assert runtime.download(about, tmp_path / "back")
    runtime.create_job({"name": "j"})
    hosts = [urlsplit(str(request.url)).hostname for request in service.requests]
    assert set(hosts) == {urlsplit(each).hostname for each in (IAM, PLATFORM, STORAGE, RUNTIME)}
    for request in service.requests:
        url = str(request.url)
        assert ("the-key" in f"{request.body!r}") is url.startswith(IAM)
        signed_in = request.headers.get("Authorization") == "Bearer the-token"
        assert signed_in is url.startswith((PLATFORM, RUNTIME))
        if signed_in:
            assert "version=2026-10-14" in url
            assert "space_id=my-space" in url
    (put,) = [request for request in service.requests if request.method == "PUT"]
    assert put.body == b"print(1)"


def test_a_cluster_has_one_address_and_gets_a_form(service: Service, tmp_path: Path) -> None:
    cluster = dict.fromkeys(("platform_url", "sign_in_url", "iam_url"), RUNTIME)
    service.responses = {
        f"{RUNTIME}/icp4d-api/v1/authorize": {"token": "the-token"},
        f"{RUNTIME}/v2/assets/a-1/attachments": {"attachment_id": "t-1", "url1": "/v2/files/x"},
    }
    path = tmp_path / "code.py"
    path.write_text("print(1)")
    client({**FACTS, **cluster, "is_cloud": False}).upload("a-1", "script", path)
    (put,) = [request for request in service.requests if request.method == "PUT"]
    assert put.url == f"{RUNTIME}/v2/files/x"
    assert "Authorization" not in put.headers
    assert isinstance(put.body, bytes)
    assert b'name="file"' in put.body


def test_jobs_are_listed_in_the_order_of_their_creation(service: Service) -> None:
    created = ("2026-02-01", "2026-01-01", "2026-03-01")
    jobs = [{"metadata": {"id": each, "created_at": each}, "entity": {}} for each in created]
    service.responses[f"{RUNTIME}/ml/v4/deployment_jobs"] = {"resources": jobs}
    assert [job["metadata"]["id"] for job in client().list_jobs("d")] == sorted(created)


def test_a_job_is_never_created_twice_by_the_transport(service: Service) -> None:
    service.responses[f"{RUNTIME}/ml/v4/deployment_jobs"] = 503
    with pytest.raises(WatsonError) as raised:
        client().create_job({"name": "j"})
    assert raised.value.retryable
    assert sum(request.method == "POST" for request in service.requests) == 2  # with the sign-in


def test_errors_do_not_have_signed_addresses(service: Service, tmp_path: Path) -> None:
    service.responses[SIGNED.partition("?")[0]] = 403
    about = {"metadata": {"asset_id": "a-1"}, "attachments": [{"id": "t-1"}]}
    with pytest.raises(WatsonError) as raised:
        client().download(about, tmp_path / "back")
    assert "secret-signature" not in str(raised.value)


def test_a_response_without_an_id_is_an_error(service: Service) -> None:
    service.responses[f"{PLATFORM}/v2/assets"] = {"metadata": {}}
    with pytest.raises(WatsonError, match=r"no metadata\.asset_id"):
        client().create_asset({"metadata": {}})


def test_lists_are_read_to_their_end(service: Service) -> None:
    pages = iter(
        [
            {"resources": [{"metadata": {"name": "n", "id": "1"}}], "next": {"href": "/x?start=1"}},
            {"resources": [{"metadata": {"name": "n", "id": "2"}}]},
        ]
    )
    runtime = client()
    runtime.sign_in()
    send = service.send

    def respond(request: requests.PreparedRequest, **_: Any) -> requests.Response:
        response = send(request)
        response.raw = io.BytesIO(json.dumps(next(pages)).encode())
        return response

    service.send = respond  # type: ignore[method-assign]
    assert [each["metadata"]["id"] for each in runtime.list_deployments("n")] == ["1", "2"]
    assert "start=1" in str(service.requests[-1].url)


def test_references() -> None:
    assert asset_of({"location": {"href": "/v2/assets/a-1?space_id=s"}}) == "a-1"
    assert asset_of({"location": {"name": "x"}}) is None
    assert asset_of({}) is None
    for kind, name in {"base": "base_id", "derived": "id"}.items():
        entity = {"software_specification": {"type": kind}}
        described = describe_software({"metadata": {"asset_id": "i"}, "entity": entity})
        assert described == {name: "i"}
