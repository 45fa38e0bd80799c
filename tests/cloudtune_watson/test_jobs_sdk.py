"""The emulator under ibm_watsonx_ai, as IBM's notebooks on deployments of scripts use it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.emulator_server import address_of
from tests.sdk_clients import run_client

pytestmark = pytest.mark.slow

SDK = Path(__file__).parent / "sdk"
Use = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    """The address of an emulator."""
    yield from address_of("cloudtune_watson.emulator", tmp_path_factory.mktemp("emulator"))


@pytest.fixture(scope="module", params=["cloud", "cluster"])
def place(request: pytest.FixtureRequest) -> str:
    """Where the client believes to be."""
    pytest.importorskip("ibm_watsonx_ai")
    where: str = request.param
    return where


@pytest.fixture(scope="module")
def use(place: str, emulator: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Use:
    """Runs a function of the client once; it can reach only the emulator."""

    @functools.cache
    def run(name: str) -> dict[str, Any]:
        home = tmp_path_factory.mktemp(f"{place}-{name}")
        command = [sys.executable, str(SDK / "deployments.py"), place, name]
        result: dict[str, Any] = run_client(command, home, emulator, name)[0]
        return result

    return run


def test_a_script_is_deployed_run_and_read(use: Use, place: str) -> None:
    result = use("whole")
    assert result["first"] == {"completed_at": "", "running_at": "", "state": "queued"}
    assert result["status"]["state"] == "completed"
    assert result["status"]["running_at"] <= result["status"]["completed_at"]
    assert result["result"] == {"sum": 6, "variable": "a-space", "input": []}
    assert result["is_zip"] is (place == "cluster")
    assert "deploy_test_script-out" in result["outputs"]
    sizes = [row["SIZE"] for row in result["data_assets"] if "script-out" in row["NAME"]]
    assert sizes
    assert min(sizes) > 0
    if place == "cloud":
        assert [row["NAME"] for row in result["credentials"]] == ["emulated"]
    entity = result["deployment"]["entity"]
    assert (entity["deployed_asset_type"], entity["status"]) == ("py_script", {"state": "ready"})
    script = result["script"]["entity"]["script"]
    assert script["language"] == {"name": "python3"}
    assert script["software_spec"] == {"base_id": "software-runtime-25.1-py3.12"}
    assert [result[name] for name in ("forgotten", "undeployed", "deleted")] == ["SUCCESS"] * 3
    assert result["left"] == result["deployments"] - 1


def test_several_files_are_an_archive(use: Use) -> None:
    assert use("two_files")["names"] == ["more.log", "swspec.log"]


def test_a_job_is_cancelled_and_another_fails(use: Use) -> None:
    result = use("stopped")
    assert result["cancelled"] == "SUCCESS"
    assert result["stopped"]["status"]["state"] == "canceled"
    assert "href" not in result["stopped"]["output_data_reference"]["location"]
    failed = result["failed"]["status"]
    assert failed["state"] == "failed"
    assert "status 3" in failed["failure"]["errors"][0]["message"]
