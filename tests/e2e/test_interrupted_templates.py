"""Templates that continue from checkpoints, interrupted by real signals.

CLOUDTUNE_TEST_FRAMEWORKS names a Python with their frameworks, as in
`tests/cloudtune/test_callbacks.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from cloudtune import trial
from tests import templates

pytestmark = pytest.mark.slow

SIGNAL = """
    import os, runpy, signal, sys
    import cloudtune.trial

    should_stop, calls = cloudtune.trial.should_stop, iter(range(1, 10**6))

    def stop_at_call():
        if next(calls) == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGTERM)
        return should_stop()

    cloudtune.trial.should_stop = stop_at_call
    runpy.run_path("train.py", run_name="__main__")
"""
"""Runs a template's script, which gets SIGTERM at the given call of `should_stop`."""


def train(folder: Path, name: str, parameters: dict[str, Any], stop_at: int = 0) -> int:
    """Run a template's script as a trial in a folder; return its exit code."""
    python = os.environ.get("CLOUDTUNE_TEST_FRAMEWORKS")
    if not python:
        assert not os.environ.get("CI"), "CLOUDTUNE_TEST_FRAMEWORKS is not set"
        pytest.skip("CLOUDTUNE_TEST_FRAMEWORKS names no Python with the frameworks")
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_bytes((templates.ROOT / name / "train.py").read_bytes())
    (folder / "interrupt.py").write_text(textwrap.dedent(SIGNAL), "utf-8")
    file = {"parameters": parameters, "reports": str(folder / "reports.jsonl")}
    file |= {each: str(folder / each) for each in ("checkpoint", "output")}
    (folder / "trial.json").write_text(json.dumps(file), "utf-8")
    variables = {trial.TRIAL: str(folder / "trial.json"), "PYTHONPATH": str(templates.ROOT.parent)}
    variables |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [python, "interrupt.py", str(stop_at)],
        cwd=folder,
        env=os.environ | variables,
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


def measured(folder: Path) -> list[tuple[int, dict[str, float]]]:
    lines = map(json.loads, (folder / "reports.jsonl").read_text("utf-8").splitlines())
    return [(line["step"], line["metrics"]) for line in lines]


def test_pytorch_continues_where_it_was_interrupted(tmp_path: Path) -> None:
    parameters = {"width": 8, "dropout": 0.5, "batch_size": 64, "shift": 1, "epochs": 3}
    assert train(tmp_path / "whole", "pytorch", parameters) == 0

    apart = tmp_path / "apart"
    assert train(apart, "pytorch", parameters, stop_at=20) == 143
    assert [step for step, _ in measured(apart)] == [1]
    assert [each.name for each in (apart / "checkpoint").iterdir()] == ["training.pt"]
    assert train(apart, "pytorch", parameters, stop_at=3) == 143
    assert train(apart, "pytorch", parameters) == 0
    assert measured(apart) == measured(tmp_path / "whole")


def test_pytorch_goes_on_with_more_epochs(tmp_path: Path) -> None:
    parameters = {"width": 8, "batch_size": 64, "decay": 0.9, "epochs": 1}
    assert train(tmp_path / "rungs", "pytorch", parameters) == 0
    assert train(tmp_path / "rungs", "pytorch", parameters | {"epochs": 3}) == 0
    assert train(tmp_path / "whole", "pytorch", parameters | {"epochs": 3}) == 0
    epochs = [each for each in measured(tmp_path / "rungs") if "accuracy" in each[1]]
    assert epochs == [each for each in measured(tmp_path / "whole") if "accuracy" in each[1]]
