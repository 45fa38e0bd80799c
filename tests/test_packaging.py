"""What is in the repository, in its wheel and in the environment is the same."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import time
import tomllib
import zipfile
from importlib.metadata import entry_points
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import cloudtune

ROOT = Path(__file__).parents[1]
PROVIDERS = sorted(path.name for path in (ROOT / "providers").glob("cloudtune_*"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


COMMIT_TIME = 1_767_323_046  # 2026-01-02 03:04:06 UTC


def build(source: Path, target: Path) -> dict[str, bytes]:
    """Build as the release workflow does, and return the content of the sdist and the wheel."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(target)]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(COMMIT_TIME)}
    subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True)
    return {path.suffix: path.read_bytes() for path in target.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return build(ROOT, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def wheel(built: dict[str, bytes]) -> frozenset[str]:
    with zipfile.ZipFile(BytesIO(built[".whl"])) as archive:
        return frozenset(archive.namelist())


@pytest.mark.slow
def test_a_build_elsewhere_at_another_time_is_equal_bit_by_bit(
    built: dict[str, bytes], tmp_path: Path
) -> None:
    """The second one is from the files of the first, as a packager has them, without git."""
    with tarfile.open(fileobj=BytesIO(built[".gz"])) as archive:
        assert {member.mtime for member in archive} == {COMMIT_TIME}
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    for path in source.rglob("*"):
        path.chmod(0o700 if path.stat().st_mode & 0o100 else 0o600)
        os.utime(path, (time.time(), time.time()))
    again = build(source, tmp_path / "again")
    assert set(again) == set(built) == {".gz", ".whl"}
    for kind, content in again.items():
        assert content == built[kind], kind


def source_files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder.parent).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".cloudtune" not in path.parts
    }


def test_each_provider_folder_is_a_package_of_the_wheel() -> None:
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(packages) == ["cloudtune", *(f"providers/{name}" for name in PROVIDERS)]


def test_each_provider_folder_is_an_entry_point() -> None:
    declared = PROJECT["project"]["entry-points"]["cloudtune.providers"]
    packages = {name: value.partition(":")[0] for name, value in declared.items()}
    assert packages == {name.removeprefix("cloudtune_"): name for name in PROVIDERS}


def test_the_installed_entry_points_are_those_of_the_project() -> None:
    own = {
        entry.name: entry.value
        for entry in entry_points(group="cloudtune.providers")
        if entry.dist is not None and entry.dist.name == "cloudtune"
    }
    assert own == PROJECT["project"]["entry-points"]["cloudtune.providers"], (
        "install again: pip install -e ."
    )


def test_the_wheel_has_the_allowed_names_on_top_and_no_other(wheel: frozenset[str]) -> None:
    top = {name.partition("/")[0] for name in wheel}
    info = f"cloudtune-{cloudtune.__version__}.dist-info"
    assert top == {"cloudtune", *PROVIDERS, info}


def test_every_file_of_the_packages_reaches_the_wheel(wheel: frozenset[str]) -> None:
    wanted = source_files(ROOT / "cloudtune")
    for name in PROVIDERS:
        wanted |= source_files(ROOT / "providers" / name)
    assert wanted <= wheel


def test_the_templates_reach_the_wheel(wheel: frozenset[str]) -> None:
    files = source_files(ROOT / "templates")
    assert "templates/quickstart/study.yaml" in files
    packed = {name for name in wheel if name.startswith("cloudtune/_templates/")}
    assert packed == {name.replace("templates/", "cloudtune/_templates/", 1) for name in files}


def test_the_version_is_said_once() -> None:
    assert PROJECT["project"]["version"] == cloudtune.__version__


def test_every_package_says_that_it_is_typed() -> None:
    for package in [ROOT / "cloudtune", *(ROOT / "providers" / name for name in PROVIDERS)]:
        assert (package / "py.typed").is_file(), package


def test_folders_that_are_no_packages_cannot_be_taken_for_one() -> None:
    assert not (ROOT / "providers" / "__init__.py").exists()
    for folder in ("benchmarks", "templates", "tests"):
        assert list((ROOT / folder).rglob("__init__.py")) == []
