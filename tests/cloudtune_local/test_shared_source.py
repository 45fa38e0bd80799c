"""Trials of a large source: copy on write by the kernel where it can, else reduced copies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cloudtune.execution.forkserver import overlay
from cloudtune.results.events import HostFailure
from cloudtune_local import contract, source
from cloudtune_local.shared_source import can_share

if TYPE_CHECKING:
    from .conftest import Job

SCRIPT = """
    import os, pathlib
    print(open("data/a").read(), sorted(os.listdir("data")), os.path.basename(os.getcwd()))
    with open("data/a", "r+") as file: file.write("changed in place")
    with open("data/b", "a") as file: file.write(" and more")
    os.remove("data/c")
    pathlib.Path("data", "new").write_text("new")
    os.mkdir("empty")
    print(open("data/a").read(), sorted(os.listdir("data")))
"""


def fill(job: Job) -> Path:
    """Write the run's copy of the source, which is large for these tests; return it."""
    snapshot = job.folder / "source"
    (snapshot / "data").mkdir(parents=True)
    for name in "abcdef":
        (snapshot / "data" / name).write_text(f"{name} as it was")
    (snapshot / "link").symlink_to("data/a")
    job.write(SCRIPT)
    shutil.copy(job.source / "train.py", snapshot)
    return snapshot


def content(folder: Path) -> dict[str, str]:
    paths = {str(p.relative_to(folder)): p for p in folder.rglob("*") if not p.is_dir()}
    return {name: path.read_text() if path.is_file() else "special" for name, path in paths.items()}


def create_working_folder(_trial: str, work: str) -> None:
    os.makedirs(work)  # noqa: PTH103 - as `create_view`


def never(_folder: Path) -> bool:
    return False


@pytest.fixture(params=["shared", "copied"])
def shared(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(source, "MAX_COPIED_FILES", 3)
    if request.param == "copied":
        monkeypatch.setattr(contract, "can_share", never)
    elif not can_share(tmp_path):
        pytest.skip("this system does not let processes mount an overlay")
    return bool(request.param == "shared")


@pytest.mark.parametrize("warm", [True, False])
def test_a_trial_changes_only_its_own_files(job: Job, *, shared: bool, warm: bool) -> None:
    snapshot = fill(job)
    before = content(snapshot)
    job.request["warm"] = warm
    for number in (1, 2):
        names = "['a', 'b', 'c', 'd', 'e', 'f']"
        assert job.run_one(number) == (
            f"a as it was {names} work\nchanged in place ['a', 'b', 'd', 'e', 'f', 'new']\n"
        )
        trial = job.folder / "trials" / str(number)
        assert content(trial / "work") == {
            "data/a": "changed in place",
            "data/b": "b as it was and more",
            "data/new": "new",
        }
        assert (trial / "work" / "empty").is_dir()
        assert not (trial / overlay.OVERLAY_FOLDER).exists()
    assert content(snapshot) == before
    assert len(job.messages) == (not shared)
    assert all("each trial copies the source" in message for message in job.messages)


def test_concurrent_trials_do_not_see_each_other(job: Job, *, shared: bool) -> None:
    fill(job)
    job.write("""
        import os, sys, time
        print(open("data/a").read())
        with open("data/a", "w") as file: file.write(f"of {sys.argv[-1]}")
        open(f"../../ready{sys.argv[-1]}", "w").close()
        while len([name for name in os.listdir("../..") if name.startswith("ready")]) < 2:
            time.sleep(0.01)
        print(open("data/a").read())
    """)
    shutil.copy(job.source / "train.py", job.folder / "source")
    job.request |= {"parameters": ["n"], "parallel": 2}
    for number in (1, 2):
        job.start(number, parameters={"n": number})
    assert {job.end().state, job.end().state} == {"completed"}
    for number in (1, 2):
        log = job.folder / "trials" / str(number) / "log.txt"
        assert log.read_text() == f"a as it was\nof {number}\n"


def test_a_trial_that_starts_again_begins_with_the_source(job: Job, *, shared: bool) -> None:
    fill(job)
    first = job.run_one(1, resource=1)
    assert job.run_one(1, resource=2) == first * 2


def test_a_small_source_is_copied_and_kept(job: Job) -> None:
    snapshot = fill(job)
    job.run_one()
    assert (job.folder / "trials" / "1" / "work" / "data" / "f").read_text() == "f as it was"
    assert content(snapshot)["data/a"] == "a as it was"


def test_the_users_own_folder_is_never_shared(job: Job, *, shared: bool) -> None:
    """Without the run's copy, later edits would show in running trials."""
    fill(job)
    shutil.copytree(job.folder / "source" / "data", job.source / "data")
    shutil.rmtree(job.folder / "source")
    job.run_one()
    assert content(job.source)["data/a"] == "a as it was"
    assert not (job.folder / "trials" / "1" / "work" / "data" / "f").exists()


@pytest.mark.parametrize("program", ["no-such-program", "./no-such-program"])
def test_a_command_that_does_not_exist(job: Job, *, shared: bool, program: str) -> None:
    fill(job)
    del job.request["script"]
    job.request["command"] = [program]
    job.start()
    assert job.end().reason == f"cannot be started: {program} not found"


@pytest.mark.parametrize("warm", [True, False])
def test_a_view_that_cannot_be_mounted_is_no_failure_of_the_trial(
    job: Job, monkeypatch: pytest.MonkeyPatch, *, shared: bool, warm: bool
) -> None:
    if not shared:
        pytest.skip("nothing is mounted")
    monkeypatch.setattr(contract, "create_view", create_working_folder)
    fill(job)
    job.request["warm"] = warm
    job.start()
    ended = job.end()
    assert isinstance(ended, HostFailure)
    assert ended.reason.startswith("cannot be started: ")
    assert ended.reason.endswith("mount: No such file or directory")


def test_a_cold_process_starts_as_without_a_view(
    job: Job, monkeypatch: pytest.MonkeyPatch, *, shared: bool
) -> None:
    monkeypatch.delenv("LC_CTYPE", raising=False)
    monkeypatch.setenv("LANG", "C")
    fill(job)
    del job.request["script"]
    show = "grep SigIgn /proc/self/status; env | grep LC_CTYPE; id -u"
    job.request["command"] = ["sh", "-c", show]
    expected = subprocess.run(["sh", "-c", show], capture_output=True, text=True, check=True)
    assert job.run_one() == expected.stdout


@pytest.mark.parametrize("user", [1000, 0])
def test_without_root_of_the_machine(tmp_path: Path, user: int) -> None:
    namespace = ["unshare", "--user", f"--map-user={user}", f"--map-group={user}"]
    works = shutil.which("unshare") and (
        subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode == 0
    )
    if not works:
        pytest.skip("needs user namespaces")
    trial = tmp_path / "a, b:c=d"
    for folder in (tmp_path / "lower", trial / "work", trial / overlay.OVERLAY_FOLDER):
        folder.mkdir(parents=True)
    (tmp_path / "lower" / "folder").mkdir()
    (tmp_path / "lower" / "folder" / "b").touch()
    (tmp_path / "lower" / "a").write_text("before")
    code = """
import os
open('a', 'a').write('+')
os.remove('folder/b')
os.rmdir('folder')
os.mkdir('folder')
print(os.getuid(), open('a').read(), os.listdir('folder'))
"""
    program = [
        sys.executable,
        "-I",
        overlay.__file__,
        "2",
        str(tmp_path / "lower"),
        str(trial / "work"),
    ]
    command = [*namespace, *program, sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr:
        pytest.skip("no nested user namespaces")
    assert done.stdout == f"{user} before+ []\n", done.stderr
    assert (tmp_path / "lower" / "a").read_text() == "before"
    assert (trial / "work" / "a").read_text() == "before+"
