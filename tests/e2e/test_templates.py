"""Each template as a user meets it: in an empty folder, with what its README installs.

A lock decides on the versions. Trials run in the environment of the template, which has nothing
else; cloudtune is the wheel, with the packages of the Python that runs the tests.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import re
import shutil
import site
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.provider import registry
from cloudtune.testing.provider_contract import stop_emulators
from tests import templates
from tests.conftest import LOCKS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]
EMULATED = sorted(name for name in registry.names() if registry.get(name).emulator)
PLACES = [(name, EMULATED[n % len(EMULATED)]) for n, name in enumerate(templates.NAMES)]
"""Each template with the service that it runs on; all services have their turn."""
EMULATED_TRIALS = 4
LONGEST = 1500
"""Seconds that one command may take on a busy machine."""
NEW_PIP = ["--require-hashes", "--requirement", str(LOCKS / "pip.txt")]
CONSTRAINTS = {
    "PIP_CONSTRAINT": str(LOCKS / "frameworks.txt"),
    "PIP_BUILD_CONSTRAINT": str(LOCKS / "build.txt"),
}
ENDED_WELL = {"completed", "stopped_early"}

Shell = Callable[..., str]


@pytest.fixture(scope="session")
def cloudtune(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the command of the wheel, which is built and installed once for all processes."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = shared / "cloudtune-wheel"
    command = folder / "env" / "bin" / "cloudtune"
    with (shared / "cloudtune-wheel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not command.exists():
            shutil.rmtree(folder, ignore_errors=True)
            build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
            subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
            (wheel,) = folder.glob("*.whl")
            subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
            pip = [str(folder / "env" / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            for words in (NEW_PIP, ["--no-deps", str(wheel)]):
                subprocess.run([*pip, *words], check=True, capture_output=True)
            (packages,) = (folder / "env").glob("lib/python*/site-packages")
            lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
            (packages / "tests.pth").write_text("\n".join(lines), "utf-8")
    return command


def create_environment(folder: Path, python: Path) -> None:
    """Create an environment with a new pip, installed by this Python's: an old one is slow."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    target = ["--python", str(folder / "bin" / "python")]
    pip = [str(python), "-m", "pip", *target, "install", "--quiet"]
    subprocess.run([*pip, *NEW_PIP], check=True)


@pytest.fixture
def shell(tmp_path: Path, cloudtune: Path) -> Iterator[Shell]:
    """Return a function that runs a command line in the folder of the study, as its user would.

    The environment is deleted at the end: one with PyTorch takes more than a gigabyte.
    """
    folder, venv = tmp_path / "study", tmp_path / "env"
    create_environment(venv, cloudtune.with_name("python"))
    folder.mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cloudtune").symlink_to(cloudtune)  # and nothing else of its environment
    hidden = ("CLOUDTUNE_", "PYTHON", "VIRTUAL_ENV", "PYTEST_")
    variables = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
    variables |= {
        "PATH": os.pathsep.join([str(venv / "bin"), str(tmp_path / "bin"), os.environ["PATH"]]),
        "VIRTUAL_ENV": str(venv),
        "CLOUDTUNE_HOME": str(tmp_path / "state"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_COMPILE": "1",  # most of a big package is never imported
        **CONSTRAINTS,
    }
    yield functools.partial(call, folder, variables)
    stop_emulators(tmp_path / "state")
    shutil.rmtree(venv)


def call(folder: Path, variables: dict[str, str], line: str, *words: str) -> str:
    done = subprocess.run(
        ["sh", "-euc", f'{line} "$@"', "sh", *words],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        check=False,
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def test_every_emulator_has_its_turn() -> None:
    assert {provider for _, provider in PLACES} == {*EMULATED}


@pytest.mark.parametrize(("name", "provider"), PLACES)
def test_a_template_runs_here_and_on_an_emulator(
    name: str, provider: str, shell: Shell, tmp_path: Path
) -> None:
    shell(f"cloudtune init --template {name} .")
    requirements = templates.ROOT / name / "requirements.txt"
    if requirements.exists() and "torch" in requirements.read_text("utf-8"):
        # PyPI's build for Linux brings 3 GB of CUDA. pip may be configured with a folder that has
        # the build for CPUs.
        shell("pip install --quiet --no-index --no-deps torch 2>/dev/null || :")
    for line in templates.preparation(name):
        shell(line)
    assert "no mistakes" in shell("cloudtune check study.yaml")

    on = [word for each in registry.names() for word in ("--on", each)]
    plans = json.loads(shell("cloudtune plan study.yaml --emulate --json", *on))
    assert [plan["provider"] for plan in plans] == registry.names()
    assert all(plan["facts"]["emulated"] for plan in plans if plan["provider"] in EMULATED)

    here = run(shell, "cloudtune run study.yaml --json")
    completed = [trial["metrics"] for trial in here["trials"] if trial["state"] == "completed"]
    wanted = templates.conditions(name)
    assert any(all(each.holds(metrics) for each in wanted) for metrics in completed), completed

    words = ["--on", provider, "--set", f"limits.max_trials={EMULATED_TRIALS}"]
    if "timeout" in here["study"].get("limits", {}):  # an emulator takes longer
        words += ["--set", "limits.timeout=30m"]
    if "rehearse" in registry.get(provider).settings.model_fields:
        python = tmp_path / "env" / "bin" / "python"
        words += ["--set", f"providers.{provider}.rehearse.python={python}"]
    emulated = run(shell, "cloudtune run study.yaml --emulate --json", *words)
    assert emulated["emulated"]
    assert {trial["number"] for trial in emulated["trials"]} >= {*range(1, EMULATED_TRIALS + 1)}

    shell("cloudtune report -o report.html", here["run"], emulated["run"])
    page = (tmp_path / "study" / "report.html").read_text("utf-8")
    assert here["run"] in page
    assert emulated["run"] in page


def run(shell: Shell, line: str, *words: str) -> dict[str, Any]:
    """Run a study, and return its result, after a check that all trials have ended well."""
    results: list[dict[str, Any]] = json.loads(shell(line, *words))
    (result,) = results
    assert result["state"] == "completed"
    late = "the study's timeout was reached"  # then, the trials that still ran are cancelled
    states = {trial["state"] for trial in result["trials"] if trial.get("reason") != late}
    assert states <= ENDED_WELL
    completed = [trial for trial in result["trials"] if trial["state"] == "completed"]
    assert completed
    assert all(trial["objective"] for trial in completed)
    return result


def test_the_check_of_an_image_finds_what_services_trip_over(shell: Shell, tmp_path: Path) -> None:
    shell("cloudtune init --template own-container .")
    constraints = tmp_path / "constraints.txt"  # without hashes, which an image's old pip misreads
    lock = (LOCKS / "sagemaker-training.txt").read_text("utf-8")
    constraints.write_text(re.sub(r" \\\n    --hash=\S+", "", lock), "utf-8")
    done = shell(f"PIP_CONSTRAINT={constraints} python check_image.py")
    for subject in ("Dockerfile", "SageMaker", "Vertex AI", "IBM Watson"):
        assert re.search(f"^{subject} +ok$", done, re.MULTILINE), done

    dockerfile = tmp_path / "study" / "Dockerfile"
    with dockerfile.open("a", encoding="utf-8") as file:
        file.write('ENTRYPOINT ["python"]\n')
    failing = shell("! python check_image.py")
    assert re.search("^Dockerfile has an ENTRYPOINT", failing, re.MULTILINE)
    shutil.move(tmp_path / "study/image/bin/train", tmp_path / "study/image/bin/other")
    assert "no command `train`" in shell("! python check_image.py")
