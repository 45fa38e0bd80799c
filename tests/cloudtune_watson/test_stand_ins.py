"""Emulated runs of studies that name no back end, or only a part of the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.planning import planner
from cloudtune.planning.serialization import restore_plan
from tests.plan_factory import study_with


@pytest.mark.parametrize(
    ("settings", "backend"),
    [
        ({}, "wml"),
        ({"backend": "auto"}, "wml"),
        ({"space_id": "mine"}, "wml"),
        ({"version": "5.1"}, "wml"),
        ({"version": "standalone"}, "wmla"),
        ({"url": "https://eu-de.ml.cloud.ibm.com"}, "jobs"),
        ({"backend": "jobs"}, "jobs"),
    ],
)
def test_an_emulated_run_has_a_back_end(
    settings: dict[str, Any], backend: str, tmp_path: Path
) -> None:
    (tmp_path / "train.py").touch()
    study = study_with("watson", settings, {})
    plan = planner.plan(study, "watson", base=tmp_path, emulated=True)
    assert plan.findings == ()
    assert plan.facts.data["backend"] == backend
    assert any(f"backend ({backend})" in note.text for note in plan.notes) != (
        settings == {"backend": "jobs"}
    )
    assert restore_plan(plan.to_json()).request == plan.request
    if "backend" not in settings:
        real = planner.plan(study, "watson", base=tmp_path)
        assert "set the IBM service that you have" in str(real.refused[0])
