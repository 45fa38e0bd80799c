"""The tests that every provider with an emulator passes: whole runs, with faults."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.emulation import process
from cloudtune.emulation.environment import folder_variable
from cloudtune.engine.job_emulator import EMULATOR_ENDED
from cloudtune.provider import registry
from cloudtune.runs import lifecycle
from cloudtune.runs.download import download
from cloudtune.runs.fetch import find_files
from cloudtune.runs.status import read_status
from cloudtune.study.schema import Mode
from cloudtune.testing.emulated_runs import BOTH_MODES, SCRIPT, STEPS
from cloudtune.testing.restart_contract import RestartContract

_QUICK = """
    from cloudtune.trial import report
    report(accuracy=1.0, step=1)
"""
_TAKES_A_SECOND = """
    import time
    from cloudtune.trial import report
    time.sleep(1)
    report(accuracy=1.0)
"""
_BEST_IS_NOT_LAST = """
    from cloudtune.trial import report
    for step, value in enumerate((1, -0.5, 0.33), 1):
        report(accuracy=value, step=step)
"""
_LEAVES_FILES = """
    import os
    from cloudtune.trial import checkpoint_dir, output_dir, report
    for folder in (output_dir(), checkpoint_dir()):
        os.makedirs(os.path.join(folder, "deep", "er"), exist_ok=True)
        with open(os.path.join(folder, "deep", "er", "a b.bin"), "wb") as file:
            file.write(bytes(range(256)) * 1000)
        with open(os.path.join(folder, "empty"), "wb") as file:
            pass
    print("left files")
    report(accuracy=1)
"""
_LEFT = {"deep/er/a b.bin": 256_000, "empty": 0}
"""The sizes of its files."""
ENDLESS = """
    import time
    from cloudtune.trial import report
    report(accuracy=1.0, step=1)
    report(accuracy=1.0, step=2)
    print("reported", flush=True)
    time.sleep(600)
"""
"""Reports twice, and does not end by itself."""


class EmulatedRunContract(RestartContract):
    """Tests of whole runs on an emulator.

    Subclass it, define `name` and `create_operations`, and override what differs.
    The provider must be installed, since some runs are in other processes.
    """

    @BOTH_MODES
    def test_a_run_returns_all_measurements_and_only_active_parameters(self, mode: Mode) -> None:
        run = self.create_run(mode)
        result = self.finish(run)
        self.check_complete(result)
        assert result.emulated
        assert result.mode == mode
        assert len(self.run_jobs(run)) == 4
        kinds = {"true": ("depth", int), "1e3": ("text", str)}
        for trial in result.trials:
            name, kind = kinds[str(trial.parameters["kind"])]
            assert set(trial.parameters) == {"x", "kind", name}
            assert type(trial.parameters[name]) is kind
        if mode == "driven":  # by the seed, which managed services need not support
            assert {trial.parameters["kind"] for trial in result.trials} == set(kinds)

    @pytest.mark.parametrize(
        ("select", "goal", "value"),
        [
            ("last", "maximize", 0.33),
            ("last", "minimize", 0.33),
            ("best", "maximize", 1.0),
            ("best", "minimize", -0.5),
        ],
    )
    @BOTH_MODES
    def test_the_value_of_a_trial_is_the_one_that_the_study_selects(
        self, mode: Mode, select: str, goal: str, value: float
    ) -> None:
        objective = {"metric": "accuracy", "goal": goal, "select": select}
        limits = {"max_trials": 2, "parallel_trials": 2}
        study = self.study(mode, _BEST_IS_NOT_LAST, objective=objective, limits=limits)
        supported = registry.get(self.name).capabilities.for_mode(mode)
        if supported is None or select not in supported.select:
            pytest.skip(f"{self.name} does not select the {select} value in {mode} mode")
        assert "objective.select" not in {each.path for each in self.plan(study).findings}
        run = self.create_run(mode, _BEST_IS_NOT_LAST, objective=objective, limits=limits)
        for trial in self.finish(run).trials:
            assert trial.objective == pytest.approx((value,), rel=1e-6), trial.reason

    @BOTH_MODES
    def test_a_list_is_run_unchanged_also_with_undefined_names(self, mode: Mode) -> None:
        supported = registry.get(self.name).capabilities.for_mode(mode)
        if supported is None or "list" not in supported.strategies:
            pytest.skip(f"{self.name} has no list in {mode} mode")
        script = """
            import json
            from cloudtune.trial import params, report
            print("got", json.dumps(params(), sort_keys=True))
            report(accuracy=1)
        """
        trials = [
            {"x": 0.5, "kind": "true", "depth": 2},
            {"x": 0.25, "more": 7},
            {"word": "007", "flag": True, "more": 0.5},
        ]
        blocks: Mapping[str, Any] = {"strategy": "list", "initial_trials": trials}
        result = self.finish(self.create_run(mode, script, **blocks))
        assert result.state == "completed", result.reason
        assert [dict(trial.parameters) for trial in result.trials] == trials
        for trial in result.trials:
            got = f"got {json.dumps(dict(trial.parameters), sort_keys=True)}\n"
            assert got in Path(str(trial.log)).read_text()

    @pytest.mark.parametrize("is_running", [True, False], ids=["running", "ended"])
    @BOTH_MODES
    def test_the_files_of_a_trial_are_fetched(
        self, mode: Mode, is_running: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        served = self.folder / "state" / "served"
        if is_running:  # through the API of the service
            module = registry.get(self.name).emulator
            assert module
            process.start(self.name, module, served, ["--speed", "1000"], tied=True)
            monkeypatch.setenv(folder_variable(self.name), str(served))
        limits = {"max_trials": 1, "parallel_trials": 1}
        run = self.create_run(mode, _LEAVES_FILES, limits=limits)
        assert self.finish(run).state == "completed"
        fetched = download(find_files(run, 1, target=self.folder / "got"), lambda _: None)
        if address := process.find_running(served):
            process.stop(address)
        sizes = dict(fetched.files)
        assert sizes.pop("log.txt", 0) or fetched.missing
        files = {name: size for name, size in sizes.items() if not name.startswith("other/")}
        output = {f"output/{name}": size for name, size in _LEFT.items()}
        checkpoint = {f"checkpoint/{name}": size for name, size in _LEFT.items()}
        expected = [{**output, **checkpoint}]
        if mode == "managed" or not self.keeps_checkpoints:
            expected.append(output)
        assert files in expected, fetched.missing
        content = (fetched.folder / "output" / "deep" / "er" / "a b.bin").read_bytes()
        assert content == bytes(range(256)) * 1000

    @pytest.mark.parametrize(("call", "count"), [("submit", 1), ("status", 4)])
    def test_a_managed_run_that_was_killed_continues_its_job(self, call: str, count: int) -> None:
        run = self.create_run("managed", self.held_script())
        self.kill_at_call(run, call, count)
        self.release()
        self.check_complete(self.finish(run))
        assert len(self.run_jobs(run)) == 4

    @pytest.mark.parametrize(("call", "count"), [("create", 1), ("create", 3), ("poll", 4)])
    def test_a_driven_run_that_was_killed_follows_its_trials(self, call: str, count: int) -> None:
        run = self.create_run("driven", self.held_script() if call == "poll" else SCRIPT)
        self.kill_at_call(run, call, count)
        self.release()
        result = self.finish(run)
        # A trial that is only in the ledger is repeated; one that has a job is followed.
        lost = [trial for trial in result.trials if trial.state == "cancelled"]
        assert sum(trial.state == "completed" for trial in result.trials) == 4
        assert len(self.run_jobs(run)) == 4
        assert len(lost) <= 1
        for trial in result.trials:
            values = [m.metrics["accuracy"] for m in trial.measurements]
            assert len(values) == (0 if trial in lost else STEPS)
            assert values == sorted(values)

    def test_a_trial_that_was_never_created_is_repeated(self) -> None:
        run = self.create_run("driven", limits={"max_trials": 1})
        self.kill_at_call(run, "create", 1, "before")
        first, second = self.finish(run).trials
        assert (first.state, second.state) == ("cancelled", "completed")
        assert second.replaces == 1
        assert second.parameters == first.parameters
        assert len(self.run_jobs(run)) == 1

    def test_a_finished_managed_run_does_not_change(self) -> None:
        run = self.create_run("managed", _QUICK, limits={"max_trials": 1})
        first = self.finish(run)
        assert first.state == "completed"
        assert self.finish(run) == first

    @BOTH_MODES
    def test_a_run_whose_emulator_was_killed_can_be_completed(self, mode: Mode) -> None:
        run = self.create_run(mode)

        def kill() -> None:
            while not (
                self.run_jobs(run) and (address := process.find_running(self.emulator_folder(run)))
            ):
                time.sleep(0.02)
            os.kill(address.pid, signal.SIGKILL)

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
            assert not {"running", "waiting", "pending"} & {t.state for t in result.trials}

    def test_a_managed_run_whose_emulator_has_ended_since_names_what_is_lost(self) -> None:
        run = self.create_run("managed", ENDLESS)
        self.kill_at_call(run, "status", 2)
        address = process.find_running(self.emulator_folder(run))
        assert address
        process.stop(address)
        (status,) = read_status(run)
        assert status["state"] == "interrupted"
        result = self.finish(run)
        for reason in (status["jobs"][0]["reason"], result.reason):
            assert reason.startswith(EMULATOR_ENDED)
            assert f"warm_start: {{from: {run}}}" in reason
        assert result.state == "failed"
        assert process.find_running(self.emulator_folder(run)) is None

    def test_only_driven_mode_learns_from_emulated_trials(self) -> None:
        limits = {"max_trials": 2, "parallel_trials": 2}
        parent = self.create_run("managed", _QUICK, limits=limits)
        assert self.finish(parent).state == "completed"
        blocks: Mapping[str, Any] = {
            "warm_start": {"from": [parent]},
            "strategy": "bayesian",
            "limits": limits,
        }
        assert self._warm_start_findings("managed", blocks)
        assert not self._warm_start_findings("driven", blocks)
        run = self.create_run("driven", _QUICK, **blocks)
        assert self.finish(run).state == "completed"

    def _warm_start_findings(self, mode: Mode, blocks: Mapping[str, Any]) -> list[str]:
        plan = self.plan(self.study(mode, **blocks))
        return [each.path for each in plan.findings if each.path.startswith("warm_start")]

    @BOTH_MODES
    def test_lost_responses_throttling_and_errors_do_not_change_results(self, mode: Mode) -> None:
        creates = self.create_operations.values()
        rules = [
            *((create, "call: 1, effect: lose_response") for create in creates),
            *((create, "call: 3, effect: lose_response") for create in creates),
            *((create, "call: 4, effect: late_error") for create in creates),
            ('"*"', "probability: 0.15, effect: throttle"),
            ('"*"', "probability: 0.1, effect: error"),
        ]
        lines = [f"- {{operation: {operation}, {rule}}}" for operation, rule in rules]
        run = self.create_run(mode, faults="\n".join(["seed: 3", "faults:", *lines]))
        self.check_complete(self.finish(run), has_logs=self.has_logs_with_odd_seed(mode))
        assert len(self.run_jobs(run)) == 4

    @BOTH_MODES
    def test_secrets_reach_the_script_and_are_never_stored(
        self, mode: Mode, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_TOKEN", 'very"secret/value')
        script = """
            import json, os, sys
            assert os.environ["TOKEN"].startswith("very")
            print(os.environ["TOKEN"], json.dumps([os.environ["TOKEN"]]))
            sys.exit("cannot sign in with " + os.environ["TOKEN"])
        """
        env = {"TOKEN": {"from_env": "MY_TOKEN"}}
        trial = {"script": "train.py", "source": "code", "env": env}
        run = self.create_run(mode, script, trial=trial, limits={"max_trials": 1})
        result = self.finish(run)
        assert "cannot sign in with ${MY_TOKEN}" in result.trials[0].reason
        for path in (self.folder / "state").rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert b'very"secret' not in content, path
                assert b'very\\"secret' not in content, path

    @BOTH_MODES
    def test_a_trial_that_takes_too_long_fails(self, mode: Mode) -> None:
        limits = {"max_trials": 1, "trial_timeout": self.trial_timeout}
        (trial,) = self.finish(self.create_run(mode, ENDLESS, limits=limits)).trials
        assert trial.state == "failed"
        assert trial.reason == "its trial_timeout was reached"
        assert self.timeout_word in str(trial.word)
        if trial.log and "reported" in Path(trial.log).read_text():  # not on a busy machine
            assert trial.metrics["accuracy"] == 1.0

    def test_a_trial_without_a_metric_fails(self) -> None:
        faults = "faults: [{operation: trial, call: 2, effect: no_metric}]"
        result = self.finish(self.create_run("managed", faults=faults, limits={"max_trials": 2}))
        failed = [trial for trial in result.trials if trial.state == "failed"]
        assert len(failed) == 1
        assert "accuracy" in failed[0].reason

    @BOTH_MODES
    def test_a_budget_ends_a_run(self, mode: Mode) -> None:
        limits = {"max_trials": 100, "parallel_trials": 1, "max_cost": "5 USD"}
        prices = {"prices": {"hour": "3600 USD"}}
        run = self.create_run(mode, _TAKES_A_SECOND, limits=limits, settings=prices)
        result = self.finish(run)
        assert result.state == "completed"
        assert "the cost reached 5" in result.reason
        assert 0 < len(self.run_jobs(run)) < 100

    @BOTH_MODES
    def test_too_many_failures_end_a_run(self, mode: Mode) -> None:
        limits = {"max_trials": 30, "parallel_trials": 1, "max_failed_trials": 1}
        run = self.create_run(mode, "raise SystemExit(3)", limits=limits)
        result = self.finish(run)
        assert result.state == "failed", result.reason
        assert 1 < len(self.run_jobs(run)) < 30

    @BOTH_MODES
    def test_a_target_ends_a_run(self, mode: Mode) -> None:
        objective = {"metric": "accuracy", "goal": "maximize", "target": 1}
        limits = {"max_trials": 30, "parallel_trials": 1}
        run = self.create_run(mode, objective=objective, limits=limits)
        result = self.finish(run)
        assert result.state == "completed", result.reason
        assert 0 < len(self.run_jobs(run)) < 30

    @BOTH_MODES
    def test_a_job_that_does_not_improve_ends_with_the_reason(self, mode: Mode) -> None:
        limits = {"max_trials": 30, "parallel_trials": 2, "patience": 3}
        result = self.finish(self.create_run(mode, _QUICK, limits=limits))
        assert result.state == "completed", result.reason
        assert result.reason.startswith("no better objective in 3 trials")
        assert len(result.trials) < 30

    @BOTH_MODES
    def test_a_detached_run_can_be_watched_and_stopped(self, mode: Mode) -> None:
        study = self.study(mode, ENDLESS)
        (self.folder / "study.yaml").write_text(json.dumps(study.to_json()))
        output = _run_cli("run", "study.yaml", "--on", self.name, "--emulate", "--detach", "--json")
        run: str = json.loads(output)["run"]
        _wait_until(
            lambda: sum(len(t.measurements) > 0 for t in lifecycle.results(run)[0].trials) == 2
        )
        with subprocess.Popen(
            [sys.executable, "-m", "cloudtune", "watch", run], stdout=subprocess.PIPE
        ) as watcher:
            _run_cli("stop", run)
            shown, _ = watcher.communicate(timeout=200)
        assert watcher.returncode == 130
        assert run in shown.decode()
        result = lifecycle.results(run)[0]
        assert result.state == "cancelled"
        assert {trial.state for trial in result.trials} == {"cancelled"}
        assert len(self.run_jobs(run)) == 2


def _run_cli(*words: str) -> str:
    """Return the output of a command, which must exit with 0."""
    command = [sys.executable, "-m", "cloudtune", *words]
    return subprocess.run(
        command, check=True, timeout=200, stdout=subprocess.PIPE, text=True
    ).stdout


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
