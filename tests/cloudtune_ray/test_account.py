"""Each check of the doctor, on the emulator and with its fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.diagnostics import Check
from cloudtune.errors import ProviderError
from cloudtune.planning.planner import plan
from cloudtune.provider.models import Emulator, JobContext
from cloudtune_ray import RayProvider
from cloudtune_ray.account import check_account
from cloudtune_ray.client import RayClient
from cloudtune_ray.http import Connection, HttpClient
from tests.account_checks import always, only
from tests.cloudtune_ray.support import study_of
from tests.emulator_server import Served, starting


class Cluster(Served):
    """An emulator whose account is checked."""

    def __init__(self, folder: Path, *words: str) -> None:
        super().__init__("cloudtune_ray.emulator", folder, *words)

    def checks(self, folder: Path, over: dict[str, Any] | None = None, **more: Any) -> list[Check]:
        (folder / "train.py").touch()
        planned = plan(study_of(over or {}, **more), "ray", base=folder, emulated=True)
        context = JobContext(folder, Emulator(self.url, self.key))
        return list(RayProvider().check_account(planned, context))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    yield from starting(Cluster, tmp_path)


def test_a_cluster_with_room(start: Callable[..., Cluster], tmp_path: Path) -> None:
    checks = start().checks(tmp_path)
    assert only(checks, "version", "ok").message == "Ray 2.60.0 responds"
    assert "room for 32 trials" in only(checks, "nodes", "ok").message


def test_a_cluster_without_room(start: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = start()
    many = {"limits": {"parallel_trials": 33, "max_trials": 33}}
    assert only(cluster.checks(tmp_path, many), "room", "warning").path == "limits.parallel_trials"
    large = {"trial": {"script": "train.py", "resources": {"gpus": 9}}}
    assert "9 GPU" in only(cluster.checks(tmp_path, large), "nodes", "warning").message


@pytest.mark.parametrize(
    ("selector", "severity"),
    [("a", "warning"), ("in(a, b)", "warning"), ("!a", "ok"), ("!in(a, b)", "ok")],
)
def test_nodes_without_a_label(
    start: Callable[..., Cluster], tmp_path: Path, selector: str, severity: str
) -> None:
    assert only(start().checks(tmp_path, label_selector={"zone": selector}), "nodes", severity)


def test_nodes_with_a_label(start: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = start()
    client = RayClient(HttpClient(Connection(cluster.url, cluster.key, emulated=True)))
    name = client.nodes()[1]["labels"]["ray.io/node-id"]
    for selector in (name, f"in(a, {name})"):
        checks = cluster.checks(tmp_path, label_selector={"ray.io/node-id": selector})
        assert "room for 16 trials" in only(checks, "nodes", "ok").message


def test_nodes_that_cannot_be_listed(start: Callable[..., Cluster], tmp_path: Path) -> None:
    checks = start(faults=always("ListNodes")).checks(tmp_path)
    assert only(checks, "nodes", "unknown")


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_wrong_token(
    start: Callable[..., Cluster], tmp_path: Path, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    cluster = start()
    (tmp_path / "train.py").touch()
    planned = plan(study_of(address=cluster.url), "ray", base=tmp_path)
    client = RayClient(HttpClient(Connection(cluster.url, token)))
    (check,) = check_account(client, planned)
    assert (check.id, check.path) == ("token", "providers.ray.token_variable")
    assert ("refuses" in check.message) is bool(token)


def test_a_cluster_that_does_not_respond(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    address = "http://127.0.0.1:9"
    planned = plan(study_of(address=address), "ray", base=tmp_path)
    client = RayClient(HttpClient(Connection(address)))
    with pytest.raises(ProviderError, match="cannot reach the cluster"):
        list(check_account(client, planned))
