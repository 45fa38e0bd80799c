"""`cloudtune verify` on emulators answers, records, and leaves nothing, also if it is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.cli import verify as command
from cloudtune.emulation import process
from cloudtune.emulation.environment import folder_variable
from cloudtune.errors import UsageError
from cloudtune.provider import registry
from cloudtune.verification.verification import restored, to_json
from scripts import evidence
from tests.cloudtune.verification.leftovers import LEFTOVERS

ROOT = Path(__file__).parents[3]
PROVIDERS = ("sagemaker", "vertex", "watson")
REPLAYS = {
    "sagemaker": "cloudtune_sagemaker/test_recordings.py",
    "vertex": "cloudtune_vertex/test_recordings.py",
    "watson": "cloudtune_watson/emulator/test_recordings.py",
}
ANSWERED = {"sagemaker": 4, "vertex": 9, "watson": 3}
"""How many sentences the calls of an emulated verification answer at least."""
CREATIONS = {
    "sagemaker": "CreateHyperParameterTuningJob'",
    "vertex": "POST /v1/projects/emulated/locations/#/hyperparameterTuningJobs#",
    "watson": "POST /ml/v4/deployment_jobs#",
}
"""The kinds of the requests that create the jobs."""


class Scene:
    """An emulator that outlives the command, and the command."""

    def __init__(self, provider: str, folder: Path, *options: str) -> None:
        self.provider, self.folder = provider, folder
        module = registry.get(provider).emulator
        assert module is not None
        home = folder / "served"
        self.address = process.start(provider, module, home, ["--speed", "300", *options])
        self.env = {
            **os.environ,
            **self.address.environment,
            folder_variable(provider): str(home),
            "CLOUDTUNE_HOME": str(folder / "state"),
            "PYTHONPATH": str(ROOT),
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
            timeout=1200,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def left(self) -> list[str]:
        """Return what is left at the emulator."""
        return LEFTOVERS[self.provider](self.address)


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    created = Scene(request.param, tmp_path)
    yield created
    process.stop(created.address)


def check_ibm_calls(operations: list[str]) -> None:
    """Check that stops and deletions are recorded, and that cleaning up creates nothing."""
    assert operations.count("CreateDeployment") == operations.count("DeleteDeployment") == 1
    ends = operations.index("DeleteDeploymentJob")
    assert "CreateDeployment" not in operations[ends:]
    assert not [
        each for each in operations[operations.index("DeleteDeployment") :] if "Create" in each
    ]


@pytest.mark.slow
@pytest.mark.parametrize("scene", PROVIDERS, indirect=True)
def test_it_answers_records_and_leaves_nothing(scene: Scene) -> None:
    output = scene.run("-m", "cloudtune", "verify", scene.provider)
    answered = [line for line in output.splitlines() if line.startswith("  the emulator, not the ")]
    assert len(answered) >= ANSWERED[scene.provider], output
    assert "stopping a job, as planned" in output
    service = registry.get(scene.provider).recorded_as or scene.provider
    top = scene.folder / f"verify-{scene.provider}-emulated"
    recordings = [json.loads(file.read_text("utf-8")) for file in (top / service).glob("*.json")]
    assert len(recordings) == 5
    assert all(each["emulated"] for each in recordings)
    assert scene.address.key not in str(recordings)
    if scene.provider == "watson":
        for each in recordings:
            check_ibm_calls([item["operation"] for item in each["sequence"]])
    assert scene.left() == []
    assert not list((scene.folder / "state" / "verify").iterdir())
    scene.env["CLOUDTUNE_RECORDINGS"] = str(top)
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}")
    scene.run(*words, str(ROOT / "tests" / REPLAYS[scene.provider]))


def ends_of_killed(scene: Scene, *words: str) -> list[str]:
    """Return how runs of the command ended that were killed, and that left nothing."""
    output = scene.run("-m", "tests.cloudtune.verification.killed", scene.provider, *words)
    return [line for line in output.splitlines() if " ended with " in line]


@pytest.mark.parametrize("scene", PROVIDERS, indirect=True)
def test_a_kill_at_the_creation_of_a_job_leaves_nothing(scene: Scene) -> None:
    ends = ends_of_killed(scene, "fail", "2", CREATIONS[scene.provider])
    assert [line.rpartition(" ")[2] for line in ends] == ["-9", "-9"]


@pytest.mark.slow
@pytest.mark.parametrize("scene", PROVIDERS, indirect=True)
def test_a_kill_or_an_interrupt_leaves_nothing(scene: Scene) -> None:
    ends = ends_of_killed(scene, "stop,fail", "8")
    assert sum(not line.endswith(" ended with 0") for line in ends) > len(ends) / 2


HANGS = """
import sys
from cloudtune.verification import verification
verification.MAX_SECONDS = 30.0
from cloudtune.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("provider", "operation", "running"),
    [
        ("sagemaker", "DescribeHyperParameterTuningJob", "InProgress"),
        ("vertex", "GetHyperparameterTuningJob", "JOB_STATE_RUNNING"),
    ],
)
def test_the_command_returns_in_time_and_stops_jobs_that_are_not_described(
    tmp_path: Path, provider: str, operation: str, running: str
) -> None:
    rule = f"{{operation: {operation}, probability: 1, effect: throttle}}"
    faults = tmp_path / "faults.yaml"
    faults.write_text(f"faults:\n- {rule}\n", "utf-8")
    scene = Scene(provider, tmp_path, "--faults", str(faults))
    try:
        output = scene.run("-c", HANGS, "verify", provider, code=1)
        assert running not in str(scene.left())
    finally:
        process.stop(scene.address)
    assert "the time is over: stopping all" in output
    assert output.count("not removed: verify-") == 5


def typed(example: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run an example in a folder, as a shell does."""
    return subprocess.run(
        ["bash", "-c", f'cloudtune() {{ "{sys.executable}" -m cloudtune "$@"; }}; {example}'],
        cwd=folder,
        env={**os.environ, "CLOUDTUNE_HOME": str(folder / "state"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def blocks() -> list[tuple[str, ...]]:
    """Return the examples of the help, and those of the page."""
    page = evidence.PAGE.read_text("utf-8")
    shown = page.partition("```sh\n")[2].partition("```")[0].replace("\\\n", "")
    return [command.EXAMPLES, tuple(shown.splitlines())]


@pytest.mark.slow
@pytest.mark.parametrize("examples", blocks(), ids=["help", "page"])
def test_the_examples_work_as_typed(tmp_path: Path, examples: tuple[str, ...]) -> None:
    for example in examples:
        is_plan = " -o " in example
        done = typed(example, tmp_path)
        assert done.returncode == 0, done.stderr
        assert ("Saved to verify.json" in done.stderr) == is_plan
        if is_plan:  # its run would call the service
            (tmp_path / "verify.json").unlink()
            assert typed(f"{example} --emulate", tmp_path).returncode == 0
        assert not list((tmp_path / "state" / "verify").iterdir())


PLANNED = (
    "cloudtune verify sagemaker --set providers.sagemaker.region=us-east-1 "
    "--set providers.sagemaker.role_arn=arn:aws:iam::123456789012:role/x "
    "--set providers.sagemaker.image=123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1"
)


def test_a_service_is_only_called_by_a_saved_plan(tmp_path: Path) -> None:
    done = typed(PLANNED, tmp_path)
    assert "at most 30 minutes, at most 0.23 USD" in done.stdout, done.stderr
    assert "Nothing was sent" in done.stderr
    assert [line for line in done.stdout.splitlines() if "not run" in line] == []
    assert not list((tmp_path / "state" / "verify").iterdir())


def test_a_machine_that_could_cost_more_is_refused(tmp_path: Path) -> None:
    done = typed(f"{PLANNED} --set providers.sagemaker.prices.hour='20 USD'", tmp_path)
    assert "it could cost " in done.stderr
    assert " USD, more than 5: choose a smaller machine" in done.stderr


def test_a_saved_plan_is_run_once(tmp_path: Path) -> None:
    assert typed(f"{PLANNED} -o verify.json", tmp_path).returncode == 0
    file = tmp_path / "verify.json"
    plan = json.loads(file.read_text("utf-8"))
    assert not Path(plan["home"]).exists()
    with restored(file) as verification:
        assert [step["plan"]["run"] for step in plan["steps"]] == [
            step["plan"]["run"] for step in to_json(verification)["steps"]
        ]
    assert not Path(plan["home"]).exists()
    done = typed("cloudtune verify verify.json", tmp_path)
    assert "verify.json was run at " in done.stderr
    assert "plan another verification" in done.stderr


def test_a_plan_that_was_changed_removes_nothing(tmp_path: Path) -> None:
    assert typed(f"{PLANNED} -o verify.json", tmp_path).returncode == 0
    saved = json.loads((tmp_path / "verify.json").read_text("utf-8"))
    precious = tmp_path / "precious" / "file"
    precious.parent.mkdir()
    precious.touch()
    cases: list[tuple[Any, str]] = [
        ({**saved, "home": str(precious.parent)}, "exists already"),
        ({**saved, "steps": []}, "no plan of the step"),
        ({**saved, "home": None}, "no plan of a verification"),
        ({"format": saved["format"]}, "no plan of a verification"),
    ]
    for changed, message in cases:
        file = tmp_path / "changed.json"
        file.write_text(json.dumps(changed), "utf-8")
        with pytest.raises(UsageError, match=message), restored(file):
            pass
        assert precious.exists()


@pytest.mark.slow
def test_the_next_verification_removes_what_all_killed_processes_left(tmp_path: Path) -> None:
    scene = Scene("sagemaker", tmp_path)
    try:
        running = subprocess.Popen(
            [sys.executable, "-m", "cloudtune", "verify", "sagemaker"],
            cwd=tmp_path,
            env=scene.env,
        )
        due = time.monotonic() + 120
        while not scene.left():
            assert time.monotonic() < due
            time.sleep(0.1)
        for each in psutil.Process(running.pid).children():
            if "cloudtune.verification.cleanup" in " ".join(each.cmdline()):
                each.kill()
        running.kill()
        running.wait()
        assert scene.left()
        scene.run("-m", "cloudtune", "verify", "sagemaker", "-o", "verify.json")
        assert scene.left() == []
    finally:
        process.stop(scene.address)
    assert not list((tmp_path / "state" / "verify").iterdir())


def test_a_price_does_not_name_a_placeholder(tmp_path: Path) -> None:
    for provider in ("sagemaker", "vertex"):
        done = typed(f"cloudtune verify {provider}", tmp_path)
        assert "the price depends on " in done.stderr
        assert "{{" not in done.stderr
