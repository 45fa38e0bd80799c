"""What `cloudtune verify` does if a service refuses for a while, or cannot keep what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtune.emulation import process
from tests.cloudtune.verification.test_verify import Scene
from tests.waiting import wait_until

ONE_STEP = """
import sys
from cloudtune.verification import cleanup, verification
from tests.cloudtune.verification.killed import only
only("fail")
cleanup.RETRY_SECONDS = 0.1
verification.clean_up = lambda home, notify, _: cleanup.clean_up(home, notify, {seconds})
from cloudtune.cli import main
sys.exit(main(["verify", "vertex"]))
"""


def refusing(folder: Path, *rules: str) -> Scene:
    """Return a scene whose emulator refuses by the rules of a fault plan."""
    faults = folder / "faults.yaml"
    faults.write_text("".join(["faults:\n", *(f"- {rule}\n" for rule in rules)]), "utf-8")
    return Scene("vertex", folder, "--faults", str(faults))


@pytest.mark.slow
def test_a_deletion_that_is_refused_for_a_while_is_tried_again(tmp_path: Path) -> None:
    calls = list(range(1, 13))
    rule = f"{{operation: DeleteHyperparameterTuningJob, call: {calls}, effect: throttle}}"
    scene = refusing(tmp_path, rule)
    try:
        output = scene.run("-c", ONE_STEP.format(seconds=600))
        assert scene.left() == []
    finally:
        process.stop(scene.address)
    assert output.count("removing verify-fail-") == 1
    assert "not removed" not in output


@pytest.mark.slow
def test_a_job_that_was_not_created_is_not_called_left(tmp_path: Path) -> None:
    calls = list(range(2, 200))  # the first one is before the creation
    scene = refusing(
        tmp_path,
        "{operation: CreateHyperparameterTuningJob, probability: 1, effect: quota}",
        f"{{operation: ListHyperparameterTuningJobs, call: {calls}, effect: throttle}}",
    )
    try:
        output = scene.run("-c", ONE_STEP.format(seconds=2), code=1)
    finally:
        process.stop(scene.address)
    assert "not created as far as is known, and not looked for: verify-fail" in output
    assert "not removed" not in output


FULL_DISK = """
import sys
from cloudtune.errors import LedgerError
from cloudtune.ledger.ledger import Ledger
from tests.cloudtune.verification.killed import only
only("fail")
def full(*_):
    raise LedgerError("the ledger cannot be written: the disk is full")
Ledger.append = full
from cloudtune.cli import main
sys.exit(main(["verify", "vertex"]))
"""


@pytest.mark.slow
def test_a_step_that_this_machine_could_not_follow_is_named(tmp_path: Path) -> None:
    scene = Scene("vertex", tmp_path)
    try:
        output = scene.run("-c", FULL_DISK, code=1)
        assert scene.left() == []
    finally:
        process.stop(scene.address)
    assert "fail failed, so calls may be missing in its recording: the ledger cannot" in output
    assert "not answered: calls are missing of what failed: fail" in output
    assert "the emulator has nothing that shows it" not in output
    (file,) = tmp_path.glob("verify-vertex-emulated/vertex/*")
    assert json.loads(file.read_text("utf-8"))["cut_short"]


SAVED = """
import sys
from cloudtune.verification import cleanup, verification
from tests.cloudtune.verification.killed import only
only("fail")
def killed(*_):
    import os
    os._exit(9)
verification.clean_up = killed
from cloudtune.cli import main
sys.exit(main(["verify", "vertex"]))
"""


@pytest.mark.slow
def test_the_recording_of_a_step_that_has_ended_outlives_a_kill(tmp_path: Path) -> None:
    scene = Scene("vertex", tmp_path)
    try:
        scene.run("-c", SAVED, code=9)
        wait_until(lambda: not [*(tmp_path / "state" / "verify").iterdir()])
        assert scene.left() == []
    finally:
        process.stop(scene.address)
    (file,) = tmp_path.glob("verify-vertex-emulated/vertex/*")
    recording = json.loads(file.read_text("utf-8"))
    assert recording["cut_short"]
    assert "CreateHyperparameterTuningJob" in str(recording["sequence"])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write to")
def test_nothing_is_sent_if_the_recordings_cannot_be_written(tmp_path: Path) -> None:
    scene = Scene("vertex", tmp_path)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "cloudtune", "verify", "vertex"],
            cwd="/proc",
            env=scene.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert scene.left() == []
    finally:
        process.stop(scene.address)
    assert done.returncode == 1, done.stderr
    assert "nothing was sent, since the folder /proc/verify-vertex-emulated of the" in done.stderr
    assert "started" not in done.stderr
    assert not list((tmp_path / "state" / "verify").iterdir())
