"""What cloudtune's own commands write next to a study makes no two runs different."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtune.ledger.outputs import unhashed_files

STUDY = """
objective: {metric: loss, goal: minimize}
parameters: {x: {type: float, min: 0, max: 1}}
limits: {max_trials: 1}
strategy: random
trial: {script: train.py, metrics: {loss: 'loss (\\S+)'}}
"""


class Shell:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, line: str, code: int = 0) -> str:
        """Run a line in which ``cloudtune`` is this one; return what it printed."""
        function = f'cloudtune() {{ "{sys.executable}" -m cloudtune "$@"; }}\n'
        env = {k: v for k, v in os.environ.items() if k != "CLOUDTUNE_HOME"}
        done = subprocess.run(
            ["sh", "-c", function + line],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    def hashes(self) -> set[str]:
        """Return the source hashes of all runs."""
        runs = sorted(path.name for path in (self.folder / ".cloudtune" / "runs").iterdir())
        results = [json.loads(self(f"cloudtune results --json {run}"))[0] for run in runs]
        return {result["source_hash"] for result in results}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "train.py").write_text("print('loss 1')\n")
    return Shell(tmp_path)


@pytest.mark.slow
def test_outputs_do_not_change_the_hash(shell: Shell) -> None:
    shell("cloudtune run study.yaml > run.log 2>&1")
    shell("cloudtune results -o results.csv")
    shell("cloudtune results --json > results.json")
    shell("cloudtune report -o report.md")
    shell("cloudtune logs > out.txt && cloudtune status >> out.txt")
    shell("cloudtune plan study.yaml -o plan.json > plan.txt")
    shell("cloudtune run study.yaml >> run.log 2>&1")
    shell("cloudtune run plan.json")
    assert len(shell.hashes()) == 1
    source = next((shell.folder / ".cloudtune" / "runs").glob("*/local/source/out.txt")).parent
    assert (source / "results.csv").exists(), "a script may read it"
    assert not any((source / name).exists() for name in ("report.md", "run.log"))


def test_reports_and_logs_are_not_sent(shell: Shell) -> None:
    (shell.folder / "README.md").write_text("Trains.")
    (shell.folder / "old.log").write_text("not cloudtune's")
    (shell.folder / "empty.log").touch()
    shell("cloudtune run study.yaml > run.log 2>&1")
    shell("cloudtune report -o report.html && cloudtune report > report.md")
    shell("cloudtune results --json > best.json")
    listed = shell("cloudtune plan study.yaml --files")
    files = [line.split()[-1] for line in listed.partition(" files of ")[2].splitlines()[1:]]
    assert files == ["README.md", "best.json", "empty.log", "old.log", "study.yaml", "train.py"]
    shell("cloudtune plan study.yaml -o plan.json")
    shell("cloudtune run plan.json")
    for copy in (shell.folder / ".cloudtune" / "runs").glob("*/local/source"):
        assert not [*copy.glob("report.*"), *copy.glob("run.log")]


@pytest.mark.slow
def test_the_study_itself_is_compared_elsewhere(shell: Shell) -> None:
    shell("cloudtune run study.yaml")
    (shell.folder / "study.yaml").write_text(STUDY.replace("max: 1}", "max: 2}"))
    shell("cloudtune run study.yaml")
    assert len(shell.hashes()) == 1


@pytest.mark.slow
def test_other_files_change_the_hash(shell: Shell) -> None:
    shell("cloudtune run study.yaml")
    (shell.folder / "notes.txt").write_text("mine")
    shell("cloudtune run study.yaml")
    (shell.folder / "other.yaml").write_text("layers: 3\n")
    shell("cloudtune run study.yaml")
    assert len(shell.hashes()) == 3


@pytest.mark.slow
def test_an_interrupted_run_with_outputs_is_resumed(shell: Shell) -> None:
    shell("cloudtune run study.yaml > run.log")
    shell("cloudtune run study.yaml >> run.log")
    assert "[2/2]" in shell("cloudtune resume --set limits.max_trials=2 2>&1")
    source = next((shell.folder / ".cloudtune" / "runs").glob("*/local/source"))
    (source / "train.py").write_text("print('loss 2')\n")
    run = source.parts[-3]
    assert "has changed" in shell(f"cloudtune resume {run} --set limits.max_trials=3 2>&1", code=1)


@pytest.mark.slow
def test_only_what_is_outside_the_state_folder_is_recorded(shell: Shell) -> None:
    shell("cloudtune run study.yaml --detach; cloudtune status > .cloudtune/x; cloudtune watch")
    shell("cloudtune status > /dev/null; cloudtune results > a; cloudtune results > a")
    recorded = (shell.folder / ".cloudtune" / "outputs").read_text().splitlines()
    assert recorded == [str(shell.folder / "a")]


def test_other_studies_are_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "search.yaml").write_text(STUDY.replace("random", "bayesian"))
    (tmp_path / "model.yaml").write_text("objective: mse\nlayers: 3\n")
    (tmp_path / "train.yaml").write_text(STUDY + "layers: 3\n")
    names = sorted(path.name for path in tmp_path.iterdir())
    for study in ("study.yaml", "search.yaml"):
        skipped = unhashed_files(tmp_path, names, str(tmp_path / study))
        assert sorted(skipped) == ["search.yaml", "study.yaml"]
    assert unhashed_files(tmp_path, names, None) == ()


@pytest.mark.parametrize(
    ("name", "text", "is_code"),
    [
        ("log.txt", "", False),
        ("log.txt", "start\ntest on local: random, seed 3; run k7f2abcd\n", False),
        ("run.log", f"{'x' * 50_000}\nrun k7f2abcd; all files are in /here\n", False),
        ("words.txt", "one\ntwo\n", True),
        ("__init__.py", "", True),
        ("run.py", "# run k7f2abcd; all files are in /here\n", True),
    ],
)
def test_the_log_of_a_run_that_a_pipe_writes_is_no_code(
    name: str, text: str, is_code: bool, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    assert (unhashed_files(tmp_path, [name], None) == ()) == is_code
