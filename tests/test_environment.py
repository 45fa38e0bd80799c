"""scripts/environment.sh, with which ./quickstart and ./test install what they need."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "environment.sh"
PIP = """\
#!/bin/sh
echo "Obtaining file:///cloudtune"
echo "Collecting scipy>=1.15 (from cloudtune)"
echo "  Downloading scipy-1.17.1-cp311-manylinux_x86_64.whl (35.1 MB)"
echo "Installing collected packages: scipy, cloudtune"
exit "$PIP_CODE"
"""


@pytest.mark.parametrize("code", [0, 1])
def test_an_installation_shows_its_progress_and_fails_with_pip(tmp_path: Path, code: int) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(PIP, "utf-8")
    python.chmod(0o755)
    done = subprocess.run(
        ["sh", "-euc", f". '{SCRIPT}'; install_packages x; echo installed"],
        env={"PATH": "/usr/bin:/bin", "VENV": str(tmp_path), "PIP_CODE": str(code)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (code, "" if code else "installed\n")
    assert done.stderr.splitlines() == [
        "  collecting scipy",
        "  downloading scipy (35.1 MB)",
        "  installing the packages, which can take a minute",
    ]
