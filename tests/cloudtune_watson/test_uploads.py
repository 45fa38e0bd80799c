"""The code of a trial as a model definition: stored once, complete, and runnable."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cloudtune.errors import ProviderError
from cloudtune.provider.models import JobContext
from cloudtune.provider.uploads import find_uploads as find_remote
from cloudtune.provider.uploads import remove_uploads
from cloudtune_watson.wml.uploads import ensure_definition, find_uploads
from tests.cloudtune_watson import fake_watson as fake


@pytest.fixture
def context(tmp_path: Path) -> JobContext:
    source = tmp_path / "job" / "source"
    source.mkdir(parents=True)
    (source / "train.py").write_text("import inner, os\nprint(inner.said, os.access('run', 1))\n")
    (source / "inner.py").symlink_to("elsewhere.py")
    (source / "elsewhere.py").write_text("said = 'whole'\n")
    (source / "run").touch(0o700)
    return JobContext(tmp_path / "job")


@pytest.fixture
def ibm() -> Any:
    return fake.FakeWmlClient()


def test_a_definition_runs_the_script(context: JobContext, ibm: Any, tmp_path: Path) -> None:
    ensure_definition(ibm, fake.planned("driven"), context)
    ((name, data),) = ibm.stored.values()
    assert name == fake.JOB
    packed = tmp_path / "stored.zip"
    packed.write_bytes(data)
    with zipfile.ZipFile(packed) as opened:
        opened.extractall(tmp_path / "there")
    (tmp_path / "results").mkdir()
    env = {name: value for name, value in os.environ.items() if name != "CLOUDTUNE_TRIAL"}
    done = subprocess.run(
        [sys.executable, "cloudtune_launch.py", "--lr=0.25", "--kind=true"],
        cwd=tmp_path / "there",
        env={**env, "RESULT_DIR": str(tmp_path / "results"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("whole True\n", 0), done.stderr


def test_a_definition_is_stored_once(context: JobContext, ibm: Any) -> None:
    plan = fake.planned("driven")
    assert ensure_definition(ibm, plan, context) == ensure_definition(ibm, plan, context)
    assert ibm.of.calls == ["definitions", "store", "has"]
    assert sorted(path.name for path in context.folder.iterdir()) == ["definition.txt", "source"]


def test_a_deleted_definition_is_stored_again(context: JobContext, ibm: Any) -> None:
    plan = fake.planned("driven")
    ensure_definition(ibm, plan, context)
    ibm.stored = {"another": ("other", b"")}
    assert ensure_definition(ibm, plan, context) == "definition-1"
    assert (context.folder / "definition.txt").read_text() == "definition-1"


def test_a_definition_is_found_after_a_lost_response(context: JobContext, ibm: Any) -> None:
    plan = fake.planned("driven")
    ibm.of.lost["store"] = 1
    with pytest.raises(ProviderError):
        ensure_definition(ibm, plan, context)
    assert ensure_definition(ibm, plan, context) == "definition-0"
    assert ibm.of.calls.count("store") == 1


def test_one_that_was_stored_in_part_is_not_used(context: JobContext, ibm: Any) -> None:
    plan = fake.planned("driven")
    ibm.stored = {"definition-a": (fake.JOB, b"half"), "definition-b": ("other", b"")}
    assert ensure_definition(ibm, plan, context) == "definition-2"
    ibm.of.always["download"] = fake.error(404)
    (context.folder / "definition.txt").unlink()
    assert ensure_definition(ibm, plan, context) == "definition-1"
    assert set(ibm.stored) == {"definition-b", "definition-1"}


def test_a_call_that_may_pass_stores_none_anew(context: JobContext, ibm: Any) -> None:
    ibm.stored = {"definition-a": (fake.JOB, b"half")}
    ibm.of.always["download"] = fake.error(503)
    with pytest.raises(ProviderError):
        ensure_definition(ibm, fake.planned("driven"), context)
    assert "store" not in ibm.of.calls


def test_the_definition_of_a_run_is_removed(context: JobContext, ibm: Any) -> None:
    plan = fake.planned("driven")
    id_ = ensure_definition(ibm, plan, context)
    other = ibm.store("another-run", Path(__file__))
    uploads = find_uploads(ibm, plan)
    (found,) = find_remote(uploads, [plan.facts.run_id])
    assert (found.address, found.files) == (f"model_definitions/{plan.facts.job_name}/", 1)
    remove_uploads(uploads, plan.facts.run_id)
    assert not ibm.has_definition(id_)
    assert ibm.has_definition(other)


def test_a_space_that_is_gone_has_no_definitions(context: JobContext, ibm: Any) -> None:
    plan = fake.planned("driven")
    ensure_definition(ibm, plan, context)
    ibm.of.always["definitions"] = fake.error(404)
    uploads = find_uploads(ibm, plan)
    assert find_remote(uploads, [plan.facts.run_id]) == []
    remove_uploads(uploads, plan.facts.run_id)
