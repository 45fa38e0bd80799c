"""The tests that every provider with an emulator passes: whole runs, through what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cloudtune.emulation import process
from cloudtune.ledger import home
from cloudtune.planning.planner import plan
from cloudtune.provider import registry
from cloudtune.provider.plan import Plan
from cloudtune.results.model import StudyResult, Trial
from cloudtune.runs import lifecycle
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study
from cloudtune.testing.provider_contract import end_emulators

STEPS = 6
"""How often each trial of `SCRIPT` reports."""
SCRIPT = f"""
    import time
    from cloudtune.trial import params, report
    print("started with", params())
    for step in range(1, {STEPS} + 1):
        time.sleep(0.1)
        report(accuracy=params()["x"] + step, loss=1 / step, step=step)
"""
"""Takes a while, so that something can go wrong meanwhile."""
_QUICK = """
    from cloudtune.trial import report
    report(accuracy=1.0, step=1)
"""
_ENDLESS = """
    import time
    from cloudtune.trial import report
    report(accuracy=1.0, step=1)
    report(accuracy=1.0, step=2)
    print("reported", flush=True)
    time.sleep(60)
"""
_TREE: Mapping[str, Any] = {
    "x": {"type": "float", "min": 0, "max": 1},
    "kind": {"type": "categorical", "values": ["true", "1e3"]},
    "depth": {"type": "int", "min": 1, "max": 5, "when": {"kind": "true"}},
    "text": {"type": "categorical", "values": ["1", "2"], "when": {"kind": "1e3"}},
}
BOTH = pytest.mark.parametrize("mode", ["managed", "driven"])
"""A test of both modes; one that the provider has not is left out."""


class EmulatedRunContract:
    """What whole runs on an emulator must be.

    Subclass it, give `name`, `creates` and `service_jobs`, and override what differs. The provider
    must be installed, so that runs in other processes find it.
    """

    name: str
    """The provider's name in studies."""
    settings: Mapping[str, Any] = {}
    """What stands under ``providers.<name>`` in each study."""
    creates: Mapping[Mode, str]
    """The service's operation that makes a job, by mode, as fault plans name it."""

    trial_timeout = "2s"
    """Longer than a trial takes to be started on the emulator."""
    too_long = ""
    """What the service's own word for a trial that took longer contains."""

    def service_jobs(self, folder: Path) -> Sequence[str]:
        """Return the names of all jobs that ever ran a trial on the emulator of a folder."""
        raise NotImplementedError

    def check(self, trial: Trial) -> None:
        """Check what only this provider tells of a trial of `SCRIPT` that completed."""

    @pytest.fixture(autouse=True)
    def _alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
        monkeypatch.chdir(tmp_path)
        self.folder = tmp_path
        yield
        end_emulators(tmp_path / "state")

    def study(
        self,
        mode: Mode,
        script: str = SCRIPT,
        *,
        settings: Mapping[str, Any] | None = None,
        **over: Any,
    ) -> Study:
        """Return a study of a script for one mode, with settings and blocks put over it."""
        (self.folder / "code").mkdir(exist_ok=True)
        (self.folder / "code" / "train.py").write_text(textwrap.dedent(script))
        able = registry.get(self.name).capabilities.for_mode(mode)
        if able is None:
            pytest.skip(f"{self.name} has no {mode} mode")
        return Study.model_validate(
            {
                "name": "desk",
                "objective": {"metric": "accuracy", "goal": "maximize"},
                "parameters": _TREE,
                "strategy": {"name": "random", "seed": 5},
                "limits": {"max_trials": 4, "parallel_trials": 2},
                "trial": {"script": "train.py", "source": "code", "metrics": {"loss": {}}},
                **over,
                "providers": {self.name: {"mode": mode, **self.settings, **(settings or {})}},
            }
        )

    def plan(self, study: Study) -> Plan:
        """Return the plan of a study."""
        return plan(study, self.name, base=self.folder, emulated=True)

    def run(self, mode: Mode, script: str = SCRIPT, *, faults: str = "", **more: Any) -> str:
        """Create a run, with a fault plan, and return its id; ``more`` is as for `study`."""
        options = process.EmulationOptions()
        if faults:
            file = self.folder / "faults.yaml"
            file.write_text(textwrap.dedent(faults))
            options = process.EmulationOptions(
                faults=process.read_fault_plans(file, {self.name: mode})
            )
        return lifecycle.create([self.plan(self.study(mode, script, **more))], emulation=options).id

    def finish(self, run: str) -> StudyResult:
        """Execute a run, and return what it found."""
        lifecycle.execute(run)
        return lifecycle.results(run)[0]

    def kill(self, run: str, call: str, count: int, when: str = "after") -> None:
        """Execute a run in a process that is killed at one of its calls."""
        words = [
            sys.executable,
            "-m",
            "cloudtune.testing.kill_at_call",
            run,
            call,
            str(count),
            when,
        ]
        assert subprocess.run(words, check=False, timeout=90).returncode == -signal.SIGKILL

    def made(self, run: str) -> Sequence[str]:
        """Return the names of all jobs that ever ran a trial of a run."""
        return self.service_jobs(self.emulator_of(run))

    def whole(self, result: StudyResult) -> None:
        """Check that each of four trials completed and told each of its measurements once."""
        assert result.state == "completed", result.reason
        assert [trial.number for trial in result.trials] == [1, 2, 3, 4]
        for trial in result.trials:
            assert trial.state == "completed", trial.reason
            x = trial.parameters["x"]
            assert isinstance(x, float)
            told = [m.metrics["accuracy"] for m in trial.measurements]
            assert told == pytest.approx([x + step for step in range(1, STEPS + 1)], rel=1e-6)
            assert trial.metrics["loss"] == pytest.approx(1 / STEPS)
            assert trial.cost is None
            assert trial.log is not None
            assert "started with" in Path(trial.log).read_text()
            self.check(trial)

    def emulator_of(self, run: str) -> Path:
        """Return the folder of a run's emulator."""
        return self.folder / "state" / "runs" / run / self.name / home.EMULATOR_FOLDER

    @BOTH
    def test_a_run_tells_all_that_was_measured_and_only_what_is_active(self, mode: Mode) -> None:
        run = self.run(mode)
        result = self.finish(run)
        self.whole(result)
        assert result.emulated
        assert result.mode == mode
        assert len(self.made(run)) == 4
        kinds = {"true": ("depth", int), "1e3": ("text", str)}
        for trial in result.trials:
            own, kind = kinds[str(trial.parameters["kind"])]
            assert set(trial.parameters) == {"x", "kind", own}
            assert type(trial.parameters[own]) is kind
        if mode == "driven":  # by the seed; no service needs to take one
            assert {trial.parameters["kind"] for trial in result.trials} == set(kinds)

    @pytest.mark.parametrize(("call", "count"), [("submit", 1), ("status", 4)])
    def test_a_managed_run_that_was_killed_goes_on_with_its_job(
        self, call: str, count: int
    ) -> None:
        run = self.run("managed")
        self.kill(run, call, count)
        self.whole(self.finish(run))
        assert len(self.made(run)) == 4

    @pytest.mark.parametrize(("call", "count"), [("create", 1), ("create", 3), ("poll", 4)])
    def test_a_driven_run_that_was_killed_follows_its_trials(self, call: str, count: int) -> None:
        run = self.run("driven")
        self.kill(run, call, count)
        result = self.finish(run)
        # What was in the ledger and never made is asked again; what was made is followed.
        lost = [trial for trial in result.trials if trial.state == "cancelled"]
        assert sum(trial.state == "completed" for trial in result.trials) == 4
        assert len(self.made(run)) == 4
        assert len(lost) <= 1
        for trial in result.trials:
            told = [m.metrics["accuracy"] for m in trial.measurements]
            assert len(told) == (0 if trial in lost else STEPS)
            assert told == sorted(told)

    def test_a_trial_that_was_never_made_is_asked_again(self) -> None:
        run = self.run("driven", limits={"max_trials": 1})
        self.kill(run, "create", 1, "before")
        first, second = self.finish(run).trials
        assert (first.state, second.state) == ("cancelled", "completed")
        assert second.replaces == 1
        assert second.parameters == first.parameters
        assert len(self.made(run)) == 1

    def test_a_managed_run_that_has_ended_stays_as_it_ended(self) -> None:
        run = self.run("managed", _QUICK, limits={"max_trials": 1})
        first = self.finish(run)
        assert first.state == "completed"
        assert self.finish(run) == first

    @BOTH
    def test_a_run_whose_emulator_was_killed_can_be_brought_to_an_end(self, mode: Mode) -> None:
        run = self.run(mode)

        def kill() -> None:
            while not (self.made(run) and (found := process.find_running(self.emulator_of(run)))):
                time.sleep(0.02)
            os.kill(found.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        result = self.finish(run)
        killer.join()
        assert result.state != "completed"
        if mode == "driven":
            result = self.finish(run)
            assert [t.state for t in result.trials].count("completed") == 4
            assert {t.state for t in result.trials} <= {"completed", "cancelled"}
        else:
            assert (result.state, "the emulator has ended" in result.reason) == ("failed", True)
            assert not {"running", "pending"} & {t.state for t in result.trials}

    def test_the_trials_of_an_emulated_run_are_learned_from_in_driven_mode_alone(self) -> None:
        limits = {"max_trials": 2, "parallel_trials": 2}
        parent = self.run("managed", _QUICK, limits=limits)
        assert self.finish(parent).state == "completed"
        over: Mapping[str, Any] = {
            "warm_start": {"from": [parent]},
            "strategy": "bayesian",
            "limits": limits,
        }
        assert self._warm_findings("managed", over)
        assert not self._warm_findings("driven", over)
        run = self.run("driven", _QUICK, **over)
        assert self.finish(run).state == "completed"

    def _warm_findings(self, mode: Mode, over: Mapping[str, Any]) -> list[str]:
        made = self.plan(self.study(mode, **over))
        return [each.path for each in made.findings if each.path.startswith("warm_start")]

    @BOTH
    def test_lost_answers_throttling_and_errors_make_no_difference(self, mode: Mode) -> None:
        rules = [
            *((made, "call: 1, effect: lose_response") for made in self.creates.values()),
            *((made, "call: 3, effect: lose_response") for made in self.creates.values()),
            *((made, "call: 4, effect: late_error") for made in self.creates.values()),
            ('"*"', "probability: 0.15, effect: throttle"),
            ('"*"', "probability: 0.1, effect: error"),
        ]
        lines = [f"- {{operation: {operation}, {rule}}}" for operation, rule in rules]
        run = self.run(mode, faults="\n".join(["seed: 3", "faults:", *lines]))
        self.whole(self.finish(run))
        assert len(self.made(run)) == 4

    @BOTH
    def test_secrets_reach_the_script_and_nothing_that_is_kept(
        self, mode: Mode, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_TOKEN", "verysecretvalue")
        script = """
            import os, sys
            assert os.environ["TOKEN"].startswith("very")
            sys.exit("cannot sign in with " + os.environ["TOKEN"])
        """
        env = {"TOKEN": {"from_env": "MY_TOKEN"}}
        trial = {"script": "train.py", "source": "code", "env": env}
        run = self.run(mode, script, trial=trial, limits={"max_trials": 1})
        result = self.finish(run)
        assert "cannot sign in with ${MY_TOKEN}" in result.trials[0].reason
        for path in (self.folder / "state").rglob("*"):
            if path.is_file() and home.EMULATOR_FOLDER not in path.parts:
                assert b"verysecretvalue" not in path.read_bytes(), path

    @BOTH
    def test_a_trial_that_takes_too_long_fails(self, mode: Mode) -> None:
        limits = {"max_trials": 1, "trial_timeout": self.trial_timeout}
        (trial,) = self.finish(self.run(mode, _ENDLESS, limits=limits)).trials
        assert trial.state == "failed"
        assert trial.reason == "its trial_timeout was reached"
        assert self.too_long in str(trial.word)
        if trial.log and "reported" in Path(trial.log).read_text():  # a busy machine is too slow
            assert trial.metrics["accuracy"] == 1.0

    def test_a_trial_without_a_metric_fails(self) -> None:
        faults = "faults: [{operation: trial, call: 2, effect: no_metric}]"
        result = self.finish(self.run("managed", faults=faults, limits={"max_trials": 2}))
        failed = [trial for trial in result.trials if trial.state == "failed"]
        assert len(failed) == 1
        assert "accuracy" in failed[0].reason

    @BOTH
    def test_a_budget_ends_a_run(self, mode: Mode) -> None:
        limits = {"max_trials": 100, "parallel_trials": 1, "max_cost": "5 USD"}
        run = self.run(mode, limits=limits, settings={"prices": {"hour": "3600 USD"}})
        result = self.finish(run)
        assert result.state == "completed"
        assert "the cost reached 5" in result.reason
        assert 0 < len(self.made(run)) < 100

    @BOTH
    def test_a_run_that_is_detached_can_be_watched_and_stopped(self, mode: Mode) -> None:
        study = self.study(mode, _ENDLESS)
        (self.folder / "study.yaml").write_text(json.dumps(study.to_json()))
        said = _command("run", "study.yaml", "--on", self.name, "--emulate", "--detach", "--json")
        run: str = json.loads(said)["run"]
        _until(lambda: sum(len(t.measurements) > 0 for t in lifecycle.results(run)[0].trials) == 2)
        with subprocess.Popen(
            [sys.executable, "-m", "cloudtune", "watch", run], stdout=subprocess.PIPE
        ) as watching:
            _command("stop", run)
            shown, _ = watching.communicate(timeout=60)
        assert watching.returncode == 130
        assert run in shown.decode()
        result = lifecycle.results(run)[0]
        assert result.state == "cancelled"
        assert {trial.state for trial in result.trials} == {"cancelled"}
        assert len(self.made(run)) == 2

    @BOTH
    def test_hyperband_goes_on_from_what_was_saved(self, mode: Mode) -> None:
        able = registry.get(self.name).capabilities.for_mode(mode)
        if able is None or "hyperband" not in able.strategies:
            pytest.skip(f"{self.name} has no hyperband in {mode} mode")
        script = """
            import os
            from cloudtune.trial import checkpoint_dir, params, report
            p = params()
            place = os.path.join(checkpoint_dir(), "done")
            done = int(open(place).read()) if os.path.exists(place) else 0
            for epoch in range(done + 1, p["epochs"] + 1):
                report(accuracy=p["x"] * epoch, step=epoch)
                open(place, "w").write(str(epoch))
        """
        strategy = {"name": "hyperband", "resource": "epochs", "min": 1, "max": 9, "seed": 2}
        limits = {"max_trials": 9, "parallel_trials": 3}
        result = self.finish(self.run(mode, script, strategy=strategy, limits=limits))
        assert result.state == "completed", result.reason
        states = {trial.state for trial in result.trials}
        assert states <= {"completed", "stopped_early"}
        assert "completed" in states
        for trial in result.trials:
            steps = [m.step for m in trial.measurements]
            assert steps == list(range(1, len(trial.measurements) + 1))
        assert max(len(trial.measurements) for trial in result.trials) == 9


def _command(*words: str) -> str:
    """Return what a command printed that left with 0."""
    whole = [sys.executable, "-m", "cloudtune", *words]
    return subprocess.run(whole, check=True, timeout=90, stdout=subprocess.PIPE, text=True).stdout


def _until(good: Callable[[], bool]) -> None:
    due = time.monotonic() + 60
    while not good():
        assert time.monotonic() < due
        time.sleep(0.1)
