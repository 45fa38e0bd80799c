"""What is sent, and what of it looks like a mistake."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cloudtune.diagnostics import Check
from cloudtune.doctor.bundle import check_bundle
from cloudtune.doctor.imports import check_imports
from cloudtune.doctor.source import check_paths
from cloudtune.planning.planner import plan
from cloudtune.provider.plan import Plan
from cloudtune.study.loader import load

STUDY = """
objective: {metric: loss, goal: minimize}
parameters: {lr: {type: float, min: 0, max: 1}}
limits: {max_trials: 2}
trial: {script: train.py, %s}
providers:
  sagemaker: {region: eu-west-1, bucket: a-bucket, %s}
"""
FRAMEWORK = "framework: {name: sklearn, version: 1.2-1}"
Create = Callable[..., Plan]


@pytest.fixture
def create(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Create:
    """Returns the plan of a folder with files; the study is on SageMaker by default."""
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "code"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def write(
        files: Mapping[str, str | int], *, on: str = "sagemaker", trial: str = "", image: str = ""
    ) -> Plan:
        for name, content in {"train.py": "import json\n", **files}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = content if isinstance(content, str) else "x" * content
            path.write_text(text, "utf-8")
        (folder / "study.yaml").write_text(STUDY % (trial, image or FRAMEWORK))
        return plan(load("study.yaml"), on)

    return write


def wrong(checks: list[Check]) -> list[str]:
    return [check.id for check in checks if check.severity != "ok"]


def test_the_summary_says_what_is_sent_where(create: Create) -> None:
    (summary,) = check_bundle(create({}))
    assert summary.severity == "ok"
    assert summary.message.startswith("2 files, ")
    assert summary.message.endswith(", to the bucket a-bucket")


def test_what_git_ignores_is_named(create: Create, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "code")], check=True)
    (summary,) = check_bundle(create({"data/train.csv": "1", ".gitignore": "data\n"}))
    assert "without data (ignored)" in summary.message


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"data/train.csv": 6_000_000}, "data"),
        ({"model.safetensors": 3_000_000, "old.ckpt": 3_000_000}, "data"),
        ({"env/lib/python3.11/site-packages/torch/__init__.py": ""}, "environment"),
        ({"my-env/pyvenv.cfg": "", "my-env/bin/activate": ""}, "environment"),
        ({f"wandb/run-{n}/output.log": "" for n in range(30)}, "results"),
        ({f"notes/{n}.txt": "" for n in range(2_100)}, "size"),
        ({"video.raw": 60_000_000}, "size"),
    ],
)
def test_a_file_too_many(create: Create, files: Mapping[str, str | int], found: str) -> None:
    if "my-env/pyvenv.cfg" in files:  # without git, an environment of any name is left out
        subprocess.run(["git", "init", "-q"], check=True)
    checks = list(check_bundle(create(files)))
    assert wrong(checks) == [found]
    assert all(check.path == "trial.source" and check.fix for check in checks[1:])


def test_a_credential_is_named_on_this_machine(create: Create) -> None:
    assert wrong(list(check_bundle(create({".env": "TOKEN=1"}, on="local")))) == ["credentials"]


def test_a_clean_source_has_no_finding(create: Create) -> None:
    files = {"src/model.py": "", "conf/base.yaml": "a: 1", "data/classes.csv": "cat\ndog\n"}
    assert wrong(list(check_bundle(create(files)))) == []


@pytest.mark.parametrize(
    ("text", "requirements", "found"),
    [
        ("import json\nimport numpy as np\nfrom sklearn.svm import SVC\n", None, []),
        ("import cv2, timm\n", None, ["opencv-python", "timm"]),
        ("import cv2\n", "opencv-python-headless\nopencv-python>=4\n", []),
        ("import yaml\n", "PyYAML==6.0\n", []),
        ("import pluggy\n", "pytest\n", []),  # pytest requires it
        ("import timm\n", "-r other.txt\n", []),
        ("try:\n    import timm\nexcept ImportError:\n    timm = None\n", None, []),
        ("def late():\n    import timm\n", None, ["timm"]),
        ("from lib import model\n", None, ["einops"]),
        ("from cloudtune.trial import report\n", None, []),
    ],
)
def test_imports(create: Create, text: str, requirements: str | None, found: list[str]) -> None:
    files = {"train.py": text, "lib/__init__.py": "", "lib/model.py": "import einops\n"}
    files["unused.py"] = "import another_package\n"
    trial = ""
    if requirements:
        files["requirements.txt"], trial = requirements, "requirements: requirements.txt"
    checks = list(check_imports(create(files, trial=trial)))
    assert [line for check in checks for line in check.command.splitlines()] == found
    assert all(check.file and check.line for check in checks)


def test_the_contents_of_an_image_of_your_own_are_unknown(create: Create) -> None:
    image = "image: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/train:1"
    assert list(check_imports(create({"train.py": "import timm\n"}, image=image))) == []


def test_a_path_of_this_machine(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudtune.doctor.source._EVERYWHERE", ("/opt",))
    text = f'import json\nDATA = "{tmp_path}"\nOUT = "/opt/ml/model"\nNO = "/no/such/path"\n'
    (check,) = check_paths(create({"train.py": text}))
    assert (check.id, check.file, check.line) == ("path-of-machine", "train.py", 2)
    assert list(check_paths(create({"train.py": text}, on="local"))) == []
