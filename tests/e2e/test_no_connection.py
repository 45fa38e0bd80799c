"""A local run opens no connection: neither the engine nor a trial asks for an address."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

HOOK = """\
import os, sys

_file = os.open(os.environ["SEEN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def _watch(event, arguments):
    if not event.startswith("socket.") or event == "socket.gethostname":
        return
    import socket

    family = arguments[1] if event == "socket.__new__" else getattr(arguments[0], "family", None)
    if family == socket.AF_UNIX:
        return
    os.write(_file, f"{event} {arguments[1:]} {sys.argv}\\n".encode("utf-8", "replace"))


sys.addaudithook(_watch)
os.write(_file, f"watching {sys.argv}\\n".encode("utf-8", "replace"))
"""
SCRIPT = "from cloudtune.trial import params, report\nreport(score=params()['x'])\n"
STUDY = """\
objective: {metric: score, goal: maximize}
parameters: {x: {type: float, min: 0, max: 1}, n: {type: int, min: 1, max: 9}}
limits: {max_trials: 14, parallel_trials: 2}
trial: {script: train.py}
"""


CONNECTING = "import socket\nsocket.create_server(('127.0.0.1', 0)).close()\nprint('score 1')\n"


def watched(folder: Path, *command: str) -> list[str]:
    """Run Python with a watch over all its connections; return what was seen, a line each."""
    hook = folder / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(HOOK, "utf-8")
    seen = folder / "seen"
    path = os.pathsep.join([str(hook), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": path,
            "SEEN": str(seen),
            "CLOUDTUNE_HOME": str(folder / ".cloudtune"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return seen.read_text("utf-8").splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["random", "bayesian"])
@pytest.mark.parametrize("warm", [True, False])
def test_a_local_run_opens_no_connection(tmp_path: Path, strategy: str, warm: bool) -> None:
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")
    (tmp_path / "study.yaml").write_text(STUDY, "utf-8")
    sets = ["--set", f"strategy={strategy}", "--set", f"trial.warm={str(warm).lower()}"]
    seen = watched(tmp_path, "-m", "cloudtune", "run", "study.yaml", *sets)
    processes = 2 if warm else 1 + 14  # a forked one goes on watching as its parent does
    assert len([line for line in seen if line.startswith("watching")]) >= processes
    assert [line for line in seen if not line.startswith("watching")] == []


@pytest.mark.parametrize("warm", [True, False])
def test_the_watch_sees_the_connections_of_a_trial(tmp_path: Path, warm: bool) -> None:
    (tmp_path / "train.py").write_text(CONNECTING, "utf-8")
    (tmp_path / "study.yaml").write_text(STUDY, "utf-8")
    sets = [f"trial.warm={str(warm).lower()}", "limits.max_trials=1", "strategy=random"]
    words = [
        word for each in [*sets, "trial.metrics={score: 'score (.)'}"] for word in ("--set", each)
    ]
    seen = watched(tmp_path, "-m", "cloudtune", "run", "study.yaml", *words)
    assert any(line.startswith("socket.bind") and "train.py" in line for line in seen)
    assert any("forkserver/server.py" in line for line in seen) == warm


@pytest.mark.parametrize(
    "code",
    [
        "socket.create_connection(('127.0.0.1', PORT)).close()",
        "socket.getaddrinfo('127.0.0.1', 80)",
        "socket.gethostbyname('127.0.0.1')",
        "socket.socket(socket.AF_INET6).close()",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))",
    ],
)
def test_the_watch_sees_connections(tmp_path: Path, code: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        seen = watched(tmp_path, "-W", "ignore", "-c", f"import socket; PORT = {port}\n{code}")
    assert any(line.startswith("socket.") for line in seen)
