"""Jobs in their images, with a stand-in for Docker that runs their commands here.

The same was tried by hand with Podman 5.4 and an image with sagemaker-training 5.1.4.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import fake_docker

if TYPE_CHECKING:
    from tests.cloudtune_sagemaker.emulator.conftest import Emulator

ENTRYPOINT = f"""#!{sys.executable}
import json, os, subprocess, sys
from pathlib import Path
mounts = dict((path, folder) for folder, path in json.loads(os.environ["MOUNTS"]))
base = Path(mounts["/opt/ml"])
print("the image's own entry point", sys.argv[1:], sorted(mounts), os.environ.get("OWN"))
values = json.loads((base / "input/config/hyperparameters.json").read_text())
if "sagemaker_program" in values:
    names = [name for name in values if not name.startswith(("sagemaker_", "_"))]
    words = [word for name in names for word in ("--" + name, values[name])]
    sys.exit(subprocess.call([sys.executable, base / "code" / "train.py", *words]))
print("loss=7;")
(base / "model" / "weights").write_text("1")
(base / "output" / "failure").write_text("no such eta")
sys.exit(int(values.get("eta") == "wrong"))
"""


@pytest.fixture
def images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_emulator: Callable[..., Emulator]
) -> Emulator:
    """An emulator that runs images."""
    fake_docker.put_on_path(tmp_path / "engine", ENTRYPOINT, monkeypatch)
    return start_emulator("--with-images")


def calls(folder: Path) -> list[list[str]]:
    return [json.loads(line) for line in (folder / "engine" / "calls").read_text().splitlines()]


def test_jobs_run_in_their_images(images: Emulator, tmp_path: Path) -> None:
    name = images.train(Environment={"OWN": "kept"}, EnableNetworkIsolation=True)
    job = images.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job
    assert "the image's own entry point ['train'] ['/opt/ml'] kept" in images.log(name)
    (call,) = calls(tmp_path)
    assert call[-2:] == ["123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1", "train"]
    assert call[call.index("--network") + 1] == "none"
    assert images.tuned(images.tune())["HyperParameterTuningJobStatus"] == "Completed"


def test_an_image_is_the_code(images: Emulator) -> None:
    """A built-in algorithm, for example; without images it is refused."""
    plain: dict[str, Any] = {"StaticHyperParameters": {"eta": "0.1"}}
    job = images.trained(images.train(**plain))
    assert job["TrainingJobStatus"] == "Completed", job
    assert job["FinalMetricDataList"][0]["Value"] == 7
    checkpoints = {"S3Uri": "s3://team-bucket/kept/", "LocalPath": "/elsewhere"}
    plain = {"StaticHyperParameters": {"eta": "wrong"}, "CheckpointConfig": checkpoints}
    name = images.train(**plain)
    assert images.trained(name)["FailureReason"] == "AlgorithmError: no such eta, exit code: 1"
    assert "['/elsewhere', '/opt/ml']" in images.log(name)


def test_an_image_that_does_not_exist(images: Emulator) -> None:
    algorithm = {"TrainingImage": "missing", "TrainingInputMode": "File"}
    job = images.trained(images.train(AlgorithmSpecification=algorithm))
    assert job["TrainingJobStatus"] == "Failed"
    reason = "ClientError: the image cannot be run: Error: no such image: missing"
    assert job["FailureReason"] == reason


def test_a_stop_ends_the_container(images: Emulator, tmp_path: Path) -> None:
    code = "import time\nprint('loss=1;', flush=True)\ntime.sleep(100)"
    name = images.train(
        AlgorithmSpecification={
            "TrainingImage": "own",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": [sys.executable],
            "ContainerArguments": ["-c", f"exec({code!r})"],
        }
    )
    images.until(lambda: images.log(name), lambda text: "loss=1" in text)
    images.sagemaker.stop_training_job(TrainingJobName=name)
    assert images.trained(name)["TrainingJobStatus"] == "Stopped"
    assert not list((tmp_path / "engine").glob("cloudtune-*"))


def test_images_need_an_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, start_emulator: Callable[..., Emulator]
) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(AssertionError, match="needs Docker or Podman"):
        start_emulator("--with-images")
