"""Images are looked up by the ``sagemaker`` package of either major version, in its own process."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from cloudtune_sagemaker import images
from cloudtune_sagemaker.images import ImageLookupError, find_image
from cloudtune_sagemaker.settings import Framework
from tests.cloudtune_sagemaker import support

TORCH = Framework(name="pytorch", version="2.3", python="py311")
FAKE = """\
import json, os, pathlib, sys
print("sagemaker.config INFO - not applying defaults")
pathlib.Path({seen!r}).write_text(json.dumps({{
    "aws": sorted(n for n in os.environ if n.startswith("AWS_")),
    "config": pathlib.Path(os.environ["SAGEMAKER_USER_CONFIG_OVERRIDE"]).read_text(),
}}))
def retrieve(framework, region, version, py_version, instance_type, image_scope):
    if framework == "torchy":
        raise FileNotFoundError(framework)
    if framework == "broken":
        raise RuntimeError("not today")
    if version != "2.3":
        raise ValueError("Unsupported version: " + version)
    return "/".join([framework, region, version, str(py_version), instance_type, image_scope])
"""


@pytest.fixture(params=["image_uris.py", "core/image_uris.py"], ids=["v2", "v3"])
def seen(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package laid out as in one of the two versions; what it saw of its surroundings."""
    place = tmp_path / "site" / "sagemaker" / request.param
    place.parent.mkdir(parents=True)
    noted = tmp_path / "seen.json"
    place.write_text(FAKE.format(seen=str(noted)), "utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    importlib.invalidate_caches()
    return noted


def test_find_image(seen: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = find_image(TORCH, "us-east-1", "ml.m5.xlarge")
    assert image == "pytorch/us-east-1/2.3/py311/ml.m5.xlarge/training"
    assert capfd.readouterr().out == ""


def test_the_process_has_no_credentials_and_no_telemetry(
    seen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_PROFILE", "team")
    find_image(TORCH, "us-east-1", "ml.m5.xlarge")
    noted = seen.read_text("utf-8")
    assert "AWS_SECRET_ACCESS_KEY" not in noted
    assert "AWS_PROFILE" not in noted
    assert "TelemetryOptOut: true" in noted


@pytest.mark.parametrize(
    ("framework", "said"),
    [
        (Framework(name="torchy", version="1"), "not know the framework torchy"),
        (Framework(name="pytorch", version="99"), "Unsupported version: 99"),
        (Framework(name="broken", version="1"), "not today"),
    ],
)
def test_a_missing_image_has_a_reason(seen: Path, framework: Framework, said: str) -> None:
    with pytest.raises(ImageLookupError, match=said):
        find_image(framework, "us-east-1", "ml.m5.xlarge")


def test_without_the_package_an_image_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(images, "find_spec", nothing)
    (tmp_path / "train.py").write_text("", "utf-8")
    framework = {"name": "pytorch", "version": "2.3"}
    plan = support.plan_of(support.study_of(image=None, framework=framework), tmp_path)
    assert plan.at("providers.sagemaker.framework") == ["refused"]
    said = plan.said("providers.sagemaker.framework")
    assert "cloudtune[sagemaker-sdk]" in said
    assert "give image" in said


def test_a_study_may_name_a_framework(seen: Path, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("", "utf-8")
    framework = {"name": "pytorch", "version": "2.3"}
    plan = support.plan_of(support.study_of(image=None, framework=framework), tmp_path)
    assert plan.findings == []
    algorithm = plan.request["TrainingJobDefinition"]["AlgorithmSpecification"]
    assert algorithm["TrainingImage"] == "pytorch/us-east-1/2.3/None/ml.m5.large/training"
