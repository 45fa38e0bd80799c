"""``python container_process.py NAME ENGINE ARGUMENT...``: run a container, and end it for sure.

The engine's own process is a client: killing it leaves the container running. This process passes
signals on to it, and a second process removes the container when this one ends without a result,
even if it is killed. Cloudtune runs this file directly, so it uses only the standard library.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

_MARK = "CLOUDTUNE_RUN"
"""The variable by which cloudtune finds the processes of a trial that it kills."""
_GONE = b"gone"
_ROUNDS = 3


def run(name: str, command: list[str]) -> int:
    """Run the engine's command and return its exit code."""
    pending: list[int] = []
    pass_on = pending.append
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: pass_on(number))
    # Without the mark by which cloudtune kills, since Podman's monitor inherits it.
    env = {key: value for key, value in os.environ.items() if key != _MARK}
    remover = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, name, command[0]],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=env,
        start_new_session=True,
    )
    assert remover.stdin is not None
    # In a session of its own, so that it gets a signal to this group once, and not twice.
    engine = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=env, start_new_session=True)
    remover.stdin.write(f"{engine.pid}\n".encode())
    remover.stdin.flush()
    pass_on = engine.send_signal
    for early in pending:
        engine.send_signal(early)
    code = engine.wait()
    if code >= 0:  # else the engine was killed, and the container may still run
        remover.stdin.write(_GONE)
    remover.stdin.close()
    return code if code >= 0 else 128 - code


def remove_when_orphaned(name: str, engine: str) -> None:
    """Wait for the end of the other process; unless the container is gone, remove it."""
    pid = sys.stdin.buffer.readline()
    if sys.stdin.buffer.read() == _GONE:
        return
    if pid:
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)  # it may still be fetching the image
    for _ in range(_ROUNDS):  # what the engine was doing when it was killed may come later
        for command in (["kill", name], ["rm", "--force", name]):
            subprocess.run([engine, *command], check=False, capture_output=True)
        time.sleep(1)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        remove_when_orphaned(sys.argv[1], sys.argv[2])
    else:
        sys.exit(run(sys.argv[1], sys.argv[2:]))
