"""The archives with the code: deterministic, and installable like Google does it."""

from __future__ import annotations

import gzip
import subprocess
import tarfile
import venv
from pathlib import Path

import pytest

from cloudtune.provider import write_bundle
from cloudtune_vertex.uploads import write_package

FILES = {
    "cloudtune_launch.py": (
        b"import os, sys\nprint(sys.argv[1:], sorted(os.listdir(sys.path[0])))\n"
    ),
    "cloudtune/__init__.py": b"",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "train.py").write_text("print(1)")
    (folder / "sub" / "run.sh").write_text("echo")
    (folder / "sub" / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("train.py")
    return folder


def test_the_same_content_has_the_same_bytes(source: Path, tmp_path: Path) -> None:
    for write in (write_bundle, write_package):
        first, second = tmp_path / "a.tar.gz", tmp_path / "elsewhere.tar.gz"
        write(first, source, FILES)
        (source / "train.py").touch()
        write(second, source, FILES)
        assert first.read_bytes() == second.read_bytes()
        (source / "train.py").write_text(f"print({write.__name__!r})")
        write(second, source, FILES)
        assert first.read_bytes() != second.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar.gz", "elsewhere.tar.gz", "source"]


def test_a_package_is_a_source_distribution_with_the_bundle(source: Path, tmp_path: Path) -> None:
    write_package(tmp_path / "p.tar.gz", source, FILES)
    write_bundle(tmp_path / "b.tar.gz", source, FILES)
    with tarfile.open(tmp_path / "p.tar.gz") as tar:
        names = tar.getnames()
        inner = tar.extractfile("cloudtune_trial-1/cloudtune_trial/bundle.tar.gz")
        assert inner is not None
        assert inner.read() == (tmp_path / "b.tar.gz").read_bytes()
    assert {name.partition("/")[0] for name in names} == {"cloudtune_trial-1"}
    with gzip.open(tmp_path / "b.tar.gz") as data, tarfile.open(fileobj=data) as tar:
        assert sorted(tar.getnames()) == [
            *sorted(FILES),
            "source/link",
            "source/sub/run.sh",
            "source/train.py",
        ]


@pytest.mark.slow
def test_pip_installs_the_package_offline_and_it_starts_the_launcher(
    source: Path, tmp_path: Path
) -> None:
    write_package(tmp_path / "cloudtune_trial-1.tar.gz", source, FILES)
    venv.create(tmp_path / "image", with_pip=True)
    python = str(tmp_path / "image" / "bin" / "python")
    install = [python, "-m", "pip", "install", "--no-index", "--force-reinstall", "--no-cache-dir"]
    subprocess.run(
        [*install, str(tmp_path / "cloudtune_trial-1.tar.gz")],
        check=True,
        capture_output=True,
        cwd=tmp_path,
    )
    for _ in range(2):  # a machine that was restarted starts it again
        done = subprocess.run(
            [python, "-W", "error", "-m", "cloudtune_trial", "--lr=0.5", "--name", "a b"],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={"TMPDIR": str(tmp_path)},
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == (
            "['--lr=0.5', '--name', 'a b'] ['cloudtune', 'cloudtune_launch.py', 'source']\n"
        )
    unpacked = list(tmp_path.glob("cloudtune-*"))
    assert len(unpacked) == 2
    assert (unpacked[0] / "source" / "sub" / "run.sh").stat().st_mode & 0o100
    assert (unpacked[0] / "source" / "link").is_symlink()


def test_the_package_has_the_syntax_of_python_3_7(tmp_path: Path) -> None:
    import ast

    write_package(tmp_path / "p.tar.gz", None, FILES)
    with tarfile.open(tmp_path / "p.tar.gz") as tar:
        for name in tar.getnames():
            file = tar.extractfile(name)
            assert file is not None
            if name.endswith(".py"):
                ast.parse(file.read(), feature_version=(3, 7))
