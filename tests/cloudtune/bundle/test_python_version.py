"""Which Python code needs, by what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.bundle.python_version import required_python


@pytest.mark.parametrize(
    ("script", "project", "minor"),
    [
        ("print(1)", None, 7),
        ("if (n := 1): print(n)", None, 8),
        ("match 1:\n    case _: pass", None, 10),
        ("try: pass\nexcept* ValueError: pass", None, 11),
        ("print 1", None, 7),  # no Python 3 accepts it, so nothing is known
        ("print(1)", "[project]\nrequires-python = '>=3.9'", 9),
        ("print(1)", "[project]\nrequires-python = '~=3.12.1'", 12),
        ("print(1)", "[project]\nrequires-python = '<4'", 7),
        ("print(1)", "not = [toml", 7),
        ("print(1)", "project = 1", 7),
        ("\0", None, 7),
    ],
)
def test_the_oldest_python(script: str, project: str | None, minor: int, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(script)
    if project is not None:
        (tmp_path / "pyproject.toml").write_text(project)
    assert required_python(tmp_path, "train.py").minor == minor


def test_without_a_script_it_is_the_launchers(tmp_path: Path) -> None:
    assert required_python(tmp_path, None).minor == 7
    assert required_python(tmp_path, "missing.py").minor == 7
