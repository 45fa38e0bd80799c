"""Google's clients with a local server: requests, retries and errors."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cloudtune.errors import EmulatorEndedError
from cloudtune.provider import retries
from cloudtune.provider.models import Emulator
from cloudtune_vertex.client import Google, StoredObject
from cloudtune_vertex.errors import GoogleError, connection_error, service_error

PARENT = "projects/my-project/locations/us-central1"
JOB = f"{PARENT}/customJobs/17"


class Server:
    """Answers what the test tells it to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, list[str]], Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, Any]] = []
        """The next ones; the last one is given again and again. 0: the connection is cut."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
                server.asked.append((self.command, path, query, body))
                server.headers.append({k.lower(): v for k, v in self.headers.items()})
                more = len(server.answers) > 1
                status, said = server.answers.pop(0) if more else server.answers[0]
                if status == 0:
                    self.close_connection = True
                    return
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = _answer  # noqa: N815 - as http.server looks for them

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - theirs
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def google(self) -> Google:
        return Google("my-project", "us-central1", emulator=Emulator(self.url, "the-key"))


@pytest.fixture
def server() -> Iterator[Server]:
    created = Server()
    yield created
    created.close()


def refused(status: int, message: str, word: str = "") -> tuple[int, Any]:
    return status, {"error": {"code": status, "message": message, "status": word}}


TUNING: dict[str, Any] = {
    "parent": PARENT,
    "hyperparameterTuningJob": {
        "displayName": "digits",
        "studySpec": {
            "metrics": [{"metricId": "acc", "goal": "MAXIMIZE"}],
            "parameters": [
                {
                    "parameterId": "n",
                    "integerValueSpec": {"minValue": "1", "maxValue": "9007199254740993"},
                    "scaleType": "UNIT_LOG_SCALE",
                }
            ],
            "medianAutomatedStoppingSpec": {},
        },
        "maxTrialCount": 3,
        "trialJobSpec": {"scheduling": {"timeout": "3600s"}},
        "labels": {"cloudtune-run": "x"},
    },
}


def test_creating_a_job_sends_all_fields_and_returns_json(server: Server) -> None:
    name = f"{PARENT}/hyperparameterTuningJobs/5"
    told = {**TUNING["hyperparameterTuningJob"], "name": name, "state": "JOB_STATE_PENDING"}
    server.answers = [(200, told)]
    assert server.google().create(TUNING) == told
    ((method, path, _, body),) = server.asked
    assert (method, path) == ("POST", f"/v1/{PARENT}/hyperparameterTuningJobs")
    sent = json.loads(body)
    spec = sent["studySpec"]
    assert spec["parameters"][0]["integerValueSpec"]["maxValue"] == "9007199254740993"
    assert spec["medianAutomatedStoppingSpec"] == {}
    assert sent["trialJobSpec"]["scheduling"]["timeout"] == "3600s"
    assert server.headers[0]["authorization"] == "Bearer the-key"
    assert "cloudtune/" in str(server.headers[0])


def test_job_descriptions_keep_googles_spelling(server: Server) -> None:
    trial = {
        "id": "2",
        "state": 99,  # of a later version
        "parameters": [{"parameterId": "n", "value": 4.0}, {"parameterId": "k", "value": "True"}],
        "finalMeasurement": {"stepCount": "3", "metrics": [{"metricId": "a", "value": "NaN"}]},
        "startTime": "2026-11-25T10:00:00.5Z",
    }
    name = f"{PARENT}/hyperparameterTuningJobs/5"
    server.answers = [(200, {"name": name, "state": 3, "trials": [trial], "surprise": 1})]
    told = server.google().get(name)
    assert told["state"] == "JOB_STATE_RUNNING"
    (found,) = told["trials"]
    assert found["state"] == 99
    assert found["parameters"] == trial["parameters"]
    assert found["finalMeasurement"] == trial["finalMeasurement"]
    assert found["startTime"] == "2026-11-25T10:00:00.500Z"


def test_an_invalid_request_is_reported_before_it_is_sent(server: Server) -> None:
    odd: dict[str, Any] = {"parent": PARENT, "customJob": {"displayName": "x", "jobSpecs": {}}}
    with pytest.raises(GoogleError, match="jobSpecs"):
        server.google().create(odd)
    assert server.asked == []


CUSTOM: dict[str, Any] = {"parent": PARENT, "customJob": {"displayName": "x", "jobSpec": {}}}


@pytest.mark.parametrize("answer", [(0, ""), refused(503, "busy"), refused(429, "too many")])
def test_create_calls_are_not_retried(server: Server, answer: tuple[int, Any]) -> None:
    server.answers = [answer]
    with pytest.raises(GoogleError) as caught:
        server.google().create(CUSTOM)
    assert caught.value.retryable
    assert ("ended before the response" in str(caught.value)) == (answer[0] == 0)
    assert len(server.asked) == 1


@pytest.mark.parametrize("answer", [(0, ""), refused(503, "busy"), refused(504, "late")])
def test_calls_that_change_nothing_are_retried(server: Server, answer: tuple[int, Any]) -> None:
    server.answers = [answer, answer, (200, {"name": JOB, "state": "JOB_STATE_RUNNING"})]
    assert server.google().get(JOB)["state"] == "JOB_STATE_RUNNING"
    assert len(server.asked) == 3


def test_a_request_to_stop_ends_retries(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "SHORT_RETRY_SECONDS", 60.0)
    server.answers = [refused(503, "the service is busy")]
    google = Google(
        "my-project",
        "us-central1",
        emulator=Emulator(server.url, "the-key"),
        is_stopping=lambda: bool(server.asked),
    )
    with pytest.raises(GoogleError, match="the service is busy"):
        google.get(JOB)
    assert len(server.asked) == 1
    server.answers = [refused(503, "busy"), (200, {"name": JOB, "state": "JOB_STATE_RUNNING"})]
    assert google.get(JOB)["name"] == JOB  # what begins after the request is retried, for a while


def test_retries_end_after_a_time_limit(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "SHORT_RETRY_SECONDS", 0.5)
    server.answers = [refused(503, "the service is busy")]
    with pytest.raises(GoogleError, match="the service is busy") as caught:
        server.google().get(JOB)
    assert (caught.value.retryable, caught.value.code) == (True, 503)
    assert len(server.asked) > 1


def test_lists_are_read_to_the_last_page(server: Server) -> None:
    server.answers = [
        (200, {"customJobs": [{"name": f"{JOB}1"}], "nextPageToken": "more"}),
        (200, {"customJobs": [{"name": f"{JOB}2"}]}),
    ]
    found = server.google().list_custom_jobs('labels.cloudtune-run=x AND state!="JOB_STATE_FAILED"')
    assert [job["name"] for job in found] == [f"{JOB}1", f"{JOB}2"]
    first, second = (query for _, _, query, _ in server.asked)
    assert first["filter"] == ['labels.cloudtune-run=x AND state!="JOB_STATE_FAILED"']
    assert (first["pageSize"], second["pageToken"]) == (["100"], ["more"])
    server.answers = [(200, {"hyperparameterTuningJobs": [{"name": "x"}]})]
    assert server.google().list_tuning_jobs("labels.a=b") == [{"name": "x"}]


def test_a_job_is_cancelled_by_its_name(server: Server) -> None:
    server.answers = [(200, {})]
    server.google().cancel(JOB)
    assert server.asked[0][:2] == ("POST", f"/v1/{JOB}:cancel")


def test_objects_are_listed_read_from_an_offset_and_written(server: Server, tmp_path: Path) -> None:
    google = server.google()
    item = {"name": "a/b c.jsonl", "size": "5", "generation": "1700000000000001", "md5Hash": "x="}
    server.answers = [
        (200, {"items": [item], "nextPageToken": "more"}),
        (200, {"items": [{"name": "a/d", "generation": "2"}]}),
    ]
    assert google.list_objects("my-bucket", "a/") == [
        StoredObject("a/b c.jsonl", 5, "1700000000000001", "x="),
        StoredObject("a/d", 0, "2", None),
    ]
    assert server.asked[0][1] == "/storage/v1/b/my-bucket/o"
    assert server.asked[0][2]["prefix"] == ["a/"]
    server.answers = [(206, b"lo")]
    assert google.read("my-bucket", "a/b c.jsonl", 3) == b"lo"
    assert server.headers[-1]["range"] == "bytes=3-"
    for status in (416, 404):
        server.answers = [refused(status, "nothing more")]
        assert google.read("my-bucket", "a/b c.jsonl", 5) == b""
    (tmp_path / "file").write_bytes(b"content")
    server.answers = [(200, {"name": "a/e", "generation": "1"})]
    google.write("my-bucket", "a/e", tmp_path / "file")
    assert server.asked[-1][:2] == ("POST", "/upload/storage/v1/b/my-bucket/o")
    assert b"content" in server.asked[-1][3]
    google.create_bucket("other")
    assert json.loads(server.asked[-1][3]) == {"name": "other"}
    assert {each["authorization"] for each in server.headers} == {"Bearer the-key"}


def test_errors_of_cloud_storage_are_translated(server: Server, tmp_path: Path) -> None:
    google = server.google()
    server.answers = [refused(404, "The specified bucket does not exist.")]
    with pytest.raises(GoogleError, match=r"providers\.vertex\.bucket") as caught:
        google.list_objects("my-bucket", "a/")
    assert caught.value.not_found
    said = "x does not have storage.objects.create access to the Google Cloud Storage object."
    server.answers = [refused(403, said)]
    (tmp_path / "file").write_bytes(b"content")
    with pytest.raises(GoogleError, match="Storage Object User") as caught:
        google.write("my-bucket", "a/e", tmp_path / "file")
    assert (caught.value.code, caught.value.affects_all_calls) == (403, True)
    with pytest.raises(OSError, match="absent"):
        google.write("my-bucket", "a/e", tmp_path / "absent")


def test_an_ended_emulator_is_reported_at_once() -> None:
    server = Server()
    google = server.google()
    server.close()
    for call in (
        lambda: google.get(JOB),
        lambda: google.create(CUSTOM),
        lambda: google.list_objects("my-bucket", "a/"),
    ):
        with pytest.raises(EmulatorEndedError, match="the emulator has ended"):
            call()


def test_an_emulated_run_only_calls_its_emulator(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    monkeypatch.setenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "elsewhere.example")
    google: Any = server.google()
    server.answers = [(200, {"name": JOB})]
    assert google.get(JOB) == {"name": JOB}
    assert google.list_objects("my-bucket", "a/") == []
    for session in (google._jobs.transport._session, google._files._http):
        for address in ("https://us-central1-aiplatform.googleapis.com/v1/x", "http://127.0.0.1:9"):
            with pytest.raises(GoogleError, match="only calls its emulator"):
                session.get(address)


def test_a_real_run_calls_the_location_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    google_auth: Any = importlib.import_module("google.auth")
    credentials: Any = importlib.import_module("google.auth.credentials")

    def default(**_: object) -> tuple[Any, None]:
        return credentials.AnonymousCredentials(), None

    monkeypatch.setattr(google_auth, "default", default)
    for name in ("STORAGE_EMULATOR_HOST", "API_ENDPOINT_OVERRIDE"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    real: Any = Google("my-project", "europe-west4")
    assert real._jobs.api_endpoint == "europe-west4-aiplatform.googleapis.com"
    assert real._jobs.transport.kind == "rest"
    assert real._files.api_endpoint == "https://storage.googleapis.com"
    assert real._files._connection.API_BASE_URL == "https://storage.googleapis.com"
    assert real._files._credentials is real._credentials
    other: Any = Google("my-project", "us-central1", impersonate="sa@x.iam.gserviceaccount.com")
    assert other._credentials.service_account_email == "sa@x.iam.gserviceaccount.com"


def test_missing_credentials_explain_how_to_sign_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    google = Google("my-project", "us-central1")
    for call in (lambda: google.get(JOB), lambda: google.list_objects("my-bucket", "a/")):
        with pytest.raises(GoogleError, match="gcloud auth application-default login") as caught:
            call()
        assert (caught.value.affects_all_calls, caught.value.retryable) == (True, False)


FULL = "The following quota metrics exceed quota limits: aiplatform.googleapis.com/custom_model"


@pytest.mark.parametrize(
    ("code", "said", "kind", "advice"),
    [
        (400, "Machine type x is not supported", "", ""),
        (401, "Request had invalid authentication credentials", "affects_all_calls", "sign in"),
        (403, "Permission 'aiplatform.customJobs.create' denied", "affects_all_calls",
         "the permission aiplatform.customJobs.create"),
        (403, "You do not have permission to act as service_account: x", "affects_all_calls",
         "Service Account User"),
        (403, "Vertex AI API has not been used in project 1 before or it is disabled",
         "affects_all_calls", "gcloud services enable"),
        (403, "This API method requires billing to be enabled", "affects_all_calls", "billing"),
        (403, "requires a quota project, which is not set", "affects_all_calls",
         "set-quota-project"),
        (403, "no", "affects_all_calls", ""),
        (404, "The specified bucket does not exist.", "", "another"),
        (429, FULL, "quota_exceeded", "higher quota"),
        (429, "Quota exceeded for quota metric 'x' and limit 'y per minute'", "retryable",
         ""),
        (500, "Internal error encountered.", "retryable", ""),
        (503, "", "retryable", ""),
    ],
)  # fmt: skip
def test_error_responses_are_classified(code: int, said: str, kind: str, advice: str) -> None:
    error = service_error("CreateCustomJob", code, f"POST https://x/v1/y: {said}")
    kinds = {
        "retryable": error.retryable,
        "affects_all_calls": error.affects_all_calls,
        "quota_exceeded": error.quota_exceeded,
    }
    assert [name for name, holds in kinds.items() if holds] == ([kind] if kind else [])
    assert said in str(error)
    assert "https://x" not in str(error)
    assert advice in str(error)
    assert bool(advice) == str(error).endswith(")")


@pytest.mark.parametrize(
    ("module", "kind", "said", "retryable"),
    [
        ("google.auth.exceptions", "RefreshError", "invalid_grant: Bad Request", False),
        ("google.auth.exceptions", "ReauthFailError", "x", False),
        ("google.auth.exceptions", "DefaultCredentialsError", "x", False),
        ("google.auth.exceptions", "TransportError", "x", True),
        ("requests", "ConnectionError", "Name or service not known", True),
        ("requests", "ReadTimeout", "x", True),
        ("requests.exceptions", "ChunkedEncodingError", "x", True),
        ("requests.exceptions", "SSLError", "x", False),
    ],
)
def test_client_errors_are_classified(module: str, kind: str, said: str, retryable: bool) -> None:
    raised = getattr(__import__(module, fromlist=["x"]), kind)
    kinds = [each.__name__ for each in raised.__mro__]
    error = connection_error("GetCustomJob", kinds, said, retryable=False)
    assert (error.retryable, error.affects_all_calls) == (retryable, not retryable)
    assert str(error).startswith("vertex: GetCustomJob: ")
    assert str(error).endswith(f"[{said}]")


def test_an_unreachable_host_is_named() -> None:
    message = (
        "HTTPSConnectionPool(host='us-west8-aiplatform.googleapis.com', port=443): Max retries"
    )
    error = connection_error("GetCustomJob", ["ConnectionError"], message, retryable=False)
    start = "vertex: GetCustomJob: cannot reach us-west8-aiplatform.googleapis.com: no connection"
    assert str(error).startswith(start)


def test_a_refused_impersonation_names_the_role() -> None:
    kinds = ["RefreshError", "GoogleAuthError"]
    error = connection_error(
        "x", kinds, "Unable to acquire impersonated credentials", retryable=False
    )
    assert "Service Account Token Creator" in str(error)
