"""Another process executes or resumes a run between two steps of this one."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.records import RunRecord
from cloudtune.planning.planner import plan
from cloudtune.runs import lifecycle
from cloudtune.runs.run_lock import hold_run
from cloudtune.study.study import Study

STUDY: dict[str, Any] = {
    "objective": {"metric": "loss", "goal": "minimize"},
    "parameters": {"x": {"type": "int", "min": 0, "max": 100}},
    "strategy": {"name": "random", "seed": 1},
    "limits": {"max_trials": 2},
    "trial": {"script": "train.py"},
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    code = "from cloudtune.trial import params, report\nreport(loss=params()['x'])\n"
    (tmp_path / "train.py").write_text(code, "utf-8")
    (tmp_path / "study.yaml").write_text(json.dumps(STUDY), "utf-8")


def test_a_run_that_ends_before_it_is_locked_is_not_executed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lifecycle.create([plan(Study.model_validate(STUDY), base=tmp_path)]).id
    records: list[RunRecord] = []

    @contextmanager
    def hold_late(*arguments: Any) -> Generator[None]:
        if not records:
            monkeypatch.setattr(lifecycle, "hold_run", hold_run)
            lifecycle.execute(run)
            with Ledger() as ledger:
                records.append(ledger.run(run))
        with hold_run(*arguments):
            yield

    monkeypatch.setattr(lifecycle, "hold_run", hold_late)
    assert lifecycle.execute(run)["local"].state == "completed"
    with Ledger() as ledger:
        assert ledger.run(run) == records[0]


def test_a_command_exits_with_the_code_of_what_it_executed(
    typed: Callable[..., CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = lifecycle.execute

    def execute_and_resume(run: str, *arguments: Any, **options: Any) -> Any:
        outcomes = execute(run, *arguments, **options)
        with Ledger() as ledger:
            ledger.begin_job(run, "local")  # as another process does that resumes the run
        return outcomes

    monkeypatch.setattr(lifecycle, "execute", execute_and_resume)
    (result,) = json.loads(typed("run", "study.yaml", "--json").stdout)
    assert result["state"] == "completed"
