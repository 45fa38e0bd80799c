"""The debug log shows calls and decisions, no secrets, and costs nothing while it is off."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

SECRET = "hf_verysecret"
CALLS = f"""
from cloudtune.common.debug_log import add_mask, get_logger, log_calls
from cloudtune.provider.secrets import Mask
from cloudtune.study.study import Study

class Service:
    poll_seconds = 1.0

    def submit(self, token):
        raise ValueError(f"cannot sign in with {{token}}")

log = get_logger("cloudtune.example")
trial = {{"env": {{"TOKEN": {{"from_env": "HF_TOKEN"}}}}}}
add_mask(Mask(Study.model_validate({{"trial": trial}})))
service = log_calls(Service(), "example", log)
assert service.poll_seconds == 1.0
try:
    service.submit("{SECRET}")
except ValueError:
    pass
log.debug("the token is %s", "{SECRET}")
"""
STUDY = """\
objective: {metric: score, goal: maximize}
parameters: {x: {type: float, min: 0, max: 1}}
strategy: random
limits: {max_trials: 2}
trial:
  command: [sh, -c, 'echo "score=1 $TOKEN"; exit 3']
  arguments: none
  metrics: {score: 'score=(.*)'}
  env: {TOKEN: {from_env: HF_TOKEN}}
"""


def python(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "HF_TOKEN": SECRET, "CLOUDTUNE_HOME": str(folder / "state"), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_unknown_level_is_reported_once(tmp_path: Path) -> None:
    code = "import cloudtune.common.debug_log as d; d.get_logger('a').debug('x'); d.get_logger('b')"
    done = python(tmp_path, "-c", code, CLOUDTUNE_LOG="debgu")
    assert done.stderr == "note: CLOUDTUNE_LOG='debgu' has no effect; the only level is debug\n"
    assert python(tmp_path, "-c", code, CLOUDTUNE_LOG="off").stderr == ""


def test_calls_are_logged_with_their_times_and_without_secrets(tmp_path: Path) -> None:
    done = python(tmp_path, "-c", CALLS, CLOUDTUNE_LOG="debug")
    call, message = done.stderr.splitlines()
    ending = (
        r"\[MainThread\] cloudtune\.example: example\.submit: \d+\.\d+ s, "
        r"ValueError: cannot sign in with \$\{HF_TOKEN\}$"
    )
    assert re.search(ending, call), call
    assert message.endswith("the token is ${HF_TOKEN}")


def test_a_run_logs_its_decisions_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, "utf-8")
    done = python(tmp_path, "-m", "cloudtune", "run", "study.yaml", CLOUDTUNE_LOG="debug")
    assert done.returncode in {3, 4}
    assert "cloudtune.engine.driver: start trial 1: {'x': " in done.stderr
    assert "cloudtune.engine.driver: trial 1 ended: failed" in done.stderr
    assert SECRET not in done.stderr + done.stdout


def test_without_the_variable_logging_is_not_even_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from cloudtune.common.debug_log import get_logger; "
        "get_logger('cloudtune.x').debug('%s', 1); assert 'logging' not in sys.modules"
    )
    done = python(tmp_path, "-c", code, CLOUDTUNE_LOG="")
    assert (done.returncode, done.stderr) == (0, "")
