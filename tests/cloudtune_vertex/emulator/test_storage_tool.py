"""Scripts find `gcloud storage` and `gsutil` on their path."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune_vertex.emulator import storage_tool
from tests.cloudtune_vertex.emulator.conftest import state_of

Run = Callable[..., subprocess.CompletedProcess[str]]
PROGRAMS: Mapping[str, list[str]] = {"gsutil": ["gsutil"], "gcloud": ["gcloud", "storage"]}


@pytest.fixture
def storage(emulator: Any) -> Any:
    """A bucket of the test's own, named by the URL of its root."""
    bucket = emulator.storage.create_bucket(f"tool-{emulator.name()}")
    for name in ("train/one.csv", "train/deep/two.csv", "train_extra/three.csv", "model"):
        bucket.blob(name).upload_from_string(name)
    return bucket


@pytest.fixture(params=PROGRAMS)
def tool(request: pytest.FixtureRequest, emulator: Any, tmp_path: Path) -> Run:
    def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        call = [*PROGRAMS[request.param], *words]
        return subprocess.run(
            storage_tool.command(*call),
            env={storage_tool.HOST: f"{emulator.url}/as/{emulator.key}"},
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def names(bucket: Any) -> set[str]:
    return {blob.name for blob in bucket.list_blobs()}


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_lists(tool: Run, storage: Any) -> None:
    root = f"gs://{storage.name}"
    assert f"{root}/\n" in tool("ls").stdout
    top = [f"{root}/model", f"{root}/train/", f"{root}/train_extra/"]
    assert tool("ls", root).stdout.split() == top
    assert tool("ls", f"{root}/train").stdout.split() == [
        f"{root}/train/deep/",
        f"{root}/train/one.csv",
    ]
    assert tool("ls", f"{root}/train*/*.csv").stdout.split() == [
        f"{root}/train/one.csv",
        f"{root}/train_extra/three.csv",
    ]
    assert len(tool("ls", f"{root}/**").stdout.split()) == 4
    assert "TOTAL: 1 objects, 5 bytes" in tool("ls", "-l", f"{root}/model").stdout


def test_copies_single_objects(tool: Run, storage: Any, tmp_path: Path) -> None:
    root = f"gs://{storage.name}"
    assert tool("cp", f"{root}/model", "copy").returncode == 0
    assert (tmp_path / "copy").read_text() == "model"
    assert tool("cp", "copy", f"{root}/train/").returncode == 0
    assert tool("cp", "copy", f"{root}/new").returncode == 0
    assert {"train/copy", "new"} <= names(storage)
    assert tool("cp", f"{root}/model", "-").stdout == "model"
    assert tool("cp", "-", f"{root}/from-stdin", stdin="words").returncode == 0
    assert tool("cat", f"{root}/from-stdin").stdout == "words"
    (tmp_path / "copy").write_text("other")
    tool("cp", "-n", f"{root}/model", "copy")
    assert (tmp_path / "copy").read_text() == "other"


def test_copies_folders_and_not_their_namesakes(tool: Run, storage: Any, tmp_path: Path) -> None:
    root = f"gs://{storage.name}"
    (tmp_path / "data").mkdir()
    assert tool("cp", "-r", f"{root}/train", "data").returncode == 0
    assert files(tmp_path / "data") == {"train/one.csv", "train/deep/two.csv"}
    assert tool("cp", "-r", "data", f"{root}/fresh").returncode == 0
    assert {"fresh/train/one.csv", "fresh/train/deep/two.csv"} <= names(storage)
    assert tool("cp", "-r", "data", f"{root}/fresh").returncode == 0  # it exists now
    assert "fresh/data/train/one.csv" in names(storage)


def test_synchronizes_folders(tool: Run, storage: Any, tmp_path: Path) -> None:
    root = f"gs://{storage.name}"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "left").touch()
    assert tool("rsync", "-r", "-d", f"{root}/train", "data").returncode == 0
    assert files(tmp_path / "data") == {"one.csv", "deep/two.csv"}
    (tmp_path / "data" / "one.csv").write_text("changed")
    copied = tool("rsync", "-r", "data", f"{root}/train").stderr
    assert copied.count("Copying") == 1
    assert storage.blob("train/one.csv").download_as_text() == "changed"


def test_moves_and_removes(tool: Run, storage: Any) -> None:
    root = f"gs://{storage.name}"
    assert tool("mv", f"{root}/model", f"{root}/moved").returncode == 0
    assert tool("rm", "-r", f"{root}/train").returncode == 0
    assert names(storage) == {"moved", "train_extra/three.csv"}
    assert tool("rm", f"{root}/moved").returncode == 0
    assert names(storage) == {"train_extra/three.csv"}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["cp", "{root}/nothing", "x"], "matches no objects or files; folders need -r"),
        (["cp", "{root}/train", "x"], "folders need -r"),
        (["cp", "{root}/train/*", "{root}/model", "x"], "must be a folder or a bucket"),
        (["cp", "--kms-key=x", "{root}/model", "x"], "does not have --kms-key=x"),
        (["cp", "x", "gs://no-such-bucket-here/x"], "x: matches no objects or files"),
        (["cat", "gs://no-such-bucket-here/x"], "HTTP 404"),
        (["cat", "model"], "must be an address in Cloud Storage"),
        (["rsync", "{root}/train", "missing"], "missing: not a folder"),
        (["du", "{root}"], "has only cp, mv, ls, cat, rm, rsync"),
    ],
)
def test_refuses_with_a_reason(tool: Run, storage: Any, words: list[str], reason: str) -> None:
    done = tool(*(word.format(root=f"gs://{storage.name}") for word in words))
    assert done.returncode == 1
    assert reason in done.stderr


def test_a_script_runs_them(emulator: Any) -> None:
    code = """
        import subprocess
        with open("weights", "w") as file:
            file.write("w")
        subprocess.run(["gsutil", "-m", "cp", "weights", "gs://team-bucket/tool/a"], check=True)
        subprocess.run("gcloud storage cp gs://team-bucket/tool/a gs://team-bucket/tool/b",
                       shell=True, check=True)
        print(subprocess.run(["gcloud", "auth", "list"], stderr=subprocess.PIPE, text=True).stderr)
    """
    job = emulator.ended(emulator.create_custom(emulator.container(code)).name)
    assert state_of(job) == "SUCCEEDED", job.error.message
    assert emulator.bucket.blob("tool/b").download_as_text() == "w"
    assert "stands in only for `gcloud storage`" in emulator.log(job.name)


def test_a_move_keeps_what_it_does_not_copy(tool: Run, storage: Any) -> None:
    root = f"gs://{storage.name}"
    assert tool("mv", "-n", f"{root}/model", f"{root}/train/one.csv").returncode == 0
    same = tool("mv", f"{root}/model", f"{root}/model")
    assert (same.returncode, "the source and the destination are the same" in same.stderr) == (
        1,
        True,
    )
    assert "model" in names(storage)
    assert storage.blob("train/one.csv").download_as_text() == "train/one.csv"


def test_sets_of_characters(tool: Run, storage: Any) -> None:
    root = f"gs://{storage.name}"
    assert tool("ls", f"{root}/[!t]*").stdout.split() == [f"{root}/model"]
    assert tool("ls", f"{root}/[a-m]*").stdout.split() == [f"{root}/model"]
    assert "[z-a]: not a valid wildcard" in tool("ls", f"{root}/[z-a]").stderr


def test_missing_arguments(tool: Run) -> None:
    assert "at least one source and a destination" in tool("cp").stderr
