"""Logs of custom jobs in Cloud Logging."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune_vertex.client import Google
from cloudtune_vertex.console import job_url, read_log
from cloudtune_vertex.errors import GoogleError

PAGE = job_url("team", "us-central1", "4711")


class Response:
    def __init__(self, status: int, body: Any) -> None:
        self.status_code = status
        self.headers: dict[str, str] = {}
        self.reason = "reason"
        self._body = body

    def json(self) -> Any:
        if self._body is None:
            raise ValueError("no JSON")
        return self._body


class Session:
    """Answers the calls of a test in order."""

    def __init__(self, *responses: Response) -> None:
        self.requests: list[Any] = []
        self._responses = list(responses)

    def request(self, method: str, url: str, *, json: Any, timeout: float) -> Response:
        assert (method, url) == ("POST", "https://logging.googleapis.com/v2/entries:list")
        assert timeout > 0
        self.requests.append(json)
        return self._responses.pop(0)


def google(monkeypatch: pytest.MonkeyPatch, *responses: Response) -> tuple[Google, Session]:
    session = Session(*responses)
    monkeypatch.setattr(Google, "_session", session)
    return Google("team", "us-central1"), session


def test_all_pages_of_a_jobs_log(monkeypatch: pytest.MonkeyPatch) -> None:
    first = {
        "entries": [{"textPayload": "one"}, {"jsonPayload": {"message": "two\nthree"}}, {}],
        "nextPageToken": "next",
    }
    client, session = google(
        monkeypatch, Response(200, first), Response(200, {"entries": [{"textPayload": "four"}]})
    )
    assert list(read_log(client, PAGE)) == ["one", "two", "three", "four"]
    request, following = session.requests
    assert request["resourceNames"] == ["projects/team"]
    assert request["filter"] == 'resource.type="ml_job" AND resource.labels.job_id="4711"'
    assert request["orderBy"] == "timestamp asc"
    assert following == {**request, "pageToken": "next"}


def test_a_job_without_a_log_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    client, _ = google(monkeypatch, Response(200, {}))
    with pytest.raises(GoogleError, match="no log of the job 4711 yet"):
        list(read_log(client, PAGE))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "Permission 'logging.logEntries.list' denied"}}, "logging.logE"),
        (None, "reason"),
    ],
)
def test_a_refusal_is_an_error(body: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client, _ = google(monkeypatch, Response(403, body))
    with pytest.raises(GoogleError, match=message) as raised:
        list(read_log(client, PAGE))
    assert raised.value.code == 403
