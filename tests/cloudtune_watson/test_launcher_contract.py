"""What the launcher does on IBM's services only."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from cloudtune_watson import launcher_contract
from tests.cloudtune_watson.launched import LaunchedJob as Job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_folders(job: Job) -> None:
    job.paths = {"a": "$DATA_DIR", "b": "$DATA_DIR/rows.csv"}
    job.study["trial"]["inputs"] = {"a": "vol/a", "b": "vol/b"}
    _, out, err = job.run("""
        import os
        from cloudtune.trial import checkpoint_dir, inputs, output_dir, trial_id
        for path in [*inputs().values(), output_dir(), checkpoint_dir()]:
            print(path)
        print(trial_id(), os.environ["SUBID"])
    """)
    here = job
    assert out.splitlines() == [
        str(here.data),
        str(here.data / "rows.csv"),
        str(here.results / "model"),
        str(here.results / "checkpoint"),
        "4711 4711",
    ], err


def test_older_names_of_the_folders(job: Job) -> None:
    job.paths = {"a": "$DATA_DIR"}
    job.study["trial"]["inputs"] = {"a": "vol/a"}
    state = job.folder / "state"
    job.env = {"DATA_DIR": "", "LOG_DIR": "", "DLI_DATA_FS": "/gpfs/data"}
    job.env["JOB_STATE_DIR"] = str(state)
    _, out, err = job.run("""
        from cloudtune.trial import inputs, report
        report(acc=1)
        print(inputs())
    """)
    assert "{'a': '/gpfs/data'}\n" in out, err
    assert (state / "logs" / "evaluation-metrics.txt").is_file()


# Metrics.


@pytest.mark.parametrize("searched", [False, True])
def test_both_files_have_the_format_of_emetrics(job: Job, searched: bool) -> None:
    job.searched = searched
    before = int(time.time() * 1000)
    _, out, _ = job.run("""
        from cloudtune.trial import report
        report(acc=0.875, loss=1)
        report({"acc": 1e-05}, step=12)
        report(acc=3)
    """)
    all_entries = [
        {"steps": 1, "acc": 0.875, "loss": 1.0},
        {"steps": 12, "acc": 1e-05},
        {"steps": 13, "acc": 3.0},
    ]
    one_entry = [{"steps": 13, "acc": 3.0, "loss": 1.0}]
    assert job.listed == (one_entry if searched else all_entries)
    assert "[cloudtune] metric acc = 0.875\n" in out
    lines = job.logged
    assert [line["values"] for line in lines] == [
        {"acc": {"type": 3, "value": "0.875"}, "loss": {"type": 3, "value": "1.0"}},
        {"acc": {"type": 3, "value": "1e-05"}},
        {"acc": {"type": 3, "value": "3.0"}},
    ]
    iterations = [line["etimes"]["iteration"] for line in lines]
    assert iterations == [{"type": 2, "value": step} for step in ("1", "12", "13")]
    meta = lines[0]["meta"]
    assert before <= meta.pop("time") <= time.time() * 1000
    assert meta == {"training_id": "4711", "rindex": 1, "subid": "7" if searched else "4711"}
    assert {line["grouplabel"] for line in lines} == {"test"}


PRINTED = "str(listed).replace('0.875', 'np.float64(0.875)')"
"""As the numbers of NumPy 2 are printed."""


@pytest.mark.parametrize("spelled", ["listed", "str(listed)", PRINTED])
def test_entries_of_a_script_that_writes_the_list_stay(job: Job, spelled: str) -> None:
    job.study["trial"]["metrics"] = {"loss": r"loss=(\S+)"}
    job.run(f"""
        import json, os
        from cloudtune.trial import report
        report(acc=0.1)
        print("loss=7")
        listed = [{{"steps": 5, "acc": 0.875}}]
        with open(os.path.join(os.environ["RESULT_DIR"], "val_dict_list.json"), "w") as file:
            json.dump({spelled}, file)
    """)
    assert job.listed == [{"steps": 5, "acc": 0.875}, {"steps": 1, "loss": 7.0}]


def test_the_list_of_a_script_without_reports_stays(job: Job) -> None:
    job.run("""
        import os
        with open(os.path.join(os.environ["RESULT_DIR"], "val_dict_list.json"), "w") as file:
            file.write('[{"step": 1, "acc": 2}]')
    """)
    assert job.list_file.read_text() == '[{"step": 1, "acc": 2}]'


INVALID = pytest.mark.parametrize("written", ["[1, 2]", "5", '"[1"', "[{", ""])


@INVALID
def test_an_invalid_list_of_the_script_stays(job: Job, written: str) -> None:
    code, _, err = job.run(f"""
        import os
        from cloudtune.trial import report
        report(acc=1)
        with open(os.path.join(os.environ["RESULT_DIR"], "val_dict_list.json"), "w") as file:
            file.write({written!r})
    """)
    assert code == 0
    assert "cannot save the measurements: " in err
    assert job.list_file.read_text() == written


# The selected value, which is all that IBM's tuner sees.

SELECTED = [
    ("last", "maximize", 0.33),
    ("last", "minimize", 0.33),
    ("best", "maximize", 1.0),
    ("best", "minimize", -0.5),
]


@pytest.mark.parametrize(("select", "goal", "value"), SELECTED)
@pytest.mark.parametrize("writes_list", [False, True])
def test_a_trial_of_a_search_has_the_selected_value(
    job: Job, select: str, goal: str, value: float, *, writes_list: bool
) -> None:
    job.searched = True
    job.study["objective"] = {"metric": "acc", "goal": goal, "select": select}
    code, _, err = job.run(f"""
        import json, os
        from cloudtune.trial import report
        values = [1, -0.5, 0.33]
        if {writes_list}:
            listed = [{{"step": n, "acc": v}} for n, v in enumerate(values, 1)]
            with open(os.path.join(os.environ["RESULT_DIR"], "val_dict_list.json"), "w") as file:
                json.dump(listed, file)
        else:
            for v in values:
                report(acc=v)
    """)
    assert (code, err) == (0, "")
    assert job.listed == [{"steps": 3, "acc": value}]
    script_list = job.results / "val_dict_list.script.json"
    assert script_list.exists() == writes_list
    if writes_list:
        assert len(json.loads(script_list.read_bytes())) == 3


def test_zero_is_a_best_value(job: Job) -> None:
    job.searched = True
    job.study["objective"] = {"metric": "acc", "goal": "minimize", "select": "best"}
    job.run("""
        from cloudtune.trial import report
        for v in (0, 1):
            report(acc=v)
    """)
    assert job.listed == [{"steps": 2, "acc": 0.0}]


def test_a_search_without_metrics_has_no_list(job: Job) -> None:
    job.searched = True
    job.run("pass")
    assert not list(job.results.glob("val_dict_list*"))


# Restarts of a trial, whose folders stay.


def test_a_restart_replaces_measurements_from_its_first_step_on(job: Job) -> None:
    job.list_file.write_text(json.dumps([{"steps": step, "acc": step} for step in range(1, 6)]))
    (job.results / "cloudtune_failure.txt").write_text("of the first start")
    job.run("""
        from cloudtune.trial import report
        report(acc=0.3, step=3)
        report(acc=0.4, step=4)
    """)
    steps = {1: 1, 2: 2, 3: 0.3, 4: 0.4}
    assert job.listed == [{"steps": step, "acc": acc} for step, acc in steps.items()]
    assert not (job.results / "cloudtune_failure.txt").exists()


@pytest.mark.parametrize("searched", [False, True])
def test_a_restart_from_the_beginning_replaces_all_measurements(
    job: Job, *, searched: bool
) -> None:
    job.searched = searched
    job.list_file.write_text('[{"steps": 4, "acc": 9}]')
    job.run("from cloudtune.trial import report\nreport(acc=0.5)")
    assert job.listed == [{"steps": 1, "acc": 0.5}]


def test_a_restart_from_a_checkpoint_counts_on(job: Job) -> None:
    job.list_file.write_text('[{"steps": 4, "acc": 9}]')
    (job.results / "checkpoint").mkdir()
    (job.results / "checkpoint" / "epoch").write_text("4")
    job.run("from cloudtune.trial import report\nreport(acc=0.5)")
    assert job.listed == [{"steps": 4, "acc": 9}, {"steps": 5, "acc": 0.5}]


@INVALID
def test_an_invalid_list_of_an_earlier_start_is_replaced(job: Job, written: str) -> None:
    job.list_file.write_text(written)
    code, _, err = job.run("from cloudtune.trial import report\nreport(acc=1)")
    assert (code, err) == (0, "")
    assert job.listed == [{"steps": 1, "acc": 1.0}]


def test_a_restart_while_the_list_was_replaced_continues(job: Job) -> None:
    moved = job.results / "val_dict_list.script.json"
    moved.write_text('[{"steps": 1, "acc": 0.25}]')
    job.run("from cloudtune.trial import report\nreport(acc=0.5, step=2)")
    assert [entry["acc"] for entry in job.listed] == [0.25, 0.5]
    assert not moved.exists()


# The script and the launcher write the list at the same time.

SCRIPT_LIST = b'[{"steps": 5, "acc": 0.875}]'
MERGED = [{"steps": 5, "acc": 0.875}, {"steps": 1, "loss": 7.0}]


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> launcher_contract.WatsonContract:
    """A contract that has saved one report."""
    monkeypatch.setattr(launcher_contract, "SAVE_INTERVAL", 0)
    contract = launcher_contract.WatsonContract({}, {}, str(tmp_path), "", None)
    save(contract, acc=1, loss=7)
    return contract


def save(contract: launcher_contract.WatsonContract, **metrics: float) -> None:
    contract.publish({"metrics": metrics, "time": 0})
    while (pause := contract.tick()) is not None:
        time.sleep(pause)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_list_that_is_written_before_the_launcher_puts_its_own(
    contract: launcher_contract.WatsonContract,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_replaced: bool,
) -> None:
    link, path = os.link, tmp_path / "val_dict_list.json"

    def write_first(source: str, target: str) -> None:
        monkeypatch.setattr(os, "link", link)
        if is_replaced:
            (tmp_path / "own").write_bytes(SCRIPT_LIST)
            (tmp_path / "own").replace(path)
        else:
            path.write_bytes(SCRIPT_LIST)
        os.link(source, target)

    monkeypatch.setattr(os, "link", write_first)
    contract.close()
    assert json.loads(path.read_bytes()) == MERGED


@pytest.mark.parametrize("is_half_written", [False, True])
def test_a_list_that_the_script_has_opened_before_it_is_moved(
    contract: launcher_contract.WatsonContract,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    is_half_written: bool,
) -> None:
    path = tmp_path / "val_dict_list.json"
    with path.open("r+b") as opened:  # as the file is now, which the launcher then moves
        save(contract, acc=2)
        opened.write(SCRIPT_LIST[:9])
        opened.truncate()
        opened.flush()
        save(contract, acc=3)
        assert "cannot save the measurements: " in capsys.readouterr().err
        if not is_half_written:
            opened.write(SCRIPT_LIST[9:])
    contract.close()
    own = [{"steps": n, "acc": n} for n in (1, 2, 3)]
    own[0]["loss"] = 7
    assert json.loads(path.read_bytes()) == (own if is_half_written else MERGED)
    assert {each.name for each in tmp_path.iterdir()} == {"val_dict_list.json"}


def test_a_file_system_without_hard_links(
    contract: launcher_contract.WatsonContract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not supported")

    monkeypatch.setattr(os, "link", refuse)
    contract.publish({"metrics": {"acc": 2}, "time": 0})
    contract.close()
    assert len(json.loads((tmp_path / "val_dict_list.json").read_bytes())) == 2


def test_an_unwritable_folder_does_not_fail_a_trial(job: Job) -> None:
    job.results.rmdir()
    job.results.write_text("in the way")
    code, _, err = job.run("from cloudtune.trial import report\nreport(acc=0.5)")
    assert code == 0
    assert "cannot save the measurements: " in err
    assert len(job.logged) == 1
