"""``cloudtune init``: the list of templates, the choice in a terminal, and what is written."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloudtune.cli import templates
from cloudtune.cli.main_group import cloudtune

FIRST = "description: The first.\nproviders:\n  ray: {python: python3}\n"
QUICK = "name: quick\nproviders:\n  watson: {backend: wml}\n"
RAY = "  # ray: {address: a}   # a remark\n"
OTHERS = "  # Fill in:\n  # vertex: {project: p,\n  #   image: i}\n  # watson: {backend: wml}\n"
SETTINGS = OTHERS + RAY


def init(*words: str) -> Result:
    done = CliRunner().invoke(cloudtune, ["init", *words])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture
def two_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two templates, of which one has requirements and was run; returns the current folder."""
    folder = tmp_path / ".cloudtune" / "env" / "templates"
    for name, text in (("alpha", FIRST), ("quickstart", QUICK)):
        (folder / name).mkdir(parents=True)
        (folder / name / "study.yaml").write_text(text, "utf-8")
    (folder / "providers.yaml").write_text(SETTINGS, "utf-8")
    (folder / "alpha" / "requirements.txt").write_text("numpy\n", "utf-8")
    (folder / "alpha" / ".cloudtune").mkdir()
    (folder / "alpha" / ".cloudtune" / "ledger.db").touch()
    monkeypatch.setattr(templates, "_templates_folder", lambda: folder)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_the_help_lists_the_templates(two_templates: Path) -> None:
    assert "Templates: quickstart alpha The first." in " ".join(init("--help").output.split())


def test_without_arguments_they_are_listed_and_nothing_is_written(two_templates: Path) -> None:
    done = init()
    assert re.findall(r"^\w+", done.stdout, re.MULTILINE) == ["template", "quickstart", "alpha"]
    assert "The first." in done.stdout
    assert "cloudtune init NAME" in done.stderr
    assert list(two_templates.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "folder", "written"),
    [
        (["mine"], "mine", QUICK + SETTINGS),
        (["alpha"], "alpha", FIRST + OTHERS),
        (["--template", "alpha"], ".", FIRST + OTHERS),
        (["--template", "quickstart", "alpha"], "alpha", QUICK + SETTINGS),
    ],
)
def test_the_template_is_the_named_one_else_that_of_the_folder_else_the_quickstart(
    words: list[str], folder: str, written: str, two_templates: Path
) -> None:
    init(*words)
    assert (two_templates / folder / "study.yaml").read_text("utf-8") == written


def test_it_copies_the_files_of_the_template_and_no_runs(two_templates: Path) -> None:
    printed = init("--template", "alpha").stdout.split()
    assert printed == [".study.schema.json", "requirements.txt", "study.yaml"]
    assert sorted(path.name for path in two_templates.iterdir()) == printed


def test_it_prints_the_next_commands(two_templates: Path) -> None:
    lines = init("--template", "alpha", "my study").stderr.splitlines()
    assert lines[1] == "This is the template alpha; README.md describes it. Next:"
    assert [line.strip() for line in lines if line.startswith("  ")] == [
        "cd 'my study'",
        "pip install -r requirements.txt",
        "cloudtune check study.yaml",
        "cloudtune run study.yaml",
    ]
    lines = init("--template", "quickstart").stderr.splitlines()
    assert [line.strip() for line in lines if line.startswith("  ")] == [
        "cloudtune check study.yaml",
        "cloudtune run study.yaml",
    ]


def test_a_misspelled_template_is_named(two_templates: Path) -> None:
    done = CliRunner().invoke(cloudtune, ["init", "--template", "quikstart"])
    assert done.exit_code == 1
    assert "did you mean quickstart?" in str(done.exception)


@pytest.mark.parametrize(
    ("words", "typed", "folder"),
    [
        ([], "nonsense\n99\n1\nchosen\n", "chosen"),
        ([], "\n\n", "quickstart"),
        (["mine"], "quickstart\n", "mine"),
        ([], "\nfile\nchosen\n", "chosen"),
    ],
)
def test_in_a_terminal_one_chooses(
    words: list[str], typed: str, folder: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    done = subprocess.run(
        [sys.executable, "-m", "cloudtune", "init", *words],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        check=False,
    )
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0, shown
    assert (tmp_path / folder / "train.py").exists()
    assert ("no template 'nonsense'" in shown) == ("nonsense" in typed)
    assert ("no template '99'" in shown) == ("99" in typed)
    assert ("'file' is a file" in shown) == ("file" in typed)
