"""A trial that runs out of memory starts again, as a user sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, resource
from cloudtune.trial import checkpoint_dir, report
path = os.path.join(checkpoint_dir(), "tries")
tries = int(open(path).read()) if os.path.exists(path) else 0
open(path, "w").write(str(tries + 1))
if tries == 0:
    resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
    bytearray(2**33)
report(score=1.0, step=1)
"""
STUDY = """
objective: {metric: score, goal: maximize}
parameters: {x: {type: float, min: 0, max: 1}}
strategy: random
limits: {max_trials: 2, max_failed_trials: 0}
trial: {script: train.py, resources: {memory: 1 GB}, retry: memory}
"""


def test_a_trial_that_ran_out_of_memory_starts_again(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "study.yaml").write_text(STUDY)

    def cloudtune(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cloudtune", *words]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
        )

    messages = cloudtune("run", "study.yaml").stderr
    assert "trial 1 ran out of memory; starts again\n" in messages
    assert "approximated trial.retry" in messages
    lines = cloudtune("results", "--format", "jsonl").stdout.splitlines()
    trials = [json.loads(line) for line in lines]
    assert [(trial["state"], trial["retries"]) for trial in trials] == [("completed", 1)] * 2
