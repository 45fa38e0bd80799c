"""Creates, executes and checks whole runs on an emulator, for the tests of a provider."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
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
from cloudtune.testing.provider_contract import stop_emulators

STEPS = 6
"""The number of reports of each trial of `SCRIPT`."""
SCRIPT = f"""
    import time
    from cloudtune.trial import params, report
    print("started with", params())
    for step in range(1, {STEPS} + 1):
        time.sleep(0.1)
        report(accuracy=params()["x"] + step, loss=1 / step, step=step)
"""
"""Takes 0.6 s, so that faults can happen in the meantime."""
_TREE: Mapping[str, Any] = {
    "x": {"type": "float", "min": 0, "max": 1},
    "kind": {"type": "categorical", "values": ["true", "1e3"]},
    "depth": {"type": "int", "min": 1, "max": 5, "when": {"kind": "true"}},
    "text": {"type": "categorical", "values": ["1", "2"], "when": {"kind": "1e3"}},
}
BOTH_MODES = pytest.mark.parametrize("mode", ["managed", "driven"])
"""A test of both modes; a mode that the provider does not have is skipped."""


class EmulatedRuns:
    """Runs on an emulator, each in its own folder."""

    name: str
    """The provider's name in studies."""
    settings: Mapping[str, Any] = {}
    """The settings under ``providers.<name>`` in each study."""
    create_operations: Mapping[Mode, str]
    """The service's operation that creates a job, by mode, as named in fault plans."""

    trial_timeout = "2s"
    """More time than the emulator needs to start a trial."""
    keeps_checkpoints = True
    """Whether a driven trial that is started again has its checkpoints."""
    reports_losses = True
    """Whether the service tells a job that it lost from one whose script failed."""
    lost_after = 1
    """Measurements after which a trial is lost in a test, or seconds; see `emulation.faults`."""
    keeps_last_reports = True
    """Whether a lost job has all its reports, not only those it saved some seconds before."""
    timeout_word = ""
    """Part of the service's word for a trial that took longer."""

    def list_jobs(self, folder: Path) -> Sequence[str]:
        """Return the names of all jobs that ever ran a trial on the emulator in a folder.

        By default, those with a folder of their own, as `Context.job_folder` creates it.
        """
        return [path.name for path in folder.glob("jobs/*")]

    def has_logs_with_odd_seed(self, mode: Mode) -> bool:
        """Return whether trials have logs also if the seed of the fault plan is odd."""
        return True

    def check_trial(self, trial: Trial) -> None:
        """Check what only this provider reports about a completed trial of `SCRIPT`."""

    @pytest.fixture(autouse=True)
    def _isolate(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
        monkeypatch.chdir(tmp_path)
        self.folder = tmp_path
        yield
        stop_emulators(tmp_path / "state")

    def study(
        self,
        mode: Mode,
        script: str = SCRIPT,
        *,
        settings: Mapping[str, Any] | None = None,
        **blocks: Any,
    ) -> Study:
        """Return a study of a script for one mode, with additional settings and other blocks."""
        (self.folder / "code").mkdir(exist_ok=True)
        (self.folder / "code" / "train.py").write_text(textwrap.dedent(script))
        if registry.get(self.name).capabilities.for_mode(mode) is None:
            pytest.skip(f"{self.name} has no {mode} mode")
        return Study.model_validate(
            {
                "name": "contract",
                "objective": {"metric": "accuracy", "goal": "maximize"},
                "parameters": _TREE,
                "strategy": {"name": "random", "seed": 5},
                "limits": {"max_trials": 4, "parallel_trials": 2},
                "trial": {"script": "train.py", "source": "code", "metrics": {"loss": {}}},
                **blocks,
                "providers": {self.name: {"mode": mode, **self.settings, **(settings or {})}},
            }
        )

    def plan(self, study: Study) -> Plan:
        """Return the plan of a study."""
        return plan(study, self.name, base=self.folder, emulated=True)

    def create_run(self, mode: Mode, script: str = SCRIPT, *, faults: str = "", **more: Any) -> str:
        """Create a run, with a fault plan, and return its id; other arguments as in `study`."""
        options = process.EmulationOptions()
        if faults:
            file = self.folder / "faults.yaml"
            file.write_text(textwrap.dedent(faults))
            options = process.EmulationOptions(
                faults=process.read_fault_plans(file, {self.name: mode})
            )
        return lifecycle.create([self.plan(self.study(mode, script, **more))], emulation=options).id

    def finish(self, run: str) -> StudyResult:
        """Execute a run, and return its result."""
        lifecycle.execute(run)
        return lifecycle.results(run)[0]

    def held_script(self) -> str:
        """Return `SCRIPT` that begins only after `release`."""
        held = f"while not os.path.exists({str(self.folder / 'go')!r}): time.sleep(0.05)"
        return SCRIPT.replace("import time\n", f"import os, time\n    {held}\n")

    def release(self) -> None:
        """Let trials of `held_script` begin."""
        (self.folder / "go").touch()

    def taken_script(self, step: int) -> str:
        """Return `SCRIPT` whose first start waits after a step until its machine is taken away."""
        mark = str(self.folder / "started")
        first = f"first = not os.path.exists({mark!r})\n    open({mark!r}, 'w').close()"
        waits = f"        while first and step == {step}: time.sleep(0.1)\n"
        return SCRIPT.replace("import time\n", f"import os, time\n    {first}\n") + waits

    def kill_at_call(self, run: str, call: str, count: int, when: str = "after") -> None:
        """Execute a run in a process that is killed at one of its calls to the service."""
        words = [
            sys.executable,
            "-m",
            "cloudtune.testing.kill_at_call",
            run,
            call,
            str(count),
            when,
        ]
        assert subprocess.run(words, check=False, timeout=200).returncode == -signal.SIGKILL

    def run_jobs(self, run: str) -> Sequence[str]:
        """Return the names of all jobs that ever ran a trial of a run."""
        return self.list_jobs(self.emulator_folder(run))

    def check_complete(self, result: StudyResult, *, has_logs: bool = True) -> None:
        """Check that four trials completed, each with every measurement once."""
        assert result.state == "completed", result.reason
        assert [trial.number for trial in result.trials] == [1, 2, 3, 4]
        for trial in result.trials:
            assert trial.state == "completed", trial.reason
            x = trial.parameters["x"]
            assert isinstance(x, float)
            values = [m.metrics["accuracy"] for m in trial.measurements]
            assert values == pytest.approx([x + step for step in range(1, STEPS + 1)], rel=1e-6)
            assert trial.metrics["loss"] == pytest.approx(1 / STEPS)
            assert trial.cost is None
            assert (trial.log is not None) == has_logs
            assert not trial.log or "started with" in Path(trial.log).read_text()
            self.check_trial(trial)

    def emulator_folder(self, run: str) -> Path:
        """Return the folder of the emulator of a run."""
        return self.folder / "state" / "runs" / run / self.name / home.EMULATOR_FOLDER
