"""Jobs in their images, with a stand-in for Docker that runs their commands here.

A package was also tried by hand with Podman 5.4.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import fake_docker

ENTRYPOINT = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path
mounts = dict((path, folder) for folder, path in json.loads(os.environ["MOUNTS"]))
print("the image's own entry point", sys.argv[1:], sorted(mounts), os.environ.get("OWN"))
print(os.environ["STORAGE_EMULATOR_HOST"].startswith("http"), os.listdir(mounts["/gcs"]))
if path := os.environ.get("CLOUD_ML_HP_METRIC_FILE"):
    assert path == "/var/hypertune/output.metrics"
    report = json.dumps({{"timestamp": 1, "global_step": "1", "loss": "0.5"}})
    Path(mounts["/var/hypertune"], "output.metrics").write_text(report + "\\n")
"""


@pytest.fixture
def images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_emulator: Callable[..., Any]
) -> Any:
    """An emulator that runs images."""
    fake_docker.put_on_path(tmp_path / "engine", ENTRYPOINT, monkeypatch)
    return start_emulator("--with-images")


def test_an_image_is_the_code(images: Any) -> None:
    pool = images.container("", "--lr=0.1", command=[], env=[{"name": "OWN", "value": "kept"}])
    job = images.ended(images.create_custom(pool).name)
    assert job.state.name == "JOB_STATE_SUCCEEDED", job
    first, second = images.log(job.name).splitlines()
    assert first.endswith("['--lr=0.1'] ['/gcs', '/gcs/team-bucket', '/var/hypertune'] kept")
    assert second == "True ['team-bucket']"


def test_a_package_is_installed_in_the_image(images: Any, tmp_path: Path) -> None:
    pool = images.package("", "--lr=0.1")
    missing = "us-docker.pkg.dev/vertex-ai/training/missing:latest"
    pool["pythonPackageSpec"]["executorImageUri"] = missing  # or this machine's pip would install
    job = images.ended(images.create_custom(pool).name)
    assert job.state.name == "JOB_STATE_FAILED"
    assert "no such image: us-docker" in job.error.message
    (line,) = (tmp_path / "engine" / "calls").read_text().splitlines()
    call: list[str] = json.loads(line)
    assert call[call.index("--entrypoint") + 1] == "/bin/sh"
    assert " /cloudtune-packages/0/trainer-1.tar.gz && exec python3 -m trainer.task " in call[-1]
    assert call[-1].endswith("--lr=0.1")
