"""An emulator that starts on a machine that then has no thread left for a request."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOOK = """\
import sys, threading

start = threading.Thread.start


def start_unless_for_a_request(thread):
    if "process_request_thread" in thread.name:
        raise RuntimeError("can't start new thread")
    start(thread)


if any(word.endswith(".emulator") for word in sys.orig_argv):
    threading.Thread.start = start_unless_for_a_request
"""
STUDY = """\
objective: {metric: score, goal: maximize}
parameters: {x: {type: float, min: 0, max: 1}}
limits: {max_trials: 2}
trial: {script: train.py}
providers: {watson: {backend: wml}}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("provider", "package"),
    [
        ("azure", "trustme"),
        ("sagemaker", "boto3"),
        ("vertex", "google.cloud.storage"),
        ("watson", "trustme"),
    ],
)
def test_a_run_ends_with_the_remedy(tmp_path: Path, provider: str, package: str) -> None:
    """It does not call again and again as if the network had failed."""
    pytest.importorskip(package)
    for name, text in {
        "study.yaml": STUDY,
        "train.py": "print('score 1')\n",
        "hook/sitecustomize.py": HOOK,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "cloudtune", "run", "study.yaml", "--on", provider, "--emulate"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(tmp_path / "hook"),
            "CLOUDTUNE_HOME": str(tmp_path / ".cloudtune"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,  # the client of a network that has failed would call for longer
    )
    assert done.returncode == 3, done.stderr
    output = done.stdout + done.stderr
    assert "no more threads can be started" in output
    assert "raise the limit of processes" in output
    assert "retrying" not in output
