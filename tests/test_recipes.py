"""The recipes of docs/recipes.md, run as a reader would, with fewer trials."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from cloudtune.study.loader import load
from tests.cloudtune.conftest import Cloudtune
from tests.cloudtune.conftest import typed as typed  # noqa: PLC0414 - a fixture

PAGE = Path(__file__).parents[1] / "docs" / "recipes.md"
FILES = {"yaml": "study.yaml", "python": "train.py", "c": "throw.c"}
RUN = "cloudtune run study.yaml"


def recipes() -> dict[str, dict[str, str]]:
    """Return the first block of each language, by recipe."""
    found: dict[str, dict[str, str]] = {}
    for section in PAGE.read_text("utf-8").split("\n## ")[1:]:
        blocks = re.findall(r"^```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        found[section.partition("\n")[0]] = dict(reversed(blocks))
    return found


def named_files() -> dict[str, dict[str, str]]:
    """Return the blocks that have the name of a file, by recipe."""
    return {
        section.partition("\n")[0]: dict(
            re.findall(r"^```\w+ (\S+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        )
        for section in PAGE.read_text("utf-8").split("\n## ")[1:]
    }


RECIPES = recipes()
NAMED_FILES = named_files()


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "My GPU"])
def test_a_recipe_runs(
    name: str, typed: Cloudtune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = RECIPES[name]
    if "c" in blocks and not shutil.which("cc"):
        pytest.skip("no C compiler")
    folder = tmp_path / "study"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("../points.csv").write_text("1,2\n2,4\n", "utf-8")
    for language, file in FILES.items():
        if language in blocks:
            Path(file).write_text(blocks[language], "utf-8")
    for file, text in NAMED_FILES[name].items():
        Path(file).write_text(text, "utf-8")
    needs_run = load("study.yaml").warm_start is not None
    if needs_run:
        first = call(typed, f"{RUN} --json --set warm_start=")
        study = Path("study.yaml").read_text("utf-8")
        Path("study.yaml").write_text(study.replace("k7f2", json.loads(first)[0]["run"]), "utf-8")
    for line in blocks.get("sh", RUN).splitlines():
        call(typed, line)
    (result,) = json.loads(call(typed, "cloudtune results --json"))
    assert result["state"] == "completed"
    assert not any(trial["state"] == "failed" for trial in result["trials"])
    assert all(trial["objective"] for trial in result["trials"] if trial["state"] == "completed")


def call(typed: Cloudtune, line: str) -> str:
    words = shlex.split(line)
    if words[0] != "cloudtune":
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout
    if line.startswith(RUN) and load("study.yaml").strategy.name != "grid":
        words += ["--set", "limits.max_trials=4"]
    return typed(*words[1:]).stdout


def test_the_recipe_for_gpus_is_right(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(RECIPES["My GPU"]["yaml"], "utf-8")
    assert load(file).trial.resources[0].gpus == 1
