"""The page of a plan on Ray, compared with a golden file; renewed as the requests are."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from cloudtune.cli.templates import write_template
from cloudtune.planning import planner
from cloudtune.reporting.console.plan_page import format_plan
from cloudtune.study.loader import load

GOLDEN = Path(__file__).parent / "golden" / "plan-page.txt"


def test_the_page_of_the_quickstart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    write_template("quickstart", tmp_path / "study")
    study = load(
        Path("study/study.yaml"),
        overrides=[
            "providers.ray.address=https://ray.example.com",
            "providers.ray.storage=/shared",
        ],
    )
    plan = planner.plan(study, "ray", run_id="3f6k2m9qxt", seed=5)
    page = "\n".join(format_plan(plan, brief=False)) + "\n"
    page = re.sub(r"\d+ files?, \d+ kB", "FILES", page).replace(str(tmp_path), "FOLDER")
    if os.environ.get("CLOUDTUNE_RENEW_GOLDEN"):
        GOLDEN.write_text(page, "utf-8")
        pytest.skip("renewed")
    assert page == GOLDEN.read_text("utf-8")
