"""Uploads that runs share, on a storage in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from cloudtune.errors import ProviderError, UsageError
from cloudtune.provider.uploads import (
    Uploads,
    content_hash,
    find_uploads,
    list_input,
    remove_uploads,
    upload_address,
    upload_once,
)

BASE = "far://bucket/cloudtune"


class Memory:
    """A storage that records its calls."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploaded: list[str] = []
        self.deleted: list[str] = []

    def exists(self, address: str) -> bool:
        return address in self.objects

    def list(self, folder: str) -> Mapping[str, int]:
        return {k: len(v) for k, v in self.objects.items() if k.startswith(folder)}

    def write(self, address: str, content: bytes) -> None:
        self.objects[address] = content

    def upload(self, files: Mapping[str, Path]) -> None:
        for address, file in files.items():
            self.uploaded.append(address)
            self.objects[address] = file.read_bytes()

    def delete(self, addresses: Collection[str]) -> None:
        for address in addresses:
            self.deleted.append(address)
            self.objects.pop(address, None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "a").write_text("1")
    (tmp_path / "data" / "deep" / "b").write_text("22")
    return tmp_path / "data"


def address_of(path: Path) -> str:
    return upload_address(BASE, content_hash(path))


def send(storage: Memory, path: Path, run: str) -> str:
    address = address_of(path)
    upload_once(storage, address, run, lambda: list_input("far", path, address))
    return address


def test_the_hash_is_of_names_and_contents(data: Path, tmp_path: Path) -> None:
    seen = {content_hash(data), content_hash(data / "a"), content_hash(tmp_path / "absent")}
    for change in (
        lambda: (data / "a").write_text("2"),
        lambda: (data / "a").rename(data / "c"),
        lambda: (data / "c").rename(data / "deep" / "a"),
    ):
        change()
        seen.add(content_hash(data))
    assert len(seen) == 6
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin" / "deep").mkdir()
    (tmp_path / "twin" / "deep" / "a").write_text("2")
    (tmp_path / "twin" / "deep" / "b").write_text("22")
    assert content_hash(tmp_path / "twin") == content_hash(data)


def test_runs_share_an_upload_until_the_last_one_is_removed(data: Path) -> None:
    storage = Memory()
    address = send(storage, data, "run1")
    assert send(storage, data, "run2") == address
    assert storage.uploaded == [f"{address}a", f"{address}deep/b"]
    uploads = Uploads(storage, [address])
    (seen,) = find_uploads(uploads, ["run1"])
    assert (seen.files, seen.size, seen.other_runs) == (2, 3, 1)
    (seen,) = find_uploads(uploads, ["run1", "run2"])
    assert seen.other_runs == 0
    remove_uploads(uploads, "run1")
    assert len(storage.list(address)) == 2
    remove_uploads(uploads, "run1")  # again, as after a lost response
    assert len(storage.list(address)) == 2
    remove_uploads(uploads, "run2")
    assert storage.objects == {}
    assert find_uploads(uploads, []) == []


def test_a_run_that_begins_during_a_removal_keeps_its_files(data: Path) -> None:
    class Meanwhile(Memory):
        def delete(self, addresses: Collection[str]) -> None:
            if any(address.endswith("/complete") for address in addresses):
                send(self, data, "run2")
            super().delete(addresses)

    storage = Meanwhile()
    address = send(storage, data, "run1")
    remove_uploads(Uploads(storage, [address]), "run1")
    assert [*storage.list(address)] == [f"{address}a", f"{address}deep/b"]


def test_runs_that_are_removed_at_the_same_time_leave_nothing(data: Path) -> None:
    class Meanwhile(Memory):
        other = ""

        def list(self, folder: str) -> Mapping[str, int]:
            seen = super().list(folder)
            if other := self.other:
                self.other = ""
                remove_uploads(Uploads(self, [address]), other)
            return seen

    storage = Meanwhile()
    address = send(storage, data, "run1")
    send(storage, data, "run2")
    storage.other = "run2"
    remove_uploads(Uploads(storage, [address]), "run1")
    assert storage.objects == {}


def test_the_mark_of_completeness_is_the_first_to_go(data: Path) -> None:
    storage = Memory()
    address = send(storage, data, "run")
    remove_uploads(Uploads(storage, [address]), "run")
    assert storage.deleted[0].endswith("/complete")
    assert storage.deleted[-1].endswith("/runs/run")


def test_an_interrupted_upload_is_not_complete(data: Path) -> None:
    storage = Memory()
    address = send(storage, data, "run")
    folder = address.removesuffix("files/")
    storage.delete([f"{folder}complete", f"{address}a"])
    storage.uploaded.clear()
    send(storage, data, "run")
    assert storage.uploaded == [f"{address}a"]
    assert storage.exists(f"{folder}complete")


def test_an_input_that_has_changed_is_not_uploaded(data: Path) -> None:
    address, storage = address_of(data), Memory()
    (data / "a").write_text("changed")
    with pytest.raises(ProviderError, match="has changed since it was planned"):
        upload_once(storage, address, "run", lambda: list_input("far", data, address))
    assert storage.list(address) == {}


def test_a_plan_of_an_older_version_names_no_shared_upload(data: Path) -> None:
    storage = Memory()
    with pytest.raises(UsageError, match="another version of cloudtune planned this run"):
        upload_once(storage, f"{BASE}/job/inputs/train", "run", lambda: {"a": data / "a"})
    assert not storage.objects


@pytest.mark.parametrize(
    "address",
    [
        *("far://bucket/", "far://bucket/uploads/", f"{BASE}/uploads/abc/files/", f"{BASE}/files/"),
        *("", f"{BASE}/../uploads/{'0' * 32}/files/"),
    ],
)
def test_nothing_but_uploads_is_ever_removed(address: str) -> None:
    storage = Memory()
    storage.objects["far://bucket/precious"] = b""

    def find(uploads: Uploads, run: str) -> None:
        find_uploads(uploads, [run])

    for call in (remove_uploads, find):
        with pytest.raises(UsageError, match="not the address of an upload"):
            call(Uploads(storage, [address]), "run")
        for folder in ("far://bucket/", "far://x-run/", "far://bucket/runs/", "far://b/run/../"):
            with pytest.raises(UsageError, match="not a folder of run"):
                call(Uploads(storage, [], [folder]), "run")
    assert list(storage.objects) == ["far://bucket/precious"]
