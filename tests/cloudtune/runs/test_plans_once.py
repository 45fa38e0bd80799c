"""A run plans each job once, lists its files once and scans the entry points once."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import cloudtune
from cloudtune.bundle.files import fingerprint
from cloudtune.common import entry_points
from cloudtune.planning import planner
from cloudtune.planning.bundle import read_bundle
from cloudtune.provider import registry
from cloudtune.runs import lifecycle
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
    scan = metadata.distributions
    run: Any = subprocess.run

    def counted_plan(*args: Any, **more: Any) -> Any:
        calls["plan"] += 1
        return plan_mode(*args, **more)

    def counted_scan(**more: Any) -> Any:
        calls["scan"] += 1
        return scan(**more)

    def counted_run(command: Any, **more: Any) -> Any:
        calls["list"] += "ls-files" in command
        return run(command, **more)

    monkeypatch.setattr(planner, "_plan_mode", counted_plan)
    monkeypatch.setattr(entry_points, "distributions", counted_scan)
    monkeypatch.setattr(subprocess, "run", counted_run)
    entry_points._scan.cache_clear()  # pyright: ignore[reportPrivateUsage]
    registry._entries.cache_clear()  # pyright: ignore[reportPrivateUsage]
    handle = cloudtune.run(STUDY, show=False)
    assert handle.outcomes["local"].state == "completed"
    assert calls == {"plan": 1, "scan": 1, "list": 1}


def test_the_jobs_of_a_run_share_one_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "link").symlink_to("../train.py")
    reads: list[Path] = []

    def counted_read(source: Path, *more: Any) -> Any:
        reads.append(source)
        return read_bundle(source, *more)

    monkeypatch.setattr(planner, "read_bundle", counted_read)
    plans = planner.plan_run(STUDY, ["local", "vertex", "sagemaker"], emulated=True)
    assert reads == [tmp_path]
    new = lifecycle.create(plans)
    copies = [tmp_path / "state" / "runs" / new.id / plan.provider / "source" for plan in plans]
    assert len({(copy / "train.py").stat().st_ino for copy in copies}) == 1
    assert len({plan.facts.source_hash for plan in new.plans}) == 1
    for copy in copies:
        assert copy.stat().st_mode & 0o777 == 0o700
        assert (copy / "sub" / "link").readlink() == Path("../train.py")
        assert fingerprint(copy, ["sub/link", "train.py"]) == new.plans[0].facts.source_hash


def test_without_hard_links_each_job_has_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", fail)
    new = lifecycle.create(planner.plan_run(STUDY, ["local", "vertex"], emulated=True))
    folder = tmp_path / "state" / "runs" / new.id
    assert sorted(path.parts[-3] for path in folder.glob("*/source/train.py")) == [
        "local",
        "vertex",
    ]
