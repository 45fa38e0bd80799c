"""The story of docs/propose.md, run as a reader would."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "propose.md"


@pytest.mark.slow
def test_the_story_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / ".cloudtune"))
    section = PAGE.read_text("utf-8").split("\n## ")[1]
    blocks = dict(re.findall(r"^```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL))
    Path("study.yaml").write_text(blocks["yaml"], "utf-8")
    Path("train.py").write_text(blocks["python"], "utf-8")
    printed: list[str] = []
    for line in blocks["sh"].splitlines():
        words = [sys.executable, "-m", *shlex.split(line)]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        printed.append(done.stdout)
    first, second = map(json.loads, printed[1:3])
    assert first["trial"]["why"] == "the paper has 0.02"
    assert second == first, "it was measured before"
    results = printed[-1]
    assert results.count("completed") == 12
    assert results.count("the paper has 0.02") == 1
