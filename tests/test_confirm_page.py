"""The stories of docs/confirm.md, run as a reader would."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "confirm.md"
FILES = {"yaml": "study.yaml", "python": "train.py"}


def sections() -> dict[str, dict[str, str]]:
    """Return the blocks of each section with commands, by language."""
    found: dict[str, dict[str, str]] = {}
    for section in PAGE.read_text("utf-8").split("\n## ")[1:]:
        blocks = dict(re.findall(r"^```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL))
        if "sh" in blocks:
            found[section.partition("\n")[0]] = blocks
    return found


def call(line: str) -> str:
    words = shlex.split(line)
    assert words[0] == "cloudtune"
    words[:1] = [sys.executable, "-m", "cloudtune"]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_stories_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / ".cloudtune"))
    printed: dict[str, str] = {}
    for title, blocks in sections().items():
        for language, file in FILES.items():
            if language in blocks:
                Path(file).write_text(blocks[language], "utf-8")
        printed[title] = "".join(map(call, blocks["sh"].splitlines()))
    noisy, held_out, ablation = printed.values()
    for title in ("Take", "Winner", "Lead", "Gain", "Noise floor"):
        assert f"\n{title}: " in noisy
    assert "was luck" in noisy
    assert "\nOverfitting: " in held_out
    assert "the search has overfitted" in held_out
    assert "gap to training" in held_out
    assert "\nChanges: " in ablation


@pytest.mark.slow
def test_the_held_out_metric_finds_what_the_search_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / ".cloudtune"))
    blocks = sections()["Data that the search never sees"]
    for language, file in FILES.items():
        Path(file).write_text(blocks[language], "utf-8")
    *others, last = blocks["sh"].splitlines()
    for line in others:
        call(line)
    (found,) = json.loads(call(f"{last} --json"))
    assert found["overfitted"]
    assert found["disagreement"]
    assert found["candidates"][0]["parameters"]["size"] > 50
    assert abs(found["candidates"][found["take"]]["parameters"]["size"] - 20) <= 5
