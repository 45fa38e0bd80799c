"""`cloudtune verify` on emulators answers, records, and leaves nothing, also if it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cloudtune.emulation import process
from cloudtune.emulation.environment import folder_variable
from cloudtune.provider import registry
from cloudtune.verification.cleanup import LEFT, clean_up

pytestmark = pytest.mark.slow

KILLED = """
import os, signal, sys
from cloudtune.provider import call_record

class Bomb(list):
    def append(self, call):
        super().append(call)
        if len(self) == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)

call_record._recorders.append(Bomb())
from cloudtune.cli import main
sys.exit(main(sys.argv[2:]))
"""
"""Kills the process at a call to the service."""


class Scene:
    """An emulator that outlives the command, and the command."""

    def __init__(self, provider: str, folder: Path) -> None:
        self.provider, self.folder = provider, folder
        module = registry.get(provider).emulator
        assert module is not None
        home = folder / "served"
        self.address = process.start(provider, module, home, ["--speed", "300"])
        self.env = {
            **os.environ,
            **self.address.environment,
            folder_variable(provider): str(home),
            "CLOUDTUNE_HOME": str(folder / "state"),
        }

    def run(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def left(self) -> list[str]:
        """Return what is left at the emulator."""
        return LEFTOVERS[self.provider](self.address)


def _sagemaker(address: process.Address) -> list[str]:
    boto3: Any = import_module("boto3")
    env = address.environment
    session = boto3.session.Session(
        env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1"
    )
    sagemaker, s3 = (session.client(each, endpoint_url=address.url) for each in ("sagemaker", "s3"))
    jobs = sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    running = sagemaker.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"]
    objects = [
        each["Key"]
        for bucket in s3.list_buckets()["Buckets"]
        for each in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", ())
        if not each["Key"].endswith(("model.tar.gz", "output.tar.gz"))
    ]
    return [*map(str, jobs), *map(str, running), *objects]


def _vertex(address: process.Address) -> list[str]:
    requests: Any = import_module("requests")
    headers = {"Authorization": f"Bearer {address.key}"}
    left: list[str] = []
    for kind in ("hyperparameterTuningJobs", "customJobs"):
        url = f"{address.url}/v1/projects/emulated/locations/us-central1/{kind}"
        left += map(str, requests.get(url, headers=headers, timeout=60).json().get(kind, ()))
    return left


LEFTOVERS: Mapping[str, Callable[[process.Address], list[str]]] = {
    "sagemaker": _sagemaker,
    "vertex": _vertex,
}


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    created = Scene(request.param, tmp_path)
    yield created
    process.stop(created.address)


@pytest.mark.parametrize("scene", ["sagemaker", "vertex"], indirect=True)
def test_it_answers_records_and_leaves_nothing(scene: Scene) -> None:
    output = scene.run("-m", "cloudtune", "verify", scene.provider)
    answered = [line for line in output.splitlines() if line.startswith("  ")]
    assert sum("not answered" not in line for line in answered) >= 6  # with the five steps
    top = scene.folder / f"verify-{scene.provider}-emulated" / scene.provider
    recordings = [json.loads(file.read_text("utf-8")) for file in top.glob("*.json")]
    assert len(recordings) == 5
    assert all(each["emulated"] for each in recordings)
    assert scene.address.key not in str(recordings)
    assert scene.left() == []
    assert not list((scene.folder / "state" / "verify").iterdir())
    scene.run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"),
        *("-k", "reads_a_recorded or can_be_attached or is_read"),
        f"{Path(__file__).parents[3]}/tests/cloudtune_{scene.provider}/test_recordings.py",
    )


@pytest.mark.parametrize("scene", ["sagemaker"], indirect=True)
@pytest.mark.parametrize("call", [1, 7, 12, 40])
def test_a_kill_leaves_nothing(scene: Scene, call: int) -> None:
    scene.run("-c", KILLED, str(call), "verify", scene.provider, code=-signal.SIGKILL)
    _wait_for_guard(scene)
    assert scene.left() == []


def test_what_an_ended_emulator_had_is_gone_with_it(tmp_path: Path) -> None:
    scene = Scene("sagemaker", tmp_path)
    try:
        scene.run("-c", KILLED, "40", "verify", "sagemaker", code=-signal.SIGKILL)
        _wait_for_guard(scene)
    finally:
        process.stop(scene.address)
    home = next((tmp_path / "state" / "verify").iterdir())
    assert clean_up(home) == []


@pytest.mark.parametrize("scene", ["vertex"], indirect=True)
def test_an_interrupt_leaves_nothing(scene: Scene) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "cloudtune", "verify", scene.provider],
        cwd=scene.folder,
        env=scene.env,
    )
    due = time.monotonic() + 120
    while not scene.left():
        assert time.monotonic() < due
        time.sleep(0.2)
    command.send_signal(signal.SIGINT)
    assert command.wait(180) != 0
    assert scene.left() == []


def _wait_for_guard(scene: Scene) -> None:
    due = time.monotonic() + 180
    while not (left := list((scene.folder / "state" / "verify").glob(f"*/{LEFT}"))):
        assert time.monotonic() < due
        time.sleep(0.2)
    assert left[0].read_text("utf-8") == ""


def test_a_service_is_only_called_by_a_saved_plan(tmp_path: Path) -> None:
    env = {**os.environ, "CLOUDTUNE_HOME": str(tmp_path / "state")}
    settings = {
        "role_arn": "arn:aws:iam::123456789012:role/x",
        "region": "us-east-1",
        "bucket": "a-bucket",
        "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1",
    }
    words = ["verify", "sagemaker"]
    for name, value in settings.items():
        words += ["--set", f"providers.sagemaker.{name}={value}"]
    done = subprocess.run(
        [sys.executable, "-m", "cloudtune", *words],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "at most 30 minutes, at most" in done.stdout, done.stderr
    assert "Nothing was sent" in done.stderr
    assert [line for line in done.stdout.splitlines() if "not run" in line] == []
