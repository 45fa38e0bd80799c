"""Each finding of the cluster, by the provider's own connection and with its fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from cloudtune.diagnostics import Check
from cloudtune.planning.planner import plan
from cloudtune.provider.models import Emulator as Address
from cloudtune.provider.models import JobContext
from cloudtune.provider.plan import Plan
from cloudtune_watson import WatsonProvider
from cloudtune_watson.errors import WatsonError, service_error
from cloudtune_watson.http import Connection
from cloudtune_watson.wml.account import check_account as check_trainings
from cloudtune_watson.wmla.account import check_account as check_searches
from tests.account_checks import always, only
from tests.cloudtune_watson.support import study_of
from tests.emulator_server import Served, starting


def account_plan(folder: Path, backend: str, *, emulated: bool = True, **settings: Any) -> Plan:
    """Return the plan of a study for a back end."""
    (folder / "train.py").touch()
    return plan(study_of(backend, **settings), "watson", base=folder, emulated=emulated)


class Cluster(Served):
    """An emulator whose account is checked."""

    def __init__(self, folder: Path, *words: str) -> None:
        super().__init__("cloudtune_watson.emulator", folder, *words)

    def checks(self, folder: Path, backend: str = "wml", **settings: Any) -> list[Check]:
        certificate = Path(self.address["certificate"])
        context = JobContext(folder, Address(self.url, self.key, certificate))
        planned = account_plan(folder, backend, **settings)
        return list(WatsonProvider().check_account(planned, context))

    def create(self, kind: str, name: str) -> None:
        """Create a specification by IBM's API."""
        credentials = {"username": "me", "api_key": self.key}
        certificate = self.address["certificate"]
        sign_in = requests.post(
            f"{self.url}/icp4d-api/v1/authorize", json=credentials, verify=certificate, timeout=200
        )
        answer = requests.post(
            f"{self.url}/v2/{kind}_specifications",
            json={"name": name},
            headers={"Authorization": f"Bearer {sign_in.json()['token']}"},
            verify=certificate,
            timeout=200,
        )
        answer.raise_for_status()


Start = Callable[..., Cluster]


@pytest.fixture
def start_cluster(tmp_path: Path) -> Iterator[Start]:
    yield from starting(Cluster, tmp_path)


def test_healthy_clusters(start_cluster: Start, tmp_path: Path) -> None:
    cluster = start_cluster()
    for backend, words in {
        "wml": ("space my-space exists", "hardware specification M", "Watson Machine Learning"),
        "wmla": ("WML Accelerator responds", "is free"),
    }.items():
        checks = cluster.checks(tmp_path, backend)
        assert [str(check) for check in checks if check.severity != "ok"] == []
        texts = "; ".join(check.message for check in checks)
        assert "me, by the key of the emulator" in texts
        assert all(word in texts for word in words)
        assert cluster.key not in repr(checks)
    lines = (cluster.folder / "calls.jsonl").read_text().splitlines()
    calls = [json.loads(line) for line in lines]
    assert {call["action"] for call in calls} == {
        *("GetVersion", "Authorize", "GetSpace", "ListSpecifications", "ListTrainings"),
        *("ListAlgorithms", "GetSearch"),
    }


def test_specifications_that_the_cluster_does_not_have(
    start_cluster: Start, tmp_path: Path
) -> None:
    cluster = start_cluster()
    cluster.create("hardware", "L")
    cluster.create("software", "other")
    checks = cluster.checks(tmp_path)
    check = only(checks, "hardware-spec", "error")
    assert check.path == "providers.watson.hardware_spec"
    assert "no hardware specification M" in check.message
    assert "software-specification list" in only(checks, "software-spec", "error").command
    checks = cluster.checks(tmp_path, hardware_spec="L", software_spec="other")
    assert [str(check) for check in checks if check.severity != "ok"] == []


def test_a_key_that_has_expired(start_cluster: Start, tmp_path: Path) -> None:
    cluster = start_cluster(faults=always("Authorize", effect="expire"))
    for backend in ("wml", "wmla"):
        check = only(cluster.checks(tmp_path, backend), "credentials", "error")
        assert "nothing else of the cluster could be checked" in check.message
        assert check.command == "export WATSONX_APIKEY=..."


def test_what_cannot_be_asked_is_unknown_with_the_right_that_is_missing(
    start_cluster: Start, tmp_path: Path
) -> None:
    denied = ("GetSpace", "ListSpecifications", "ListTrainings", "ListAlgorithms")
    cluster = start_cluster(faults=always(*denied))
    checks = cluster.checks(tmp_path)
    assert "membership of the space" in only(checks, "scope", "unknown").fix
    assert "hardware specifications" in only(checks, "hardware-spec", "unknown").fix
    assert "role Viewer in the space" in only(checks, "trainings", "unknown").fix
    assert "cpd-cli space member create" in only(checks, "trainings", "unknown").command
    accelerator = cluster.checks(tmp_path, "wmla")
    assert "right to use WML Accelerator" in only(accelerator, "algorithms", "unknown").fix
    assert not [check for check in [*checks, *accelerator] if check.severity == "error"]


@pytest.mark.parametrize(
    ("backend", "page"), [("wml", "settings on the cluster"), ("jobs", "cloud.ibm.com/iam/apikeys")]
)
def test_without_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, page: str
) -> None:
    monkeypatch.delenv("WATSONX_APIKEY", raising=False)
    planned = account_plan(tmp_path, backend, emulated=False)
    (check,) = WatsonProvider().check_account(planned, JobContext(tmp_path))
    assert (check.severity, check.path) == ("error", "providers.watson.key_variable")
    assert page in check.fix


class Response:
    headers: Mapping[str, str] = {}

    def __init__(self, document: Any) -> None:
        self._document = document

    def json(self) -> Any:
        return self._document


class Http:
    """A connection with given responses by path; other resources do not exist."""

    def __init__(self, responses: Mapping[str, Any]) -> None:
        self._responses = responses
        self.connection = Connection("https://c", "me", "k")

    def get(self, url: str, **_: Any) -> Response:
        path = url.removeprefix("https://c")
        response = self._responses.get(path)
        if isinstance(response, Exception):
            raise response
        if response is None:
            raise service_error(f"GET {path}", 404, "")
        return Response(response)

    def post(self, url: str, **_: Any) -> Response:
        assert url == "https://c/icp4d-api/v1/authorize"
        return Response({"token": "t"})


VERSION = "/ml/wml_services/v2/version"


def checks_of(folder: Path, backend: str, responses: Mapping[str, Any]) -> list[Check]:
    planned = account_plan(folder, backend, emulated=False)
    http: Any = Http(responses)
    check_account = {"wml": check_trainings, "wmla": check_searches}[backend]
    return list(check_account(http, planned, {**planned.facts.data, "sign_in_url": "https://c"}))


def test_a_cluster_of_another_version_without_the_space(tmp_path: Path) -> None:
    checks = checks_of(tmp_path, "wml", {VERSION: {"version": "5.3.1"}})
    version = only(checks, "version", "warning")
    assert 'version: "5.3"' in version.fix
    scope = only(checks, "scope", "error")
    assert "no space my-space" in scope.message
    assert scope.command == "cpd-cli space list --profile=PROFILE"
    assert "no Watson Machine Learning" in only(checks, "trainings", "error").message
    assert "oc describe resourcequota" in only(checks, "quota", "unknown").command


def test_a_space_that_is_not_active(tmp_path: Path) -> None:
    entity = {"name": "team", "status": {"state": "preparing"}}
    space = {"/v2/spaces/my-space": {"entity": entity}}
    checks = checks_of(tmp_path, "wml", {VERSION: {"version": "5.1.0"}, **space})
    assert "is preparing" in only(checks, "scope", "error").message
    assert "role" in only(checks, "role", "unknown").fix


def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    error = WatsonError("GET x: the cluster's certificate is not trusted", affects_all_calls=True)
    check = only(checks_of(tmp_path, "wml", {VERSION: error}), "certificate", "error")
    assert check.command.startswith("oc get configmap default-ingress-cert")


def test_an_address_that_is_no_accelerator(tmp_path: Path) -> None:
    checks = checks_of(tmp_path, "wmla", {VERSION: {"version": "4.6.0"}})
    assert "not one of a WML Accelerator" in only(checks, "algorithms", "error").message


def test_an_algorithm_that_the_accelerator_does_not_have(tmp_path: Path) -> None:
    path = "/platform/rest/deeplearning/v1/hypersearch/algorithm"
    answers = {VERSION: {"version": "4.6.0"}, path: [{"name": "TPE"}]}
    check = only(checks_of(tmp_path, "wmla", answers), "algorithms", "error")
    assert "no algorithm Random, only tpe" in check.message
