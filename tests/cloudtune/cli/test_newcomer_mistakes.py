"""Each typical mistake of a newcomer shows a message with what, where and what to do.

The messages are in ``newcomer_mistakes.txt``. To write them anew:
CLOUDTUNE_RENEW=1 ./test tests/cloudtune/cli/test_newcomer_mistakes.py
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.cloudtune.cli.newcomer_mistakes import MISTAKES, Mistake
from tests.cloudtune.conftest import Cloudtune

GOLDEN = Path(__file__).parent / "newcomer_mistakes.txt"
RAN = 4
"""The exit code of a run whose trials failed. Of its output, only the reasons are compared."""
VARYING = {
    r"nor \S+/python\S* has": "nor PYTHON has",
    r"\S+/python\S* -m pip": "PYTHON -m pip",
    r"FOLDER/\S+/work\b": "TRIAL",
    r"(--lr )[\d.e-]+": r"\1VALUE",
    r"and \d+ are available": "and NUMBER are available",
    r"\n *\| *[~^]+": "",
}
"""What differs between two runs, and between versions of Python."""


def messages() -> dict[str, str]:
    """Return the messages of the golden file by the title of the mistake."""
    if not GOLDEN.exists():
        return {}
    sections = GOLDEN.read_text("utf-8").split("# ")[1:]
    return {title: text.strip() for title, _, text in (part.partition("\n") for part in sections)}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.title)
def test_a_mistake_shows_what_where_and_what_to_do(
    typed: Cloudtune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: Mistake
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("study.yaml").write_text(mistake.study, "utf-8")
    Path("train.py").write_text(mistake.script, "utf-8")
    done = typed(*mistake.command.split(), code=mistake.code)
    lines = f"{done.stdout}{done.stderr}".splitlines()
    if mistake.code == RAN:
        lines = [line for line in lines if line.startswith(("failed", "  |"))]
    text = "\n".join([f"$ cloudtune {mistake.command}", *lines])
    text = text.replace(str(tmp_path), "FOLDER").strip()
    for pattern, replacement in VARYING.items():
        text = re.sub(pattern, replacement, text)
    if os.environ.get("CLOUDTUNE_RENEW"):
        known = messages() | {mistake.title: text}
        titles = [each.title for each in MISTAKES if each.title in known]
        GOLDEN.write_text("".join(f"# {title}\n{known[title]}\n\n" for title in titles), "utf-8")
    assert messages()[mistake.title] == text


def test_the_file_has_no_other_messages() -> None:
    assert list(messages()) == [mistake.title for mistake in MISTAKES]
