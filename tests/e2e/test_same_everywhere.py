"""A script is started alike on this machine, warm or cold, and on every emulator."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cloudtune.planning import planner
from cloudtune.provider.plan import Plan
from cloudtune.results.events import Event, Outcome
from cloudtune.runs import lifecycle
from cloudtune.study.study import Study

SCRIPT = """\
import json, os, sys
from cloudtune.trial import checkpoint_dir, inputs, output_dir, params, report, trial_id
def add_options(parser):
    parser.add_argument("--yes", action="store_true")
seen = {
    "words": sys.argv[1:],
    "params": {name: [type(value).__name__, value] for name, value in params().items()},
    "folder": sorted(os.listdir()),
    "inputs": {name: open(path).read() for name, path in inputs().items()},
    "variables": sorted(n for n in os.environ if n.startswith("CLOUDTUNE_INPUT") or n == "MINE"),
    "mine": os.environ["MINE"],
    "hash seed": os.environ["PYTHONHASHSEED"],
    "writable": [os.access(place(), os.W_OK) for place in (output_dir, checkpoint_dir)],
    "named": bool(trial_id()),
    "standard input": sys.stdin.read(),
}
print("SEEN", json.dumps(seen, sort_keys=True))
for step in (1, 2, 3):
    report(score=params()["n"] * step)
"""

STUDY: dict[str, Any] = {
    "name": "same",
    "objective": {"metric": "score", "goal": "maximize"},
    "parameters": {
        "C": {"type": "categorical", "values": ["true", "1e3"]},
        "n": {"type": "int", "min": 1, "max": 2},
        "learning-rate": {"type": "discrete", "values": [0.5]},
        "flag": {"type": "bool", "when": {"C": "true"}},
    },
    "constants": {"who": "ünï", "zip": "007", "yes": True},
    "strategy": "grid",
    "trial": {
        "script": "train.py",
        "switches": {"flag": "--flag-on/--flag-off"},
        "args": ["--verbose", "--data={{inputs.words}}"],
        "env": {"MINE": "a b"},
        "inputs": {"words": {"*": "words.txt"}},
    },
}

EMULATED = [(on, mode) for on in ("azure", "sagemaker") for mode in ("managed", "driven")]


class Observer:
    """Keeps the messages, which say it where trials are not warm."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def begin(self, plan: Plan, events: Sequence[Event], elapsed: float) -> None: ...

    def events(self, provider: str, events: Sequence[Event]) -> None: ...

    def end(self, provider: str, outcome: Outcome) -> None: ...

    def message(self, text: str) -> None:
        self.messages.append(text)


def seen(
    on: str, mode: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, warm: bool = True
) -> dict[str, dict[str, Any]]:
    """Run the study; return what the script saw and how it was scored, by its parameters."""
    monkeypatch.setenv("CLOUDTUNE_HOME", str(folder.parent / on / mode / str(warm)))
    monkeypatch.chdir(folder)
    code = {**STUDY["trial"], "warm": warm}
    study = Study.model_validate({**STUDY, "trial": code, "providers": {on: {"mode": mode}}})
    plan = planner.plan(study, on, base=folder, emulated=True)
    run = lifecycle.create([plan]).id
    observer = Observer()
    lifecycle.execute(run, observer)
    assert observer.messages == []
    (result,) = lifecycle.results(run)
    assert result.state == "completed", result.reason
    found: dict[str, dict[str, Any]] = {}
    for trial in result.trials:
        assert trial.state == "completed", (trial.reason, trial.log_tail)
        assert trial.log is not None
        (line,) = [
            line.removeprefix("SEEN ")
            for line in Path(trial.log).read_text("utf-8").splitlines()
            if line.startswith("SEEN ")
        ]
        said = json.loads(line)
        data = next(word for word in said["words"] if word.startswith("--data="))
        assert Path(data.removeprefix("--data=")).name
        said["words"].remove(data)
        steps = [(m.step, m.metrics["score"]) for m in trial.measurements]
        found[json.dumps(dict(trial.parameters), sort_keys=True)] = {
            **said,
            "objective": trial.objective,
            "measured": steps,
        }
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    created = tmp_path / "work"
    created.mkdir()
    (created / "train.py").write_text(SCRIPT, "utf-8")
    (created / "words.txt").write_text("alpha", "utf-8")
    return created


@pytest.mark.slow
@pytest.mark.parametrize(("on", "mode"), EMULATED)
def test_a_script_sees_and_reports_the_same(
    on: str, mode: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = seen("local", "driven", folder, monkeypatch)
    assert len(here) == 6
    assert {"--yes", "--flag-on", "--flag-off"} <= {
        word for each in here.values() for word in each["words"]
    }
    there = seen(on, mode, folder, monkeypatch)
    assert there == here


def test_a_script_sees_and_reports_the_same_warm_and_cold(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm = seen("local", "driven", folder, monkeypatch)
    assert len(warm) == 6
    assert warm == seen("local", "driven", folder, monkeypatch, warm=False)
