"""The emulator with Microsoft's own client, azure-ai-ml, unmodified.

The client has an environment of its own: the Python in ``CLOUDTUNE_AZURE_SDK_PYTHON``, or one that
is created once below pytest's cache, which needs a package index. Its calls are in
``sdk/client.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.emulator_server import address_of
from tests.sdk_clients import run_client

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SDK = Path(__file__).parent / "sdk"
Use = Callable[[str], Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The emulator's folder."""
    return tmp_path_factory.mktemp("emulator")


@pytest.fixture(scope="module")
def emulator(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The address of an emulator that speaks HTTPS: the client sends a token nowhere else."""
    yield from address_of("cloudtune_azure.emulator", folder, "--https", "--speed", "100")


@pytest.fixture
def use(python_with: Callable[[str, str], str], emulator: Mapping[str, Any], tmp_path: Path) -> Use:
    """Runs a function of the client, and sees to it that it reaches the emulator alone."""
    sdk = python_with("azure-sdk", "CLOUDTUNE_AZURE_SDK_PYTHON")

    def run(name: str) -> Any:
        command = [sdk, str(SDK / "client.py"), name]
        return run_client(command, tmp_path, emulator, name)[0]

    return run


def test_a_command_job_is_created_followed_and_listed(use: Use, folder: Path) -> None:
    found = use("command_job")
    assert found["states"][-1] == "Completed"
    assert found["name"] in found["listed"]
    assert found["studio"].startswith(f"https://ml.azure.com/runs/{found['name']}?wsid=/")
    log = (folder / "jobs" / found["name"] / "log.txt").read_text("utf-8")
    assert log == f"words ['--lr', '0.5']\nrun {found['name']}\n"


def test_a_failed_and_a_cancelled_job_end_so(use: Use) -> None:
    assert use("failed_job")[-1] == "Failed"
    assert use("cancelled_job")[-1] == "Canceled"


def test_a_sweep_is_created_followed_and_its_trials_listed(use: Use) -> None:
    found = use("sweep")
    assert found["states"] == ["Running", "Completed"]
    assert found["trials"] == [f"{found['name']}_{number}" for number in range(3)]


def test_a_log_is_streamed_and_outputs_are_downloaded(use: Use) -> None:
    assert use("streamed_job") == {
        "all/artifacts/user_logs/std_log.txt": "rows.csv\n",
        "all/artifacts/outputs/a": "a\n",
        "named/named-outputs/model/kept/rows.csv": "12",
    }


def test_a_job_that_does_not_exist_is_not_found(use: Use) -> None:
    assert "Job none not found." in use("missing_job")
