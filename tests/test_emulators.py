"""What the emulators of all services do as processes."""

from __future__ import annotations

import json
import stat
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest

from cloudtune.emulation.faults import CallEffect, TrialEffect
from cloudtune.emulation.process import IN_USE
from cloudtune.emulator_kit import App
from tests.emulator_forks import ForkedEmulator
from tests.emulator_server import Served
from tests.providers import EMULATED

ADDRESSES = {
    "sagemaker": "AWS_ENDPOINT_URL",
    "vertex": "VERTEX_EMULATOR_HOST",
    "watson": "WATSON_EMULATOR_URL",
    "ray": "RAY_API_SERVER_ADDRESS",
}
"""The variables with their addresses."""


def refused(name: str, folder: Path, *words: str) -> tuple[int, str]:
    """Return the exit code of an emulator that does not start, and what it prints."""
    errors = folder.parent / "errors"
    process = ForkedEmulator(
        f"cloudtune_{name}.emulator", ("--folder", str(folder), *words), errors
    )
    code = process.wait(200)
    process.stdout.close()
    return code, errors.read_text()


@pytest.mark.parametrize("name", EMULATED)
def test_the_address_is_private_and_goes_with_the_process(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "emulator"
    emulator = Served(f"cloudtune_{name}.emulator", folder)
    emulator.reach()
    path = folder / "address.json"
    assert json.loads(path.read_text()) == emulator.address
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert emulator.address["pid"] == emulator.process.pid
    environment = emulator.address["environment"]
    assert environment.get(ADDRESSES.get(name, ""), emulator.url) == emulator.url
    assert emulator.key not in (folder / "server.log").read_text()
    code, errors = refused(name, folder)
    assert (code, "another emulator uses" in errors) == (IN_USE, True)
    assert path.exists()
    assert emulator.end() == 0
    assert not path.exists()


@pytest.mark.parametrize("name", EMULATED)
def test_a_wrong_fault_plan_is_reported_at_once(name: str, tmp_path: Path) -> None:
    plan = tmp_path / "faults.yaml"
    plan.write_text("faults:\n- {operation: CreateNothing, call: 1, effect: throttle}\n")
    code, errors = refused(name, tmp_path / "emulator", "--faults", str(plan))
    assert code == 1
    assert f"{plan}:2: faults.0.operation" in errors


@pytest.mark.parametrize("name", EMULATED)
def test_each_effect_on_a_call_is_an_error_of_the_service(name: str) -> None:
    apps = vars(import_module(f"cloudtune_{name}.emulator.app")).values()
    kinds = [each for each in apps if isinstance(each, type) and issubclass(each, App)]
    (app,) = [each for each in kinds if each is not App]
    without = {"crash", "deny", "lose_response"}
    assert app.FAULTS.keys() == {*get_args(CallEffect)} - without


def test_each_effect_is_on_the_page_of_emulators() -> None:
    page = (Path(__file__).parents[1] / "docs" / "emulators.md").read_text("utf-8")
    effects = (*get_args(CallEffect), *get_args(TrialEffect))
    assert [each for each in effects if f"`{each}`" not in page] == []
