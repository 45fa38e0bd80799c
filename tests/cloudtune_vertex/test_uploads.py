"""Uploads of code and data: only files that are not stored yet."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.errors import ProviderError
from cloudtune.planning.planner import plan
from cloudtune.provider.plan import Plan
from cloudtune.provider.uploads import find_uploads as find_remote
from cloudtune.provider.uploads import remove_uploads
from cloudtune.study.study import Study
from cloudtune_vertex.errors import GoogleError
from cloudtune_vertex.uploads import find_uploads, upload
from tests.cloudtune_vertex.played import Played
from tests.cloudtune_vertex.support import OWN_IMAGE, SETTINGS
from tests.played_service import STUDY, starting


class Bench:
    """A run, and the bucket."""

    def __init__(self, service: Played) -> None:
        self.service = service
        self.source = service.folder / "source" / "train.py"
        self.source.parent.mkdir()
        self.source.write_text("print(1)")
        self.run = service.plan.facts.run_id

    def plan(self, *inputs: Path, code: Any = None, **settings: Any) -> Plan:
        """Return a plan of the same run, with inputs of these paths."""
        trial: dict[str, Any] = {"script": "train.py"}
        if code:
            trial["source"] = {"vertex": code}
        if inputs:
            trial["inputs"] = {path.name.replace(".", "-"): {"local": str(path)} for path in inputs}
        study = {**STUDY, "trial": trial, "providers": {"vertex": {**SETTINGS, **settings}}}
        return plan(
            Study.model_validate(study), "vertex", base=self.service.folder, run_id=self.run
        )

    def upload(self, planned: Plan) -> None:
        self.service.faults.calls.clear()
        upload(self.service.google, planned, self.service.context)

    @property
    def writes(self) -> int:
        return self.service.faults.calls.count("storage.objects.create")

    def stored(self, address: str = "gs://my-bucket/") -> dict[str, bytes]:
        """Return the objects below an address."""
        prefix = address.removeprefix("gs://my-bucket/")
        storage = self.service.storage
        names = [name for _, name in storage.generations() if name.startswith(prefix)]
        return {
            name.removeprefix(prefix): storage.fetch(f"gs://my-bucket/{name}") for name in names
        }


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with starting(Played, tmp_path, monkeypatch) as start:
        yield Bench(start())


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        read = {name: tar.extractfile(name) for name in tar.getnames()}
        return {name: file.read() for name, file in read.items() if file is not None}


def code_folder(planned: Plan) -> str:
    data = planned.facts.data
    return f"gs://my-bucket/{data['prefix']}/{planned.facts.job_name}/source/"


def input_address(planned: Plan) -> str:
    (address,) = planned.facts.lookup.inputs.addresses.values()
    return f"{address}/"


def test_prebuilt_images_get_a_package_and_others_a_bundle(bench: Bench) -> None:
    data = bench.service.folder / "rows.csv"
    data.write_text("1")
    planned = bench.plan(data)
    bench.upload(planned)
    bench.upload(bench.plan(data, image=OWN_IMAGE))
    code = bench.stored(code_folder(planned))
    package, bundle = (code[name] for name in ("cloudtune_trial-1.tar.gz", "bundle.tar.gz"))
    assert members(package)["cloudtune_trial-1/cloudtune_trial/bundle.tar.gz"] == bundle
    inside = members(bundle)
    assert inside["source/train.py"] == b"print(1)"
    launch = json.loads(inside["cloudtune_study.json"])
    address = planned.facts.lookup.inputs.addresses["rows-csv"]
    assert launch["inputs"] == {"rows-csv": f"{str(address).replace('gs://', '/gcs/')}/rows.csv"}
    assert launch["objectives"] == {"accuracy": "last"}
    assert launch["measurements"] == code_folder(planned).replace("source/", "measurements")
    assert sorted(p.name for p in bench.service.folder.glob("*.tar.gz")) == []


def test_stored_files_are_not_uploaded_again(bench: Bench) -> None:
    planned = bench.plan()
    for writes in (1, 0):
        bench.upload(planned)
        assert bench.writes == writes
    bench.source.write_text("print(2)")
    bench.upload(planned)
    assert bench.writes == 1


def test_code_in_cloud_storage_is_not_uploaded(bench: Bench) -> None:
    bench.upload(bench.plan(code="gs://b/trainer.tar.gz"))
    assert bench.service.faults.calls == []


def test_a_folder_is_uploaded_file_by_file(bench: Bench) -> None:
    data = bench.service.folder / "data"
    (data / "deep").mkdir(parents=True)
    (data / "a.csv").write_text("1")
    (data / "deep" / "b c.csv").write_text("22")
    (data / "up").symlink_to(data)
    planned = bench.plan(data, code="gs://b/trainer.tar.gz")
    for _ in range(2):
        bench.upload(planned)
    stored = bench.stored(input_address(planned))
    assert stored == {"a.csv": b"1", "deep/b c.csv": b"22"}
    (data / "a.csv").write_text("other")
    for name in bench.stored():
        bench.service.google.delete("my-bucket", name)
    with pytest.raises(ProviderError, match="has changed since it was planned"):
        bench.upload(planned)


def test_a_single_file_is_below_the_folder_of_its_input(bench: Bench) -> None:
    (bench.service.folder / "rows.csv").write_text("1")
    planned = bench.plan(bench.service.folder / "rows.csv", code="gs://b/trainer.tar.gz")
    bench.upload(planned)
    assert bench.stored(input_address(planned)) == {"rows.csv": b"1"}


def test_missing_data_is_reported(bench: Bench) -> None:
    (bench.service.folder / "absent").mkdir()
    planned = bench.plan(bench.service.folder / "absent")
    with pytest.raises(ProviderError, match=r"the input .*absent is empty"):
        bench.upload(planned)


def test_what_a_run_has_uploaded_is_removed(bench: Bench) -> None:
    (bench.service.folder / "rows.csv").write_text("1")
    planned = bench.plan(bench.service.folder / "rows.csv")
    bench.upload(planned)
    bench.service.storage.put("my-bucket", "measurements/1.jsonl", b"{}")
    uploads = find_uploads(bench.service.google, planned)
    (code, rows) = find_remote(uploads, [bench.run])
    assert (code.address, code.files) == (code_folder(planned), 1)
    assert (rows.address, rows.files, rows.size) == (input_address(planned), 1, 1)
    remove_uploads(uploads, bench.run)
    assert list(bench.stored()) == ["measurements/1.jsonl"]


def test_nothing_is_uploaded_in_a_bucket_that_is_gone(bench: Bench) -> None:
    planned = bench.plan()
    bench.upload(planned)
    bench.service.storage._store.wipe()
    bench.service.google.emulated = False
    uploads = find_uploads(bench.service.google, planned)
    assert find_remote(uploads, [bench.run]) == []
    remove_uploads(uploads, bench.run)
    assert bench.service.storage.buckets() == []


def test_a_bucket_is_created_only_on_an_emulator(bench: Bench) -> None:
    bench.service.storage._store.wipe()
    bench.service.google.emulated = False
    with pytest.raises(GoogleError, match=r"bucket my-bucket not found.*location of the job"):
        bench.upload(bench.plan())
    assert bench.service.storage.buckets() == []
    bench.service.google.emulated = True
    bench.upload(bench.plan())
    assert len(bench.stored()) == 1


def test_a_denied_upload_is_reported(bench: Bench) -> None:
    bench.service.faults.always["storage.objects.create"] = "deny"
    with pytest.raises(GoogleError, match="Storage Object User"):
        bench.upload(bench.plan())
