"""The skill file tells what is true of this version."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

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
    path.write_text("my own", "utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["skill", "--install", str(tmp_path)])
    assert ended.value.code == 1
    assert "is not replaced" in capsys.readouterr().err
    assert path.read_text("utf-8") == "my own"


def test_the_list_of_pages_is_current() -> None:
    written = (ROOT / "docs" / "llms.txt").read_text("utf-8")
    assert written == llms_txt(), "run python -m scripts.llms_txt"
