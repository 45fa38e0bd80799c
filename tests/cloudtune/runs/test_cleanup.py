"""Removal of the folders of runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudtune.cli.main_group import cloudtune
from cloudtune.errors import LedgerError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.planning.planner import plan
from cloudtune.runs import lifecycle
from cloudtune.runs.cleanup import remove_tree
from cloudtune.runs.status import read_status
from cloudtune.study.study import Study
from cloudtune.testing.features import PLAIN


def test_everything_is_removed_and_links_are_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("kept")
    run = tmp_path / "run"
    for number in range(30):
        inner = run / "trials" / str(number) / "work" / "deep"
        inner.mkdir(parents=True)
        (inner / "file").touch()
        (inner.parent / "link").symlink_to(kept)
        (inner.parent / "broken").symlink_to("nowhere")
    (run / "trials" / "1" / "empty").mkdir()
    remove_tree(run)
    assert not run.exists()
    assert (kept / "file").read_text() == "kept"


def test_folders_that_cannot_be_read(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for mode in (0o000, 0o500, 0o300):
        folder = run / f"{mode:o}"
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "file").touch()
        (folder / "inner").chmod(mode)
        folder.chmod(mode)
    remove_tree(run)
    assert not run.exists()


def test_a_link_in_place_of_a_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    (tmp_path / "run").symlink_to("other")
    remove_tree(tmp_path / "run")
    remove_tree(tmp_path / "nowhere")
    assert (tmp_path / "other" / "file").exists()


@pytest.mark.parametrize("hostile", ["../../../victim", "{victim}", "..", "a/b", ".", "", "x\0y"])
def test_a_run_whose_id_leads_elsewhere_is_removed_without_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile: str
) -> None:
    victim = tmp_path / "a" / "victim"
    (victim / "local").mkdir(parents=True)
    (victim / "file").touch()
    state = tmp_path / "a" / "b" / "state"
    monkeypatch.setenv("CLOUDTUNE_HOME", str(state))
    hostile = hostile.format(victim=victim)
    (tmp_path / "train.py").write_text("from cloudtune.trial import report\nreport(score=1)\n")
    study = Study.model_validate({**PLAIN, "trial": {"script": "train.py"}})
    good = lifecycle.create([plan(study, "local", base=tmp_path)]).id
    with Ledger() as ledger:
        record = ledger.run(good)
        job = replace(record.jobs[0], run=hostile)
        ledger.create_run(replace(record, id=hostile, jobs=(job,)))
    rows = read_status(notify=print)
    assert {row["run"]: row["state"] for row in rows} == {hostile: "damaged", good: "interrupted"}
    with pytest.raises(LedgerError, match="is not the id of a run"), Ledger() as ledger:
        ledger.run(hostile)
    assert CliRunner().invoke(cloudtune, ["clean", "--yes", hostile]).exit_code == 0
    assert (victim / "file").exists()
    assert (state / "runs" / good).is_dir()
    with Ledger() as ledger:
        assert ledger.run_ids() == [good]


def test_a_job_whose_provider_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path, create=True) as ledger:
        jobs = (JobRecord("r", "../../victim", {"mode": "driven"}),)
        ledger.create_run(RunRecord("r", 1.0, "n", {}, None, "/", jobs))
        with pytest.raises(LedgerError, match="victim' is not the id"):
            ledger.run("r")


def test_a_plan_whose_run_leads_elsewhere_creates_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "a" / "state"))
    (tmp_path / "train.py").write_text("print(1)\n")
    study = Study.model_validate({**PLAIN, "trial": {"script": "train.py"}})
    with pytest.raises(LedgerError, match="is not the id of a run"):
        lifecycle.create([plan(study, "local", base=tmp_path, run_id="../../victim")])
    assert not (tmp_path / "victim").exists()
