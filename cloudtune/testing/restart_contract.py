"""The tests of trials that start more than once, which every provider with an emulator passes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloudtune.provider import registry
from cloudtune.results.events import MEASURED_STATES
from cloudtune.study.schema import Mode
from cloudtune.testing.emulated_runs import BOTH_MODES, EmulatedRuns

_RUNGS = """
    import os
    from cloudtune.trial import checkpoint_dir, params, report
    p = params()
    path = os.path.join(checkpoint_dir(), "done")
    done = int(open(path).read()) if os.path.exists(path) else 0
    print("begins with", done)
    for epoch in range(done + 1, p["epochs"] + 1):
        report(accuracy=epoch + p["x"] / 2)
        print(f"loss={epoch}")
        print(f"epoch {epoch}: f1={epoch}")
        if KEEPS:
            open(path, "w").write(str(epoch))
"""
"""Reports the epoch, without a step or with a printed one."""
_EPOCHS = """
    import os, time
    from cloudtune.trial import checkpoint_dir, report
    path = os.path.join(checkpoint_dir(), "done")
    done = int(open(path).read()) if os.path.exists(path) else 0
    print("begins with", done, flush=True)
    for epoch in range(done + 1, 11):
        open(path, "w").write(str(epoch))
        report(accuracy=epoch)
        time.sleep(SECONDS)
"""
"""Reports the epoch after it has saved it; the steps are counted, unless reports may be missing."""


class RestartContract(EmulatedRuns):
    """Trials that continue with more of a resource, or after their service lost them."""

    @BOTH_MODES
    def test_hyperband_continues_from_checkpoints(self, mode: Mode) -> None:
        supported = registry.get(self.name).capabilities.for_mode(mode)
        if supported is None or "hyperband" not in supported.strategies:
            pytest.skip(f"{self.name} has no hyperband in {mode} mode")
        script = """
            import os
            from cloudtune.trial import checkpoint_dir, params, report
            p = params()
            path = os.path.join(checkpoint_dir(), "done")
            done = int(open(path).read()) if os.path.exists(path) else 0
            for epoch in range(done + 1, p["epochs"] + 1):
                report(accuracy=p["x"] * epoch, step=epoch)
                open(path, "w").write(str(epoch))
        """
        strategy = {"name": "hyperband", "resource": "epochs", "min": 1, "max": 9, "seed": 2}
        limits = {"max_trials": 9, "parallel_trials": 3}
        result = self.finish(self.create_run(mode, script, strategy=strategy, limits=limits))
        assert result.state == "completed", result.reason
        states = {trial.state for trial in result.trials}
        assert states <= MEASURED_STATES
        assert "completed" in states
        for trial in result.trials:
            steps = [m.step for m in trial.measurements]
            assert steps == list(range(1, len(trial.measurements) + 1))
        assert max(len(trial.measurements) for trial in result.trials) == 9

    @pytest.mark.parametrize("keeps", [True, False])
    def test_the_steps_of_a_trial_count_on_only_from_a_checkpoint(self, keeps: bool) -> None:
        metrics = {"loss": r"loss=(\S+)", "f1": r"epoch (?P<step>\d+): f1=(?P<value>\S+)"}
        run = self.create_run(
            "driven",
            _RUNGS.replace("KEEPS", str(keeps)),
            strategy={"name": "hyperband", "resource": "epochs", "max": 4, "eta": 2, "seed": 2},
            limits={"max_trials": 4, "parallel_trials": 2},
            trial={"script": "train.py", "source": "code", "metrics": metrics},
        )
        result = self.finish(run)
        assert result.state == "completed", result.reason
        lengths: set[int] = set()
        for trial in result.trials:
            for name in ("accuracy", *metrics):
                reports = [m for m in trial.measurements if name in m.metrics]
                lengths.add(len(reports))
                epochs = [int(m.metrics[name]) for m in reports]
                assert [m.step for m in reports] == epochs, name
        # From the start, a trial that is promoted to 2 and to 4 epochs has more than 4 points.
        assert (max(lengths) > 4) is not (keeps and self.keeps_checkpoints)

    def test_lost_trials_are_repeated_and_continue_from_their_checkpoints(self) -> None:
        effect = f"effect: lose, after: {self.lost_after}"
        faults = f"faults: [{{operation: trial, call: [1, 2], {effect}}}]"
        # The second start, too, is lost before its end, if seconds count.
        script = _EPOCHS.replace("SECONDS", str(max(0.7, 0.3 * self.lost_after)))
        if not self.keeps_last_reports:
            script = script.replace("accuracy=epoch", "accuracy=epoch, step=epoch")
        run = self.create_run(
            "driven",
            script,
            faults=faults,
            limits={"max_trials": 2, "parallel_trials": 1, "max_failed_trials": 0},
            trial={"script": "train.py", "source": "code"},
        )
        result = self.finish(run)
        if not self.reports_losses:
            assert result.trials[0].state == "failed"
            return
        assert result.state == "completed", result.reason
        assert [t.state for t in result.trials] == ["cancelled"] * 2 + ["completed"] * 2
        first, second, third, other = result.trials
        assert (second.replaces, third.replaces, other.replaces) == (1, 2, None)
        assert second.parameters == third.parameters == first.parameters
        assert len(self.run_jobs(run)) == 4
        for trial in (third, other):
            epochs = [(m.step, m.metrics["accuracy"]) for m in trial.measurements]
            every = [(n, float(n)) for n in range(1, 11)]
            if self.keeps_last_reports or trial is other:
                assert epochs == every
            else:
                assert epochs == [each for each in every if each in epochs]
                assert (epochs[0], epochs[-1]) == (every[0], every[-1])
        assert re.search("begins with [1-9]", Path(str(third.log)).read_text())
        assert "begins with 0" in Path(str(other.log)).read_text()
