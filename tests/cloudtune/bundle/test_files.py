from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtune.bundle import files
from cloudtune.bundle.ignore_file import IGNORE_FILE
from cloudtune.errors import StudyError, UsageError
from cloudtune.ledger.ledger import Ledger

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="compares with git")


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def git(folder: Path, *words: str) -> None:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, env=env)


def bundled(folder: Path) -> list[str]:
    return files.list_files(folder, [folder / "state"])


ODD = ["ümläut.py", "with space.py", "new\nline.py", "-dash.py", 'quo"te.py', "a/b/c.py"]


def test_without_git_all_but_clutter(tmp_path: Path) -> None:
    write(tmp_path, "b.py", "a.py", *ODD)
    write(tmp_path, "__pycache__/x.pyc", ".cloudtune/ledger.db", ".git/config", "env/pyvenv.cfg")
    write(tmp_path, "env/lib/x.py", "node_modules/x.js", "a/.DS_Store", "data/.hidden")
    expected = sorted(["b.py", "a.py", "data/.hidden", *ODD], key=os.fsencode)
    assert bundled(tmp_path) == expected


@needs_git
def test_with_git_what_is_not_ignored(tmp_path: Path) -> None:
    git(tmp_path, "init")
    write(tmp_path, ".gitignore", "kept.log", "gone.py", "build/x", *ODD)
    (tmp_path / ".gitignore").write_text("*.log\nbuild/\n__pycache__\n")
    git(tmp_path, "add", "-f", "kept.log", "gone.py")
    (tmp_path / "gone.py").unlink()
    write(tmp_path, "other.log", "new.py", ".cloudtune/ledger.db", "sub/.cloudtune/x")
    expected = sorted([".gitignore", "kept.log", "new.py", *ODD], key=os.fsencode)
    assert bundled(tmp_path) == expected
    assert bundled(tmp_path / "a") == ["b/c.py"]


@needs_git
def test_nested_repositories_are_included(tmp_path: Path) -> None:
    git(tmp_path, "init")
    write(tmp_path, "a.py", "inner/b.py", "inner/no.log", "inner/.gitignore")
    (tmp_path / "inner/.gitignore").write_text("*.log")
    git(tmp_path / "inner", "init")
    assert bundled(tmp_path) == ["a.py", "inner/.gitignore", "inner/b.py"]


@needs_git
def test_a_folder_that_git_ignores_is_included_completely(tmp_path: Path) -> None:
    git(tmp_path, "init")
    write(tmp_path, ".gitignore", "scratch/a.py")
    (tmp_path / ".gitignore").write_text("scratch/")
    assert bundled(tmp_path / "scratch") == ["a.py"]


def test_without_a_git_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.py", ".git/config")
    monkeypatch.setenv("PATH", "")
    assert bundled(tmp_path) == ["a.py"]


def test_ignore_file(tmp_path: Path) -> None:
    write(tmp_path, "data/big.bin", "data/keep.csv", "a.tmp", "x/a.tmp", "notes", "x/notes/y")
    (tmp_path / ".cloudtuneignore").write_text("*.tmp\n/data/*\n!/data/keep.csv\nnotes/\n# no\n")
    assert bundled(tmp_path) == [".cloudtuneignore", "data/keep.csv", "notes"]


@pytest.mark.parametrize("pattern", ["!", "[z-a]", "\\"])
def test_an_invalid_pattern_is_refused(tmp_path: Path, pattern: str) -> None:
    (tmp_path / ".cloudtuneignore").write_text(f"*.tmp\n{pattern}\n")
    with pytest.raises(StudyError, match=r"invalid pattern in \.cloudtuneignore"):
        bundled(tmp_path)


PATTERNS = [
    "*.py", "/a.py", "b/", "!b/", "a/**/c", "**/b", "b/**", "a*c", "[ab].py", "[!a].py", "?.py",
    r"\#x", r"\!x", "#x", "x ", r"x\ ", "", "/", "a/b", "**", "*", "!*.py", "[a-c]x", "a**b",
    "[", "[]]", "!a/b/c", "/*", "!/a", "b/*", "a/*/c", "**/a/**", "a/**",
    "!a/b", "!a/x", "!b", "a/", "!a/", "!b/b/", "b", "a",
]  # fmt: skip
NAMES = [
    "a.py", "b.py", "a/b/c", "a/b.py", "b/a.py", "b/b/b", "c", "x", "x ", "#x", "!x", "ab", "a/x/c",
    "a/c/d", "bx/c.py", "]", "axb/c", "abc/abc",
]  # fmt: skip


@pytest.mark.slow
@needs_git
@given(st.lists(st.sampled_from(PATTERNS), max_size=5))
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_ignore_files_have_the_syntax_of_git(tmp_path: Path, patterns: list[str]) -> None:
    tree = tmp_path / "tree"
    if not tree.exists():
        tree.mkdir()
        git(tree, "init")
        write(tree, *NAMES)
    ignore = tmp_path / "ignore"
    ignore.write_text("\n".join(patterns))
    result = subprocess.run(
        ["git", "ls-files", "-z", "--others", "--exclude-from", str(ignore)],
        cwd=tree,
        check=True,
        capture_output=True,
    )
    expected = {os.fsdecode(name) for name in result.stdout.split(b"\0") if name}
    shutil.copy(ignore, tree / IGNORE_FILE)
    try:
        actual = set(bundled(tree)) - {IGNORE_FILE}
    finally:
        (tree / IGNORE_FILE).unlink()
    assert actual == expected


def test_links_that_point_out_of_the_folder(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "far" / "copy"
    write(source, "a.py", "sub/b.py")
    write(tmp_path, "data/x", "source-secret")
    (source / "sub" / "up").symlink_to("../../data")
    (source / "near").symlink_to("../source-secret")
    (source / "abs").symlink_to("/etc")
    (source / "back").symlink_to("../source/a.py")
    (source / "fine").symlink_to("a.py")
    names = bundled(source)
    assert files.outside_links(source, names) == {
        "abs": "/etc",
        "near": str(tmp_path / "source-secret"),
        "sub/up": str(tmp_path / "data"),
    }
    files.copy_files(source, names, copy)
    assert (copy / "sub" / "up" / "x").read_text() == "data/x"
    assert files.fingerprint(copy, names) == files.fingerprint(source, names)
    (source / ".cloudtuneignore").write_text("/near\n/abs\n")
    assert [*files.outside_links(source, bundled(source))] == ["sub/up"]


def test_no_folder(tmp_path: Path) -> None:
    write(tmp_path, "file")
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(UsageError, match="is not a folder"):
            bundled(path)


def test_a_state_folder_of_another_name_is_excluded(tmp_path: Path) -> None:
    with Ledger(tmp_path / "earlier", create=True):
        pass
    write(tmp_path, "train.py", "earlier/runs/a/local/source/train.py", "books/ledger.db")
    assert bundled(tmp_path) == ["books/ledger.db", "train.py"]


def test_the_state_folder_is_excluded(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "state/ledger.db", "state/runs/x/a.py", "statement", "sub/state/b")
    assert bundled(tmp_path) == ["a.py", "statement", "sub/state/b"]


def test_the_schema_for_editors_is_excluded(tmp_path: Path) -> None:
    write(tmp_path, "study.yaml", ".study.schema.json", "sub/.study.schema.json", "schema.json")
    assert bundled(tmp_path) == ["schema.json", "study.yaml"]


def test_special_files_are_excluded(tmp_path: Path) -> None:
    write(tmp_path, "a.py")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))
        assert bundled(tmp_path) == ["a.py"]


def test_a_copy_is_the_same_bundle(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "far" / "away" / "copy"
    write(source, *ODD, "run.sh", "d/e")
    (source / "run.sh").chmod(0o700)
    (source / "a.py").symlink_to("ümläut.py")
    (source / "d" / "abs").symlink_to((source / "a" / "b").absolute())
    (source / "loose").symlink_to("not-there")
    names = bundled(source)
    files.copy_files(source, names, copy)
    assert bundled(copy) == names
    assert files.fingerprint(copy, names) == files.fingerprint(source, names)
    assert (copy / "d" / "abs" / "c.py").read_text() == "a/b/c.py"
    assert (copy / "d" / "abs").resolve().is_relative_to(copy)
    assert os.access(copy / "run.sh", os.X_OK)
    assert not os.access(copy / "d/e", os.X_OK)


@pytest.mark.parametrize(
    ("mode", "copied"), [(0o600, 0o600), (0o644, 0o600), (0o755, 0o700), (0o444, 0o400)]
)
def test_a_copy_is_private(tmp_path: Path, mode: int, copied: int) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    write(source, "d/secret")
    (source / "d" / "secret").chmod(mode)
    files.copy_files(source, ["d/secret"], copy)
    assert (copy / "d" / "secret").stat().st_mode & 0o777 == copied
    assert copy.stat().st_mode & 0o777 == 0o700


def test_each_change_changes_the_fingerprint(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    seen = {files.fingerprint(tmp_path, bundled(tmp_path))}

    def differs() -> bool:
        result = files.fingerprint(tmp_path, bundled(tmp_path))
        fresh = result not in seen
        seen.add(result)
        return fresh

    assert not differs()
    (tmp_path / "a").write_text("ab")
    (tmp_path / "b").write_text("")
    assert differs()
    (tmp_path / "a").chmod(0o755)
    assert differs()
    (tmp_path / "b").rename(tmp_path / "c")
    assert differs()
    (tmp_path / "d").symlink_to("a")
    assert differs()
    (tmp_path / "d").unlink()
    (tmp_path / "d").symlink_to("c")
    assert differs()
    os.utime(tmp_path / "a", (1, 1))
    assert not differs()
