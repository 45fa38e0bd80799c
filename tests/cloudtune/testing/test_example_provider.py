"""The example provider works as a package of its own, outside of this repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtune.testing.new_provider import EXAMPLE, copy_example

GUIDE = Path(__file__).parents[3] / "docs" / "adding-a-provider.md"
QUOTE = re.compile(r"^`cloudtune_example/(\w+\.py)`[^\n]*\n\n```python\n(.*?)^```", re.M | re.S)


def python(*words: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["example", "acme_batch"])
def test_a_copy_can_be_installed_and_passes_its_tests(name: str, tmp_path: Path) -> None:
    folder = copy_example(name, tmp_path)
    site = tmp_path / "site"
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    python("-m", "pip", "install", *options, "--target", str(site), ".", cwd=folder)
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    assert " passed" in python(*tests, cwd=folder, PYTHONPATH=str(site))
    (tmp_path / "study.yaml").write_text(
        "objective: {metric: score, goal: maximize}\n"
        "parameters: {x: {type: float, min: 0, max: 1}}\n"
        "limits: {max_trials: 2, parallel_trials: 2}\n"
        "trial: {script: train.py}\n"
    )
    (tmp_path / "train.py").write_text(
        "from cloudtune.trial import params, report\nreport(score=params()['x'])\n"
    )
    home = {f"{name.upper()}_BATCH_HOME": str(tmp_path / "batch")}
    run = ["-m", "cloudtune", "run", "study.yaml", "--on", name]
    python(*run, cwd=tmp_path, PYTHONPATH=str(site), CLOUDTUNE_HOME=str(tmp_path / "state"), **home)
    assert len(list((tmp_path / "batch").iterdir())) == 2


@pytest.mark.parametrize("name", ["", "Acme", "a-b", "1a"])
def test_a_name_that_is_no_package_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="use lower-case letters"):
        copy_example(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_guide_quotes_the_example() -> None:
    quotes = QUOTE.findall(GUIDE.read_text("utf-8"))
    assert {file for file, _ in quotes} == {"provider.py", "training_client.py"}
    for file, quote in quotes:
        code = (EXAMPLE / "cloudtune_example" / file).read_text("utf-8")
        for part in quote.split("\n# ...\n"):
            assert part.strip("\n") in code, part
