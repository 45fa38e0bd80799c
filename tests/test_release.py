"""What a release promises: pinned actions, supported versions, and what an installation weighs."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import cloudtune
from cloudtune.study.yaml_reader import is_list, is_map
from scripts.install_sizes import documented_sizes, extras, needed_packages

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
SUPPORT = (ROOT / "docs" / "support.md").read_text("utf-8")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
USE = re.compile(r"^ +(?:- )?uses: (\S+) # v\d+\.\d+\.\d+$", re.MULTILINE)


READER: Any = YAML(typ="safe")


def read_yaml(path: Path) -> Any:
    return READER.load(path.read_text("utf-8"))


def used_actions(node: Any) -> list[str]:
    """Return what a workflow uses, wherever it is in the document."""
    if is_list(node):
        return [action for each in node for action in used_actions(each)]
    if not is_map(node):
        return []
    own = [node["uses"]] if "uses" in node else []
    return own + [action for each in node.values() for action in used_actions(each)]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit_and_names_its_version(path: Path) -> None:
    used = used_actions(read_yaml(path))
    assert used
    assert [action for action in used if not PINNED.fullmatch(action)] == []
    assert USE.findall(path.read_text("utf-8")) == used, "each needs its version as a comment"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_can_only_read_unless_a_job_says_more(path: Path) -> None:
    assert read_yaml(path)["permissions"] == {"contents": "read"}


def test_ci_runs_every_version_of_python_that_the_support_policy_lists() -> None:
    versions = read_yaml(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["all"]["strategy"]
    listed = dict(re.findall(r"^\| (3\.\d+) \| yes \| (.+) \|$", SUPPORT, re.MULTILINE))
    assert versions["matrix"]["python"] == list(listed)
    assert PROJECT["requires-python"] == f">={min(listed, key=lambda each: int(each[2:]))}"
    prefix = "Programming Language :: Python :: "
    claimed = [each.removeprefix(prefix) for each in PROJECT["classifiers"] if prefix in each]
    assert claimed == [version for version, run in listed.items() if run != "not run"]


def test_the_citation_is_of_this_version() -> None:
    citation = read_yaml(ROOT / "CITATION.cff")
    for key in ("version", "license"):
        assert citation[key] == PROJECT[key]
    assert citation["title"] == PROJECT["name"]
    assert citation["abstract"] == PROJECT["description"]
    assert citation["version"] == cloudtune.__version__


def test_the_page_has_the_size_of_every_extra() -> None:
    assert list(documented_sizes()) == extras()


ALL = re.fullmatch(r"cloudtune\[(.+)\]", PROJECT["optional-dependencies"]["all"][0])


@pytest.mark.skipif(sys.platform != "linux", reason="the table has the sizes of Linux")
@pytest.mark.parametrize("extra", ["", *(ALL[1].split(",") if ALL else ()), "all"])
def test_an_installation_is_as_small_as_the_page_says(extra: str) -> None:
    """Versions float, so a third more or less is tolerated; a new large dependency is not."""
    provided = metadata("cloudtune").get_all("Provides-Extra") or []
    assert extra in {"", *provided}, "install again: pip install -e ."
    count, megabytes = documented_sizes()[extra]
    packages = needed_packages(extra)
    assert len(packages) == pytest.approx(count, rel=1 / 3), sorted(packages)
    assert sum(packages.values()) / 1e6 == pytest.approx(megabytes, rel=1 / 3), packages
