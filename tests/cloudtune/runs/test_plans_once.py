"""A run plans each job once, lists its files once and scans the entry points once."""

from __future__ import annotations

import subprocess
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import cloudtune
from cloudtune.planning import planner
from cloudtune.provider import registry
from cloudtune.study.study import Study

STUDY = Study.model_validate(
    {
        "objective": {"metric": "score", "goal": "maximize"},
        "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
        "strategy": "random",
        "limits": {"max_trials": 1},
        "trial": {"script": "train.py"},
    }
)
SCRIPT = "from cloudtune.trial import params, report\nreport(score=params()['x'])\n"


def test_a_run_plans_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")
    calls: Counter[str] = Counter()
    plan_mode = planner._plan_mode  # pyright: ignore[reportPrivateUsage]
    entry_points = metadata.entry_points
    run: Any = subprocess.run

    def counted_plan(*args: Any, **more: Any) -> Any:
        calls["plan"] += 1
        return plan_mode(*args, **more)

    def counted_scan(**more: Any) -> Any:
        calls["scan"] += 1
        return entry_points(**more)

    def counted_run(command: Any, **more: Any) -> Any:
        calls["list"] += "ls-files" in command
        return run(command, **more)

    monkeypatch.setattr(planner, "_plan_mode", counted_plan)
    monkeypatch.setattr(registry, "entry_points", counted_scan)
    monkeypatch.setattr(subprocess, "run", counted_run)
    registry._entries.cache_clear()  # pyright: ignore[reportPrivateUsage]
    handle = cloudtune.run(STUDY, show=False)
    assert handle.outcomes["local"].state == "completed"
    assert calls == {"plan": 1, "scan": 1, "list": 1}
