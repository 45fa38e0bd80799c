"""The skill file tells what is true of this version."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from cloudtune.cli import main
from cloudtune.cli.exit_codes import MEANINGS
from cloudtune.cli.main_group import COMMANDS, cloudtune
from cloudtune.cli.skill import skill_text
from scripts.llms_txt import llms_txt

ROOT = Path(__file__).parents[3]


def lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", skill_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("line", lines())
def test_each_command_of_the_loop_exists_with_its_options(line: str) -> None:
    words = shlex.split(line, comments=True)
    assert words[0] == "cloudtune"
    command = cloudtune.get_command(click.Context(cloudtune), words[1])
    assert command is not None
    command.make_parser(click.Context(command)).parse_args(words[2:])


def test_it_has_every_command_and_exit_code() -> None:
    text = skill_text()
    for commands in COMMANDS.values():
        for name, (_, purpose) in commands.items():
            assert f"| `{name}` | {purpose} |" in text
    for code, meaning in MEANINGS.items():
        assert f"| {code} | {meaning} |" in text
        assert f"| {code} | {meaning} |" in (ROOT / "README.md").read_text("utf-8")
    assert len(text) < 8_000


def test_it_is_installed_and_replaced_but_nothing_else_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main(["skill", "--install", str(tmp_path)])
        assert ended.value.code == 0
    path = tmp_path / "cloudtune" / "SKILL.md"
    assert path.read_text("utf-8") == skill_text()
    for text in ("my own", f"{skill_text()}- A rule of mine.\n", skill_text().replace("12", "2")):
        path.write_text(text, "utf-8")
        with pytest.raises(SystemExit) as ended:
            main(["skill", "--install", str(tmp_path)])
        assert ended.value.code == 1
        assert "is not replaced" in capsys.readouterr().err
        assert path.read_text("utf-8") == text


def test_the_file_of_another_version_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cloudtune" / "SKILL.md"
    for version in ("0.0.1", "0.0.2"):
        monkeypatch.setattr("cloudtune.cli.skill.__version__", version)
        with pytest.raises(SystemExit):
            main(["skill", "--install", str(tmp_path)])
        assert f"# cloudtune {version}\n" in path.read_text("utf-8")


@pytest.mark.parametrize("folder", ["", "link"])
def test_a_folder_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("nowhere")
    with pytest.raises(SystemExit) as ended:
        main(["skill", "--install", folder])
    assert ended.value.code == 1
    assert "--install: " in capsys.readouterr().err
    assert [each.name for each in tmp_path.rglob("*")] == ["link"]


@pytest.mark.parametrize("case", ["pipe", "dangling link", "linked folder"])
def test_nothing_is_installed_through_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    folder, outside = tmp_path / "skills" / "cloudtune", tmp_path / "outside"
    folder.parent.mkdir()
    if case == "linked folder":
        outside.mkdir()
        folder.symlink_to(outside)
    else:
        folder.mkdir()
        file = folder / "SKILL.md"
        os.mkfifo(file) if case == "pipe" else file.symlink_to(outside)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        main(["skill", "--install", str(folder.parent)])
    assert ended.value.code == 1
    assert "move it away" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


SCRIPT = """
import sys
from cloudtune.trial import params, report
if params()["x"] > 9:
    sys.exit("too large")
report(m=(params()["x"] - 3) ** 2)
"""
STUDY = """
objective: {metric: m, goal: minimize}
parameters:
  x: {type: float, min: 0, max: 10}
strategy: {name: random, seed: 1}
initial_trials: [{x: 1}, {x: 9.5}]
limits: {max_trials: 4}
trial: {script: train.py}
"""


def test_the_keys_are_those_of_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(SCRIPT, "utf-8")
    Path("study.yaml").write_text(STUDY, "utf-8")

    def output_of(*words: str) -> Any:
        with pytest.raises(SystemExit):
            main(words)
        printed = capsys.readouterr()
        assert printed.out, printed.err
        return json.loads(printed.out)

    (job,) = output_of("run", "study.yaml", "--json")
    explained = output_of("explain", "--json")
    trial = output_of("explain", "3", "--json")
    known = output_of("propose", "--params", '{"x": 1}', "--json")
    (confirmed,) = output_of("confirm", "--fixed", "--top=2", "--seeds=2", "--json")
    shapes = re.findall(r"^- `cloudtune (\w+).* has (`.*)\.$", skill_text(), re.MULTILINE)
    named = [(command, {*re.findall(r"`(\w+)`", names)}) for command, names in shapes]
    outputs = [
        ("results", job),
        ("propose", known["trial"]),
        ("explain", explained),
        ("explain", trial),
        ("confirm", confirmed),
    ]
    assert [command for command, _ in named] == [command for command, _ in outputs]
    for (command, names), (_, output) in zip(named, outputs, strict=True):
        assert output.keys() <= names, command
    assert {*known} == {"run", "provider", "proposal", "trial"}
    assert "checked" not in named[2][1]


def test_the_loop_goes_on_after_its_confirmation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(SCRIPT, "utf-8")
    Path("study.yaml").write_text(STUDY, "utf-8")
    block = skill_text().partition("## The loop")[2].split("```")[1]
    commands = [shlex.split(line, comments=True)[1:] for line in block.splitlines()[1:]]
    values = {"12": "1", '{"lr": 0.01}': '{"x": 1}'}
    for words in (*commands, *commands[2:]):
        with pytest.raises(SystemExit) as ended:
            main([values.get(word, word) for word in words])
        printed = capsys.readouterr()
        assert ended.value.code == 0, (words, printed)
        if words[0] == "run":
            values["RUN"] = json.loads(printed.out)["run"]


def test_the_exit_codes_of_a_proposal_are_those_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(SCRIPT, "utf-8")
    study = STUDY.replace("{name: random, seed: 1}", "external")
    Path("study.yaml").write_text(study, "utf-8")

    def code_of(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(words)
        capsys.readouterr()
        return str(ended.value.code)

    assert code_of("run", "study.yaml", "--detach") == "0"
    (sentence,) = re.findall(r"^- `propose --wait` exits with .*\n.*", skill_text(), re.MULTILINE)
    pattern = r"(\d)\s+if\s+the\s+(trial has|proposal|run|trial failed)"
    told = dict(re.findall(pattern, sentence))
    for x, meaning in (("2", "trial has"), ("9.25", "trial failed"), ("11", "proposal")):
        code = code_of("propose", "--params", f'{{"x": {x}}}', "--wait")
        assert told[code] == meaning
    assert told["3"] == "run"


def test_the_list_of_pages_is_current() -> None:
    written = (ROOT / "docs" / "llms.txt").read_text("utf-8")
    assert written == llms_txt(), "run python -m scripts.llms_txt"
