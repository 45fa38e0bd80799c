"""Each finding of the account of deployment jobs, on IBM Cloud and on a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune_watson.jobs.client import RuntimeClient
from tests.account_checks import always, only
from tests.cloudtune_watson.account.test_account import Cluster, Start
from tests.emulator_server import starting

CLUSTER = {"url": "https://cpd.example.com", "version": "5.4", "username": "me"}


@pytest.fixture
def start_cluster(tmp_path: Path) -> Iterator[Start]:
    yield from starting(Cluster, tmp_path)


def calls(cluster: Cluster) -> set[str]:
    lines = (cluster.folder / "calls.jsonl").read_text().splitlines()
    return {json.loads(line)["action"] for line in lines}


@pytest.mark.parametrize("settings", [{}, CLUSTER])
def test_healthy_spaces(start_cluster: Start, tmp_path: Path, settings: dict[str, Any]) -> None:
    cluster = start_cluster()
    checks = cluster.checks(tmp_path, "jobs", **settings)
    assert [str(check) for check in checks if check.severity != "ok"] == []
    texts = "; ".join(check.message for check in checks)
    user = "me" if settings else "IBM Cloud"
    for word in (f"{user}, by the key of the emulator", "space my-space exists", "is free"):
        assert word in texts
    assert cluster.key not in repr(checks)
    common = {"GetSpace", "ListSpecifications", "ListDeployments"}
    cloud = {"GetToken", "ListTaskCredentials", "GetInstance", "ListDeploymentJobs"}
    assert calls(cluster) == common | ({"Authorize"} if settings else cloud)


def test_what_a_space_does_not_have(start_cluster: Start, tmp_path: Path) -> None:
    cluster = start_cluster()
    cluster.create("hardware", "L")
    cluster.create("software", "other")
    checks = cluster.checks(tmp_path, "jobs")
    assert "no hardware specification S" in only(checks, "hardware-spec", "error").message
    assert only(checks, "software-spec", "error").path == "providers.watson.software_spec"


def test_a_key_that_is_wrong(start_cluster: Start, tmp_path: Path) -> None:
    cluster = start_cluster(faults=always("GetToken", effect="expire"))
    check = only(cluster.checks(tmp_path, "jobs"), "credentials", "error")
    assert "nothing else of the cluster could be checked" in check.message


def test_what_lacks_a_right_is_unknown(start_cluster: Start, tmp_path: Path) -> None:
    denied = ("GetSpace", "ListSpecifications", "ListTaskCredentials", "ListDeployments")
    cluster = start_cluster(faults=always(*denied))
    checks = cluster.checks(tmp_path, "jobs")
    for name in ("scope", "hardware-spec", "software-spec", "task-credentials", "job-name"):
        assert only(checks, name, "unknown").fix
    cluster = start_cluster(faults=always("GetInstance"))
    assert "role Viewer" in only(cluster.checks(tmp_path, "jobs"), "quota", "unknown").fix


FINDINGS: dict[str, tuple[str, Any, tuple[str, str]]] = {
    "your user has no space my-space": ("get_space", None, ("scope", "error")),
    "no instance of watsonx.ai Runtime": (
        "get_space",
        {"entity": {"name": "s", "status": {"state": "active"}}},
        ("scope", "error"),
    ),
    "is preparing": (
        "get_space",
        {"entity": {"status": {"state": "preparing"}}},
        ("scope", "error"),
    ),
    "runs no jobs": ("task_credentials", [], ("task-credentials", "error")),
    "20 of 20 capacity-unit hours": (
        "get_instance",
        {"entity": {"consumption": {"capacity_unit_hours": {"current": 20, "limit": 20}}}},
        ("quota", "error"),
    ),
    "0 deployment jobs, and its plan allows 1": (
        "get_instance",
        {"entity": {"consumption": {"deployment_job_count": {"limit": 1}}}},
        ("quota", "warning"),
    ),
    "is named plain-": (
        "list_deployments",
        [{"metadata": {"id": "d"}}],
        ("job-name", "error"),
    ),
}


@pytest.mark.parametrize("words", FINDINGS)
def test_findings(
    start_cluster: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    call, response, (id_, severity) = FINDINGS[words]

    def respond(*_: object) -> Any:
        return response

    monkeypatch.setattr(RuntimeClient, call, respond)
    check = only(start_cluster().checks(tmp_path, "jobs"), id_, severity)
    assert words in check.message
    assert check.fix
