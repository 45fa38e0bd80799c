from __future__ import annotations

import bz2
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest

from cloudtune_watson.contract import Container, InvalidSpecError
from cloudtune_watson.emulator.script import check_tar, create_container, untar, unzip


def container(folder: Path) -> Container:
    return Container(folder / "root", folder / "data", folder / "result", folder / "logs")


def zipped(compression: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        archive.writestr("train.py", "print(1)\n" * 50)
    return packed.getvalue()


@pytest.mark.parametrize(
    "compression",
    [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA],
)
def test_a_broken_zip_is_no_error_of_ours(tmp_path: Path, compression: int) -> None:
    whole = zipped(compression)
    path = tmp_path / "code.zip"
    place = whole.index(b"train.py") + 20
    for broken in (whole[:place], whole[:place] + b"\xff" * 8 + whole[place + 8 :], b""):
        path.write_bytes(broken)
        with pytest.raises(InvalidSpecError, match="cannot be unpacked"):
            create_container(container(tmp_path), unzip(path))


@pytest.mark.parametrize("compress", [bytes, bz2.compress, lzma.compress])
def test_a_broken_tar_is_no_error_of_ours(tmp_path: Path, compress: type[bytes]) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("main.py")
        member.size = 2_000
        archive.addfile(member, io.BytesIO(b"x" * 2_000))
    path = tmp_path / "m.modelDir.tar"
    path.write_bytes(compress(packed.getvalue()))
    check_tar(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 8])
    with pytest.raises(InvalidSpecError, match="cannot be unpacked"):
        check_tar(path)


def test_nothing_is_unpacked_outside(tmp_path: Path) -> None:
    path = tmp_path / "m.modelDir.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("../../outside"), io.BytesIO())
    with pytest.raises(InvalidSpecError, match="outside"):
        create_container(container(tmp_path), untar(path, path.name))
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as opened:
        opened.writestr("../../outside", "")
    create_container(container(tmp_path), unzip(tmp_path / "code.zip"))
    assert not (tmp_path / "outside").exists()


def test_a_container_is_made_anew_and_keeps_its_results(tmp_path: Path) -> None:
    path = tmp_path / "code.zip"
    path.write_bytes(zipped(zipfile.ZIP_STORED))
    created = container(tmp_path)
    python = create_container(created, unzip(path))
    assert Path(python).exists()
    (created.work / "left").touch()
    (created.result / "kept").touch()
    create_container(created, unzip(path))
    assert sorted(each.name for each in created.work.iterdir()) == ["train.py"]
    assert (created.result / "kept").exists()
