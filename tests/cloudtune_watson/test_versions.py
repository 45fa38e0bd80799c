"""The choice of the back end, and the versions that have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.errors import StudyError
from cloudtune.planning import planner
from cloudtune.provider.read_settings import read_settings
from cloudtune.study.schema import Mode
from cloudtune_watson import WatsonProvider
from cloudtune_watson.settings import SETTINGS
from cloudtune_watson.versions import (
    END_OF_SUPPORT,
    STANDALONE,
    WATSONX_AI_VERSIONS,
    parse_version,
    short_version,
)
from tests.cloudtune_watson import support
from tests.plan_factory import study_with

PAGE = Path(__file__).parents[2] / "docs" / "watson.md"


def test_the_page_names_all_versions_and_its_sources() -> None:
    section = PAGE.read_text("utf-8").partition("## Which back end")[2]
    page = section.partition("\n## ")[0]
    for version in ("3.5", "4.0", "5.0", "5.1", *WATSONX_AI_VERSIONS, STANDALONE):
        assert version in page
    sources = [line for line in page.splitlines() if ", read 2026-" in line]
    assert len(sources) == 6
    assert END_OF_SUPPORT in page


@pytest.mark.parametrize("emulated", [False, True])
@pytest.mark.parametrize(("mode", "first"), [("auto", 0), ("managed", 0), ("driven", 1)])
def test_a_missing_back_end_is_explained_once(
    emulated: bool, mode: str, first: int, tmp_path: Path
) -> None:
    (tmp_path / "train.py").touch()
    modes: tuple[Mode, ...] = ("managed", "driven")
    plans = [
        support.plan_of(
            support.study_of("wml", backend=None, mode=mode), tmp_path, each, emulated=emulated
        )
        for each in modes
    ]
    for plan in plans:
        assert [f.path for f in plan.findings if f.kind == "refused"] == [f"{SETTINGS}.backend"]
        assert plan.request == {}
    told = plans[first].said(f"{SETTINGS}.backend")
    for word in ("jobs", "wml", "wmla", "4.0", "5.4", "IBM Cloud"):
        assert word in told
    assert len(plans[1 - first].said(f"{SETTINGS}.backend")) < 40


@pytest.mark.parametrize(
    ("backend", "wrong", "right"), [("wml", "managed", "driven"), ("wmla", "driven", "managed")]
)
def test_a_back_end_has_one_mode(backend: str, wrong: Mode, right: Mode, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    study = support.study_of(backend)
    plan = support.plan_of(study, tmp_path, wrong)
    assert [f.path for f in plan.findings] == [f"{SETTINGS}.backend"]
    assert right in plan.said(f"{SETTINGS}.backend")
    assert support.plan_of(study, tmp_path, right).findings == []
    assert planner.plan(study, "watson", base=tmp_path).mode == right

    unlike = support.study_of(backend, url="http://x")
    assert planner.plan(unlike, "watson", base=tmp_path).mode == right
    asked = planner.plan(support.study_of(backend, mode=wrong), "watson", base=tmp_path)
    assert asked.mode == wrong
    assert [f.path for f in asked.refused] == [f"{SETTINGS}.backend"]


def test_a_misspelt_back_end_is_a_mistake() -> None:
    study = study_with("watson", {"backend": "wlm"}, {})
    with pytest.raises(StudyError, match="did you mean wml"):
        read_settings(study, "watson", WatsonProvider())


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("5.1", (5, 1)),
        ("4.8.5", (4, 8, 5)),
        ("5", (5,)),
        ("5.x", None),
        ("", None),
        ("5.\u0661", None),
    ],
)
def test_versions_are_numbers(version: str, numbers: tuple[int, ...] | None) -> None:
    assert parse_version(version) == numbers


@pytest.mark.parametrize("version", ["5.1", "5.1.3", "standalone", "{{version}}"])
def test_a_release_is_what_ibms_packages_call_it(version: str) -> None:
    assert short_version(version) == version.removesuffix(".3")
