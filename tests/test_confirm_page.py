"""The stories of docs/confirm.md, run as a reader would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pages import call, sections

PAGE = Path(__file__).parents[1] / "docs" / "confirm.md"
FILES = {"yaml": "study.yaml", "python": "train.py"}


@pytest.mark.slow
def test_the_stories_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / ".cloudtune"))
    printed: dict[str, str] = {}
    for title, blocks in sections(PAGE).items():
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
    blocks = sections(PAGE)["Data that the search never sees"]
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
