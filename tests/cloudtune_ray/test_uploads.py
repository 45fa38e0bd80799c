"""The package of a run."""

from __future__ import annotations

import zipfile
from pathlib import Path

from cloudtune_ray.uploads import write_package


def test_equal_files_are_equal_bytes_and_modes_stay(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    (source / "inner" / "a.txt").write_text("a")
    (source / "link.txt").symlink_to("inner/a.txt")
    (source / "folder").symlink_to("inner")
    (source / "inner" / "loop").symlink_to("..")
    first, second = tmp_path / "1.zip", tmp_path / "2.zip"
    for target in (first, second):
        write_package(target, source, {"cloudtune_job.py": b"x"})
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as package:
        modes = {info.filename: info.external_attr >> 16 & 0o777 for info in package.infolist()}
        content = package.read("source/folder/a.txt")
    assert content == b"a"
    assert modes == {
        "cloudtune_job.py": 0o644,
        "source/folder/a.txt": 0o644,
        "source/inner/a.txt": 0o644,
        "source/link.txt": 0o644,
        "source/run.sh": 0o755,
    }
