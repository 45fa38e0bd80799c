"""The code of a trial as a model definition: stored once, complete, and runnable."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.errors import ProviderError
from cloudtune.provider.models import JobContext
from cloudtune.provider.uploads import find_uploads as find_remote
from cloudtune.provider.uploads import remove_uploads
from cloudtune_watson.emulator.errors import not_found
from cloudtune_watson.wml.uploads import ensure_definition, find_uploads
from tests.cloudtune_watson.played import Played
from tests.played_service import starting


class Bench:
    """A run and the space, to which nothing is sent yet."""

    def __init__(self, service: Played) -> None:
        source = service.folder / "job" / "source"
        source.mkdir(parents=True)
        (source / "train.py").write_text(
            "import inner, os\nprint(inner.said, os.access('run', 1))\n"
        )
        (source / "inner.py").symlink_to("elsewhere.py")
        (source / "elsewhere.py").write_text("said = 'whole'\n")
        (source / "run").touch(0o700)
        self.context = JobContext(service.folder / "job")
        self.wml, self.plan, self.faults = service.wml, service.plan, service.faults
        self.name = self.plan.facts.job_name
        self.wml.delete_definition(service.definition)
        self.assets: dict[str, Any] = service.operations.assets._assets
        self.faults.calls.clear()

    def ensure(self) -> str:
        return ensure_definition(self.wml, self.plan, self.context)

    def store(self, name: str, content: bytes) -> str:
        path = self.context.folder.parent / "other.zip"
        path.write_bytes(content)
        return self.wml.store(name, path)

    @property
    def stores(self) -> int:
        return self.faults.calls.count("CreateAsset")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with starting(Played, tmp_path, monkeypatch) as start:
        yield Bench(start())


def test_a_definition_runs_the_script(bench: Bench, tmp_path: Path) -> None:
    id_ = bench.ensure()
    assert bench.wml.definitions(bench.name) == [id_]
    bench.wml.download(id_, tmp_path / "stored.zip")
    with zipfile.ZipFile(tmp_path / "stored.zip") as opened:
        opened.extractall(tmp_path / "there")
    (tmp_path / "results").mkdir()
    env = {name: value for name, value in os.environ.items() if name != "CLOUDTUNE_TRIAL"}
    done = subprocess.run(
        [sys.executable, "cloudtune_launch.py", "--lr=0.25", "--kind=true"],
        cwd=tmp_path / "there",
        env={**env, "RESULT_DIR": str(tmp_path / "results"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("whole True\n", 0), done.stderr


def test_a_definition_is_stored_once(bench: Bench) -> None:
    assert bench.ensure() == bench.ensure()
    assert bench.stores == 1
    names = sorted(path.name for path in bench.context.folder.iterdir())
    assert names == ["definition.txt", "source"]


def test_a_deleted_definition_is_stored_again(bench: Bench) -> None:
    first = bench.ensure()
    bench.wml.delete_definition(first)
    second = bench.ensure()
    assert second != first
    assert (bench.context.folder / "definition.txt").read_text() == second


def test_a_definition_is_found_after_a_lost_response(bench: Bench) -> None:
    bench.faults.always["CompleteAttachment"] = "lose_response"
    with pytest.raises(ProviderError):
        bench.ensure()
    bench.faults.always.clear()
    id_ = bench.ensure()
    assert bench.wml.definitions(bench.name) == [id_]


def test_one_that_was_stored_in_part_is_not_used(bench: Bench) -> None:
    half, other = bench.store(bench.name, b"half"), bench.store("other", b"")
    id_ = bench.ensure()
    assert id_ not in {half, other}
    for each in (half, id_):
        bench.assets[each].attachments.clear()  # so that it cannot be downloaded
    (bench.context.folder / "definition.txt").unlink()
    last = bench.ensure()
    assert set(bench.assets) == {other, last}


def test_a_call_that_may_pass_stores_none_anew(bench: Bench) -> None:
    bench.store(bench.name, b"half")
    stores = bench.stores
    bench.faults.always["GetAsset"] = "error"
    with pytest.raises(ProviderError):
        bench.ensure()
    assert bench.stores == stores


def test_the_definition_of_a_run_is_removed(bench: Bench) -> None:
    id_ = bench.ensure()
    other = bench.store("another-run", b"")
    uploads = find_uploads(bench.wml, bench.plan)
    (found,) = find_remote(uploads, [bench.plan.facts.run_id])
    assert (found.address, found.files) == (f"model_definitions/{bench.name}/", 1)
    remove_uploads(uploads, bench.plan.facts.run_id)
    assert not bench.wml.has_definition(id_)
    assert bench.wml.has_definition(other)


def test_a_space_that_is_gone_has_no_definitions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise not_found("The space does not exist.")

    bench.ensure()
    bench.faults.before["SearchAssets"] = refuse
    uploads = find_uploads(bench.wml, bench.plan)
    assert find_remote(uploads, [bench.plan.facts.run_id]) == []
    remove_uploads(uploads, bench.plan.facts.run_id)
