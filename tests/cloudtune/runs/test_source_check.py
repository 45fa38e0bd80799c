"""`resume` refuses to run other code than the run's earlier trials."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtune import api
from cloudtune.errors import UsageError
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning import planner
from cloudtune.runs import lifecycle
from cloudtune.runs.source_check import require_unchanged_source
from cloudtune.study.study import Study

STUDY = Study.model_validate(
    {
        "objective": {"metric": "score", "goal": "maximize"},
        "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
        "strategy": {"name": "random", "seed": 1},
        "limits": {"max_trials": 1},
        "trial": {"script": "train.py"},
    }
)
SCRIPT = "from cloudtune.trial import params, report\nreport(score=params()['x'])\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run whose source has files, an executable, and links to a file and a folder."""
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    source = tmp_path / "source"
    (source / "package").mkdir(parents=True)
    (source / "train.py").write_text(SCRIPT, "utf-8")
    (source / "package" / "data.csv").write_text("1,2\n", "utf-8")
    (source / "tool").write_text("#!/bin/sh\n", "utf-8")
    (source / "tool").chmod(0o755)
    (source / "link").symlink_to("package/data.csv")
    (source / "folder").symlink_to("package")
    new = lifecycle.create([planner.plan(STUDY, "local", base=source)])
    lifecycle.execute(*new[:1], plans=new.plans)
    return new.id


def copy_of(run: str) -> Path:
    with Ledger() as ledger:
        return ledger.job_folder(run, "local") / "source"


def change_script(copy: Path) -> None:
    (copy / "train.py").write_text(SCRIPT + "print('other')\n", "utf-8")


CHANGES: list[tuple[Callable[[Path], object], str]] = [
    (change_script, "train.py changed in"),
    (lambda copy: (copy / "package" / "data.csv").unlink(), "files are missing from"),
    (lambda copy: (copy / "new.py").write_text("x = 1\n"), "new.py changed in"),
    (lambda copy: (copy / "tool").chmod(0o600), "files are missing from"),
    (lambda copy: (copy / "folder").unlink(), "files are missing from"),
    (shutil.rmtree, "is missing"),
]


@pytest.mark.parametrize(("change", "problem"), CHANGES)
def test_a_changed_copy_of_the_source_is_refused(
    run: str, change: Callable[[Path], object], problem: str
) -> None:
    copy = copy_of(run)
    change(copy)
    with pytest.raises(UsageError) as raised:
        api.resume(run, overrides=["limits.max_trials=3"], show=False)
    assert problem in str(raised.value)
    assert str(copy) in str(raised.value)
    assert f"warm_start: {{from: {run}, kind: transfer}}" in str(raised.value)
    (result,) = lifecycle.results(run)
    assert len(result.trials) == 1
    assert result.study.limits.max_trials == 1, "the limits were raised"


def test_an_unchanged_copy_is_used_even_if_python_cached_modules_in_it(run: str) -> None:
    cache = copy_of(run) / "package" / "__pycache__"
    cache.mkdir()
    (cache / "module.cpython-311.pyc").write_bytes(b"\0")
    api.resume(run, overrides=["limits.max_trials=2"], show=False)
    (result,) = lifecycle.results(run)
    assert [trial.state for trial in result.trials] == ["completed"] * 2


def test_a_managed_job_that_was_submitted_does_not_need_the_copy(run: str) -> None:
    copy = copy_of(run)
    shutil.rmtree(copy)
    with Ledger() as ledger:
        record = ledger.run(run)
    managed = replace(record.jobs[0], job="job-1", plan={**record.jobs[0].plan, "mode": "managed"})
    require_unchanged_source(record, managed, copy)
    with pytest.raises(UsageError):
        require_unchanged_source(record, replace(managed, job=None), copy)
