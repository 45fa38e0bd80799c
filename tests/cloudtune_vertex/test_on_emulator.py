"""Whole runs on the emulator, in both modes, through what goes wrong at services and here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune import jobs, registry, runs
from cloudtune.emulation import process
from cloudtune.planning import plan
from cloudtune.results import StudyResult
from cloudtune.study import Study
from cloudtune_vertex import VertexProvider
from cloudtune_vertex.client import Google
from cloudtune_vertex.failures import refusal

pytestmark = pytest.mark.slow
BOTH = pytest.mark.parametrize("mode", ["managed", "driven"])
STEPS = 6
SCRIPT = f"""
    import time
    from cloudtune.trial import params, report
    print("started with", params())
    for step in range(1, {STEPS} + 1):
        time.sleep(0.1)
        report(accuracy=params()["x"] + step, loss=1 / step, step=step)
"""
CHILD = """
import os, signal, sys
from cloudtune import registry, runs
from cloudtune_vertex import VertexProvider
from cloudtune_vertex.client import Google

run, operation, count, when = sys.argv[1:]
left = int(count)
call = getattr(Google, operation)

def killing(self, *given):
    global left
    left -= 1
    if left == 0 and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    answer = call(self, *given)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

setattr(Google, operation, killing)
with registry.added("vertex", VertexProvider):
    runs.execute(run)
"""


class Desk:
    """A folder with a study and a ledger of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(
        self,
        mode: str,
        script: str = SCRIPT,
        *,
        faults: str = "",
        settings: Mapping[str, Any] | None = None,
        **over: Any,
    ) -> str:
        """Create a run and return its id."""
        (self.folder / "code").mkdir(exist_ok=True)
        (self.folder / "code" / "train.py").write_text(textwrap.dedent(script))
        study = Study.model_validate(
            {
                "name": "desk",
                "objective": {"metric": "accuracy", "goal": "maximize"},
                "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
                "strategy": {"name": "random", "seed": 5},
                "limits": {"max_trials": 4, "parallel_trials": 2},
                "trial": {"script": "train.py", "source": "code", "metrics": {"loss": {}}},
                **over,
                "providers": {"vertex": {"mode": mode, **(settings or {})}},
            }
        )
        options: list[str] = []
        if faults:
            (self.folder / "faults.yaml").write_text(textwrap.dedent(faults))
            options = ["--faults", str(self.folder / "faults.yaml")]
        made = plan(study, "vertex", base=self.folder, emulated=True)
        return runs.create([made], emulation=options)

    def finish(self, run: str) -> StudyResult:
        runs.execute(run)
        return runs.results(run)[0]

    def kill(self, run: str, operation: str, count: int, when: str = "after") -> None:
        """Execute a run in a process that is killed at one of its calls."""
        done = subprocess.run(
            [sys.executable, "-c", CHILD, run, operation, str(count), when], check=False, timeout=90
        )
        assert done.returncode == -signal.SIGKILL

    def custom_jobs(self, run: str) -> list[str]:
        """Return the numbers of the custom jobs that there ever were."""
        folder = self.folder / "state" / "runs" / run / "vertex" / jobs.EMULATOR / "jobs"
        return sorted(path.name for path in folder.glob("*"))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    with registry.added("vertex", VertexProvider):
        yield Desk(tmp_path)
    for folder in (tmp_path / "state").glob(f"runs/*/*/{jobs.EMULATOR}"):
        if address := process.running(folder):
            process.end(address)


def whole(result: StudyResult, count: int = 4) -> None:
    """Check that each trial completed and told each of its measurements once."""
    assert result.state == "completed", result.reason
    assert [trial.number for trial in result.trials] == list(range(1, count + 1))
    for trial in result.trials:
        assert trial.state == "completed", trial.reason
        x = trial.parameters["x"]
        assert isinstance(x, float)
        told = [m.metrics["accuracy"] for m in trial.measurements]
        assert told == pytest.approx([x + step for step in range(1, STEPS + 1)], rel=1e-6)
        assert trial.metrics["loss"] == pytest.approx(1 / STEPS)
        assert trial.machine == "n1-standard-4"
        assert trial.cost is None
        assert trial.log is not None
        assert "started with" in Path(trial.log).read_text()


@BOTH
def test_a_run_tells_all_that_was_measured(desk: Desk, mode: str) -> None:
    result = desk.finish(desk.run(mode))
    whole(result)
    assert result.emulated
    assert result.mode == mode


@pytest.mark.parametrize(
    ("operation", "count"),
    [("create", 1), ("get", 4)],
)
def test_a_managed_run_that_was_killed_goes_on_with_its_job(
    desk: Desk, operation: str, count: int
) -> None:
    run = desk.run("managed")
    desk.kill(run, operation, count)
    whole(desk.finish(run))
    assert len(desk.custom_jobs(run)) == 4


@pytest.mark.parametrize(
    ("operation", "count"),
    [("create", 1), ("create", 3), ("custom_jobs", 4)],
)
def test_a_driven_run_that_was_killed_follows_its_trials(
    desk: Desk, operation: str, count: int
) -> None:
    run = desk.run("driven")
    desk.kill(run, operation, count)
    result = desk.finish(run)
    lost = [trial for trial in result.trials if trial.state == "cancelled"]
    # What was in the ledger and never made is asked again; what was made is followed.
    assert sum(trial.state == "completed" for trial in result.trials) == 4
    assert len(desk.custom_jobs(run)) == 4
    assert len(lost) <= 1
    for trial in result.trials:
        told = [m.metrics["accuracy"] for m in trial.measurements]
        assert len(told) == (0 if trial in lost else STEPS)
        assert told == sorted(told)


@BOTH
def test_a_run_whose_emulator_was_killed_can_be_brought_to_an_end(desk: Desk, mode: str) -> None:
    run = desk.run(mode)
    folder = desk.folder / "state" / "runs" / run / "vertex" / jobs.EMULATOR

    def kill() -> None:
        while not (desk.custom_jobs(run) and (address := process.running(folder))):
            time.sleep(0.02)
        os.kill(address.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    result = desk.finish(run)
    killer.join()
    if mode == "managed":
        assert (result.state, "the emulator has ended" in result.reason) == ("failed", True)
        assert not {"running", "pending"} & {trial.state for trial in result.trials}
        return
    result = desk.finish(run)
    assert [trial.state for trial in result.trials].count("completed") == 4


@pytest.mark.parametrize(
    ("mode", "call"), [("managed", "create"), ("managed", "write"), ("driven", "write")]
)
def test_a_run_that_is_refused_leaves_no_emulator(
    desk: Desk, mode: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise refusal(call, 400, "no such machine")

    monkeypatch.setattr(Google, call, refused)
    run = desk.run(mode)
    result = desk.finish(run)
    assert (result.state, "no such machine" in result.reason) == ("failed", True)
    assert process.running(desk.folder / "state" / "runs" / run / "vertex" / jobs.EMULATOR) is None


def test_a_trial_that_was_never_made_is_asked_again(desk: Desk) -> None:
    run = desk.run("driven", limits={"max_trials": 2, "parallel_trials": 1})
    desk.kill(run, "create", 1, "before")
    result = desk.finish(run)
    first, second, third = result.trials
    assert (first.state, second.state, third.state) == ("cancelled", "completed", "completed")
    assert second.replaces == 1
    assert second.parameters == first.parameters
    assert len(desk.custom_jobs(run)) == 2


@BOTH
def test_lost_answers_throttling_and_errors_make_no_difference(desk: Desk, mode: str) -> None:
    faults = """
        seed: 3
        faults:
        - {operation: CreateHyperparameterTuningJob, call: 1, effect: lose_response}
        - {operation: CreateCustomJob, call: [1, 3], effect: lose_response}
        - {operation: CreateCustomJob, call: 4, effect: late_error}
        - {operation: "*", probability: 0.15, effect: throttle}
        - {operation: "*", probability: 0.1, effect: error}
    """
    run = desk.run(mode, faults=faults)
    whole(desk.finish(run))
    assert len(desk.custom_jobs(run)) == 4


@BOTH
def test_secrets_reach_the_script_and_nothing_that_is_kept(
    desk: Desk, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "verysecretvalue")
    script = """
        import os, sys
        assert os.environ["TOKEN"].startswith("very")
        sys.exit("cannot sign in with " + os.environ["TOKEN"])
    """
    trial = {
        "script": "train.py",
        "source": "code",
        "env": {"TOKEN": {"from_env": "MY_TOKEN"}},
    }
    run = desk.run(mode, script, trial=trial, limits={"max_trials": 1})
    result = desk.finish(run)
    assert "cannot sign in with ${MY_TOKEN}" in result.trials[0].reason
    for path in (desk.folder / "state").rglob("*"):
        if path.is_file() and jobs.EMULATOR not in path.parts:
            assert b"verysecretvalue" not in path.read_bytes(), path


@BOTH
def test_a_trial_that_takes_too_long_fails(desk: Desk, mode: str) -> None:
    script = """
        import time
        from cloudtune.trial import report
        report(accuracy=1.0, step=1)
        time.sleep(60)
    """
    limits = {"max_trials": 1, "trial_timeout": "6s"}
    (trial,) = desk.finish(desk.run(mode, script, limits=limits)).trials
    assert trial.state == "failed"
    assert "JOB_STATE_CANCELLED" in str(trial.word)
    assert trial.reason == "its trial_timeout was reached"
    assert trial.metrics["accuracy"] == 1.0


def test_a_trial_without_a_metric_fails(desk: Desk) -> None:
    faults = "faults: [{operation: trial, call: 2, effect: no_metric}]"
    result = desk.finish(desk.run("managed", faults=faults))
    failed = [trial for trial in result.trials if trial.state == "failed"]
    assert len(failed) == 1
    assert "accuracy" in failed[0].reason


def test_a_machine_that_was_taken_away_loses_nothing_that_was_kept(desk: Desk) -> None:
    faults = "faults: [{operation: trial, call: 1, effect: interrupt, after: 2}]"
    run = desk.run("managed", faults=faults, limits={"max_trials": 1})
    (trial,) = desk.finish(run).trials
    assert trial.state == "completed", trial.reason
    assert STEPS < len(trial.measurements) < 2 * STEPS  # it began anew, and nothing is forgotten


@BOTH
def test_a_run_that_is_interrupted_stops_its_jobs(desk: Desk, mode: str) -> None:
    script = """
        import time
        from cloudtune.trial import report
        report(accuracy=1.0, step=1)
        report(accuracy=1.0, step=2)
        time.sleep(60)
    """
    run = desk.run(mode, script)
    child = """
        import sys
        from cloudtune import registry, runs
        from cloudtune_vertex import VertexProvider
        with registry.added("vertex", VertexProvider):
            runs.execute(sys.argv[1])
    """
    words = [sys.executable, "-c", textwrap.dedent(child), run]
    with subprocess.Popen(words) as started:
        until(lambda: sum(len(t.measurements) > 0 for t in runs.results(run)[0].trials) == 2)
        os.kill(started.pid, signal.SIGINT)
        assert started.wait(60) == 0
    result = runs.results(run)[0]
    assert result.state == "cancelled"
    assert {trial.state for trial in result.trials} == {"cancelled"}
    assert len(desk.custom_jobs(run)) == 2


def until(good: Callable[[], bool]) -> None:
    due = time.monotonic() + 60
    while not good():
        assert time.monotonic() < due
        time.sleep(0.1)


def test_hyperband_goes_on_from_what_was_saved(desk: Desk) -> None:
    script = """
        import json, os
        from cloudtune.trial import checkpoint_dir, params, report
        p = params()
        place = os.path.join(checkpoint_dir(), "done")
        done = int(open(place).read()) if os.path.exists(place) else 0
        for epoch in range(done + 1, p["epochs"] + 1):
            report(accuracy=p["x"] * epoch, step=epoch)
            open(place, "w").write(str(epoch))
    """
    strategy = {"name": "hyperband", "resource": "epochs", "min": 1, "max": 9, "seed": 2}
    run = desk.run(
        "driven", script, strategy=strategy, limits={"max_trials": 9, "parallel_trials": 3}
    )
    result = desk.finish(run)
    assert result.state == "completed", result.reason
    states = {trial.state for trial in result.trials}
    assert states <= {"completed", "stopped_early"}
    assert "completed" in states
    for trial in result.trials:
        assert [m.step for m in trial.measurements] == list(range(1, len(trial.measurements) + 1))
    longest = max(len(trial.measurements) for trial in result.trials)
    assert longest == 9


@BOTH
def test_conditions_hold_in_both_modes(desk: Desk, mode: str) -> None:
    parameters = {
        "x": {"type": "float", "min": 0, "max": 1},
        "kind": {"type": "categorical", "values": ["true", "1e3"]},
        "depth": {"type": "int", "min": 1, "max": 5, "when": {"kind": ["true"]}},
        "text": {"type": "categorical", "values": ["1", "2"], "when": {"kind": ["1e3"]}},
    }
    run = desk.run(mode, parameters=parameters, limits={"max_trials": 8, "parallel_trials": 4})
    result = desk.finish(run)
    assert {trial.parameters["kind"] for trial in result.trials} == {"true", "1e3"}
    for trial in result.trials:
        own = "depth" if trial.parameters["kind"] == "true" else "text"
        assert set(trial.parameters) == {"x", "kind", own}
        assert type(trial.parameters[own]) is (int if own == "depth" else str)


@BOTH
def test_a_hypertune_script_needs_no_change(desk: Desk, mode: str) -> None:
    script = """
        import argparse, json, os, time
        parser = argparse.ArgumentParser()
        parser.add_argument("--x", type=float, required=True)
        x = parser.parse_args().x
        path = os.environ["CLOUD_ML_HP_METRIC_FILE"]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        lines = []
        for step in (1, 2, 3):
            lines.append({"timestamp": time.time(), "trial": "1", "accuracy": str(x * step),
                          "global_step": str(step), "checkpoint_path": ""})
            with open(path, "w") as file:
                file.writelines(json.dumps(line, sort_keys=True) + "\\n" for line in lines)
    """
    run = desk.run(mode, script, limits={"max_trials": 2, "parallel_trials": 2})
    for trial in desk.finish(run).trials:
        assert trial.state == "completed", trial.reason
        x = trial.parameters["x"]
        told = [(m.step, m.metrics["accuracy"]) for m in trial.measurements]
        assert told == [(step, x * step) for step in (1, 2, 3)]
