from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import cloudtune
from cloudtune.ledger.home import state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import RunLock
from cloudtune.runs import lifecycle
from tests.cloudtune.conftest import Cloudtune


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(
        "from cloudtune.trial import params, report\nreport(score=params()['x'])\n", "utf-8"
    )


def study(**limits: object) -> cloudtune.Study:
    return cloudtune.Study.model_validate(
        {
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
            "strategy": "random",
            "limits": {"max_trials": 4, **limits},
            "trial": {"script": "train.py"},
        }
    )


def test_no_module_shadows_a_function() -> None:
    code = (
        "import pkgutil, importlib, cloudtune\n"
        "for each in pkgutil.walk_packages(cloudtune.__path__, 'cloudtune.'):\n"
        "    if '__main__' not in each.name and '.testing' not in each.name:\n"
        "        importlib.import_module(each.name)\n"
        "assert all(callable(getattr(cloudtune, name)) for name in cloudtune.__all__)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_from_python() -> None:
    plan = cloudtune.plan(study())
    assert not plan.refused
    run = cloudtune.run(plan, show=False)
    assert run.outcomes["local"].state == "completed"
    results = run.results()
    best = results.best
    assert best is not None
    assert best.objective == (max(trial.metrics["score"] for trial in results.trials),)
    assert results["local"].trials == results.trials


def test_start_returns_at_once_and_wait_waits() -> None:
    run = cloudtune.start(study())
    assert run.wait() is run
    assert len(run.results().trials) == 4


def test_a_run_can_be_stopped_right_after_start() -> None:
    run = cloudtune.start(study(max_trials=5_000))
    run.stop()
    assert run.wait().outcomes["local"].state == "cancelled"


def test_wait_raises_the_error_of_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("cloudtune.ledger.ledger.Ledger.begin_job", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        cloudtune.start(study()).wait()


@pytest.mark.parametrize(
    ("script", "limits", "code"),
    [
        ("1 / 0", {"max_trials": 2}, 4),
        ("1 / 0", {"max_trials": 5}, 3),
        ("1 / 0", {"max_trials": 5, "max_failed_trials": 1}, 3),
        ("1 / 0", {"max_trials": 2, "max_failed_trials": 2}, 4),
        ("import os\nif os.environ['CLOUDTUNE_TRIAL'].count('/1/'): 1 / 0\n"
         "from cloudtune.trial import report; report(score=1)", {"max_trials": 2}, 0),
    ],
)  # fmt: skip
def test_python_and_the_command_line_agree_on_a_run_without_result(
    typed: Cloudtune, tmp_path: Path, script: str, limits: dict[str, int], code: int
) -> None:
    (tmp_path / "train.py").write_text(script, "utf-8")
    (tmp_path / "study.yaml").write_text(json.dumps(study().to_json() | {"limits": limits}))
    calls: list[Callable[[], object]] = [
        lambda: cloudtune.run(tmp_path / "study.yaml", show=False),
        lambda: cloudtune.start(tmp_path / "study.yaml").wait(),
        lambda: cloudtune.resume(show=False),
    ]
    for call in calls:
        if code == 0 or (code == 4 and "max_failed_trials" in limits):
            call()
            continue
        with pytest.raises(cloudtune.RunFailedError, match="ZeroDivisionError") as caught:
            call()
        assert 'train.py", line 1' in str(caught.value)
    for words in (["run", "study.yaml"], ["resume"], ["watch"]):
        typed(*words, code=code)


def test_a_new_handle_reads_the_same_results() -> None:
    run = cloudtune.run(study(), show=False)
    assert cloudtune.Run(run.id).wait().results().best == run.results().best
    with pytest.raises(KeyError):
        run.results()["nowhere"]


def test_a_run_in_the_background_is_stopped_and_resumed(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import time\nfrom cloudtune.trial import params, report\n"
        "time.sleep(0.2)\nreport(score=params()['x'])\n",
        "utf-8",
    )
    run = cloudtune.start(study(max_trials=600))
    while not any(trial.state == "completed" for trial in run.results().trials):
        time.sleep(0.05)
    run.stop()
    run.wait()
    assert run.outcomes["local"].state == "cancelled"
    with pytest.raises(cloudtune.UsageError, match="not running on this machine"):
        run.stop()


def test_a_changed_source_is_run_as_it_was_copied(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("a file", "utf-8")
    (tmp_path / "scratch.txt").write_text("a file", "utf-8")
    plan = cloudtune.plan(study())
    (tmp_path / "train.log").write_text("a file that grows", "utf-8")
    (tmp_path / "scratch.txt").unlink()
    run = lifecycle.create([plan]).id
    lifecycle.execute(run)
    (result,) = lifecycle.results(run)
    assert result.state == "completed"
    assert result.source_hash != plan.facts.source_hash


def test_a_saved_plan_with_a_changed_source_is_refused(tmp_path: Path) -> None:
    plan = cloudtune.plan(study())
    (tmp_path / "train.log").write_text("a file that grows", "utf-8")
    with pytest.raises(cloudtune.UsageError, match="has changed since it was planned"):
        lifecycle.create([plan], saved=True)


def test_a_failing_observer_does_not_end_a_run() -> None:
    class Broken:
        def begin(self, plan: object, events: object, elapsed: float) -> None: ...

        def events(self, provider: str, events: object) -> None:
            raise BrokenPipeError

        def end(self, provider: str, outcome: object) -> None: ...

        def message(self, text: str) -> None: ...

    run = lifecycle.create([cloudtune.plan(study())]).id
    assert lifecycle.execute(run, Broken())["local"].state == "completed"


def test_limits_of_a_running_run_cannot_be_changed() -> None:
    run = lifecycle.create([cloudtune.plan(study())]).id
    with Ledger(state_folder()) as ledger:
        folder = ledger.run_folder(run)
    with RunLock(folder), pytest.raises(cloudtune.LedgerError, match="is held by"):
        cloudtune.resume(run, overrides=["limits.max_trials=9"], show=False)
    assert lifecycle.results(run)[0].study.limits.max_trials == 4


def test_a_refused_study_raises_every_finding() -> None:
    with pytest.raises(cloudtune.UnsupportedError) as caught:
        cloudtune.run(cloudtune.Study(), show=False)
    paths = {finding.path for finding in caught.value.findings}
    assert {"objective", "parameters", "limits", "trial"} <= paths


def test_a_study_created_in_python_is_validated_like_a_file() -> None:
    with pytest.raises(cloudtune.StudyError) as caught:
        cloudtune.Study.model_validate(
            {
                "parameters": {
                    "a": {"type": "int", "min": 3, "max": 1},
                    "b": {"type": "bool", "when": {"c": True}},
                }
            }
        )
    assert len(caught.value.problems) == 2


def test_tables(tmp_path: Path) -> None:
    results = cloudtune.run(study(), show=False).results()
    values = [trial.parameters["x"] for trial in results.trials]
    pytest.importorskip("pandas")
    assert list(results.to_pandas()["parameters.x"]) == values
    pytest.importorskip("polars")
    assert results.to_polars()["parameters.x"].to_list() == values
    results.to_parquet(tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size


def test_a_report_from_python(tmp_path: Path) -> None:
    results = [cloudtune.run(study(max_trials=2), show=False).results() for _ in range(2)]
    text = cloudtune.report(results[0])
    assert text.startswith("study: maximize score")
    assert cloudtune.report(results, tmp_path / "report.md") == (tmp_path / "report.md").read_text()
    assert "on average over 2 runs" in cloudtune.report(results, form="markdown")


def test_times_are_datetimes(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    results = cloudtune.run(study(max_trials=1), show=False).results()
    trial = results.trials[0]
    job, after = results.jobs[0], datetime.now(UTC)
    order = [before, job.created_at, trial.started_at, trial.ended_at, job.ended_at, after]
    known = [time for time in order if time is not None]
    assert known == sorted(known)
    assert len(known) == len(order)
    pd = pytest.importorskip("pandas")
    results.to_parquet(tmp_path / "t.parquet")
    for table in (results.to_pandas(), pd.read_parquet(tmp_path / "t.parquet")):
        assert table["started"][0] == trial.started_at
    pytest.importorskip("polars")
    assert results.to_polars()["ended"][0] == trial.ended_at


def test_completion_shows_the_public_names() -> None:
    names = {name for name in dir(cloudtune) if not name.startswith("__")}
    assert names == {*cloudtune.__all__, "bool", "float", "int"}
    assert all(hasattr(cloudtune, name) for name in names)


CONTENT: dict[str, Any] = {
    "objective": {"metric": "score", "goal": "maximize"},
    "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
    "limits": {"max_trials": 2},
    "trial": {"script": "train.py", "metrics": {"score": r"score=(\S+)"}},
}
PRINTS = "import sys\nprint(f'score={sys.argv[-1]}')\n"


def test_a_study_from_a_file_or_a_map(tmp_path: Path) -> None:
    Path("train.py").write_text(PRINTS, "utf-8")
    Path("study.yaml").write_text(json.dumps(CONTENT), "utf-8")
    runs = [cloudtune.run(each, show=False) for each in ("study.yaml", Path("study.yaml"), CONTENT)]
    assert [len(run.results().trials) for run in runs] == [2, 2, 2]
    assert not cloudtune.plan("study.yaml").refused
    assert not cloudtune.plan(CONTENT).refused
    assert cloudtune.start(CONTENT).wait().results().best is not None
    assert "study.yaml" in cloudtune.report(runs[0].results())
    cloudtune.resume(runs[0].id, overrides=["limits.max_trials=3"], show=False)
    assert len(runs[0].results().trials) == 3


def test_a_map_is_checked_as_a_file_is() -> None:
    with pytest.raises(cloudtune.StudyError, match=r"^objective\.goal: unknown value 'max'"):
        cloudtune.load({**CONTENT, "objective": {"metric": "score", "goal": "max"}})
    loaded = cloudtune.load({**CONTENT, "initial_trials": ({"x": 0.5},)}, overrides=["name=n"])
    assert (loaded.name, loaded.initial_trials) == ("n", [{"x": 0.5}])
    assert "name" not in CONTENT


def test_a_file_called_study_has_the_name_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    for name, expected in (("study.yaml", "digits"), ("other.yaml", "other")):
        (folder / name).write_text(json.dumps(CONTENT), "utf-8")
        assert cloudtune.load(folder / name).name == expected
