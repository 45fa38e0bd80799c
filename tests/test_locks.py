"""The committed locks fit pyproject.toml on each Python and system that is supported."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.locks import FOLDER, LOCKS, changes, requirements, texts

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PYTHONS = ("3.11.9", "3.12.3", "3.13.1", "3.14.0")
SYSTEMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "x86_64"), ("darwin", "arm64"))
PACKAGE = re.compile(
    r"(?P<pin>[\w.-]+==[\w.]+( ; [^\n\\]+)?)( \\\n    --hash=sha256:[0-9a-f]{64})+"
    r"(?P<via>(\n    #[^\n]*)*)\n"
)
TEXTS = texts(FOLDER)
ENVIRONMENTS = [
    {
        "extra": "",
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": system.capitalize(),
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "sys_platform": system,
    }
    for python, (system, machine) in product(PYTHONS, SYSTEMS)
]


def packages(lock: str) -> list[re.Match[str]]:
    return list(PACKAGE.finditer(TEXTS[lock]))


def expand(lines: Sequence[str]) -> Iterator[Requirement]:
    """Yield the requirements, with what the extras of cloudtune name instead of cloudtune."""
    for requirement in map(Requirement, lines):
        if requirement.name != "cloudtune":
            yield requirement
            continue
        yield from expand(PROJECT["dependencies"])
        for extra in requirement.extras:
            yield from expand(PROJECT["optional-dependencies"][extra])


def test_there_is_a_lock_for_each_list_of_requirements() -> None:
    assert set(TEXTS) == set(LOCKS)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_versions_with_hashes_and_nothing_else(lock: str) -> None:
    assert "".join(found.group() for found in packages(lock)) == TEXTS[lock]
    assert "://" not in TEXTS[lock]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_one_version_of_each_requirement_that_meets_it(lock: str) -> None:
    pins = [Requirement(found["pin"]) for found in packages(lock)]
    required = list(expand(requirements(lock)))
    assert required
    wrong: list[str] = []
    for environment, need in product(ENVIRONMENTS, required):
        if need.marker and not need.marker.evaluate(environment):
            continue
        versions = [
            str(pin.specifier).removeprefix("==")
            for pin in pins
            if canonicalize_name(pin.name) == canonicalize_name(need.name)
            and (pin.marker is None or pin.marker.evaluate(environment))
        ]
        if [need.specifier.contains(each, prereleases=True) for each in versions] != [True]:
            place = f"Python {environment['python_version']} on {environment['sys_platform']}"
            wrong.append(f"{need} has {versions or 'no version'} for {place}")
    assert wrong == [], "run python -m scripts.locks"


@pytest.mark.parametrize("lock", ["dev", "quickstart", "user"])
def test_a_lock_has_no_package_that_pyproject_has_dropped(lock: str) -> None:
    direct = {
        Requirement(found["pin"]).name for found in packages(lock) if "cloudtune (" in found["via"]
    }
    names = {canonicalize_name(need.name) for need in expand(requirements(lock)[:1])}
    assert direct == names, "run python -m scripts.locks"


@pytest.mark.parametrize("lock", ["quickstart", "user"])
def test_what_users_install_is_tested_in_the_same_versions(lock: str) -> None:
    tested = {found["pin"] for found in packages("dev")}
    assert [found["pin"] for found in packages(lock) if found["pin"] not in tested] == []


def test_the_environment_of_the_tests_lacks_nothing_that_its_packages_need() -> None:
    command = [sys.executable, "-m", "pip", "check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_changes_name_each_package_with_other_versions() -> None:
    before = {"dev": "a==1 \\\n    --hash=sha256:0\nb==1\n", "user": "a==1\n"}
    after = {"dev": "a==1 \\\n    --hash=sha256:1\nb==1 ; x\nb==2 ; y\nc==3\n"}
    assert changes(before, after) == ["dev: b 1 -> 1, 2", "dev: c none -> 3", "user: a 1 -> none"]
