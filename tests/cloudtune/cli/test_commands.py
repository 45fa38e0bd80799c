"""Each command as a user types it."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest

from cloudtune.ledger.record_table import write_record_checksum
from cloudtune.results.events import JobState
from tests.cloudtune.conftest import Cloudtune
from tests.providers import TUNERS

SCRIPT = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("-C", type=float)
parser.add_argument("--kernel")
given = parser.parse_args()
for epoch in range(1, 4):
    print(f"epoch {epoch} val_acc: {given.C / 10 + epoch / 100:.3f}")
"""
STUDY = """\
objective: {metric: val_acc, goal: maximize}
parameters:
  C: {type: float, min: 0.1, max: 9}
  kernel: {type: categorical, values: [rbf, poly]}
strategy: {name: random, seed: 1}
limits: {max_trials: 4, parallel_trials: 2}
trial: {script: train.py, metrics: {val_acc: 'val_acc: (\\S+)'}}
"""


@pytest.fixture
def cloudtune(typed: Cloudtune, tmp_path: Path) -> Cloudtune:
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")
    (tmp_path / "study.yaml").write_text(STUDY, "utf-8")
    return typed


def rewrite(folder: Path, old: str, new: str) -> None:
    assert old in STUDY
    (folder / "study.yaml").write_text(STUDY.replace(old, new), "utf-8")


def test_an_unmodified_script_is_tuned_with_an_expression(cloudtune: Cloudtune) -> None:
    done = cloudtune("run", "study.yaml", "--json")
    (result,) = json.loads(done.stdout)
    assert result["state"] == "completed"
    assert len(result["trials"]) == 4
    for trial in result["trials"]:
        assert trial["state"] == "completed"
        assert [m["step"] for m in trial["measurements"]] == [1, 2, 3]
        expected = trial["parameters"]["C"] / 10 + 0.03
        assert trial["objective"] == [pytest.approx(expected, abs=0.0006)]
    assert "[4/4]" in done.stderr


def test_the_command_in_the_help_keeps_blanks_in_values(
    cloudtune: Cloudtune, tmp_path: Path
) -> None:
    rewrite(tmp_path, "[rbf, poly]", "['a kernel with blanks']")
    cloudtune("run", "study.yaml")
    shown = cloudtune("results", "--help").stdout
    (line,) = (line.strip() for line in shown.splitlines() if "--best --as args" in line)
    line = line.replace("python train.py", shlex.join([sys.executable, "train.py"]))
    line = line.replace(
        "cloudtune results", shlex.join([sys.executable, "-m", "cloudtune", "results"])
    )
    env = {**os.environ, "CLOUDTUNE_HOME": str(tmp_path / ".cloudtune")}
    again = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert (again.returncode, again.stderr) == (0, "")
    assert "epoch 3 val_acc" in again.stdout


def test_the_summary_can_be_pasted(cloudtune: Cloudtune, tmp_path: Path) -> None:
    shown = cloudtune("run", "study.yaml").stdout
    words = next(line for line in shown.splitlines() if "as arguments" in line).split(": ", 1)[1]
    again = subprocess.run(
        [sys.executable, str(tmp_path / "train.py"), *words.split()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "val_acc" in again.stdout
    (best,) = json.loads(cloudtune("results", "--best", "--json").stdout)
    assert json.dumps(best["trials"][0]["parameters"]) in shown


def test_all_formats_of_results_have_the_same_trials(cloudtune: Cloudtune, tmp_path: Path) -> None:
    cloudtune("run", "study.yaml")
    (whole,) = json.loads(cloudtune("results", "--format", "json").stdout)
    lines = [json.loads(x) for x in cloudtune("results", "--format", "jsonl").stdout.splitlines()]
    flat = list(csv.DictReader(io.StringIO(cloudtune("results", "--format", "csv").stdout)))
    assert [t["parameters"] for t in lines] == [t["parameters"] for t in whole["trials"]]
    assert [float(r["parameters.C"]) for r in flat] == [t["parameters"]["C"] for t in lines]
    table = cloudtune("results").stdout.splitlines()
    assert len(table) == 2 + 4
    assert all(line == line.rstrip() for line in table)
    parquet = pytest.importorskip("pyarrow.parquet")
    cloudtune("results", "-o", "t.parquet")
    rows: list[dict[str, Any]] = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert [r["parameters.C"] for r in rows] == [t["parameters"]["C"] for t in lines]


def test_the_ending_of_a_results_file_determines_its_format(
    cloudtune: Cloudtune, tmp_path: Path
) -> None:
    cloudtune("run", "study.yaml")
    for ending in ("json", "jsonl", "csv"):
        cloudtune("results", "-o", f"t.{ending}")
        cloudtune("results", "--format", ending, "-o", "t")
        assert (tmp_path / f"t.{ending}").read_text("utf-8") == (tmp_path / "t").read_text("utf-8")
        assert cloudtune("results", "--format", ending).stdout == (tmp_path / "t").read_text(
            "utf-8"
        )
    assert "use one of the endings .json," in cloudtune("results", "-o", "t.txt", code=1).stderr
    refused = cloudtune("results", "--format", "table", "-o", "t.txt", code=1)
    assert "a file cannot be a table" in refused.stderr
    assert (
        "contradicts --format csv"
        in cloudtune("results", "--json", "--format", "csv", code=1).stderr
    )
    assert not (tmp_path / "t.txt").exists()


@pytest.mark.parametrize(
    "broken_off", ["cloudtune.runs.lifecycle.execute", "cloudtune.ledger.ledger.Ledger.find_run_id"]
)
def test_an_early_ctrl_c_prints_how_to_resume(
    cloudtune: Cloudtune, monkeypatch: pytest.MonkeyPatch, broken_off: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(broken_off, interrupted)
        output = cloudtune("run", "study.yaml", code=130).stderr
    (state,) = json.loads(cloudtune("status", "--json").stdout)
    assert f"interrupted; resume with: cloudtune resume {state['run']}" in output
    with monkeypatch.context() as patched:
        patched.setattr("cloudtune.runs.lifecycle.execute", interrupted)
        again = cloudtune("resume", code=130).stderr
    assert f"cloudtune resume {state['run']}" in again
    cloudtune("resume")


def test_status_is_a_list_newest_first(cloudtune: Cloudtune) -> None:
    assert json.loads(cloudtune("status", "--json").stdout) == []
    for _ in range(2):
        cloudtune("run", "study.yaml", "--set", "limits.max_trials=1")
    newest, oldest = json.loads(cloudtune("status", "--json").stdout)
    assert newest["created"] > oldest["created"]
    assert newest["state"] == "completed"
    assert newest["trials"] == {"completed": 1}
    one = json.loads(cloudtune("status", oldest["run"][:5], "--json").stdout)
    assert [row["run"] for row in one] == [oldest["run"]]


def test_a_saved_plan_runs_once(cloudtune: Cloudtune, tmp_path: Path) -> None:
    cloudtune("plan", "study.yaml", "-o", "plan.json")
    run = json.loads((tmp_path / "plan.json").read_text("utf-8"))[0]["run"]
    cloudtune("run", "plan.json")
    assert json.loads(cloudtune("status", "--json").stdout)[0]["run"] == run
    assert f"cloudtune resume {run}" in cloudtune("run", "plan.json", code=1).stderr
    assert len(json.loads(cloudtune("status", "--json").stdout)) == 1


def test_a_report_names_the_study_file_unless_a_saved_plan_was_run(cloudtune: Cloudtune) -> None:
    cloudtune("run", "study.yaml")
    assert "cloudtune run study.yaml --on local" in cloudtune("report").stdout
    cloudtune("plan", "study.yaml", "--set", "limits.max_trials=1", "-o", "other.json")
    cloudtune("run", "other.json")
    assert "cloudtune run STUDY --on local" in cloudtune("report").stdout
    cloudtune("resume", "--set", "limits.max_trials=2")
    cloudtune("resume")


def test_a_saved_plan_makes_no_second_run_elsewhere(cloudtune: Cloudtune, tmp_path: Path) -> None:
    cloudtune("plan", "study.yaml", "-o", "plan.json")
    other = tmp_path / "other"
    done = subprocess.run(
        [sys.executable, "-m", "cloudtune", "run", str(tmp_path / "plan.json")],
        cwd=tmp_path,
        env={**os.environ, "CLOUDTUNE_HOME": str(other)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"CLOUDTUNE_HOME={tmp_path / '.cloudtune'}" in done.stderr
    assert not other.exists()


def test_a_plan_whose_source_has_changed_is_refused(cloudtune: Cloudtune, tmp_path: Path) -> None:
    cloudtune("plan", "study.yaml", "-o", "plan.json")
    (tmp_path / "train.py").write_text(SCRIPT + "\n", "utf-8")
    assert "has changed since it was planned" in cloudtune("run", "plan.json", code=1).stderr
    assert json.loads(cloudtune("status", "--json").stdout) == []


def test_wrong_studies_exit_with_1(cloudtune: Cloudtune, tmp_path: Path) -> None:
    rewrite(tmp_path, "max: 9", "max: 0")
    output = cloudtune("check", "study.yaml", code=1).stderr
    assert "study.yaml:3: parameters.C" in output
    assert "parameters.C" in cloudtune("run", "study.yaml", code=1).stderr
    problems = json.loads(cloudtune("check", "study.yaml", "--json", code=1).stdout)
    assert [problem["line"] for problem in problems] == [3]
    cloudtune("run", "missing.yaml", code=1)
    cloudtune("run", code=1)
    cloudtune("nonsense", code=1)
    cloudtune("results", "nonsense", code=1)
    cloudtune("run", "study.yaml", "--on", "nowhere", code=1)


def test_refused_studies_exit_with_2(cloudtune: Cloudtune, tmp_path: Path) -> None:
    rewrite(tmp_path, "max_trials: 4, ", "")
    output = cloudtune("run", "study.yaml", code=2).stderr
    assert "nothing would end this run" in output
    assert "nothing would end" in cloudtune("check", "study.yaml", code=2).stderr
    (finding,) = json.loads(cloudtune("check", "study.yaml", "--json", code=2).stdout)
    assert (finding["path"], finding["provider"], finding["kind"]) == ("limits", "local", "refused")
    cloudtune("check", "study.yaml", "--on", "local", code=2)
    cloudtune("plan", "study.yaml", code=2)
    rewrite(tmp_path, "trial: {", "trial: {resources: {memory: 8 GB}, ")
    cloudtune("run", "study.yaml")
    cloudtune("run", "study.yaml", "--strict", code=2)
    assert "only in part" in cloudtune("check", "study.yaml").stderr
    cloudtune("check", "study.yaml", "--strict", code=2)


def test_too_many_failures_exit_with_3_and_an_unmeasured_objective_with_4(
    cloudtune: Cloudtune, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text("print('no luck'); raise SystemExit(7)", "utf-8")
    done = cloudtune("run", "study.yaml", "--set", "limits.max_failed_trials=1", code=3)
    assert "exited with code 7" in done.stdout
    assert "no luck" in done.stdout
    assert "cloudtune logs" in done.stdout
    cloudtune("watch", code=3)
    (tmp_path / "train.py").write_text("print('val: 1')", "utf-8")
    done = cloudtune("run", "study.yaml", code=4)
    assert "without reporting val_acc" in done.stdout
    cloudtune("watch", code=4)


def test_only_completed_trials_count_as_measured(cloudtune: Cloudtune, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT + "raise SystemExit(7)\n", "utf-8")
    done = cloudtune("run", "study.yaml", code=4)
    assert "no completed trial measured the objective" in done.stdout
    cloudtune("watch", code=4)
    for form in ("", "--json", "--format csv", "-o best.json", "--as args", "--as env"):
        failed = cloudtune("results", "--best", *form.split(), code=1)
        assert (failed.stdout, failed.stderr) == (
            "",
            "no completed trial measured the objective\n",
        )
    assert not Path("best.json").exists()
    assert len(json.loads(cloudtune("results", "--json").stdout)[0]["trials"]) == 4


def test_logs_of_a_silent_script_say_so(cloudtune: Cloudtune, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("from cloudtune.trial import report; report(val_acc=1)")
    cloudtune("run", "study.yaml")
    done = cloudtune("logs", "1")
    assert (done.stdout, "log.txt is empty: the script printed nothing" in done.stderr) == (
        "",
        True,
    )


def test_logs_prints_the_output_of_the_script(cloudtune: Cloudtune) -> None:
    cloudtune("run", "study.yaml")
    assert cloudtune("logs", "2").stdout.count("val_acc") == 3
    run = json.loads(cloudtune("status", "--json").stdout)[0]["run"]
    assert cloudtune("logs", run, "2").stdout == cloudtune("logs", "2").stdout
    assert cloudtune("logs", run).stdout == cloudtune("logs").stdout
    assert "no trial 99" in cloudtune("logs", "99", code=1).stderr


def test_logs_are_found_after_a_move_of_the_state_folder(
    cloudtune: Cloudtune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloudtune("run", "study.yaml")
    output = cloudtune("logs", "2").stdout
    (tmp_path / ".cloudtune").rename(tmp_path / "moved")
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "moved"))
    assert cloudtune("logs", "2").stdout == output
    trials = json.loads(cloudtune("results", "--json").stdout)[0]["trials"]
    assert all(Path(trial["log"]).is_relative_to(tmp_path / "moved") for trial in trials)
    cloudtune("fetch", "2", "-o", "fetched")
    assert (tmp_path / "fetched" / "log.txt").read_text("utf-8") == output


def test_a_detached_run_is_watched_stopped_and_resumed(
    cloudtune: Cloudtune, tmp_path: Path
) -> None:
    slow = SCRIPT.replace("for epoch", "import time; time.sleep(0.4)\nfor epoch")
    (tmp_path / "train.py").write_text(slow, "utf-8")
    rewrite(tmp_path, "max_trials: 4", "max_trials: 600")
    run = json.loads(cloudtune("run", "study.yaml", "--detach", "--json").stdout)["run"]
    while not json.loads(cloudtune("status", "--json").stdout)[0]["trials"].get("completed"):
        pass
    assert json.loads(cloudtune("status", "--json").stdout)[0]["state"] == "running"
    assert f"run {run} is held by process" in cloudtune("resume", code=1).stderr
    assert "is running" in cloudtune("clean", run, "--yes", code=1).stderr
    cloudtune("stop")
    shown = cloudtune("watch", code=130)
    assert "cancelled" in shown.stdout
    (state,) = json.loads(cloudtune("status", "--json").stdout)
    assert state["state"] == "cancelled"
    done = state["trials"]["completed"]
    cloudtune("resume", "--set", f"limits.max_trials={done + 2}")
    (state,) = json.loads(cloudtune("status", "--json").stdout)
    assert state["state"] == "completed"
    assert state["trials"]["completed"] == done + 2


def test_watch_prints_how_to_resume_a_killed_run(cloudtune: Cloudtune, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import time; time.sleep(1000)", "utf-8")
    run = json.loads(cloudtune("run", "study.yaml", "--detach", "--json").stdout)["run"]
    holder = re.search(r"held by process (\d+)", cloudtune("resume", code=1).stderr)
    assert holder
    os.kill(int(holder[1]), signal.SIGKILL)
    output = cloudtune("watch", code=130).stderr
    assert f"no process runs it now; resume with: cloudtune resume {run}" in output


def test_watch_reports_a_damaged_plan(cloudtune: Cloudtune, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(f"import time; time.sleep(0.4)\n{SCRIPT}", "utf-8")
    cloudtune("run", "study.yaml", "--detach")
    while not json.loads(cloudtune("status", "--json").stdout)[0]["trials"]:
        pass
    with closing(sqlite3.connect(tmp_path / ".cloudtune" / "ledger.db")) as db, db:
        db.execute('UPDATE jobs SET plan=\'{"mode": "driven"}\'')
        ((run,),) = db.execute("SELECT id FROM runs")
        write_record_checksum(db, run, "local")
    output = cloudtune("watch", code=1).stderr
    assert "local: its plan cannot be read" in output
    assert "its study or plan on local cannot be read" in output
    assert "Traceback" not in output


def test_a_detached_run_with_overrides_is_resumed(cloudtune: Cloudtune, tmp_path: Path) -> None:
    overrides = ["--set", "strategy=grid", "--set", "parameters.C.step=1"]
    slow = f"import time; time.sleep(0.4)\n{SCRIPT}"
    (tmp_path / "train.py").write_text(slow, "utf-8")
    cloudtune("run", "study.yaml", "--detach", *overrides)
    output = cloudtune("watch").stderr
    before = re.search(r"(\d) trials? so far", output)
    ends = re.findall(r"^\[(\d)/4\] trial \d completed", output, re.MULTILINE)
    assert [int(end) for end in ends] == [*range(int(before[1]) + 1 if before else 1, 5)]
    cloudtune("resume", "--set", "limits.max_trials=6")
    (result,) = json.loads(cloudtune("results", "--json").stdout)
    assert result["study"]["strategy"]["name"] == "grid"
    assert [trial["state"] for trial in result["trials"]] == ["completed"] * 6


def test_a_closed_pipe_does_not_end_a_run(cloudtune: Cloudtune, tmp_path: Path) -> None:
    command = f"{sys.executable} -m cloudtune run study.yaml 2>&1 | head -1"
    subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "CLOUDTUNE_HOME": str(tmp_path / ".cloudtune")},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    (state,) = json.loads(cloudtune("status", "--json").stdout)
    assert (state["state"], state["trials"]) == ("completed", {"completed": 4})


def test_resume_refuses_a_changed_study_and_lists_the_changes(
    cloudtune: Cloudtune, tmp_path: Path
) -> None:
    cloudtune("run", "study.yaml")
    rewrite(tmp_path, "max: 9", "max: 8")
    output = cloudtune("resume", code=1).stderr
    assert "parameters.C" in output
    assert "9" in output
    assert "8" in output
    assert "only limits" in cloudtune("resume", "--set", "strategy=grid", code=1).stderr
    rewrite(tmp_path, "max_trials: 4", "max_trials: 8")
    assert "limits.max_trials: 4 became 8" in cloudtune("resume", code=1).stderr
    rewrite(tmp_path, "max_trials: 4", "max_trials: 4")
    for limit in (5, 6):
        cloudtune("resume", "--set", f"limits.max_trials={limit}")
    cloudtune("resume")
    assert json.loads(cloudtune("status", "--json").stdout)[0]["trials"] == {"completed": 6}


def test_resuming_an_ended_run_changes_nothing(cloudtune: Cloudtune) -> None:
    cloudtune("run", "study.yaml")
    before = cloudtune("results", "--json").stdout
    cloudtune("resume")
    assert cloudtune("results", "--json").stdout == before


def test_an_unwritable_file_is_reported_in_one_line(cloudtune: Cloudtune) -> None:
    output = cloudtune("plan", "study.yaml", "-o", "/nowhere/plan.json", code=1).stderr
    assert output.startswith("/nowhere/plan.json: ")
    assert len(output.splitlines()) == 1


def test_set_removes_a_limit_and_accepts_a_strategy_without_a_name(cloudtune: Cloudtune) -> None:
    words = ["--set", "limits.parallel_trials=null", "--set", "strategy=", "--json"]
    (plan,) = json.loads(cloudtune("plan", "study.yaml", *words, "--set", "strategy.seed=9").stdout)
    assert plan["study"]["limits"] == {"max_trials": 4}
    assert plan["facts"]["seed"] == 9


def test_resume_uses_the_source_of_the_first_start(cloudtune: Cloudtune, tmp_path: Path) -> None:
    cloudtune("run", "study.yaml")
    (tmp_path / "train.py").write_text("raise SystemExit('changed')", "utf-8")
    cloudtune("resume", "--set", "limits.max_trials=6")
    (result,) = json.loads(cloudtune("results", "--json").stdout)
    assert [trial["state"] for trial in result["trials"]] == ["completed"] * 6


def test_clean_removes_a_run_and_its_files(cloudtune: Cloudtune, tmp_path: Path) -> None:
    cloudtune("run", "study.yaml")
    (run,) = (tmp_path / ".cloudtune" / "runs").iterdir()
    asked = cloudtune("clean", "--json", code=1)
    assert run.exists()
    assert f"Remove 1 run with all results ({run.name})?" in asked.stderr
    assert "use --yes to remove without confirmation" in asked.stderr
    assert asked.stdout == ""
    cloudtune("clean", "--yes")
    assert not run.exists()
    assert json.loads(cloudtune("status", "--json").stdout) == []


def test_clean_reports_files_that_it_cannot_remove(
    cloudtune: Cloudtune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloudtune("run", "study.yaml")
    (run,) = (tmp_path / ".cloudtune" / "runs").iterdir()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rmdir", refuse)
    assert f"some files could not be removed: {run}" in cloudtune("clean", "--yes").stderr


def test_notes_of_check_have_the_line_of_their_field(cloudtune: Cloudtune, tmp_path: Path) -> None:
    text = f"{STUDY}providers: {{sagmaker: {{}}}}\n"
    (tmp_path / "study.yaml").write_text(text, "utf-8")
    output = cloudtune("check", "study.yaml").stderr
    assert "warning: study.yaml:8: providers.sagmaker: " in output
    (tmp_path / "study.yaml").write_text(text.replace("max: 9", "max: 0"), "utf-8")
    output = cloudtune("check", "study.yaml", code=1).stderr
    assert "1 mistake.\nwarning: study.yaml:8: providers.sagmaker: " in output


@pytest.mark.slow
def test_status_lists_the_last_runs_and_filters_them(cloudtune: Cloudtune, tmp_path: Path) -> None:
    assert f"no runs in {tmp_path / '.cloudtune'}" in cloudtune("status").stdout
    for seed in range(12):
        options = ["--set", f"strategy.seed={seed}", "--set", "limits.max_trials=1"]
        cloudtune("run", "study.yaml", *options)
    shown = cloudtune("status")
    assert len(shown.stdout.splitlines()) == 2 + 10
    assert f"the last 10 runs in {tmp_path / '.cloudtune'}; --all lists all" in shown.stderr
    assert len(cloudtune("status", "--all").stdout.splitlines()) == 2 + 12
    assert len(json.loads(cloudtune("status", "--json").stdout)) == 12
    assert len(json.loads(cloudtune("status", "--json", "--last", "3").stdout)) == 3
    assert len(json.loads(cloudtune("status", "--json", "--on", "local").stdout)) == 12
    assert json.loads(cloudtune("status", "--json", "--on", "vertex").stdout) == []
    assert "no such runs in" in cloudtune("status", "--state", "failed").stdout
    assert "contradicts" in cloudtune("status", "--all", "--last", "3", code=1).stderr
    run = json.loads(cloudtune("status", "--json").stdout)[0]["run"]
    assert "do not apply" in cloudtune("status", run, "--state", "failed", code=1).stderr


def test_status_filters_by_each_state(cloudtune: Cloudtune) -> None:
    words = re.findall(r"\w+", cloudtune("status", "--help").stdout)
    assert {*get_args(JobState), "refused", "interrupted", "damaged"} <= {*words}


def test_watch_on_a_run_that_has_ended_prints_its_summary(cloudtune: Cloudtune) -> None:
    cloudtune("run", "study.yaml")
    output = cloudtune("watch")
    assert output.stderr.endswith(", 4 trials so far\n")
    assert output.stdout.startswith("4 trials on local")


def test_check_rejects_a_plan_file(cloudtune: Cloudtune) -> None:
    cloudtune("plan", "study.yaml", "-o", "plan.json")
    output = cloudtune("check", "plan.json", code=1).stderr
    assert "only `cloudtune run` accepts a saved plan" in output


def test_init_creates_a_valid_study_and_overwrites_nothing(
    cloudtune: Cloudtune, tmp_path: Path
) -> None:
    cloudtune("init", "new")
    cloudtune("check", "new/study.yaml", "--on", "local")
    schema = cloudtune("schema").stdout
    assert (tmp_path / "new" / ".study.schema.json").read_text("utf-8") == schema
    (tmp_path / "new" / "train.py").write_text("mine", "utf-8")
    assert "not overwriting existing files" in cloudtune("init", "new", code=1).stderr
    assert (tmp_path / "new" / "train.py").read_text("utf-8") == "mine"
    assert "quickstart" in cloudtune("init", "other", "--template", "none", code=1).stderr


def test_trials_of_the_quickstart_use_one_thread_on_emulators(
    cloudtune: Cloudtune,
) -> None:
    cloudtune("init", "new")
    plan = cloudtune("plan", "new/study.yaml", "--on", "sagemaker", "--emulate", "--json").stdout
    assert '"OMP_NUM_THREADS": "1"' in plan


def test_schema_and_providers_are_json(cloudtune: Cloudtune) -> None:
    assert "properties" in json.loads(cloudtune("schema").stdout)
    rows = json.loads(cloudtune("providers", "--json").stdout)
    modes = {(row["provider"], row["mode"]) for row in rows}
    assert {("azure", "driven"), ("local", "driven"), ("vertex", "managed")} <= modes
    assert [row["mode"] for row in rows if row["provider"] == "sagemaker"] == ["managed", "driven"]


@pytest.mark.parametrize(
    "command",
    [
        "init",
        "check",
        "plan",
        "schema",
        "providers",
        "run",
        "status",
        "watch",
        "logs",
        "stop",
        "resume",
        "results",
        "export",
        "report",
        "clean",
        "emulate",
    ],
)
def test_help_has_examples(cloudtune: Cloudtune, command: str) -> None:
    assert f"cloudtune {command}" in cloudtune(command, "--help").stdout.partition("Examples")[2]


def test_the_help_of_attach_has_an_example_of_each_service(cloudtune: Cloudtune) -> None:
    examples = cloudtune("attach", "--help").stdout.partition("Examples")[2]
    assert {name for name in TUNERS if f"cloudtune attach {name}:" not in examples} == set()


def test_output_without_a_terminal_has_no_colors(cloudtune: Cloudtune) -> None:
    done = cloudtune("run", "study.yaml")
    shown = done.stdout + done.stderr + cloudtune("results").stdout
    assert "\x1b" not in shown


def test_only_runnable_providers_run(cloudtune: Cloudtune) -> None:
    done = cloudtune("run", "study.yaml", "--on", "sagemaker", "--on", "local", code=2)
    assert "sagemaker: refused providers.sagemaker.role_arn" in done.stderr
    assert "sagemaker cannot run this study; running it on local." in done.stderr
    overview = [line.split() for line in done.stdout.splitlines()[-3:-1]]
    assert [row[:2] for row in overview] == [["sagemaker", "refused"], ["local", "completed"]]
    cloudtune("watch", code=2)
    (state,) = json.loads(cloudtune("status", "--json").stdout)
    assert [job["state"] for job in state["jobs"]] == ["refused", "completed"]
    assert "\nsagemaker: refused, 0 of " in cloudtune("status", state["run"]).stdout
    cloudtune("resume", "--on", "local")
    output = cloudtune(
        "run", "study.yaml", "--on", "sagemaker", "--on", "local", "--strict", code=2
    )
    assert "role_arn" in output.stderr
    cloudtune("run", "study.yaml", "--on", "sagemaker", code=2)
    assert len(json.loads(cloudtune("status", "--json").stdout)) == 1


def test_on_rejects_providers_without_a_job(cloudtune: Cloudtune) -> None:
    run = json.loads(cloudtune("run", "study.yaml", "--detach", "--json").stdout)["run"]
    output = f"run {run} has no job on vertex; it has local"
    assert output in cloudtune("stop", "--on", "vertex", code=1).stderr
    assert output in cloudtune("resume", "--on", "vertex", code=1).stderr
    cloudtune("watch")


def test_the_best_values_are_printed_for_other_programs(cloudtune: Cloudtune) -> None:
    cloudtune("run", "study.yaml")
    cloudtune("run", "study.yaml", "--set", "strategy.seed=2")
    newest, oldest = (row["run"] for row in json.loads(cloudtune("status", "--json").stdout))
    results = json.loads(cloudtune("results", newest, oldest, "--best", "--json").stdout)
    (best,) = max(
        (result["trials"] for result in results), key=lambda trials: trials[0]["objective"]
    )
    asked = ("results", newest, oldest, "--best", "--as")
    assert json.loads(cloudtune(*asked, "json").stdout) == best["parameters"]
    assert cloudtune(*asked, "args").stdout.startswith(f"-C {best['parameters']['C']} --kernel")
    assert "export kernel=" in cloudtune(*asked, "env").stdout
    assert "requires --best" in cloudtune("results", "--as", "json", code=1).stderr


def test_several_runs_are_one_table(cloudtune: Cloudtune) -> None:
    for _ in range(2):
        cloudtune("run", "study.yaml", "--set", "limits.max_trials=2")
    newest, oldest = (row["run"] for row in json.loads(cloudtune("status", "--json").stdout))
    title, _, *rows = cloudtune("results", newest, oldest).stdout.splitlines()
    assert title.split()[:2] == ["run", "trial"]
    assert [row.split()[0] for row in rows] == [newest] * 2 + [oldest] * 2


@pytest.mark.slow
def test_an_interrupted_export_continues_with_the_second_run(
    cloudtune: Cloudtune,
) -> None:
    def run() -> str:
        cloudtune("run", "study.yaml")
        latest: str = json.loads(cloudtune("status", "--json").stdout)[0]["run"]
        return latest

    first, second = run(), run()
    cloudtune("export", first, "--to", "optuna")
    output = cloudtune("export", first, second, "--to", "optuna")
    assert f"run {second} on local is the Optuna study" in output.stdout
    assert first not in output.stdout
    assert "already" in output.stderr
    assert "already" in cloudtune("export", first, second, "--to", "optuna").stderr


def test_a_run_is_exported_to_optuna(cloudtune: Cloudtune, tmp_path: Path) -> None:
    cloudtune("run", "study.yaml")
    assert "in study.db" in cloudtune("export", "--to", "optuna", "-o", "study.db").stdout
    assert (tmp_path / "study.db").is_file()
    assert "already" in cloudtune("export", "--to", "optuna", "-o", "study.db").stderr


@pytest.mark.slow
def test_a_report_in_each_format(cloudtune: Cloudtune, tmp_path: Path) -> None:
    cloudtune("run", "study.yaml")
    cloudtune("run", "study.yaml", "--set", "strategy.seed=2")
    first, second = json.loads(cloudtune("status", "--json").stdout)
    done = cloudtune("report", first["run"], second["run"])
    assert "on average over 2 runs" in done.stdout
    assert "cloudtune run study.yaml --on local --set strategy.seed=$seed" in done.stdout
    assert done.stderr == ""
    (alone,) = json.loads(cloudtune("report", "--json").stdout)["groups"]
    assert [run["run"] for run in alone["runs"]] == [first["run"]]
    done = cloudtune("report", "-o", "out.html")
    assert done.stdout == ""
    assert "wrote out.html" in done.stderr
    assert (tmp_path / "out.html").read_text("utf-8").startswith("<!doctype html>")
    cloudtune("report", "-o", "out.md")
    assert (tmp_path / "out.md").read_text("utf-8").startswith("## test\\_a\\_report")
    assert "unknown report format" in cloudtune("report", "-o", "out.pdf", code=1).stderr
    assert "run 'zzzz' not found" in cloudtune("report", "zzzz", code=1).stderr
    assert not (tmp_path / "out.pdf").exists()


def test_trials_are_chosen_and_sorted(cloudtune: Cloudtune) -> None:
    cloudtune("run", "study.yaml")

    def values(*words: str) -> list[float]:
        lines = cloudtune("results", "--format", "jsonl", *words).stdout.splitlines()
        return [json.loads(line)["objective"][0] for line in lines]

    ranked = sorted(values(), reverse=True)
    assert values("--top", "2") == ranked[:2]
    assert values("--sort", "val_acc") == ranked[::-1]
    assert values("--top", "3", "--sort", "-val_acc") == ranked[:3]
    shown = cloudtune("results", "--trial", "2").stdout
    assert re.search(r"^trial 2 of run \w+ on local$", shown, re.MULTILINE)
    assert "step 3: val_acc " in shown
    log = re.search(r"^  log +(\S+)$", shown, re.MULTILINE)
    assert log
    assert "cloudtune logs" in shown
    Path(log[1]).unlink()  # as of a trial that was never started
    assert "cloudtune logs" not in cloudtune("results", "--trial", "2").stdout
    assert cloudtune("results", "--trial", "2", "--as", "args").stdout.startswith("-C ")
    assert "no trial 9" in cloudtune("results", "--trial", "9", code=1).stderr
    assert "contradict" in cloudtune("results", "--best", "--top", "2", code=1).stderr
    assert "--as requires" in cloudtune("results", "--top", "1", "--as", "args", code=1).stderr


def test_providers_fit_80_columns(cloudtune: Cloudtune) -> None:
    lines = cloudtune("providers").stdout.splitlines()
    assert max(map(len, lines)) < 80
    assert {"local", "sagemaker", "vertex", "watson"} <= {line.partition(":")[0] for line in lines}
    assert "  managed  strategies bayesian, grid, random; parameters float, int" in "\n".join(lines)


def test_logs_follows_a_trial_until_it_ends(cloudtune: Cloudtune, tmp_path: Path) -> None:
    lines = "for n in range(5):\n    print(f'step {n} é', flush=True); time.sleep(0.4)\n"
    (tmp_path / "train.py").write_text(f"import time\n{lines}print('val: 1')", "utf-8")
    cloudtune("run", "study.yaml", "--detach", "--set", "limits.max_trials=1")
    while not list(tmp_path.rglob("log.txt")):
        time.sleep(0.05)
    followed = cloudtune("logs", "--follow", "1").stdout
    assert followed == "".join(f"step {n} é\n" for n in range(5)) + "val: 1\n"
    assert cloudtune("logs", "--follow", "1").stdout == followed


@pytest.mark.parametrize("where", ["cli.runs._read_plans", "runs.lifecycle.create"])
def test_ctrl_c_before_there_is_a_run(
    cloudtune: Cloudtune, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def interrupt(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"cloudtune.{where}", interrupt)
    done = cloudtune("run", "study.yaml", code=130)
    assert done.stderr.split("\n")[0] == "interrupted; nothing was started"


def test_a_state_folder_that_cannot_be_written(
    cloudtune: Cloudtune, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("cloudtune.ledger.ledger.create_state_folder", refuse)
    message = cloudtune("run", "study.yaml", code=1).stderr
    assert "/.cloudtune: Permission denied; set CLOUDTUNE_HOME to a folder that" in message
