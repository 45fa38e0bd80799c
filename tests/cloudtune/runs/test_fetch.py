"""The files of a trial arrive whole or not at all, whatever the store and the archive have."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtune.cli import main
from cloudtune.errors import ProviderError, UsageError
from cloudtune.planning.planner import plan
from cloudtune.provider.trial_files import StoredFile, TrialFiles, local_files
from cloudtune.runs import lifecycle
from cloudtune.runs.download import Fetch, Fetched, download, is_complete
from cloudtune.runs.fetch import find_files
from cloudtune.runs.file_names import local_names
from cloudtune.study.loader import load

SCRIPT = """
import json, os
from cloudtune.trial import checkpoint_dir, output_dir, params, report
with open(os.path.join(output_dir(), "model.json"), "w") as file:
    json.dump(params(), file)
with open(os.path.join(checkpoint_dir(), "step"), "w") as file:
    file.write("3")
print("trained")
report(loss=(params()["x"] - 2) ** 2)
"""
STUDY = """
objective: {metric: loss, goal: minimize}
parameters: {x: {type: discrete, values: [1, 2, 3]}}
strategy: grid
limits: {max_trials: 3, parallel_trials: 1}
trial: {script: train.py}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run with three trials; the second is the best."""
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "study"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("train.py").write_text(SCRIPT)
    Path("study.yaml").write_text(STUDY)
    new = lifecycle.create([plan(load("study.yaml"), "local", base=folder)]).id
    lifecycle.execute(new)
    monkeypatch.chdir(tmp_path)
    return new


def fetch(*words: str, code: int = 0) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["fetch", *words])
    assert raised.value.code == code


def names(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}


def test_the_best_trial_comes_home(run: str, capfd: pytest.CaptureFixture[str]) -> None:
    fetch("--best", "-o", "model", "--json")
    out, err = capfd.readouterr()
    document = json.loads(out)
    files = {"output/model.json": 8, "checkpoint/step": 1, "log.txt": 8}
    assert document["files"] == files
    assert (document["run"], document["trial"], document["missing"]) == (run, 2, [])
    assert f"trial 2 of run {run} on local: 2 files, 0 kB, and its log, to model" in err
    folder = Path("model")
    assert names(folder) == {*files, "trial.json"}
    assert json.loads((folder / "output/model.json").read_text()) == {"x": 2}
    assert json.loads((folder / "trial.json").read_text())["parameters"] == {"x": 2}
    assert (folder / "log.txt").read_text() == "trained\n"
    fetch("--best", "-o", "model")
    assert "has all files already" in capfd.readouterr().err
    (folder / "output/model.json").write_text("changed")
    fetch("--best", "-o", "model", code=1)
    assert "have changed here or where it ran" in capfd.readouterr().err
    fetch(run, "1", "-o", "model", code=1)
    assert "model exists already: name another folder" in capfd.readouterr().err
    assert not Path("model.partial").exists()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "give a trial number or --best"),
        (["--best", "1"], "give a trial number or --best"),
        (["9"], "has no trial 9"),
        (["1", "--on", "slurm"], "no job on slurm"),
        (["nowhere", "1"], "nowhere"),
    ],
)
def test_a_wrong_choice_is_an_error(
    run: str, words: list[str], problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    del run
    fetch(*words, code=1)
    assert problem in capfd.readouterr().err


def test_without_a_name_the_folder_is_that_of_the_trial(run: str) -> None:
    fetch("3")
    assert Path(f"{run}-3/output/model.json").is_file()


class Store:
    """Objects that can be read in small parts, with a connection that breaks."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = {name.replace("__", "/"): data for name, data in objects.items()}
        self.breaks_after = 10**9
        self.starts: list[tuple[str, int]] = []

    def read(self, file: StoredFile, start: int) -> Iterator[bytes]:
        self.starts.append((file.address, start))
        data = self.objects[file.address]
        for at in range(start, len(data), 4):
            if self.breaks_after <= 0:
                raise ProviderError("store", "connection lost", retryable=True)
            self.breaks_after -= 1
            yield data[at : at + 4]

    def files(self, archives: dict[str, str] | None = None) -> TrialFiles:
        files = {
            name: StoredFile(name, len(data), hashlib.sha256(data).hexdigest())
            for name, data in self.objects.items()
        }
        return TrialFiles(self.read, files, archives or {})


def to_fetch(run: str, stored: TrialFiles, target: str = "got") -> Fetch:
    found = find_files(run, 1)
    paths = local_names(name for name in stored.files if name not in stored.archives)
    return Fetch(found.result, found.trial, Path(target), stored, None, paths)


def get(files: Fetch) -> Fetched:
    return download(files, lambda _: None)


def test_a_fetch_that_was_interrupted_continues_where_it_was(run: str) -> None:
    store = Store(output__a=b"a" * 10, output__b=b"b" * 10, output__c=b"c" * 10)
    store.breaks_after = 5
    with pytest.raises(ProviderError, match="connection lost"):
        get(to_fetch(run, store.files()))
    assert not Path("got").exists()
    store.breaks_after, store.starts = 100, []
    counts: list[int] = []
    download(to_fetch(run, store.files()), counts.append)
    assert store.starts == [("output/b", 8), ("output/c", 0)]
    assert sum(counts) == 30
    assert Path("got/output/b").read_bytes() == b"b" * 10
    assert is_complete(to_fetch(run, store.files()))
    assert not Path("got.partial").exists()


def test_a_file_that_changed_in_between_is_fetched_anew(run: str) -> None:
    store = Store(output__a=b"a" * 10, output__b=b"b" * 10, output__gone=b"1")
    store.breaks_after = 5
    with pytest.raises(ProviderError):
        get(to_fetch(run, store.files()))
    store.objects = {"output/a": b"A" * 10, "output/b": b"B" * 10}
    store.breaks_after = 100
    get(to_fetch(run, store.files()))
    assert Path("got/output/a").read_bytes() + Path("got/output/b").read_bytes() == (
        b"A" * 10 + b"B" * 10
    )
    assert names(Path("got")) == {"output/a", "output/b", "trial.json"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"short", "not complete"), (b"too long to fit", "not complete"), (b"otherwise!", "damaged")],
)
def test_a_file_that_is_not_as_the_store_said_ends_the_fetch(
    run: str, content: bytes, problem: str
) -> None:
    store = Store(output__a=content)
    file = StoredFile("output/a", 10, "1", hashlib.md5(b"0123456789").hexdigest())
    with pytest.raises(ProviderError, match=problem) as raised:
        get(to_fetch(run, TrialFiles(store.read, {"output/a": file})))
    assert raised.value.retryable
    assert not Path("got").exists()
    store.objects["output/a"] = b"0123456789"
    fresh = StoredFile("output/a", 10, "2", file.md5)
    get(to_fetch(run, TrialFiles(store.read, {"output/a": fresh})))
    assert Path("got/output/a").read_bytes() == b"0123456789"


def nearly_full(_folder: object) -> SimpleNamespace:
    return SimpleNamespace(free=1)


def test_a_full_disk_and_a_second_process_are_errors(
    run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = to_fetch(run, Store(output__a=b"a" * 10).files())
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", nearly_full)
        with pytest.raises(UsageError, match=r"need .* more"):
            get(files)
    problems: list[str] = []

    def read(file: StoredFile, start: int) -> Iterator[bytes]:
        del file, start
        try:
            get(files)
        except UsageError as error:
            problems.append(str(error))
        yield b"a" * 10

    get(to_fetch(run, TrialFiles(read, files.stored.files)))
    assert "another process fetches" in problems[0]


def archive(*members: tuple[str, Any]) -> bytes:
    """Return a .tar.gz with files, and links as ``("l", target)``."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if isinstance(content, tuple):
                entry.type, entry.linkname = tarfile.SYMTYPE, content[1]
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def test_a_hostile_archive_writes_only_below_its_folder(run: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    store = Store()
    store.objects["model.tar.gz"] = archive(
        ("good/model.json", b"{}"),
        ("../../escaped", b"x"),
        ("/absolute", b"x"),
        ("link", ("l", str(outside))),
        ("link/through", b"x"),
        ("trial.json", b"not yours"),
    )
    fetched = get(to_fetch(run, store.files({"model.tar.gz": "output"})))
    got = Path("got")
    assert names(got) == {
        *("trial.json", "output/good/model.json", "output/escaped", "output/absolute"),
        *("output/link/through", "output/trial.json"),
    }
    assert not list(outside.iterdir())
    assert json.loads((got / "trial.json").read_text())["trial"] == 1
    assert len(fetched.missing) == 4  # two renamed, one link skipped, no log
    store.objects["model.tar.gz"] = store.objects["model.tar.gz"][:60]
    with pytest.raises(ProviderError, match="not a complete"):
        get(to_fetch(run, store.files({"model.tar.gz": "output"}), "other"))
    assert not Path("other").exists()


@given(
    st.lists(
        st.lists(
            st.sampled_from(
                ["a", "A", "b", "..", ".", "", "\0", "c\\d", "é" * 150, "\udcff", "C:"]
            ),
            min_size=1,
            max_size=4,
        ).map("/".join),
        unique=True,
        max_size=8,
    )
)
@example(["a", "a/b", "A/b"])
@example(["/etc/passwd", "../x", "output/../../x", "a//b", "a/"])
def test_no_name_leads_out_or_hides_another_file(found: list[str]) -> None:
    paths = local_names(found)
    assert set(paths) == {name for name in found if not name.endswith("/")}
    folded = [path.casefold() for path in paths.values()]
    assert len(set(folded)) == len(folded)
    for name, path in paths.items():
        parts = PurePosixPath(path).parts
        assert "/".join(parts) == path
        assert not {"..", "/"} & {*parts}
        assert all(len(part.encode()) < 256 and part.isprintable() for part in parts)
        assert not any(other.startswith(f"{path.casefold()}/") for other in folded)
        if {*name.split("/")} <= {"a", "b"} and len(found) == 1:
            assert path == name


def test_a_name_that_is_no_path_is_changed_and_said(run: str) -> None:
    store = Store()
    store.objects = {"output/../../../up": b"1", "output/x": b"2", "output/x/y": b"3"}
    fetched = get(to_fetch(run, store.files()))
    assert len(names(Path("got"))) == 4
    assert not Path("up").exists()
    assert len(fetched.missing) == 3  # and no log
    assert "output/../../../up: its name is no path here" in "".join(fetched.missing)


def test_links_to_files_of_the_trial_are_copied_and_all_others_said(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (folder / "epoch3").write_text("3")
    (folder / "latest").symlink_to("epoch3")
    (folder / "deep" / "same").symlink_to(folder / "epoch3")
    (folder / "out").symlink_to("../secret")
    (folder / "loop").symlink_to(".")
    os.mkfifo(folder / "pipe")
    stored = local_files({"checkpoint": folder, "output": tmp_path / "absent"})
    assert {*stored.files} == {"checkpoint/epoch3", "checkpoint/latest", "checkpoint/deep/same"}
    assert b"".join(stored.read(stored.files["checkpoint/latest"], 0)) == b"3"
    assert [each.partition(":")[0] for each in stored.missing] == [
        "checkpoint/loop",
        "checkpoint/out",
        "checkpoint/pipe",
    ]


def test_a_name_that_is_not_utf_8_arrives_and_what_is_no_file_is_said(
    run: str, tmp_path: Path
) -> None:
    folder = tmp_path / "left"
    (folder / "empty").mkdir(parents=True)
    os.mkfifo(folder / "pipe")
    name = os.fsdecode(b"bad\xff")
    (folder / name).write_text("x")
    files = to_fetch(run, local_files({"output": folder}))
    fetched = get(files)
    assert (fetched.folder / "output" / "bad%ED%B3%BF").read_text() == "x"
    assert {each for each in fetched.missing if each.startswith("output/")} == {
        "output/empty: an empty folder",
        "output/pipe: no file, but a pipe or a device",
        f"output/{name}: its name is no path here, so it is output/bad%ED%B3%BF",
    }
    assert is_complete(files)


@pytest.mark.parametrize("inner", ["thesis.txt", "files/thesis.txt", "state.json"])
def test_a_folder_of_the_user_next_to_the_target_is_kept(
    run: str, tmp_path: Path, inner: str
) -> None:
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "a").write_text("x")
    own = Path("got.partial") / inner
    own.parent.mkdir(parents=True)
    own.write_text("{}")
    with pytest.raises(UsageError, match="is not from a fetch"):
        get(to_fetch(run, local_files({"output": tmp_path / "left"})))
    assert own.read_text() == "{}"


def test_a_folder_of_the_user_is_not_called_a_part_of_a_fetch(
    run: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("got.partial").mkdir()
    Path("got.partial/thesis.txt").write_text("")
    fetch("--best", "-o", "got", code=1)
    text = " ".join(capfd.readouterr().err.split())
    assert "got.partial is needed for what is not complete, but is not from a fetch" in text
    assert "has what has arrived" not in text


def test_a_trial_without_files_leaves_no_folder(run: str) -> None:
    with pytest.raises(UsageError, match="has left no files"):
        get(to_fetch(run, TrialFiles(Store().read, {}, missing=("outputs: none are kept",))))
    assert not list(Path().glob("got*"))
