"""The script of a deployment: it ends without an error, and leaves its result in a file."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from cloudtune_watson.jobs import start_script

CODE = Path(start_script.__file__).read_text("utf-8")


def start(folder: Path, program: str | None) -> subprocess.Popen[bytes]:
    """Start the script with a program in its archive; without one, with a damaged archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        content = (program or "").encode()
        member = tarfile.TarInfo(start_script.PROGRAM)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    text = base64.b64encode(packed.getvalue()).decode() if program is not None else "AAAA"
    script = folder / "script.py"
    script.write_text(f'{CODE}\n\nif __name__ == "__main__":\n    main("""\n{text}\n""")\n')
    env = {**os.environ, "BATCH_OUTPUT_DIR": str(folder / "output"), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen([sys.executable, str(script)], env=env, stdout=subprocess.PIPE)


def result(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "output" / start_script.RESULT).read_text())
    return content


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_in_a_file(tmp_path: Path, code: int) -> None:
    process = start(tmp_path, f"import sys\nprint('hello')\nsys.exit({code})")
    printed, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    assert printed == b"hello\n"
    assert (tmp_path / "output" / start_script.LOG).read_bytes() == printed
    found = result(tmp_path)
    assert (found["exit_code"], found["reason"]) == (code, "")
    assert found["started"] <= found["ended"]


def test_a_damaged_archive_is_reported(tmp_path: Path) -> None:
    process = start(tmp_path, None)
    process.communicate(timeout=200)
    assert process.returncode == 0
    assert result(tmp_path)["exit_code"] == 1
    assert "cannot be started" in result(tmp_path)["reason"]


def test_a_signal_reaches_the_program(tmp_path: Path) -> None:
    program = """
import signal, sys, time
def stop(*_):
    print("stopping", flush=True)
    sys.exit(5)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(600)
"""
    process = start(tmp_path, program)
    log = tmp_path / "output" / start_script.LOG
    deadline = time.monotonic() + 200
    while not (log.is_file() and b"ready" in log.read_bytes()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=200)
    assert process.returncode == 0
    assert result(tmp_path)["exit_code"] == 5


def test_the_log_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys.modules[__name__],
        "CODE",
        CODE.replace("MAX_LOG_BYTES = 64 * 1024 * 1024", "MAX_LOG_BYTES = 10"),
    )
    process = start(tmp_path, "print('x' * 100)")
    printed, _ = process.communicate(timeout=200)
    assert len(printed) == 101
    assert (tmp_path / "output" / start_script.LOG).stat().st_size == 10
