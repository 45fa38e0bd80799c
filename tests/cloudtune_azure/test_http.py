"""Where requests go, and what errors mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cloudtune_azure.client import AzureClient
from cloudtune_azure.errors import AzureError, service_error
from cloudtune_azure.http import MANAGEMENT, STORAGE, AzureHttp, Connection
from cloudtune_azure.storage import BlobStorage

JOB = "https://management.azure.com/subscriptions/s/workspaces/w/jobs/j"


class Unsent(Exception):  # noqa: N818 - what stands in for the network
    """Raised by the credentials: a request would be sent."""


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> AzureHttp:
    def refuse(*_: object, **_more: object) -> Any:
        raise Unsent

    monkeypatch.setattr("azure.identity.DefaultAzureCredential.get_token", refuse)
    monkeypatch.setattr("azure.identity.DefaultAzureCredential.get_token_info", refuse)
    return AzureHttp(Connection())


@pytest.mark.parametrize(
    ("url", "scope"),
    [
        ("https://management.azure.com.evil.example/x", MANAGEMENT),
        ("https://evil.example/mlflow", MANAGEMENT),
        ("http://management.azure.com/x", MANAGEMENT),
        ("https://evilazureml.ms/x", MANAGEMENT),
        ("https://account.blob.core.windows.net/x", MANAGEMENT),
        ("https://management.azure.com/x", STORAGE),
        ("https://evil.example/x?sig=a", ""),
    ],
)
def test_nothing_is_sent_to_other_hosts(http: AzureHttp, url: str, scope: str) -> None:
    with pytest.raises(AzureError, match="public cloud"):
        http.send("GET", url, scope=scope)


@pytest.mark.parametrize("host", ["management.azure.com", "westus2.api.azureml.ms"])
def test_azure_gets_a_token(http: AzureHttp, host: str) -> None:
    with pytest.raises(Unsent):
        http.send("GET", f"https://{host}/x")


def test_a_datastore_of_another_cloud_gets_no_token(http: AzureHttp) -> None:
    client = AzureClient(http, "/w")
    store = {"datastoreType": "AzureBlob", "accountName": "a", "containerName": "c"}
    client._datastores["own"] = {**store, "endpoint": "evil.example"}  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(AzureError, match="public cloud"):
        BlobStorage(client).exists("azureml://datastores/own/paths/x")


def test_an_emulator_gets_its_own_requests_only() -> None:
    http = AzureHttp(Connection("http://127.0.0.1:9", "key"))
    with pytest.raises(AzureError, match="not the emulator's"):
        http.send("GET", "http://127.0.0.1:99/x")


@pytest.mark.parametrize(
    ("status", "retryable", "affects_all"),
    [(400, False, False), (401, False, True), (403, False, True), (404, False, False)]
    + [(status, True, False) for status in (408, 429, 500, 502, 503, 504)],
)
def test_what_an_error_means(status: int, retryable: bool, affects_all: bool) -> None:
    error = service_error("GET jobs/j", status, "")
    assert (error.retryable, error.affects_all_calls) == (retryable, affects_all)


@pytest.mark.parametrize("body", ["", "[]", "{", "<html>", '{"error": 5}', '{"error": {}}', "null"])
def test_a_body_of_any_form_is_an_error(body: str) -> None:
    assert "GET jobs/j" in str(service_error("GET jobs/j", 500, body))


def test_the_message_of_a_detail_is_told() -> None:
    error = {"code": "ValidationError", "message": None, "details": [{"message": "inner"}]}
    assert "inner" in str(service_error("GET jobs/j", 400, json.dumps({"error": error})))


@pytest.mark.parametrize(
    ("status", "text", "waits"),
    [
        (400, "The compute has reached its quota of vCPUs: ClusterCoreQuotaReached", True),
        (400, "EXPERIMENT: Compute Not Found for run ID : j", False),
        (429, "Quota exceeded: too many requests", False),  # repeated, as the recorded one
    ],
)
def test_a_job_without_quota_waits(status: int, text: str, waits: bool) -> None:
    body = json.dumps({"error": {"code": "UserError", "message": text}})
    assert service_error("PUT jobs/j", status, body).quota_exceeded == waits
