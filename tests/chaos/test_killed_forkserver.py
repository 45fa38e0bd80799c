"""kill -9 of the fork server in the middle of a run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from cloudtune.execution import reaper
from cloudtune.execution.forkserver import client
from cloudtune.planning import planner
from cloudtune.provider.plan import Plan
from cloudtune.results.events import Ended, Event, Outcome
from cloudtune.runs import lifecycle
from cloudtune.study.study import Study

SCRIPT = """\
import os, time
from cloudtune.trial import params, report
report(score=params()["x"])
print("forkserver/server.py" in open(f"/proc/{os.getppid()}/cmdline").read())
time.sleep(0.2)
"""
TRIALS = 10


class Killer:
    """Kills the fork server after certain trials have ended."""

    def __init__(self, after: Sequence[int]) -> None:
        self.messages: list[str] = []
        self.killed = 0
        self._after = after

    def begin(self, plan: Plan, events: Sequence[Event], elapsed: float) -> None: ...

    def events(self, provider: str, events: Sequence[Event]) -> None:
        if any(isinstance(event, Ended) and event.number in self._after for event in events):
            for process in psutil.Process().children():
                with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
                    if any(word.endswith("forkserver/server.py") for word in process.cmdline()):
                        process.kill()
                        self.killed += 1

    def end(self, provider: str, outcome: Outcome) -> None: ...

    def message(self, text: str) -> None:
        self.messages.append(text)


@pytest.mark.parametrize("after", [(2,), (2, 6)])
def test_a_killed_fork_server_is_reported_and_the_run_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: Sequence[int]
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(client, "PRELOAD_TIMEOUT", 10_000.0)  # what waited for it would never end
    monkeypatch.setattr(client, "START_TIMEOUT", 10_000.0)
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(SCRIPT, "utf-8")
    study = Study.model_validate(
        {
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
            "strategy": {"name": "random", "seed": 1},
            "limits": {"max_trials": TRIALS, "parallel_trials": 2, "max_failed_trials": TRIALS},
            "trial": {"script": "train.py"},
        }
    )
    run = lifecycle.create([planner.plan(study, "local", base=source)]).id
    killer = Killer(after)
    outcomes = lifecycle.execute(run, killer)
    assert [outcome.state for outcome in outcomes.values()] == ["completed"]
    (result,) = lifecycle.results(run)
    assert killer.killed == len(after)
    lost = [trial for trial in result.trials if trial.state == "cancelled"]
    assert [t.state for t in result.trials].count("completed") == TRIALS
    assert len(result.trials) == TRIALS + len(lost)
    again = {trial.replaces: trial.parameters for trial in result.trials if trial.replaces}
    assert again == {trial.number: trial.parameters for trial in lost}
    why = "the fork server that forked it was killed"
    assert {trial.reason for trial in lost} <= {why}
    assert len(lost) <= 2 * len(after)
    last = result.trials[-1].log
    assert last is not None
    assert Path(last).read_text("utf-8") == f"{len(after) == 1}\n"
    assert len(killer.messages) == (len(after) == 2)
    assert reaper.find_processes(f"{run}.") == []
