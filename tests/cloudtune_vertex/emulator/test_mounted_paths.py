"""A script finds Cloud Storage at ``/gcs``, or is refused where that is impossible."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune_vertex.emulator import namespace
from tests.cloudtune_vertex.emulator.conftest import Emulator, state_of
from tests.emulator_server import Served, starting

WRITER = """
    import os
    os.makedirs("/gcs/team-bucket/models/a", exist_ok=True)
    with open("/gcs/team-bucket/models/a/weights", "w") as file:
        file.write(open("/gcs/team-bucket/in/data").read() * 2)
    print(os.getuid(), os.getcwd(), sorted(os.listdir("/gcs")), os.environ["CLOUDTUNE_GCS"])
"""
LITERAL = """
    with open("/gcs/team-bucket/literal", "w") as file:
        file.write("x")
"""
KNOWING = """
    import os, pathlib
    root = pathlib.Path(os.environ.get("CLOUDTUNE_GCS", "/gcs/"))
    (root / "team-bucket/known").write_text("x")
"""
mounting = pytest.mark.skipif(not namespace.is_supported(), reason="no namespaces here")


class Unmounted(Emulator):
    """An emulator on a machine without namespaces."""

    def __init__(self, folder: Path, *words: str) -> None:
        Served.__init__(self, "tests.cloudtune_vertex.emulator.without_namespaces", folder, *words)


@pytest.fixture
def unmounted(tmp_path: Path) -> Iterator[Callable[..., Unmounted]]:
    yield from starting(Unmounted, tmp_path)


@mounting
@pytest.mark.parametrize("kind", ["container", "package"])
def test_a_literal_path_is_the_bucket(emulator: Any, kind: str) -> None:
    before = Path("/gcs").exists()
    emulator.bucket.blob("in/data").upload_from_string("ab")
    emulator.bucket.blob("models/a/weights").upload_from_string("")
    job = emulator.ended(emulator.create_custom(getattr(emulator, kind)(WRITER)).name)
    assert state_of(job) == "SUCCEEDED", job.error.message
    assert emulator.bucket.blob("models/a/weights").download_as_text() == "abab"
    assert "'team-bucket'" in emulator.log(job.name)
    assert emulator.log(job.name).rstrip().endswith("/gcs")
    assert Path("/gcs").exists() == before


@mounting
def test_a_shell_finds_it_too(emulator: Any) -> None:
    pool = emulator.container("")
    pool["containerSpec"]["command"] = ["sh", "-c", "echo $0 > /gcs/team-bucket/shell; exit 3"]
    job = emulator.ended(emulator.create_custom(pool).name)
    assert "non-zero status of 3" in job.error.message
    assert emulator.bucket.blob("shell").download_as_text() == "sh\n"


@mounting
def test_only_the_buckets_can_be_written(emulator: Any) -> None:
    other = emulator.create_custom(emulator.container("import time; time.sleep(1)"))
    code = "import os; os.makedirs('/gcs/no-such-bucket/models')"
    job = emulator.ended(emulator.create_custom(emulator.container(code)).name)
    assert state_of(job) == "FAILED"
    assert "Read-only file system: '/gcs/no-such-bucket'" in emulator.log(job.name)
    assert state_of(emulator.ended(other.name)) == "SUCCEEDED"  # it wrote nothing there


def test_files_next_to_the_buckets_fail_the_job_without_mounts(unmounted: Any) -> None:
    emulator = unmounted()
    code = "import os; os.makedirs(os.environ['CLOUDTUNE_GCS'] + '/no-such-bucket/models')"
    job = emulator.ended(emulator.create_custom(emulator.container(code)).name)
    assert state_of(job) == "FAILED"
    assert "/gcs/no-such-bucket, but there is no such bucket" in job.error.message


def test_files_next_to_the_buckets_fail_the_job_that_wrote_them(unmounted: Any) -> None:
    emulator = unmounted()
    writer = """
        import os, pathlib, time
        root = os.environ["CLOUDTUNE_GCS"]
        os.makedirs(f"{root}/no-such-bucket/models")
        while not os.path.exists(f"{root}/team-bucket/other-has-ended"):
            time.sleep(0.1)
    """
    waiter = """
        import os, time
        root = os.environ["CLOUDTUNE_GCS"]
        while not os.path.exists(f"{root}/no-such-bucket"):
            time.sleep(0.1)
    """
    first = emulator.create_custom(emulator.container(writer))
    emulator.ended(emulator.create_custom(emulator.container(waiter)).name)
    emulator.bucket.blob("other-has-ended").upload_from_string("")
    job = emulator.ended(first.name)
    assert state_of(job) == "FAILED"
    assert "/gcs/no-such-bucket, but there is no such bucket" in job.error.message


@mounting
def test_a_deleted_bucket_fails_no_job(start_emulator: Any) -> None:
    emulator = start_emulator()
    bucket = emulator.storage.create_bucket("short-lived")
    code = "import os; print(sorted(os.listdir('/gcs')))"
    job = emulator.ended(emulator.create_custom(emulator.container(code)).name)
    bucket.delete()
    job = emulator.ended(emulator.create_custom(emulator.container(code)).name)
    assert state_of(job) == "SUCCEEDED", job.error.message
    assert "short-lived" not in emulator.log(job.name)


def test_a_script_that_hides_the_path_fails_without_mounts(
    tmp_path: Path, unmounted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = tmp_path / "machine-gcs"
    monkeypatch.setenv("TEST_GCS", str(machine))
    emulator = unmounted()
    code = f"import os; os.makedirs({str(machine)!r})"
    job = emulator.ended(emulator.create_custom(emulator.container(code)).name)
    assert state_of(job) == "FAILED"
    assert f"A script wrote to {machine} of this machine" in job.error.message


@pytest.mark.parametrize("kind", ["container", "package"])
def test_a_literal_path_that_cannot_be_mounted_is_refused(unmounted: Any, kind: str) -> None:
    emulator = unmounted()
    job = emulator.ended(emulator.create_custom(getattr(emulator, kind)(LITERAL)).name)
    assert state_of(job) == "FAILED"
    where = "The argument" if kind == "container" else "The file trainer-1/trainer/task.py"
    assert job.error.message.startswith(where)
    assert "does not let the emulator mount" in job.error.message
    assert not emulator.log(job.name)  # it never started


def test_code_that_knows_where_the_buckets_are_runs_without_mounts(unmounted: Any) -> None:
    emulator = unmounted()
    job = emulator.ended(emulator.create_custom(emulator.package(KNOWING)).name)
    assert state_of(job) == "SUCCEEDED", job.error.message
    assert emulator.bucket.blob("known").exists()


def test_a_script_that_replaces_a_bucket_fails_without_mounts(unmounted: Any) -> None:
    code = """
        import os, pathlib, shutil
        root = pathlib.Path(os.environ["CLOUDTUNE_GCS"]) / "team-bucket"
        while not root.is_file():  # the emulator may create the folder again in between
            shutil.rmtree(root, ignore_errors=True)
            try:
                root.write_text("")
            except IsADirectoryError:
                pass
    """
    emulator = unmounted()
    job = emulator.ended(emulator.create_custom(emulator.container(code)).name)
    assert state_of(job) == "FAILED"
    assert "/gcs cannot be synchronized" in job.error.message


@mounting
def test_a_script_cannot_remove_a_bucket(emulator: Any) -> None:
    code = "import os; os.rmdir('/gcs/team-bucket')"
    job = emulator.ended(emulator.create_custom(emulator.container(code)).name)
    assert state_of(job) == "FAILED"
    assert emulator.bucket.exists()


@mounting
def test_a_missing_command_has_the_exit_code_of_a_shell(tmp_path: Path) -> None:
    import subprocess

    folder, scratch = tmp_path / "gcs", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    command = namespace.wrap(["no-such-command"], str(folder), str(scratch))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, sys.executable in command) == (127, True)
    assert done.stderr.startswith("no-such-command: ")
