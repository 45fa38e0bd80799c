"""The story of docs/propose.md, run as a reader would."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from cloudtune.runs.status import read_status
from tests.pages import sections
from tests.waiting import wait_until

PAGE = Path(__file__).parents[1] / "docs" / "propose.md"


def has_proposed(process: subprocess.Popen[str]) -> bool:
    """Return whether a proposal waits, or the command has ended."""
    return bool(read_status()[0]["jobs"][0]["proposals"]) or process.poll() is not None


@pytest.mark.slow
def test_the_story_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / ".cloudtune"))
    blocks = next(iter(sections(PAGE).values()))
    Path("study.yaml").write_text(blocks["yaml"], "utf-8")
    go = tmp_path / "go"  # trials wait until there is a proposal: a command may start slowly
    held = f"import os\nwhile not os.path.exists({str(go)!r}): time.sleep(0.05)"
    assert "\ntime.sleep(0.5)\n" in blocks["python"]
    Path("train.py").write_text(blocks["python"].replace("time.sleep(0.5)", held), "utf-8")
    printed: list[str] = []
    for line in blocks["sh"].splitlines():
        words = [sys.executable, "-m", *shlex.split(line)]
        process = subprocess.Popen(words, stdout=-1, stderr=-1, text=True)
        if "propose" in words:
            wait_until(partial(has_proposed, process))
            go.touch()
        out, err = process.communicate()
        assert process.returncode == 0, out + err
        printed.append(out)
    first, second = map(json.loads, printed[1:3])
    assert first["trial"]["why"] == "the paper has 0.02"
    assert second == first, "it was measured before"
    results = printed[-1]
    assert results.count("completed") == 12
    assert results.count("the paper has 0.02") == 1
