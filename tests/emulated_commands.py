"""What whole runs share on the emulators of services that run a trial as one command of a job."""

from __future__ import annotations

from typing import Any

from cloudtune.results.model import StudyResult
from cloudtune.testing import EmulatedRunContract

CHECKPOINTS = """
    import os, time
    from cloudtune.trial import checkpoint_dir, report
    path = os.path.join(checkpoint_dir(), "done")
    done = int(open(path).read()) if os.path.exists(path) else 0
    is_first = not os.path.exists("MARK")
    open("MARK", "w").close()
    print("begins with", done)
    for step in range(done + 1, 9):
        report(accuracy=step, step=step)
        open(path, "w").write(str(step))
        while is_first and step == 4:
            time.sleep(0.1)
"""
"""Its first start waits after the fourth step, to be killed there."""


class EmulatedCommands(EmulatedRunContract):
    trial_timeout = "6s"

    def run_one(self, script: str, **more: Any) -> StudyResult:
        """Return the result of a run of one trial, for which MARK is a file of its own."""
        more.setdefault("limits", {"max_trials": 1, "parallel_trials": 1})
        script = script.replace("MARK", str(self.folder / "mark"))
        return self.finish(self.create_run("driven", script, **more))

    def test_thousands_of_measurements_are_read_once_each(self) -> None:
        script = """
            from cloudtune.trial import report
            for step in range(1, 3001):
                report(accuracy=step)
        """
        (trial,) = self.run_one(script).trials
        assert [m.step for m in trial.measurements] == list(range(1, 3001))
