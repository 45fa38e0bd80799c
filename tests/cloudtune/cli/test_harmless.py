"""Whole commands: they print no control characters, and report damaged plans."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cloudtune.conftest import Cloudtune

EVIL = "\x1b[2J\u202eevil"
STUDY = {
    "objective": {"metric": "score", "goal": "maximize"},
    "parameters": {"x": {"type": "categorical", "values": [EVIL]}},
    "strategy": "grid",
    "trial": {"command": ["echo", "score=1"], "arguments": "none", "metrics": {"score": "=(.*)"}},
}


def test_control_characters_are_escaped(typed: Cloudtune, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text(json.dumps(STUDY), "utf-8")
    for words in (["plan", "study.json"], ["run", "study.json"], ["results"], ["status"]):
        done = typed(*words)
        assert all(line.isprintable() for line in (done.stdout + done.stderr).splitlines()), words
    done = typed("run", "study.json", "--set", f"trial.script={EVIL}", code=1)
    assert all(line.isprintable() for line in done.stderr.splitlines())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "contains no plan"),
        ("[3]", "not a plan"),
        ('[{"format": "cloudtune.plan/v2"}]', "study: Field required"),
    ],
)
def test_a_damaged_plan_is_reported_without_a_traceback(
    typed: Cloudtune, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "plan.json").write_text(text, "utf-8")
    done = typed("run", "plan.json", code=1)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
