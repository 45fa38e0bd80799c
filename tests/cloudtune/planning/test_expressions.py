"""Texts that a script reads as other values are named in a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.planning.planner import plan
from cloudtune.study.study import Study

VALUES = ["a", "1", "null", "[1,2]", 2, "[a", "{", "p_${n}", r"\${n}", "a,b", "a-b,c"]


@pytest.mark.parametrize(
    ("code", "arguments", "noted"),
    [
        ("import hydra", "assign", {"parameters.x": ["null", "[1,2]", "p_${n}"]}),
        ("import fire", "flags", {"parameters.x": ["[1,2]", "a,b"], "constants.c": ["None"]}),
        ("", "assign", {"parameters.x": ["1", "null", "[1,2]", "[a", "{", "p_${n}"]}),
        ("", "flags", {}),
    ],
)
def test_texts_with_another_meaning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    arguments: str,
    noted: dict[str, list[str]],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(code)
    study = Study.model_validate(
        {
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": {"x": {"type": "categorical", "values": VALUES}},
            "constants": {"c": "None"},
            "limits": {"max_trials": 2},
            "trial": {"script": "train.py", "arguments": arguments},
        }
    )
    notes = plan(study, "local").notes
    found: dict[str, list[str]] = {}
    for note in notes:
        if "text" in note.text and (note.path.startswith(("parameters.", "constants."))):
            found.setdefault(note.path, []).append(note.text.split(" reads ")[1].split(" as ")[0])
    assert found == noted
