"""Which Python code needs, by what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.bundle.python_version import declared_pythons, find_misfit, required_pythons

LAUNCHER = (">=3.7", "cloudtune's launcher")


@pytest.mark.parametrize(
    ("script", "minor"),
    [
        ("print(1)", 7),
        ("if (n := 1): print(n)", 8),
        ("match 1:\n    case _: pass", 10),
        ("try: pass\nexcept* ValueError: pass", 11),
        ("print 1", 7),  # no Python 3 accepts it, so nothing is known
        ("\0", 7),
    ],
)
def test_the_oldest_python(script: str, minor: int, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(script)
    assert [each.versions for each in required_pythons(tmp_path, "train.py")] == [f">=3.{minor}"]


HEADER = "#!/usr/bin/env python\n# /// script\n# requires-python = '>=3.9'\n# ///\n"


@pytest.mark.parametrize(
    ("file", "text", "declared"),
    [
        ("pyproject.toml", "[project]\nrequires-python = '>=3.9'", ">=3.9 line 2"),
        ("pyproject.toml", "[project]\n'requires-python'='~=3.12.1'", "~=3.12.1 line 2"),
        ("pyproject.toml", "[project]\nrequires-python = 'x'", ""),
        ("pyproject.toml", "requires-python = '>=3.9'", ""),
        ("pyproject.toml", "not = [toml", ""),
        ("pyproject.toml", "project = 1", ""),
        ("train.py", HEADER, ">=3.9 line 3"),
        ("train.py", "# requires-python = '>=3.9'", ""),
        ("uv.lock", "version = 1\nrevision = 3\nrequires-python = '==3.11.*'", "==3.11.* line 3"),
        ("train.py.lock", "version = 1\nrequires-python = '<3.13'", "<3.13 line 2"),
        ("other.lock", "version = 1\nrequires-python = '<3.13'", ""),
    ],
)
def test_files_declare_pythons(file: str, text: str, declared: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text)
    versions, _, line = declared.partition(" ")
    expected = [(versions, f"requires-python in {file}, {line}")] if declared else []
    assert declared_pythons(tmp_path, "train.py", "uv.lock") == expected
    required = required_pythons(tmp_path, "train.py", None, "uv.lock")
    assert required == [LAUNCHER, *expected]


@pytest.mark.parametrize(
    ("versions", "python", "fits"),
    [
        (">=3.10", "3.9", False),
        (">=3.10", "3.10", True),
        (">=3.10", "3.13.2", True),
        (">=3.10.4", "3.10", True),  # which patch is unknown
        (">=3.10.4", "3.10.3", False),
        (">=3.10,<3.13", "3.13", False),
        ("==3.11.*", "3.11", True),
        ("!=3.11.*", "3.11", False),
        (">=3.12", "3.13.0rc1", True),
        (">=3.7", "2", False),
    ],
)
def test_a_python_fits(versions: str, python: str, *, fits: bool) -> None:
    misfit = find_misfit([LAUNCHER, (versions, "it")], python)
    assert misfit == ("" if fits else f"it needs {versions}" if python != "2" else misfit)
    assert bool(misfit) != fits


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
    required = required_pythons(tmp_path, None if module else "train.py", module)
    assert required == [(f">=3.{minor}", reason)]
