"""`cloudtune verify` on emulators answers, records, and leaves nothing, also if it is killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from cloudtune.cli import verify as command
from cloudtune.emulation import process
from cloudtune.emulation.environment import folder_variable
from cloudtune.errors import UsageError
from cloudtune.provider import registry
from cloudtune.runs.remote import is_emulator_running
from cloudtune.verification.planning import mark_used, restored, to_json
from scripts import evidence
from tests.cloudtune.conftest import Cloudtune
from tests.cloudtune.verification.leftovers import LEFTOVERS
from tests.providers import TUNERS, VERIFIABLE

ROOT = Path(__file__).parents[3]
REPLAYS = {
    "sagemaker": "cloudtune_sagemaker/test_recordings.py",
    "vertex": "cloudtune_vertex/test_recordings.py",
    "watson": "cloudtune_watson/emulator/test_recordings.py",
}
ANSWERED = {"sagemaker": 4, "vertex": 9, "watson": 3}
"""How many sentences the calls of an emulated verification answer at least."""
STEPS = {
    "sagemaker": ["complete", "early", "stop", "fail", "timeout"],
    "vertex": ["complete", "early", "stop", "fail", "timeout"],
    "watson": ["complete", "stop"],
}
"""The steps that show something of a service."""
STOPPED_EARLY = {
    "sagemaker": "ended as Stopped, ",
    "vertex": "SUCCEEDED with a job JOB_STATE_CANCELLED",
    "watson": "early: not run: IBM stops no deployment job early",
}
"""What the output says of trials that the service stops early."""
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
            timeout=3600,
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
@pytest.mark.parametrize("scene", VERIFIABLE, indirect=True)
def test_it_answers_records_and_leaves_nothing(scene: Scene) -> None:
    output = scene.run("-m", "cloudtune", "verify", scene.provider)
    answered = [line for line in output.splitlines() if line.startswith("  the emulator, not the ")]
    assert len(answered) >= ANSWERED[scene.provider], output
    assert "stopping a job, as planned" in output
    service = registry.get(scene.provider).recorded_as or scene.provider
    top = scene.folder / f"verify-{scene.provider}-emulated"
    recordings = [json.loads(file.read_text("utf-8")) for file in (top / service).glob("*.json")]
    assert {each["source"]["path"] for each in recordings} == {*STEPS[scene.provider]}
    assert STOPPED_EARLY[scene.provider] in output
    assert all(each["emulated"] for each in recordings)
    assert scene.address.key not in str(recordings)
    if scene.provider == "watson":
        for each in recordings:
            check_ibm_calls([item["operation"] for item in each["sequence"]])
    assert scene.left() == []
    assert not list((scene.folder / "state" / "verify").iterdir())
    scene.env["CLOUDTUNE_RECORDINGS"] = str(top)
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}")
    replays = ("test_recordings.py", REPLAYS[scene.provider])
    scene.run(*words, *(str(ROOT / "tests" / each) for each in replays))


@pytest.mark.slow
@pytest.mark.parametrize("scene", ["sagemaker"], indirect=True)
def test_an_interrupt_leaves_what_was_seen_until_then(scene: Scene) -> None:
    words = [sys.executable, "-u", "-m", "cloudtune", "verify", scene.provider]
    earlier = scene.folder / "verify-sagemaker-emulated" / "sagemaker" / "verify_stop.json"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("paid", "utf-8")
    running = subprocess.Popen(
        words, cwd=scene.folder, env=scene.env, stdout=-1, stderr=subprocess.STDOUT, text=True
    )
    output = ""
    with running:
        for line in running.stdout or ():
            output += line
            if "stopping a job, as planned" in line:
                running.send_signal(signal.SIGINT)
    assert running.returncode == 130, output
    assert " trials, each at most " in output
    assert "another address" not in output
    assert "it ended early, so calls are missing: the recordings are in " in output
    assert [each.read_text("utf-8") for each in earlier.parent.iterdir()] == ["paid"]
    files = [*(scene.folder / "verify-sagemaker-emulated-2").rglob("*.json")]
    assert len(files) == len(STEPS[scene.provider])
    assert all(json.loads(file.read_text("utf-8"))["cut_short"] for file in files)
    assert scene.left() == []
    assert not list((scene.folder / "state" / "verify").iterdir())


def ends_of_killed(scene: Scene, *words: str) -> list[str]:
    """Return how runs of the command ended that were killed, and that left nothing."""
    output = scene.run("-m", "tests.cloudtune.verification.killed", scene.provider, *words)
    ends = [line for line in output.splitlines() if " ended with " in line]
    assert {line.rpartition(" ")[2] for line in ends} <= {"0", "-9", "130"}, output
    return ends


@pytest.mark.slow
@pytest.mark.parametrize("scene", VERIFIABLE, indirect=True)
def test_a_kill_at_the_creation_of_a_job_leaves_nothing(scene: Scene) -> None:
    step = "fail" if "fail" in STEPS[scene.provider] else "complete"
    ends = ends_of_killed(scene, step, "2", CREATIONS[scene.provider])
    assert [line.rpartition(" ")[2] for line in ends] == ["-9", "-9"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scene", VERIFIABLE, indirect=True)
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


def in_shell(example: str, folder: Path) -> subprocess.CompletedProcess[str]:
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


def bare(line: str) -> str:
    """Return a command without its comment."""
    return line.partition("#")[0].strip()


def test_the_page_has_the_examples_of_the_help() -> None:
    page = evidence.PAGE.read_text("utf-8")
    shown = "".join(re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S))
    lines = re.sub(r"\\\n *", "", shown).splitlines()
    assert [bare(line) for line in lines] == [bare(line) for line in command.EXAMPLES]


@pytest.mark.slow
def test_the_examples_work_as_typed(tmp_path: Path) -> None:
    for example in command.EXAMPLES:
        is_plan = " -o " in example
        done = in_shell(example, tmp_path)
        assert done.returncode == 0, done.stderr
        assert ("Saved to verify.json" in done.stderr) == is_plan
        if is_plan:  # its run would call the service
            (tmp_path / "verify.json").unlink()
            assert in_shell(f"{example} --emulate", tmp_path).returncode == 0
        assert not list((tmp_path / "state" / "verify").iterdir())


PLANNED = (
    "cloudtune verify sagemaker --set providers.sagemaker.region=us-east-1 "
    "--set providers.sagemaker.role_arn=arn:aws:iam::123456789012:role/x "
    "--set providers.sagemaker.image=123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1"
)


def test_a_service_is_only_called_by_a_saved_plan(typed: Cloudtune, tmp_path: Path) -> None:
    done = typed(*PLANNED.split()[1:])
    assert "at most 30 minutes and 0.33 USD" in done.stdout, done.stderr
    assert "which does not count volumes of 30 GB" in done.stdout
    assert "Nothing was sent" in done.stderr
    assert [line for line in done.stdout.splitlines() if "not run" in line] == []
    assert not list((tmp_path / ".cloudtune" / "verify").iterdir())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prices.hour": "20 USD"}, "it could cost 57.33 USD, more than 5: choose a smaller mach"),
        ({"prices.hour": "0.001 USD"}, "at most 30 minutes and 0.33 USD"),
        ({"prices.hour": "0.001 USD", "instance_count": 2}, "at most 30 minutes and 0.659 USD"),
        (
            {"prices.hour": "0.001 USD", "instance_type": "ml.p4d.24xlarge"},
            "cloudtune has no price of this machine with which it could enforce 5 USD",
        ),
        (
            {"prices.hour": "0.001 USD", "native": "{MaxNumberOfTrainingJobs: 500}"},
            "sagemaker can run no step",
        ),
        ({"volume_size": 16384}, "volume_size: a verification may have at most 30"),
        (
            {"native": "{TrainingJobDefinition: {ResourceConfig: {VolumeSizeInGB: 16384}}}"},
            "native: a verification has no native fields",
        ),
    ],
    ids=str,
)
def test_the_list_of_prices_bounds_the_cost(
    typed: Cloudtune, settings: dict[str, object], message: str
) -> None:
    more = (f"--set=providers.sagemaker.{name}={settings[name]}" for name in settings)
    done = typed(*PLANNED.split()[1:], *more, code=None)
    assert message in done.stdout + done.stderr


@pytest.mark.slow
def test_a_saved_plan_is_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    assert in_shell(f"{PLANNED} -o verify.json", tmp_path).returncode == 0
    file = tmp_path / "verify.json"
    plan = json.loads(file.read_text("utf-8"))
    assert not Path(plan["home"]).exists()
    with restored(file) as verification:
        assert to_json(verification)["steps"].keys() == plan["steps"].keys()
    mark_used(file)
    assert not Path(plan["home"]).exists()
    done = in_shell("cloudtune verify verify.json", tmp_path)
    assert "verify.json was run at " in done.stderr
    assert "plan another verification" in done.stderr


def test_a_plan_is_saved_also_if_nobody_reads_what_is_printed(tmp_path: Path) -> None:
    in_shell(f"{PLANNED} -o verify.json | true", tmp_path)
    assert json.loads((tmp_path / "verify.json").read_text("utf-8"))["provider"] == "sagemaker"


def test_each_mistake_of_the_settings_has_its_line(typed: Cloudtune) -> None:
    done = typed("verify", "vertex", code=1)
    first, *lines = done.stderr.splitlines()
    assert first.endswith("vertex can run no step:")
    assert len(lines) > 1


@pytest.mark.parametrize("variable", ["TMPDIR", "CLOUDTUNE_HOME"])
def test_too_little_space_is_found_before_anything_starts(
    typed: Cloudtune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    folder, real = tmp_path / "full", shutil.disk_usage
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv(variable, str(folder))

    def usage(path: Path) -> object:
        return SimpleNamespace(free=1000) if path.is_relative_to(folder) else real(path)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(process, "start", None)
    output = typed("verify", "sagemaker", "--emulate", code=1).stderr
    assert f"needs 64 MB: {folder}" in output
    assert f"has 1 kB free (another disk: set {variable})" in output


def test_an_emulator_that_was_found_by_its_address_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert is_emulator_running(address)
    assert not is_emulator_running(address)


@pytest.mark.slow
def test_a_job_that_never_ran_answers_nothing(tmp_path: Path) -> None:
    faults = tmp_path / "faults.yaml"
    rule = "{operation: trial, call: [1, 2, 3], effect: slow_start, seconds: 12000}"
    faults.write_text(f"faults:\n- {rule}\n", "utf-8")
    scene = Scene("watson", tmp_path, "--faults", str(faults))
    try:
        output = scene.run("-m", "cloudtune", "verify", "watson")
    finally:
        process.stop(scene.address)
    assert "stopping a job, as planned" in output
    assert "cancelled jobs have files" not in output
    assert "0 of 1 logs" not in output


def edit(plan: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a plan with one value replaced."""
    changed: Any = json.loads(json.dumps(plan))
    *parents, last = path.split("/")
    target = changed
    for name in parents:
        target = target[name]
    target[last] = value
    return dict(changed)


def test_a_plan_that_was_changed_sends_and_removes_nothing(
    typed: Cloudtune, tmp_path: Path
) -> None:
    typed(*PLANNED.split()[1:], "-o", "verify.json")
    saved = json.loads((tmp_path / "verify.json").read_text("utf-8"))
    precious = tmp_path / ".cloudtune" / "verify" / "precious"
    precious.mkdir()
    limits = "steps/early/study/limits"
    cases: list[tuple[Any, str]] = [
        (edit(saved, "home", str(precious)), "exists already"),
        (edit(saved, "home", str(tmp_path / "other")), "belongs to another state folder"),
        (edit(saved, "steps", {}), "differs in steps.complete"),
        (edit(saved, "home", None), "no plan of a verification"),
        ({"format": saved["format"]}, "no plan of a verification"),
        (edit(saved, f"{limits}/max_trials", 500), f"differs in {limits.replace('/', '.')}.max_t"),
        (edit(saved, "steps/stop/request/HyperParameterTuningJobName", "x"), "differs in steps.s"),
        (edit(saved, "steps/fail/estimate/most", 0.01), "differs in steps.fail.estimate.most"),
        (edit(saved, "settings/instance_type", "ml.g5.2xlarge"), "differs in most"),
        (edit(saved, "settings/prices", {"hour": "0.01 USD"}), "differs in steps.complete.study"),
        (edit(saved, "most", 0.01), "differs in most"),
    ]
    for changed, message in cases:
        file = tmp_path / "changed.json"
        file.write_text(json.dumps(changed), "utf-8")
        with pytest.raises(UsageError, match=message), restored(file):
            pass
        assert [each.name for each in precious.parent.iterdir()] == ["precious"]


def test_the_plan_of_ibm_says_why_a_step_is_not_run(typed: Cloudtune) -> None:
    settings = {
        "url": "https://us-south.ml.cloud.ibm.com",
        "space_id": "11111111-1111-4111-8111-111111111111",
        "prices.capacity_unit_hour": "0.5 USD",
    }
    more = (f"--set=providers.watson.{name}={settings[name]}" for name in settings)
    done = typed("verify", "watson", *more)
    lines = [line.strip().split(": ", 2) for line in done.stdout.splitlines()[1:]]
    omitted = {name: text[-1] for name, *text in lines if text[0] == "not run"}
    assert {name for name, *_ in lines} - omitted.keys() == {*STEPS["watson"]}, done.stderr
    assert omitted.keys() == {"early", "fail", "timeout"}
    assert all(reason.count(" ") > 5 for reason in omitted.values())


IBM_PLANNED = (
    "cloudtune verify watson --set providers.watson.url=https://us-south.ml.cloud.ibm.com "
    "--set providers.watson.space_id=11111111-1111-4111-8111-111111111111 "
    "--set providers.watson.prices.hour=0.001USD"
)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("hardware_spec=XXXL", "hardware_spec: a verification may have XS or S, since cloudtune"),
        ("hardware_spec=M", "hardware_spec: a verification may have XS or S, since cloudtune"),
        ("nodes=50", "nodes: a verification may have at most 1, since cloudtune"),
        ("hardware_spec=XS", "at most 30 minutes and 0.00075 USD"),
    ],
)
def test_a_low_price_allows_no_large_machine_of_ibm(
    typed: Cloudtune, settings: str, message: str
) -> None:
    done = typed(*IBM_PLANNED.split()[1:], f"--set=providers.watson.{settings}", code=None)
    assert message in done.stdout + done.stderr


@pytest.mark.parametrize(
    "name", [name for name in registry.names() if registry.get(name).not_verifiable]
)
def test_the_page_says_why_a_provider_has_no_verification(typed: Cloudtune, name: str) -> None:
    done = typed("verify", name, "--emulate", code=1)
    why = registry.get(name).not_verifiable
    assert f"{name} has no verification: {why}" in done.stderr
    assert f"`{name}` has no verification: {why}." in " ".join(evidence.page().split())


@pytest.mark.parametrize("provider", sorted({*registry.names()} - {*TUNERS}))
def test_only_what_has_open_sentences_is_verified(typed: Cloudtune, provider: str) -> None:
    done = typed("verify", provider, "--emulate", code=1)
    assert f"no sentence about {provider} is open" in done.stderr


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
    # A step that had ended before the kill has left its recording.
    assert all([*folder.rglob("*.json")] for folder in tmp_path.glob("verify-*"))


@pytest.mark.slow
def test_a_price_does_not_name_a_placeholder(tmp_path: Path) -> None:
    for provider in ("sagemaker", "vertex"):
        done = in_shell(f"cloudtune verify {provider}", tmp_path)
        assert "the price depends on " in done.stderr
        assert "{{" not in done.stderr
