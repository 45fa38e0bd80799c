from __future__ import annotations

import os
import tarfile
import time
from pathlib import Path

from cloudtune.bundle import archive, files

EXTRA = {"run.py": b"print(1)\n", "cloudtune/__init__.py": b""}
ODD = ["ümläut.py", "with space.py", "new\nline.py", "-dash.py", "a/b/c.py", "x" * 120 + "/y.py"]


def snapshot(folder: Path) -> Path:
    source = folder / "source"
    for name in [*ODD, "run.sh", "secret", os.fsdecode(b"raw\xff.py")]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name, "utf-8", "surrogateescape")
    (source / "run.sh").chmod(0o755)
    (source / "link").symlink_to("a/b")
    (source / "a" / "up").symlink_to("../run.sh")
    (source / "loose").symlink_to("not-there")
    files.copy_files(source, files.list_files(source), folder / "copy")
    return folder / "copy"


def packed(folder: Path, source: Path | None) -> bytes:
    archive.write_archive(folder / "code.tar.gz", source, "source", EXTRA)
    return (folder / "code.tar.gz").read_bytes()


def test_an_archive_restores_all_files(tmp_path: Path) -> None:
    source, target = snapshot(tmp_path), tmp_path / "target"
    packed(tmp_path, source)
    with tarfile.open(tmp_path / "code.tar.gz") as tar:
        tar.extractall(target, filter="data")
    names = files.list_files(source)
    assert files.list_files(target / "source") == names
    assert files.fingerprint(target / "source", names) == files.fingerprint(source, names)
    assert (target / "run.py").read_bytes() == EXTRA["run.py"]
    assert (target / "source" / "link" / "c.py").read_text() == "a/b/c.py"
    assert (target / "source" / "run.sh").stat().st_mode & 0o777 == 0o700
    assert (target / "source" / "secret").stat().st_mode & 0o777 == 0o600


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    source = snapshot(tmp_path)
    first = packed(tmp_path, source)
    other = tmp_path / "other"
    other.mkdir()
    files.copy_files(source, list(reversed(files.list_files(source))), other / "copy")
    os.utime(other / "copy" / "secret", (time.time() - 9e6, time.time() - 9e6))
    (other / "copy" / "secret").chmod(0o640)
    archive.write_archive(
        other / "another-name", other / "copy", "source", dict(reversed(EXTRA.items()))
    )
    assert (other / "another-name").read_bytes() == first
    (other / "copy" / "secret").chmod(0o700)
    assert packed(tmp_path, other / "copy") != first


def test_an_archive_has_no_times_or_owners(tmp_path: Path) -> None:
    packed(tmp_path, snapshot(tmp_path))
    with tarfile.open(tmp_path / "code.tar.gz") as tar:
        members = tar.getmembers()
    metadata = {(m.uid, m.gid, m.uname, m.gname, time.gmtime(m.mtime).tm_year) for m in members}
    assert metadata == {(0, 0, "", "", 2000)}


def test_without_a_source(tmp_path: Path) -> None:
    packed(tmp_path, None)
    with tarfile.open(tmp_path / "code.tar.gz") as tar:
        assert sorted(tar.getnames()) == sorted(EXTRA)
