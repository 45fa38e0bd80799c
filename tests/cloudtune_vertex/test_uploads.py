"""Uploads of code and data: only files that are not stored yet."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cloudtune.errors import ProviderError
from cloudtune.provider.models import JobContext
from cloudtune.provider.uploads import content_hash, remove_uploads, upload_address
from cloudtune.provider.uploads import find_uploads as find_remote
from cloudtune_vertex.errors import GoogleError
from cloudtune_vertex.uploads import find_uploads, upload
from tests.cloudtune_vertex import fake_vertex as fake

HOME = "tuning/fake-3f6k2m9qxt"


@pytest.fixture
def context(tmp_path: Path) -> JobContext:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "train.py").write_text("print(1)")
    return JobContext(tmp_path)


def there(google: Any) -> dict[str, bytes]:
    found: dict[str, bytes] = google.buckets["my-bucket"]
    return found


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        read = {name: tar.extractfile(name) for name in tar.getnames()}
        return {name: file.read() for name, file in read.items() if file is not None}


def test_prebuilt_images_get_a_package_and_others_a_bundle(context: JobContext) -> None:
    google = fake.FakeGoogle()
    paths = {"train": "/gcs/b/train"}
    upload(google, fake.planned("driven", paths=paths), context)
    upload(google, fake.planned("driven", paths=paths, prebuilt=False), context)
    package, bundle = (
        there(google)[f"{HOME}/source/{name}"]
        for name in ("cloudtune_trial-1.tar.gz", "bundle.tar.gz")
    )
    assert members(package)["cloudtune_trial-1/cloudtune_trial/bundle.tar.gz"] == bundle
    inside = members(bundle)
    assert inside["source/train.py"] == b"print(1)"
    launch = json.loads(inside["cloudtune_study.json"])
    assert launch["inputs"] == paths
    assert launch["objectives"] == {"accuracy": "last"}
    assert launch["measurements"] == f"gs://my-bucket/{HOME}/measurements"
    assert sorted(p.name for p in context.folder.iterdir()) == ["source"]


def test_stored_files_are_not_uploaded_again(context: JobContext) -> None:
    google = fake.FakeGoogle()
    for _ in range(2):
        upload(google, fake.planned("driven"), context)
    assert google.calls.count("write") == 1
    (context.folder / "source" / "train.py").write_text("print(2)")
    upload(google, fake.planned("driven"), context)
    assert google.calls.count("write") == 2


def test_code_in_cloud_storage_is_not_uploaded(context: JobContext) -> None:
    google = fake.FakeGoogle()
    upload(google, fake.planned("managed", code="gs://b/trainer.tar.gz"), context)
    upload(google, fake.planned("managed", {"trial": {}}), context)
    assert google.calls == []


def inputs(*paths: Path) -> dict[str, Any]:
    """Return the facts of uploaded inputs."""
    addresses = {
        path.name: upload_address("gs://my-bucket/tuning", content_hash(path)).rstrip("/")
        for path in paths
    }
    return {"inputs": addresses, "uploads": {path.name: str(path) for path in paths}}


def stored_input(google: Any, facts: dict[str, Any], name: str) -> dict[str, bytes]:
    folder = facts["inputs"][name].removeprefix("gs://my-bucket/") + "/"
    return {k.removeprefix(folder): v for k, v in there(google).items() if k.startswith(folder)}


def test_a_folder_is_uploaded_file_by_file(context: JobContext, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "deep").mkdir(parents=True)
    (data / "a.csv").write_text("1")
    (data / "deep" / "b c.csv").write_text("22")
    (data / "up").symlink_to(data)
    google, facts = fake.FakeGoogle(), inputs(data)
    for _ in range(2):
        upload(google, fake.planned("driven", {"trial": {}}, **inputs(data)), context)
    assert stored_input(google, facts, "data") == {"a.csv": b"1", "deep/b c.csv": b"22"}
    assert google.calls.count("write") == 2
    (data / "a.csv").write_text("other")
    there(google).clear()
    with pytest.raises(ProviderError, match="has changed since it was planned"):
        upload(google, fake.planned("driven", {"trial": {}}, **facts), context)


def test_a_single_file_is_below_the_folder_of_its_input(
    context: JobContext, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("1")
    google, facts = fake.FakeGoogle(), inputs(tmp_path / "rows.csv")
    upload(google, fake.planned("driven", {"trial": {}}, **facts), context)
    assert stored_input(google, facts, "rows.csv") == {"rows.csv": b"1"}


def test_missing_data_is_reported(context: JobContext, tmp_path: Path) -> None:
    (tmp_path / "absent").mkdir()
    plan = fake.planned("driven", {"trial": {}}, **inputs(tmp_path / "absent"))
    with pytest.raises(ProviderError, match=r"the input .*absent is empty"):
        upload(fake.FakeGoogle(), plan, context)


def test_what_a_run_has_uploaded_is_removed(context: JobContext, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1")
    google, facts = fake.FakeGoogle(), inputs(tmp_path / "rows.csv")
    plan = fake.planned("driven", **facts)
    upload(google, plan, context)
    google.put(f"{HOME}/measurements/1.jsonl", b"{}", "my-bucket")
    uploads = find_uploads(google, plan)
    (code, rows) = find_remote(uploads, [plan.facts.run_id])
    assert (code.address, code.files) == (f"gs://my-bucket/{HOME}/source/", 1)
    assert (rows.address, rows.files, rows.size) == (f"{facts['inputs']['rows.csv']}/", 1, 1)
    remove_uploads(uploads, plan.facts.run_id)
    assert list(there(google)) == [f"{HOME}/measurements/1.jsonl"]


def test_nothing_is_uploaded_in_a_bucket_that_is_gone(context: JobContext, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1")
    google = fake.FakeGoogle()
    plan = fake.planned("driven", **inputs(tmp_path / "rows.csv"))
    upload(google, plan, context)
    google.buckets.clear()
    google.emulated = False
    uploads = find_uploads(google, plan)
    assert find_remote(uploads, [plan.facts.run_id]) == []
    remove_uploads(uploads, plan.facts.run_id)
    assert google.buckets == {}


def test_a_bucket_is_created_only_on_an_emulator(context: JobContext) -> None:
    google = fake.FakeGoogle()
    google.buckets.clear()
    google.emulated = False
    with pytest.raises(GoogleError, match=r"bucket my-bucket not found.*location of the job"):
        upload(google, fake.planned("driven"), context)
    assert google.buckets == {}
    google.emulated = True
    upload(google, fake.planned("driven"), context)
    assert len(there(google)) == 1


def test_a_denied_upload_is_reported(context: JobContext) -> None:
    google = fake.FakeGoogle()
    google.always["write"] = fake.error(403, "x does not have storage.objects.create access")
    with pytest.raises(GoogleError, match="Storage Object User"):
        upload(google, fake.planned("driven"), context)
