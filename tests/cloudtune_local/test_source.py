from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cloudtune_local import source as source_module
from cloudtune_local.source import SourceTree


def listing(folder: Path) -> dict[str, tuple[str, bool, bytes]]:
    """Return the type, executable bit and content of each entry of a folder."""
    entries: dict[str, tuple[str, bool, bytes]] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            entries[name] = ("link", False, str(path.readlink()).encode())
        elif path.is_dir():
            entries[name] = ("folder", False, b"")
        else:
            entries[name] = ("file", os.access(path, os.X_OK), path.read_bytes())
    return entries


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "sub" / "deeper").mkdir(parents=True)
    (folder / "nothing").mkdir()
    (folder / "train.py").write_text("print(1)")
    (folder / "sub" / "tool").write_bytes(b"\0\xff")
    (folder / "sub" / "tool").chmod(0o755)
    (folder / "sub" / "deeper" / "large").write_bytes(os.urandom(300_000))
    (folder / "sub" / "deeper" / "large").chmod(0o744)
    (folder / "link").symlink_to("sub/tool")
    (folder / "sub" / "broken").symlink_to("../nowhere")
    (folder / "to folder").symlink_to("sub")
    return folder


@pytest.mark.parametrize("cached", [0, 5, 10**9])
def test_a_copy_is_what_the_source_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: int
) -> None:
    monkeypatch.setattr(source_module, "MAX_KEPT_BYTES", cached)
    was = listing(folder)
    source = SourceTree(folder)
    source.copy(str(tmp_path / "one"))
    (tmp_path / "one" / "train.py").write_text("changed by a trial")
    source.copy(str(tmp_path / "two"))
    assert listing(tmp_path / "two") == was == listing(folder)


def test_later_changes_are_in_no_copy(folder: Path, tmp_path: Path) -> None:
    source = SourceTree(folder)
    source.copy(str(tmp_path / "one"))
    (folder / "later.py").touch()
    (folder / "train.py").write_text("print(2)")
    source.copy(str(tmp_path / "two"))
    assert listing(tmp_path / "two") == listing(tmp_path / "one")


def test_a_source_created_later(tmp_path: Path) -> None:
    source = SourceTree(tmp_path / "source")
    with pytest.raises(FileNotFoundError):
        source.copy(str(tmp_path / "one"))
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "train.py").touch()
    source.copy(str(tmp_path / "two"))
    assert list(listing(tmp_path / "two")) == ["train.py"]


def test_a_special_file_is_refused_without_blocking(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    os.mkfifo(tmp_path / "source" / "pipe")
    with pytest.raises(OSError, match="named pipe"):
        SourceTree(tmp_path / "source").copy(str(tmp_path / "one"))


def test_a_source_is_small_as_long_as_memory_holds_it(folder: Path, tmp_path: Path) -> None:
    large, small = SourceTree(folder), SourceTree(folder / "nothing")
    large.copy(str(tmp_path / "one"))
    small.copy(str(tmp_path / "two"))
    assert (large.small, small.small) == (False, True)


def test_a_copy_is_reduced_to_what_changed(folder: Path, tmp_path: Path) -> None:
    for name in ("other", "restored"):
        (folder / name).write_bytes(os.urandom(300_000))
    large, small = SourceTree(folder), SourceTree(folder / "nothing")
    one, two = tmp_path / "one", tmp_path / "two"
    large.copy(str(one))
    small.copy(str(two))
    start_file = tmp_path / "start"
    start_file.touch()
    time.sleep(0.05)  # more than the resolution of the file system's clock
    (one / "other").write_bytes(os.urandom(300_000))
    status = (one / "restored").stat()
    (one / "restored").write_bytes(os.urandom(300_000))
    os.utime(one / "restored", ns=(status.st_atime_ns, status.st_mtime_ns))  # as rsync -t does
    (one / "new").touch()
    (two / "new").touch()
    before = set(listing(one))
    large.remove_unchanged(str(one), str(start_file))
    small.remove_unchanged(str(two), str(start_file))
    assert before - set(listing(one)) == {"sub/deeper/large"}
    assert set(listing(two)) == {"new"}
