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


@pytest.mark.parametrize(
    ("script", "module", "minor", "reason"),
    [
        ("import lib.model", None, 10, "the syntax of lib/model.py"),
        ("from lib import model", None, 10, "the syntax of lib/model.py"),
        ("def late():\n    from lib.model import x", None, 10, "the syntax of lib/model.py"),
        ("import lib", None, 7, "cloudtune's launcher"),
        ("import tomllib", None, 11, "the import of tomllib (train.py, line 1)"),
        ("try:\n    import tomllib\nexcept ImportError: pass", None, 7, "cloudtune's launcher"),
        ("", "lib.main", 9, "the import of zoneinfo (lib/main.py, line 1)"),
        ("", "lib", 8, "the syntax of lib/__main__.py"),
    ],
)
def test_what_a_script_imports_counts(
    script: str, module: str | None, minor: int, reason: str, tmp_path: Path
) -> None:
    files = {
        "train.py": script,
        "lib/__init__.py": "",
        "lib/__main__.py": "if (n := 1): print(n)",
        "lib/main.py": "from zoneinfo import ZoneInfo",
        "lib/model.py": "match 1:\n    case _: x = 1",
        "unused.py": "try: pass\nexcept* ValueError: pass",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    required = required_python(tmp_path, None if module else "train.py", module)
    assert required == (minor, reason)
